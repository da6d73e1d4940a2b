"""Why an instance refused, and what mends it, in words for whoever deploys."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from relay.clouds import DIGITAL_TWINS
from relay.operations.event_routes.instance import AnswerError, NoTokenError
from relay.refusals import TWINS_OWNER, TWINS_READER, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.operations.event_routes.patience import TroubleError
    from relay.operations.event_routes.plan import EventRoute
    from relay.refusals import Principal

_PROVIDER: Final = "Microsoft.DigitalTwins/digitalTwinsInstances"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried.

    Attributes:
        host: of the instance.
        wanted: the event route.
        principal: who tried.
        writes: whether it was to be changed, or only read.
        found: the event routes that are there, as far as known.
        from_inside: whether the host's name leads to a private address.
    """

    host: str
    wanted: EventRoute
    principal: Principal
    writes: bool
    found: Sequence[EventRoute] = ()
    from_inside: bool = False

    @property
    def instance(self) -> str:
        """The instance's name, with which its host's begins."""
        return self.host.partition(".")[0]

    @property
    def resource(self) -> Resource:
        """The instance, and the narrowest built-in role for what was tried."""
        role = TWINS_OWNER if self.writes else TWINS_READER
        return Resource(self.host, DIGITAL_TWINS, role, _PROVIDER, self.instance, "")


def explained(trouble: TroubleError, attempt: Attempt) -> str:
    """Say what went wrong, why, and what mends it; commands stand on lines of their own."""
    if isinstance(trouble, NoTokenError):
        return f"{_no_token(attempt)}\n({trouble})"
    if not isinstance(trouble, AnswerError):
        return f"{trouble}."
    return f"{trouble}.\n{_why(trouble, attempt)}"


def _why(error: AnswerError, attempt: Attempt) -> str:
    by_code = _BY_CODE.get(error.code)
    if by_code is not None:
        return by_code(attempt)
    if error.is_of_the_network:
        return _outside(attempt)
    if error.status == HTTPStatus.FORBIDDEN:
        is_open = not (error.said or attempt.from_inside)
        return _forbidden(attempt) + (_or_outside(attempt) if is_open else "")
    by_status = _BY_STATUS.get(error.status)
    return by_status(attempt) if by_status else "Run the command again when it is well."


def _no_token(attempt: Attempt) -> str:
    return (
        f"There is no token for {DIGITAL_TWINS} to show to {attempt.host}. Sign in by 'azd "
        "auth login' or 'az login' (in a pipeline by OIDC), or run this where a managed "
        "identity is; --sign-in says which counts."
    )


def _forbidden(attempt: Attempt) -> str:
    role, principal = attempt.resource.role, attempt.principal
    whose = f" (object id {principal.object_id})" if principal.object_id else ""
    return (
        f"The {principal.name}{whose} lacks the role {role.name} ({role.id}) on the instance, "
        "or was given it only minutes ago: it takes up to ten. Owner or Contributor of the "
        "resource is not it.\n"
        "  az role assignment create "
        f"--assignee-object-id {principal.object_id or "'<object-id>'"} --role {role.id} "
        f"--scope {attempt.resource.scope_argument}"
    )


def _or_outside(attempt: Attempt) -> str:
    """Azure Digital Twins answers 403 to the public side as well, at times without a word."""
    return (
        "\nOr the instance takes calls by private endpoints only, and this one came from "
        "outside, which is refused in the same way:\n"
        f"  az dt show --dt-name {attempt.instance} --query publicNetworkAccess"
    )


def _outside(attempt: Attempt) -> str:
    return (
        "No role is missing: the instance takes calls by private endpoints only, and this one "
        "came from outside. Run the command where the name leads to its private endpoint (zone "
        "privatelink.digitaltwins.azure.net), such as on a runner in the virtual network; if "
        "that is here, the name was not yet known as private: run it again.\n"
        f"  az dt show --dt-name {attempt.instance} --query publicNetworkAccess"
    )


def _not_accepted(_: Attempt) -> str:
    return (
        "The token was not accepted: it is of another tenant than the instance, or this "
        "machine's clock is wrong.\n"
        "  az login --tenant '<tenant of the instance>'"
    )


def _no_instance(attempt: Attempt) -> str:
    return (
        "Nothing is known there, or not yet: is this the instance's host name?\n"
        f"  az dt show --dt-name {attempt.instance} --query hostName"
    )


def _no_answer(attempt: Attempt) -> str:
    return f"Does the name exist, and is the way to port 443 open?\n  nslookup {attempt.host}"


def _no_endpoint(attempt: Attempt) -> str:
    return (
        f"There is no endpoint {attempt.wanted.endpoint}, or it is not active yet.\n"
        f"  az dt endpoint show --dt-name {attempt.instance} "
        f"--endpoint-name {attempt.wanted.endpoint} --query properties.provisioningState"
    )


def _bad_filter(attempt: Attempt) -> str:
    return (
        f"The filter was: {attempt.wanted.filter}\nGive another with --filter; true lets "
        "everything through."
    )


def _bad_id(attempt: Attempt) -> str:
    return f"The id was {attempt.wanted.id}. Give another with --route-id."


def _no_room(attempt: Attempt) -> str:
    there = ", ".join(f"{each.id} (to {each.endpoint})" for each in attempt.found)
    return (
        f"The instance has {len(attempt.found)} event routes, and may have six unless "
        f"Microsoft's support raises it: {there or 'none that can be seen'}. Delete one that "
        "nobody needs, or take one over: --route-id with its id changes it into this one.\n"
        f"  az dt route delete --dt-name {attempt.instance} --route-name '<id>'"
    )


_BY_CODE: Final[dict[str, Callable[[Attempt], str]]] = {
    "EventRouteEndpointInvalid": _no_endpoint,
    "EventRouteFilterInvalid": _bad_filter,
    "EventRouteIdInvalid": _bad_id,
    "LimitExceeded": _no_room,
}
_BY_STATUS: Final[dict[int, Callable[[Attempt], str]]] = {
    0: _no_answer,
    401: _not_accepted,
    404: _no_instance,
}
