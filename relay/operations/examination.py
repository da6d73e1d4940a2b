"""Examines everything that the configuration needs: side by side, each step with a time-out.

A subject's steps depend on each other: the way there (name, port, TLS) and the token are looked
at side by side, the link or the marker only when both are well, so that the first failure is
the one to mend. How the resource is locked is asked beside them. Nothing is changed but the
doctor's own marker.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from relay.causes import Cause, Service
from relay.identity import Identity
from relay.needs import Act, Need, needs_of
from relay.operations import reaching
from relay.operations.checks import Check, Report, Step, failed, passed, skipped
from relay.operations.evidence import (
    cause_of,
    cause_of_tls,
    is_about_the_token,
    words_of,
)
from relay.operations.management import Management, MayNotReadError, NotAnsweredError
from relay.operations.opening import open_link, put_marker
from relay.refusals import Principal
from relay.remedies import remedy
from relay.sdk_errors import cause_of_no_token
from relay.settings import Network
from relay.tokens import NOBODY, Claims, claims_of, judge, refine

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.assignments import Assigned
    from relay.operations.reaching import Resolve
    from relay.settings import ManagedIdentity, Settings

_TOKEN_SECONDS: Final = 20.0
_SETTLING: Final = 600.0
"""Seconds that a role assignment may take to be in effect, as Microsoft says."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A token's claims, or why there is none."""

    claims: Claims = NOBODY
    error: Exception | None = None


@dataclass(slots=True)
class Examination:
    """One examination.

    Attributes:
        settings: what is examined.
        resolve: finds the addresses of a name.
        now: the clock.
        on_check: hears of each check when it is done.
    """

    settings: Settings
    resolve: Resolve = reaching.resolve
    now: Callable[[], float] = time.time
    on_check: Callable[[Check], None] = lambda _: None
    _checks: list[Check] = field(default_factory=list)
    _identities: dict[ManagedIdentity, Identity] = field(default_factory=dict)
    _tokens: dict[tuple[ManagedIdentity, str], asyncio.Task[_Token]] = field(
        default_factory=dict
    )

    async def run(self) -> Report:
        """Examine everything, and say all that was found, subject by subject."""
        needs = needs_of(self.settings)
        for need in needs:
            which = need.identity
            self._identities.setdefault(
                which, Identity(which.client_id, which.resource_id, retried=False)
            )
        try:
            await asyncio.gather(*(self._examine(need) for need in needs))
        finally:
            for identity in self._identities.values():
                await identity.close()
        order = {need.subject: number for number, need in enumerate(needs)}
        steps = {step: number for number, step in enumerate(Step)}
        return Report(
            tuple(sorted(self._checks, key=lambda c: (order[c.subject], steps[c.step])))
        )

    async def _examine(self, need: Need) -> None:
        self._tell(passed(need.subject, Step.SETTINGS, _told(need)))
        is_reached, claims, _ = await asyncio.gather(
            self._reach(need), self._token(need), self._posture(need)
        )
        last = (Step.MARKER,) if need.service is Service.STORAGE else (Step.CBS, Step.LINK)
        if is_reached and claims is not None:
            await self._open(need, claims)
            return
        why = "there is no token that would do" if is_reached else "the way there is not open"
        for step in last:
            self._tell(skipped(need.subject, step, why))

    def _tell(self, check: Check) -> None:
        self._checks.append(check)
        self.on_check(check)

    def _fail(
        self, need: Need, step: Step, cause: Cause, said: str, claims: Claims = NOBODY
    ) -> None:
        client_id = need.identity.client_id or claims.client_id
        principal = Principal(need.identity.name, client_id, claims.object_id)
        command = remedy(cause, need, principal, said)
        self._tell(failed(need.subject, step, cause, said, command))

    # The way there

    async def _reach(self, need: Need) -> bool:
        steps = {Step.NAME: self._name, Step.PORT: self._port, Step.TLS: self._tls}
        is_open = True
        for step, look in steps.items():
            if is_open:
                is_open = await look(need)
            else:
                self._tell(skipped(need.subject, step, "the step before it failed"))
        return is_open

    async def _name(self, need: Need) -> bool:
        try:
            addresses = await self.resolve(need.host, need.port)
        except (OSError, UnicodeError) as error:
            self._fail(need, Step.NAME, Cause.NAME_NOT_FOUND, words_of(error))
            return False
        shown = f"{need.host} is {', '.join(addresses)}"
        outside = [each for each in addresses if not reaching.is_private(each)]
        if outside and need.network is Network.PRIVATE:
            self._fail(need, Step.NAME, Cause.PUBLIC_ADDRESS, shown)
            return False
        self._tell(passed(need.subject, Step.NAME, shown))
        return True

    async def _port(self, need: Need) -> bool:
        try:
            await reaching.knock(need.host, need.port)
        except OSError as error:
            self._fail(need, Step.PORT, Cause.PORT_UNREACHABLE, words_of(error))
            return False
        self._tell(passed(need.subject, Step.PORT, f"port {need.port} answers"))
        return True

    async def _tls(self, need: Need) -> bool:
        try:
            version = await reaching.shake_hands(need.host, need.port, self.settings.ca_file)
        except OSError as error:
            self._fail(need, Step.TLS, cause_of_tls(error), words_of(error))
            return False
        self._tell(passed(need.subject, Step.TLS, version))
        return True

    # The token

    async def _token(self, need: Need) -> Claims | None:
        token = await self._asked(need.identity, need.resource.audience)
        if token.error is not None:
            cause = cause_of_no_token(token.error)
            self._fail(need, Step.TOKEN, cause, words_of(token.error))
            return None
        claims = token.claims
        wrong = judge(claims, need.resource.audience, need.identity.client_id, self.now())
        if wrong is not None:
            self._fail(need, Step.TOKEN, wrong, _shown(claims), claims)
            return None
        self._tell(passed(need.subject, Step.TOKEN, _shown(claims)))
        return claims

    async def _asked(self, which: ManagedIdentity, audience: str) -> _Token:
        """Ask once for each identity and audience; what fails for one fails for all."""
        key = (which, audience)
        if key not in self._tokens:
            self._tokens[key] = asyncio.create_task(self._ask(*key))
        return await self._tokens[key]

    async def _ask(self, which: ManagedIdentity, audience: str) -> _Token:
        try:
            async with asyncio.timeout(_TOKEN_SECONDS):
                token = await self._identities[which].get_token(f"{audience}/.default")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return _Token(error=error)
        return _Token(claims_of(token.token))

    # The link and the marker

    async def _open(self, need: Need, claims: Claims) -> None:
        identity, ca_file = self._identities[need.identity], self.settings.ca_file
        is_blob = need.service is Service.STORAGE
        try:
            seen = await (put_marker if is_blob else open_link)(need, identity, ca_file)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            await self._refused(need, claims, error)
            return
        if is_blob:
            self._tell(passed(need.subject, Step.MARKER, seen))
            return
        self._tell(passed(need.subject, Step.CBS, "the token was accepted"))
        self._tell(passed(need.subject, Step.LINK, seen))

    async def _refused(self, need: Need, claims: Claims, error: Exception) -> None:
        said = words_of(error)
        cause = refine(cause_of(need.service, error), claims, self.now())
        cause, more = await self._doubt(need, cause, claims)
        said = f"{more} {said}" if more else said
        if need.service is Service.STORAGE:
            self._fail(need, Step.MARKER, cause, said, claims)
        elif is_about_the_token(cause, error) or cause is Cause.NO_ANSWER:
            self._fail(need, Step.CBS, cause, said, claims)
            self._tell(skipped(need.subject, Step.LINK, "the token was not accepted"))
        else:
            self._tell(passed(need.subject, Step.CBS, "the token was accepted"))
            self._fail(need, Step.LINK, cause, said, claims)

    async def _doubt(self, need: Need, cause: Cause, claims: Claims) -> tuple[Cause, str]:
        """Ask, where that may be asked, whether a missing role is missing."""
        if cause is not Cause.MISSING_ROLE:
            return cause, ""
        issued = _moment(claims.issued)
        if not need.resource.resource_id:
            return cause, f"The token is of {issued}; a role that is younger is not in it yet."
        try:
            held = await self._management().assigned_at(need.resource.scope)
        except (MayNotReadError, NotAnsweredError) as error:
            return cause, (
                f"The token is of {issued}; whether the role is assigned since then can't be "
                f"seen: {error}."
            )
        fitting = [each for each in held if each.grants(need.resource.role.id)]
        return await self._compare(cause, claims, fitting)

    async def _compare(
        self, cause: Cause, claims: Claims, fitting: list[Assigned]
    ) -> tuple[Cause, str]:
        issued = _moment(claims.issued)
        own = [each for each in fitting if each.object_id == claims.object_id]
        if own:
            granted = min(each.created for each in own)
            since = f"The role is assigned since {_moment(granted)}, the token is of {issued}"
            if granted > claims.issued or self.now() - granted < _SETTLING:
                return Cause.ROLE_TOO_NEW, f"{since}."
            return Cause.UNKNOWN, f"{since}, and it is refused all the same:"
        names = await self._names()
        for each in fitting:
            if each.object_id in names:
                return Cause.WRONG_IDENTITY, (
                    f"The relay's {names[each.object_id]} (object id {each.object_id}) holds "
                    "the role, and another one asked."
                )
        return cause, f"No assignment gives it, as of now; the token is of {issued}."

    async def _names(self) -> dict[str, str]:
        """Return the relay's identities by object id, as far as tokens told them."""
        found: dict[str, str] = {}
        for (which, _), asking in tuple(self._tokens.items()):
            claims = (await asking).claims
            if claims.object_id:
                found[claims.object_id] = which.name
        return found

    # How the resource is locked

    async def _posture(self, need: Need) -> None:
        if not need.resource.resource_id:
            why = f"{need.setting}__resourceId is not set, so that nobody can be asked"
            self._tell(skipped(need.subject, Step.POSTURE, why))
            return
        if (await self._asked(need.identity, need.resource.audience)).error is not None:
            self._tell(skipped(need.subject, Step.POSTURE, "there is no token to ask with"))
            return
        try:
            properties = await self._management().properties(need)
            rules = await self._rules(need)
        except (MayNotReadError, NotAnsweredError) as error:
            self._tell(skipped(need.subject, Step.POSTURE, str(error)))
            return
        causes = [
            *((Cause.LOCAL_AUTH_ALLOWED,) if _takes_keys(need, properties) else ()),
            *((Cause.TRUSTED_SERVICES_OFF,) if _stops_trusted(properties, rules) else ()),
        ]
        shown = _locked(properties)
        for cause in causes:
            self._fail(need, Step.POSTURE, cause, shown)
        if not causes:
            self._tell(passed(need.subject, Step.POSTURE, f"no key opens it; {shown}"))

    async def _rules(self, need: Need) -> dict[str, Any] | None:
        """Return the rules of a landing namespace: Azure Digital Twins must come past them."""
        is_landing = need.act is Act.LISTEN and need.service is not Service.STORAGE
        return await self._management().network_rules(need) if is_landing else None

    def _management(self) -> Management:
        return Management(self.settings, tuple(self._identities.values()))


def _takes_keys(need: Need, properties: dict[str, Any]) -> bool:
    if need.service is Service.STORAGE:
        return properties.get("allowSharedKeyAccess") is not False
    return properties.get("disableLocalAuth") is not True


def _stops_trusted(properties: dict[str, Any], rules: dict[str, Any] | None) -> bool:
    if rules is None:
        return False
    is_closed = (
        properties.get("publicNetworkAccess") == "Disabled"
        or rules.get("defaultAction") == "Deny"
    )
    return is_closed and rules.get("trustedServiceAccessEnabled") is not True


def _locked(properties: dict[str, Any]) -> str:
    endpoints = len(properties.get("privateEndpointConnections") or ())
    public = properties.get("publicNetworkAccess", "unknown")
    return f"public network access {public}, private endpoints: {endpoints}"


def _told(need: Need) -> str:
    return f"{need.resource.label} on {need.host} by the {need.identity.name}"


def _shown(claims: Claims) -> str:
    """Show a token's claims, never the token."""
    return (
        f"object id {claims.object_id}, client id {claims.client_id}, audience "
        f"{claims.audience}, issued {_moment(claims.issued)}, expires "
        f"{_moment(claims.expires)}"
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
