"""The one command that mends a cause, as any shell takes it; `""` where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.causes import Cause, Service
from relay.failures import Reason
from relay.refusals import Principal, explain
from relay.settings import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.needs import Need

_APP: Final = "--name '<function-app>' --resource-group '<resource-group>'"
_TAGS: Final = {
    Service.EVENT_HUBS: "EventHub",
    Service.SERVICE_BUS: "ServiceBus",
    Service.STORAGE: "Storage",
}


def remedy(cause: Cause, need: Need, principal: Principal, said: str = "") -> str:
    """Return the command.

    Args:
        cause: what is wrong.
        need: with what.
        principal: who asks.
        said: the service's words, which may name what does not exist.
    """
    told = _AS_REFUSED.get(cause)
    if told is not None:
        refusal = explain(told, need.resource, principal)
        return refusal.remedy if refusal else ""
    if cause is Cause.NO_SUCH_ENTITY:
        return _create(need, said)
    make = _COMMANDS.get(cause)
    return make(need) if make else ""


_AS_REFUSED: Final = {
    Cause.MISSING_ROLE: Reason.FORBIDDEN,
    Cause.NETWORK_DENIED: Reason.NETWORK_DENIED,
    Cause.TOKEN_NOT_ACCEPTED: Reason.UNAUTHENTICATED,
}


def _dns(need: Need) -> str:
    zone = need.zone or "<private DNS zone>"
    return (
        "az network private-endpoint dns-zone-group create --endpoint-name "
        "'<private-endpoint>' --resource-group '<resource-group>' --name default "
        f"--zone-name privatelink --private-dns-zone '{zone}'"
    )


def _outbound(need: Need) -> str:
    is_private = need.network is Network.PRIVATE
    where = "VirtualNetwork" if is_private else _TAGS[need.service]
    return (
        "az network nsg rule create --nsg-name '<network-security-group>' "
        "--resource-group '<resource-group>' --name twin-relay-out --priority 200 "
        "--direction Outbound --access Allow --protocol Tcp "
        f"--destination-address-prefixes {where} --destination-port-ranges {need.port}"
    )


def _look_at_tls(need: Need) -> str:
    return f"openssl s_client -connect '{need.host}:{need.port}' -servername '{need.host}'"


def _assign_identity(need: Need) -> str:
    which = need.identity
    assigned = "[system]"
    if which.selector:
        assigned = which.resource_id or "<resource id of the identity>"
    return f"az functionapp identity assign {_APP} --identities '{assigned}'"


def _restart(_: Need) -> str:
    return f"az functionapp restart {_APP}"


def _choose_identity(need: Need) -> str:
    return (
        f"az functionapp config appsettings set {_APP} --settings "
        f"{need.setting}__credential=managedidentity "
        f"'{need.setting}__clientId=<client id of the identity that holds the role>'"
    )


def _choose_cloud(_: Need) -> str:
    return f"az functionapp config appsettings set {_APP} --settings 'RELAY_CLOUD=<cloud>'"


def _set_clock(_: Need) -> str:
    return "timedatectl set-ntp true"


def _of_namespace(need: Need) -> str:
    group = "'<resource-group>'"
    if need.resource.resource_id:
        group = f"'{need.resource.resource_id.split('/')[4]}'"
    return f"--namespace-name {need.resource.account} --resource-group {group}"


def _create(need: Need, said: str) -> str:
    where = _of_namespace(need)
    if need.service is Service.STORAGE:
        return (
            f"az storage container create --name {need.entity} "
            f"--account-name {need.resource.account} --auth-mode login"
        )
    if need.service is Service.EVENT_HUBS:
        if need.group and "consumergroups" in said.lower():
            return (
                f"az eventhubs eventhub consumer-group create --name '{need.group}' "
                f"--eventhub-name {need.entity} {where}"
            )
        return f"az eventhubs eventhub create --name {need.entity} {where}"
    kind = "topic" if "/topics/" in need.resource.path else "queue"
    if need.group and "subscriptions" in said.lower():
        return (
            f"az servicebus topic subscription create --name '{need.group}' "
            f"--topic-name {need.entity} {where}"
        )
    return f"az servicebus {kind} create --name {need.entity} {where}"


def _enable(need: Need) -> str:
    where = _of_namespace(need)
    if need.service is Service.EVENT_HUBS:
        return f"az eventhubs eventhub update --name {need.entity} --status Active {where}"
    kind = "topic" if "/topics/" in need.resource.path else "queue"
    return f"az servicebus {kind} update --name {need.entity} --status Active {where}"


def _forbid_keys(need: Need) -> str:
    ids = f'--ids "{need.resource.account_argument}"'
    if need.service is Service.STORAGE:
        return f"az storage account update {ids} --allow-shared-key-access false"
    tool = "eventhubs" if need.service is Service.EVENT_HUBS else "servicebus"
    return f"az {tool} namespace update {ids} --disable-local-auth true"


def _except_trusted(need: Need) -> str:
    tool = "eventhubs" if need.service is Service.EVENT_HUBS else "servicebus"
    return (
        f"az {tool} namespace network-rule-set update {_of_namespace(need)} "
        "--enable-trusted-service-access true"
    )


_COMMANDS: Final[dict[Cause, Callable[[Need], str]]] = {
    Cause.NAME_NOT_FOUND: _dns,
    Cause.PUBLIC_ADDRESS: _dns,
    Cause.PORT_UNREACHABLE: _outbound,
    Cause.TLS_NOT_TRUSTED: _look_at_tls,
    Cause.TLS_FAILED: _look_at_tls,
    Cause.IDENTITY_ENDPOINT_MISSING: _assign_identity,
    Cause.IDENTITY_NOT_FOUND: _assign_identity,
    Cause.IDENTITY_ENDPOINT_UNREACHABLE: _restart,
    Cause.IDENTITY_ENDPOINT_REFUSED: _restart,
    Cause.IDENTITY_ENDPOINT_FAILED: _restart,
    Cause.TOKEN_MALFORMED: _restart,
    Cause.TOKEN_EXPIRED: _restart,
    Cause.ROLE_TOO_NEW: _restart,
    Cause.WRONG_IDENTITY: _choose_identity,
    Cause.WRONG_AUDIENCE: _choose_cloud,
    Cause.AUDIENCE_UNKNOWN: _choose_cloud,
    Cause.CLOCK_SKEW: _set_clock,
    Cause.ENTITY_DISABLED: _enable,
    Cause.LOCAL_AUTH_ALLOWED: _forbid_keys,
    Cause.TRUSTED_SERVICES_OFF: _except_trusted,
}
