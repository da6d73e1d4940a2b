"""A refusal in words: who was refused, by whom, for which missing role, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from relay.causes import Cause, Service, recognise
from relay.failures import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role of Azure; the id is the same in every tenant and never changes.

    Source: MicrosoftDocs/azure-docs, role-based-access-control/built-in-roles.
    """

    name: str
    id: str


EVENT_HUBS_SENDER: Final = Role(
    "Azure Event Hubs Data Sender", "2b629674-e913-4c01-ae53-ef4638d8f975"
)
EVENT_HUBS_RECEIVER: Final = Role(
    "Azure Event Hubs Data Receiver", "a638d3c7-ab3a-418d-83e6-5f17a39d4fde"
)
SERVICE_BUS_SENDER: Final = Role(
    "Azure Service Bus Data Sender", "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
)
SERVICE_BUS_RECEIVER: Final = Role(
    "Azure Service Bus Data Receiver", "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
)
BLOB_CONTRIBUTOR: Final = Role(
    "Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
)
BLOB_OWNER: Final = Role("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b")
TWINS_OWNER: Final = Role(
    "Azure Digital Twins Data Owner", "bcd981a7-7f74-457b-83e1-cceb9e632ffe"
)
TWINS_READER: Final = Role(
    "Azure Digital Twins Data Reader", "d57506d4-4c8d-48b1-8587-93c323f6a5a3"
)
METRICS_PUBLISHER: Final = Role(
    "Monitoring Metrics Publisher", "3913510d-42f4-4e42-8a64-420c390055eb"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """Something in Azure that asks for a role.

    Attributes:
        label: how people call it: `<namespace>/<entity>`.
        audience: whom a token for it is made out to.
        role: what the relay's identity needs there.
        provider: its resource type, such as `Microsoft.EventHub/namespaces`.
        account: the name of the namespace or storage account.
        path: what follows the account in its resource id, such as `/eventhubs/alarms`.
        resource_id: the account's resource id where the settings tell it, else `""`.
    """

    label: str
    audience: str
    role: Role
    provider: str
    account: str
    path: str
    resource_id: str = ""

    @property
    def scope(self) -> str:
        """The narrowest scope at which the role does; with placeholders where unknown."""
        account = self.resource_id or (
            "/subscriptions/<subscription>/resourceGroups/<resource-group>"
            f"/providers/{self.provider}/{self.account}"
        )
        return account + self.path

    @property
    def service(self) -> Service:
        """Who refuses there."""
        return next(
            (service for part, service in _SERVICES.items() if part in self.provider),
            Service.STORAGE,
        )

    @property
    def private_link_group(self) -> str:
        """The sub-resource that a private endpoint connects to."""
        return "blob" if self.provider.startswith("Microsoft.Storage/") else "namespace"

    @property
    def account_argument(self) -> str:
        """The account's id for a shell; where the settings don't tell it, `az` finds it."""
        return self.resource_id or (
            f"$(az resource list --resource-type {self.provider} --name '{self.account}' "
            "--query '[0].id' --output tsv)"
        )

    @property
    def scope_argument(self) -> str:
        """The scope for a shell."""
        return f'"{self.account_argument}{self.path}"'


@dataclass(frozen=True, slots=True)
class Principal:
    """Who the relay is to a resource.

    Attributes:
        name: `system-assigned identity` or `user-assigned identity <client id>`.
        client_id: from the token, or from the settings while there is none.
        object_id: from the token: what role assignments name; `""` while there is none.
        issued: when the token was issued, in seconds since 1970; 0 where that is not known.
    """

    name: str
    client_id: str = ""
    object_id: str = ""
    issued: int = 0


def explain(
    reason: Reason, resource: Resource, principal: Principal, said: str = ""
) -> Refusal | None:
    """Explain a refusal; `None` where the reason is none.

    Args:
        reason: why.
        resource: by whom.
        principal: who was refused.
        said: the words of whoever refused, which may tell one cause from another.
    """
    if not reason.is_refusal:
        return None
    cause, remedy = _WORDS[reason](resource, principal, said)
    return Refusal(
        reason=reason,
        identity=principal.name,
        client_id=principal.client_id,
        object_id=principal.object_id,
        destination=resource.label,
        audience=resource.audience,
        role=resource.role.name,
        role_id=resource.role.id,
        scope=resource.scope,
        cause=cause,
        remedy=remedy,
    )


def _who(principal: Principal) -> str:
    ids = [
        f"{name} {value}"
        for name, value in (
            ("client id", principal.client_id),
            ("object id", principal.object_id),
        )
        if value
    ]
    return f"the relay's {principal.name}" + (f" ({', '.join(ids)})" if ids else "")


def _forbidden(resource: Resource, principal: Principal, _: str) -> tuple[str, str]:
    role = resource.role
    cause = (
        f"{resource.label} refused {_who(principal)}: "
        f"it lacks the role {role.name} ({role.id}) at {resource.scope}, "
        f"or was given it only minutes ago{_since(principal)}."
    )
    remedy = (
        "az role assignment create "
        f"--assignee-object-id {principal.object_id or "'<object-id>'"} "
        f"--assignee-principal-type ServicePrincipal --role {role.id} "
        f"--scope {resource.scope_argument}"
    )
    return cause, remedy


def _since(principal: Principal) -> str:
    """Say how old the token is, since a role may be younger."""
    if not principal.issued:
        return ""
    issued = datetime.fromtimestamp(principal.issued, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f" (the token is of {issued}: a role that is younger needs a newer one, or time)"


def _network_denied(resource: Resource, principal: Principal, _: str) -> tuple[str, str]:
    cause = (
        f"The network of {resource.account} did not let in {_who(principal)}: this is its "
        "firewall, no role is missing. Calls must come through a private endpoint or from an "
        "allowed subnet."
    )
    remedy = (
        "az network private-endpoint create --name '<name>' "
        "--resource-group '<resource-group>' --vnet-name '<vnet>' --subnet '<subnet>' "
        f"--connection-name {resource.account} "
        f'--private-connection-resource-id "{resource.account_argument}" '
        f"--group-id {resource.private_link_group}"
    )
    return cause, remedy


def _unauthenticated(resource: Resource, principal: Principal, said: str) -> tuple[str, str]:
    return (_not_accepted if principal.object_id else _no_token)(resource, principal, said)


def _not_accepted(resource: Resource, principal: Principal, said: str) -> tuple[str, str]:
    """Say what the SDK hides: it drops the words with which a service refuses a token.

    A firewall that denies the caller looks the same (Azure/azure-sdk-for-python#31798).
    """
    known = recognise(resource.service, "", said)
    why = (
        f". {known.meaning}"
        if known in _OF_A_TOKEN
        else ", and the SDK does not pass on why. Most often it is the firewall: the call came "
        "from outside the allowed network. Else the token is too old or meant for another "
        "tenant."
    )
    cause = f"{resource.label} did not accept the token of {_who(principal)}{why}"
    remedy = (
        f'az resource show --ids "{resource.account_argument}" '
        "--query properties.publicNetworkAccess"
    )
    return cause, remedy


def _no_token(resource: Resource, principal: Principal, said: str) -> tuple[str, str]:
    known = next((cause for cause in _OF_THE_ENDPOINT if f"({cause})" in said), None)
    why = (
        f"{_who(principal)} got none. {known.meaning}"
        if known
        else f"{_who(principal)} is not assigned to this function app, or unknown."
    )
    cause = f"There is no token for {resource.audience} to show to {resource.label}: {why}"
    assigned = "'<resource id of the identity>'" if principal.client_id else "'[system]'"
    remedy = (
        "az functionapp identity assign --name '<function-app>' "
        f"--resource-group '<resource-group>' --identities {assigned}"
    )
    return cause, remedy


_SERVICES: Final = {
    "Microsoft.EventHub/": Service.EVENT_HUBS,
    "Microsoft.ServiceBus/": Service.SERVICE_BUS,
}
_OF_A_TOKEN: Final = frozenset(
    {
        Cause.CLOCK_SKEW,
        Cause.KEY_REFUSED,
        Cause.TOKEN_EXPIRED,
        Cause.TOKEN_MALFORMED,
        Cause.WRONG_AUDIENCE,
        Cause.WRONG_TENANT,
    }
)
_OF_THE_ENDPOINT: Final = (
    Cause.IDENTITY_ENDPOINT_MISSING,
    Cause.IDENTITY_ENDPOINT_REFUSED,
    Cause.IDENTITY_NOT_FOUND,
    Cause.AUDIENCE_UNKNOWN,
    Cause.TOKEN_MALFORMED,
)
"""What the identity endpoint says when it gives no token; the relay notes it in brackets."""

_WORDS: Final = {
    Reason.FORBIDDEN: _forbidden,
    Reason.NETWORK_DENIED: _network_denied,
    Reason.UNAUTHENTICATED: _unauthenticated,
}
