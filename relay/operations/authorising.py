"""The second step: whether a caller who is known may do this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.operations.access import ForbiddenError
from relay.permissions import SCOPES, Action, all_roles

if TYPE_CHECKING:
    from relay.operations.access import Caller
    from relay.permissions import Roles
    from relay.settings import Api


class Authorizer:
    """Tells what callers may do: what their roles allow, and nothing without one.

    An application that calls in a user's name may do what both the user's roles and its own
    scopes allow.

    Args:
        api: the custom roles, and whom to ask.
    """

    def __init__(self, api: Api) -> None:
        self._roles: Roles = all_roles(api.roles)
        self._contact = api.contact or "whoever owns the Entra application of the relay"
        self._audience = api.access.audiences[0] if api.access.audiences else ""

    def permit(self, caller: Caller, action: Action) -> None:
        """Let a caller pass who may.

        Raises:
            ForbiddenError: naming the action, the roles that would allow it, and whom to ask.
        """
        if action in self._allowed(caller):
            return
        roles = [value for value, actions in self._roles.items() if action in actions]
        missing = [f"one of the app roles {', '.join(roles)}"]
        if not caller.is_application:
            scopes = [value for value, (_, actions) in SCOPES.items() if action in actions]
            missing.append(f"one of the scopes {', '.join(scopes) or '(none allows it)'}")
        raise ForbiddenError(
            f"{caller} may not do {action}. It needs {' and '.join(missing)} of "
            f"{self._audience or 'the relay'}: ask {self._contact} to assign it, then get a "
            "new token",
            "insufficient_scope",
            str(caller),
        )

    def _allowed(self, caller: Caller) -> frozenset[Action]:
        nothing: frozenset[Action] = frozenset()
        granted = nothing.union(*(self._roles.get(role, nothing) for role in caller.roles))
        if caller.is_application:
            return granted
        scoped = nothing.union(*(SCOPES[s][1] for s in caller.scopes if s in SCOPES))
        return granted & scoped
