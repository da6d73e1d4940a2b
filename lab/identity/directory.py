"""The tenant: principals, role assignments, tokens. In memory; one event loop, no locks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from lab.identity.roles import RESOURCE_GROUP, ROLES, Role, covers, role
from lab.identity.tokens import Claims, SigningKey, expired

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

_NAMESPACE: Final = UUID("8f1f1c1e-5a0f-5d0c-9b60-2c7b6ad7a9a1")
_LEEWAY_SECONDS: Final = 300
"""How far back a token's `nbf` lies, as Entra sets it, for clocks that disagree."""


class UnknownNameError(LookupError):
    """A name that means nothing here; the text lists those that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"no {kind} is called {name!r}; known: {listed}")


@dataclass(frozen=True, slots=True)
class Principal:
    """A managed identity.

    Attributes:
        name: what people call it.
        client_id: what an app selects it by (`<CONNECTION>__clientId`).
        object_id: what roles are assigned to.
        resource_id: the ARM id of the identity, or of the app whose own it is.
        system_assigned: whether it lives and dies with its app.
    """

    name: str
    client_id: str
    object_id: str
    resource_id: str
    system_assigned: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """A principal holds a role on a scope and on everything below it.

    Attributes:
        object_id: who.
        role: which.
        scope: where.
        granted: since when, in seconds since 1970.
        effective: from when on the services go by it.
    """

    object_id: str
    role: Role
    scope: str
    granted: float = field(default=0.0, compare=False)
    effective: float = field(default=0.0, compare=False)


class Directory:
    """Who exists, who may do what, and the tokens that prove the first.

    Attributes:
        tenant_id: the tenant's GUID.
        issuer: the `iss` of every token.
        token_lifetime: how long a token that is issued from now on is good for.
        role_delay: seconds until a role that is granted from now on takes effect.
        clock_ahead: seconds by which the issuer's clock is ahead of everybody's.
        forged: claims that stand in every token in place of the true ones.
    """

    def __init__(
        self, state_dir: Path | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.tenant_id = str(uuid5(_NAMESPACE, "tenant"))
        self.issuer = f"https://sts.windows.net/{self.tenant_id}/"
        self.token_lifetime = timedelta(hours=24)
        self.role_delay = 0.0
        self.clock_ahead = 0.0
        self.forged: dict[str, object] = {}
        self.key = SigningKey.kept_in(state_dir)
        self._clock = clock
        self._principals: dict[str, Principal] = {}
        self._held: dict[str, list[Principal]] = {}
        self._assignments: dict[tuple[str, str, str], Assignment] = {}
        self._ended: dict[str, int] = {}
        self._last_issued = 0
        self._callbacks: dict[object, Callable[[], None]] = {}

    def set_clock(self, clock: Callable[[], float]) -> None:
        """Let the services go by another clock."""
        self._clock = clock

    # Principals

    def register(
        self,
        name: str,
        *,
        app: str,
        system_assigned: bool = False,
        client_id: str | None = None,
        object_id: str | None = None,
    ) -> Principal:
        """Create the identity `name` and let `app` use it; the ids follow from the name.

        A user-assigned identity may be registered again for further apps.

        Raises:
            ValueError: the name is taken, or the app has a system-assigned identity already.
        """
        principal = Principal(
            name,
            client_id or str(uuid5(_NAMESPACE, f"client/{name}")),
            object_id or str(uuid5(_NAMESPACE, f"object/{name}")),
            _resource_id(name, app, system_assigned=system_assigned),
            system_assigned,
        )
        if self._principals.get(name, principal) != principal:
            raise ValueError(f"another identity is called {name!r} already")
        if system_assigned and self.identity_of(app) not in {None, principal}:
            raise ValueError(f"the app {app!r} has a system-assigned identity already")
        self._principals[name] = principal
        held = self._held.setdefault(app, [])
        if principal not in held:
            held.append(principal)
        return principal

    def principals(self) -> Sequence[Principal]:
        """Return every identity, in the order of registration."""
        return tuple(self._principals.values())

    def principal(self, wanted: str) -> Principal:
        """Find an identity by name, client id or object id.

        Raises:
            UnknownNameError: there is none.
        """
        for each in self._principals.values():
            if wanted in {each.name, each.client_id, each.object_id}:
                return each
        raise UnknownNameError("identity", wanted, self._principals)

    def apps(self) -> Sequence[str]:
        """Return the name of every app that holds an identity."""
        return tuple(self._held)

    def identities(self, app: str) -> Sequence[Principal]:
        """Return what `app` holds."""
        return tuple(self._held.get(app, ()))

    def identity_of(self, app: str) -> Principal | None:
        """Return the app's system-assigned identity."""
        return next((each for each in self.identities(app) if each.system_assigned), None)

    def header(self, app: str) -> str:
        """Return the app's IDENTITY_HEADER: what proves to the endpoint which app asks."""
        return self.key.secret(f"identity-header/{app}")

    # Roles

    def grant(self, object_id: str, role_id: str, scope: str) -> None:
        """Assign a role; assigning it twice is assigning it once.

        Raises:
            UnknownNameError: no such principal or role.
            ValueError: the scope is no resource id.
        """
        if not scope.startswith("/"):
            raise ValueError(f"a scope is a resource id that starts with '/', not {scope!r}")
        now = self._clock()
        assignment = Assignment(
            self.principal(object_id).object_id,
            known_role(role_id),
            scope.rstrip("/"),
            granted=now,
            effective=now + self.role_delay if self.role_delay else 0.0,
        )
        self._assignments.setdefault(_key(assignment), assignment)
        self._changed()

    def revoke(self, object_id: str, role_id: str, scope: str) -> None:
        """Take exactly this assignment away; those above and below it stay.

        Raises:
            UnknownNameError: no such principal, role or assignment.
        """
        principal = self.principal(object_id)
        wanted = Assignment(principal.object_id, known_role(role_id), scope.rstrip("/"))
        if self._assignments.pop(_key(wanted), None) is None:
            held = (f"{each.role.name} on {each.scope}" for each in self._of(wanted.object_id))
            asked = f"{wanted.role.name} on {scope}"
            raise UnknownNameError(f"assignment of {principal.name}", asked, held)
        self._changed()

    def allows(self, object_id: str, action: str, scope: str) -> bool:
        """Tell whether an assignment on `scope` or above allows the action by now."""
        now = self._clock()
        return any(
            action in each.role.actions and covers(each.scope, scope) and each.effective <= now
            for each in self._of(object_id)
        )

    def assignments(self) -> Sequence[Assignment]:
        """Return every assignment, in the order of granting."""
        return tuple(self._assignments.values())

    def _of(self, object_id: str) -> Iterable[Assignment]:
        return (each for each in self._assignments.values() if each.object_id == object_id)

    # Tokens

    def issue(
        self, principal: Principal, resource: str, app_roles: Collection[str] = ()
    ) -> str:
        """Return a token of `principal` for `resource`, the audience exactly as asked.

        Args:
            principal: whom it names.
            resource: whom it is meant for.
            app_roles: of the application that `resource` is, as assigned to the principal.
        """
        now = int(self._clock() + self.clock_ahead)
        lifetime = int(self.token_lifetime.total_seconds())
        return self.key.sign(
            {
                "aud": resource,
                "iss": self.issuer,
                "iat": now,
                "nbf": now - _LEEWAY_SECONDS,
                "exp": now + lifetime,
                "appid": principal.client_id,
                "appidacr": "2",
                "idp": self.issuer,
                "idtyp": "app",
                "oid": principal.object_id,
                "sub": principal.object_id,
                "tid": self.tenant_id,
                "uti": f"{self._next_issued():x}",
                "ver": "1.0",
                "xms_mirid": principal.resource_id,
                **({"roles": list(app_roles)} if app_roles else {}),
                **self.forged,
            }
        )

    def verify(self, token: str, audiences: Collection[str]) -> Claims:
        """Return what a good token says.

        Args:
            token: the JWT.
            audiences: those that the service accepts; a trailing slash makes no difference.

        Raises:
            TokenRefused: signature, issuer, audience or time is wrong, or it was ended.
        """
        claims = self.key.read(
            token, issuer=self.issuer, audiences=audiences, now=self._clock()
        )
        if not self.good(claims):
            raise expired(self._ended[claims.object_id] / 1e9)
        return claims

    def good(self, claims: Claims) -> bool:
        """Tell whether a token that was verified once is still good."""
        ended = self._ended.get(claims.object_id, -1)
        return claims.issued > ended and self._clock() < claims.expires_at

    def expire_tokens(self, object_id: str | None = None) -> None:
        """End every token issued so far, of one principal or of all, ahead of its time."""
        whose = self.principals() if object_id is None else (self.principal(object_id),)
        last = self._next_issued()
        self._ended.update({each.object_id: last for each in whose})
        self._changed()

    def _next_issued(self) -> int:
        """Return a number that rises with every token, across restarts too."""
        self._last_issued = max(self._last_issued + 1, int(self._clock() * 1e9))
        return self._last_issued

    # Changes

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every change of assignments or of ended tokens.

        Returns:
            What ends the subscription; calling it twice does no harm.
        """
        subscription = object()
        self._callbacks[subscription] = callback

        def unsubscribe() -> None:
            self._callbacks.pop(subscription, None)

        return unsubscribe

    def _changed(self) -> None:
        for callback in tuple(self._callbacks.values()):
            callback()


def known_role(wanted: str) -> Role:
    """Find a role by GUID or name.

    Raises:
        UnknownNameError: there is none.
    """
    found = role(wanted)
    if found is None:
        raise UnknownNameError("role", wanted, (f"{each.name} ({each.id})" for each in ROLES))
    return found


def _key(assignment: Assignment) -> tuple[str, str, str]:
    return assignment.object_id, assignment.role.id, assignment.scope.lower()


def _resource_id(name: str, app: str, *, system_assigned: bool) -> str:
    kind = "ManagedIdentity/userAssignedIdentities"
    return (
        f"{RESOURCE_GROUP}/providers/Microsoft.Web/sites/{app}"
        if system_assigned
        else f"{RESOURCE_GROUP}/providers/Microsoft.{kind}/{name}"
    )
