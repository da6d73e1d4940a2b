"""Why something is refused or out of reach, finer than a `Reason`: one table, for all.

The doctor's verdicts, what a refusal says and `docs/troubleshooting.md` come from the tables
here. The set of texts is open: what a service says that no line below knows is `unknown`, and
is shown in its own words, never guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relay.failures import Reason


class Service(StrEnum):
    """Who says no."""

    EVENT_HUBS = "Event Hubs"
    SERVICE_BUS = "Service Bus"
    STORAGE = "Storage"
    IDENTITY = "identity endpoint"
    MANAGEMENT = "Azure Resource Manager"
    DIGITAL_TWINS = "Azure Digital Twins"
    EVENT_GRID = "Event Grid"


class Cause(StrEnum):
    """Why; the value stands in the doctor's JSON as `cause`."""

    SETTINGS_UNUSABLE = "settings_unusable"
    # The way there
    NAME_NOT_FOUND = "name_not_found"
    PUBLIC_ADDRESS = "public_address"
    PORT_UNREACHABLE = "port_unreachable"
    TLS_NOT_TRUSTED = "tls_not_trusted"
    TLS_FAILED = "tls_failed"
    NO_ANSWER = "no_answer"
    # The identity endpoint
    IDENTITY_ENDPOINT_MISSING = "identity_endpoint_missing"
    IDENTITY_ENDPOINT_UNREACHABLE = "identity_endpoint_unreachable"
    IDENTITY_ENDPOINT_REFUSED = "identity_endpoint_refused"
    IDENTITY_ENDPOINT_BUSY = "identity_endpoint_busy"
    IDENTITY_ENDPOINT_FAILED = "identity_endpoint_failed"
    IDENTITY_NOT_FOUND = "identity_not_found"
    AUDIENCE_UNKNOWN = "audience_unknown"
    # The token
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a cause's name
    WRONG_IDENTITY = "wrong_identity"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_TENANT = "wrong_tenant"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - the same
    CLOCK_SKEW = "clock_skew"
    TOKEN_NOT_ACCEPTED = "token_not_accepted"  # noqa: S105 - the same
    # Authorization
    MISSING_ROLE = "missing_role"
    ROLE_TOO_NEW = "role_too_new"
    NETWORK_DENIED = "network_denied"
    KEY_REFUSED = "key_refused"
    # The entity
    NO_SUCH_ENTITY = "no_such_entity"
    ENTITY_DISABLED = "entity_disabled"
    NOT_ALLOWED = "not_allowed"
    # Load
    THROTTLED = "throttled"
    QUOTA_EXCEEDED = "quota_exceeded"
    UNAVAILABLE = "unavailable"
    # What should be otherwise though it works
    LOCAL_AUTH_ALLOWED = "local_auth_allowed"
    TRUSTED_SERVICES_OFF = "trusted_services_off"
    UNKNOWN = "unknown"

    @property
    def meaning(self) -> str:
        """What is wrong, in one sentence."""
        return EXPLANATIONS[self].meaning

    @property
    def advice(self) -> str:
        """What to do, for people; the command depends on the case."""
        return EXPLANATIONS[self].advice

    @property
    def reason(self) -> Reason | None:
        """What a delivery that meets it is told; `None` where a delivery never does."""
        return EXPLANATIONS[self].reason

    @property
    def page(self) -> str:
        """Where it is explained."""
        return f"docs/troubleshooting.md#{self.value}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to know of a cause."""

    meaning: str
    advice: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """How a service says it.

    Attributes:
        services: who.
        code: the last part of an AMQP condition, an HTTP error code, or a status; `""` is any.
        words: part of what it says, in any letters; `""` where the code tells.
        cause: what it means.
        source: where the words were seen; `ours` where the local Azure's are not Azure's.
    """

    services: tuple[Service, ...]
    code: str
    words: str
    cause: Cause
    source: str

    def fits(self, service: Service, code: str, said: str) -> bool:
        """Whether a service that said this said so."""
        return (
            service in self.services
            and (not self.code or self.code.lower() == code.lower())
            and self.words.lower() in said.lower()
        )


_AMQP: Final = (Service.EVENT_HUBS, Service.SERVICE_BUS)
_BUS: Final = (Service.SERVICE_BUS,)
_HUBS: Final = (Service.EVENT_HUBS,)
_BLOB: Final = (Service.STORAGE,)
_ENDPOINT: Final = (Service.IDENTITY,)
_ARM: Final = (Service.MANAGEMENT,)
_ADT: Final = (Service.DIGITAL_TWINS,)
_GRID: Final = (Service.EVENT_GRID,)
_BLOB_CODES: Final = "Microsoft, Blob Storage error codes"
_APP_SERVICE: Final = "App Service, REST endpoint of managed identities"
_ADT_403: Final = "Microsoft, Azure Digital Twins: troubleshoot 403"
_GRID_ERRORS: Final = "Microsoft, Event Grid: troubleshoot errors"

TEXTS: Final = (
    # Words first: they tell apart what one condition or status lumps together.
    Text(
        _AMQP,
        "",
        "Ip has been prevented to connect to the endpoint",
        Cause.NETWORK_DENIED,
        "microsoft/AzureTRE#734",
    ),
    Text(_AMQP, "", "public network access", Cause.NETWORK_DENIED, "inferred"),
    Text(
        _AMQP,
        "",
        "claim(s) are required to perform this operation",
        Cause.MISSING_ROLE,
        "Azure/azure-sdk-for-java#27831, Azure/azure-sdk-for-net#60290",
    ),
    Text(
        _AMQP,
        "",
        "Attempted to perform an unauthorized operation",
        Cause.MISSING_ROLE,
        "Azure/azure-event-hubs-go#148",
    ),
    Text(
        _AMQP,
        "",
        "Unauthorized access for 'Send' operation on endpoint",
        Cause.MISSING_ROLE,
        "Event Hubs over HTTP, public reports",
    ),
    Text(
        _AMQP,
        "",
        "LocalAuthDisabled: Authorization failed because SAS authentication has been disabled",
        Cause.KEY_REFUSED,
        "public reports of refused put-tokens",
    ),
    Text(
        _AMQP,
        "",
        "ExpiredToken: The token is expired",
        Cause.TOKEN_EXPIRED,
        "Azure/azure-service-bus-java#354",
    ),
    Text(_AMQP, "", "The token is not yet valid", Cause.CLOCK_SKEW, "ours"),
    Text(_AMQP, "", "InvalidAudience", Cause.WRONG_AUDIENCE, "ours"),
    Text(
        _AMQP,
        "",
        "InvalidIssuer: Token issuer is invalid",
        Cause.WRONG_TENANT,
        "Microsoft, Event Hubs quickstart for .NET",
    ),
    Text(_AMQP, "", "InvalidSignature", Cause.TOKEN_MALFORMED, "public reports of 401s"),
    Text(_AMQP, "", "MalformedToken", Cause.TOKEN_MALFORMED, "ours"),
    Text(
        _BUS,
        "not-allowed",
        "requires sessions",
        Cause.NOT_ALLOWED,
        "Azure/azure-sdk-for-python#738",
    ),
    Text(
        _AMQP, "", "CBS Token authentication failed", Cause.TOKEN_NOT_ACCEPTED, "azure-eventhub"
    ),
    # Then conditions of AMQP.
    Text(
        _AMQP, "auth-failed", "", Cause.TOKEN_NOT_ACCEPTED, "Azure/azure-service-bus-java#354"
    ),
    Text(_AMQP, "not-found", "", Cause.NO_SUCH_ENTITY, "Microsoft, AMQP errors"),
    Text(_AMQP, "resource-deleted", "", Cause.NO_SUCH_ENTITY, "Microsoft, AMQP errors"),
    Text(
        _AMQP, "entity-disabled", "is currently disabled", Cause.ENTITY_DISABLED, "words: ours"
    ),
    Text(_AMQP, "entity-disabled", "", Cause.ENTITY_DISABLED, "Microsoft, AMQP errors"),
    Text(
        _AMQP,
        "server-busy",
        "",
        Cause.THROTTLED,
        "Azure/azure-event-hubs-spark#576, Azure/azure-sdk-for-net#27067",
    ),
    Text(_AMQP, "resource-limit-exceeded", "", Cause.QUOTA_EXCEEDED, "Microsoft, AMQP errors"),
    Text(_AMQP, "not-allowed", "", Cause.NOT_ALLOWED, "Microsoft, AMQP errors"),
    Text(_AMQP, "timeout", "", Cause.NO_ANSWER, "Microsoft, AMQP errors"),
    Text(_AMQP, "internal-error", "", Cause.UNAVAILABLE, "Microsoft, AMQP errors"),
    Text(_AMQP, "socket-error", "", Cause.UNAVAILABLE, "the SDKs' own"),
    # Blob storage.
    Text(
        _BLOB,
        "AuthorizationPermissionMismatch",
        "",
        Cause.MISSING_ROLE,
        "microsoft/AzureStorageExplorer#3767",
    ),
    Text(_BLOB, "InsufficientAccountPermissions", "", Cause.MISSING_ROLE, _BLOB_CODES),
    Text(
        _BLOB,
        "AuthorizationFailure",
        "",
        Cause.NETWORK_DENIED,
        "microsoft/AzureStorageExplorer#8344, #8771",
    ),
    Text(_BLOB, "PublicAccessNotPermitted", "", Cause.NETWORK_DENIED, _BLOB_CODES),
    Text(_BLOB, "KeyBasedAuthenticationNotPermitted", "", Cause.KEY_REFUSED, _BLOB_CODES),
    Text(
        _BLOB,
        "InvalidAuthenticationInfo",
        "Audience validation failed",
        Cause.WRONG_AUDIENCE,
        "recorded tests of Azure/azure-sdk-for-js",
    ),
    Text(_BLOB, "InvalidAuthenticationInfo", "InvalidAudience", Cause.WRONG_AUDIENCE, "ours"),
    Text(_BLOB, "InvalidAuthenticationInfo", "InvalidIssuer", Cause.WRONG_TENANT, "ours"),
    Text(
        _BLOB,
        "InvalidAuthenticationInfo",
        "Issuer validation failed",
        Cause.WRONG_TENANT,
        "inferred from the audience's",
    ),
    Text(
        _BLOB,
        "InvalidAuthenticationInfo",
        "Lifetime validation failed. The token is expired",
        Cause.TOKEN_EXPIRED,
        "inferred from the audience's",
    ),
    Text(_BLOB, "InvalidAuthenticationInfo", "ExpiredToken", Cause.TOKEN_EXPIRED, "ours"),
    Text(_BLOB, "InvalidAuthenticationInfo", "not yet valid", Cause.CLOCK_SKEW, "ours"),
    Text(_BLOB, "InvalidAuthenticationInfo", "", Cause.TOKEN_NOT_ACCEPTED, _BLOB_CODES),
    Text(_BLOB, "NoAuthenticationInformation", "", Cause.TOKEN_NOT_ACCEPTED, _BLOB_CODES),
    Text(_BLOB, "ContainerNotFound", "", Cause.NO_SUCH_ENTITY, _BLOB_CODES),
    Text(_BLOB, "ResourceNotFound", "", Cause.NO_SUCH_ENTITY, _BLOB_CODES),
    Text(_BLOB, "ContainerBeingDeleted", "", Cause.NO_SUCH_ENTITY, _BLOB_CODES),
    Text(_BLOB, "AccountIsDisabled", "", Cause.ENTITY_DISABLED, _BLOB_CODES),
    Text(_BLOB, "ServerBusy", "", Cause.THROTTLED, _BLOB_CODES),
    Text(_BLOB, "OperationTimedOut", "", Cause.NO_ANSWER, _BLOB_CODES),
    Text(_BLOB, "InternalError", "", Cause.UNAVAILABLE, _BLOB_CODES),
    # The identity endpoint of App Service.
    Text(
        _ENDPOINT,
        "400",
        "No User Assigned or Delegated Managed Identity found",
        Cause.IDENTITY_NOT_FOUND,
        _APP_SERVICE,
    ),
    Text(
        _ENDPOINT,
        "400",
        "Unable to load the proper Managed Identity",
        Cause.IDENTITY_NOT_FOUND,
        _APP_SERVICE,
    ),
    Text(
        _ENDPOINT,
        "400",
        "Identity not found",
        Cause.IDENTITY_NOT_FOUND,
        "instance metadata service",
    ),
    Text(
        _ENDPOINT,
        "400",
        "AADSTS500011",
        Cause.AUDIENCE_UNKNOWN,
        "Microsoft Entra error codes",
    ),
    Text(_ENDPOINT, "401", "", Cause.IDENTITY_ENDPOINT_REFUSED, _APP_SERVICE),
    Text(_ENDPOINT, "403", "", Cause.IDENTITY_ENDPOINT_REFUSED, _APP_SERVICE),
    Text(_ENDPOINT, "429", "", Cause.IDENTITY_ENDPOINT_BUSY, _APP_SERVICE),
    *(
        Text(_ENDPOINT, status, "", Cause.IDENTITY_ENDPOINT_FAILED, _APP_SERVICE)
        for status in ("500", "502", "503", "504")
    ),
    Text(
        _ENDPOINT,
        "",
        "No managed identity endpoint found",
        Cause.IDENTITY_ENDPOINT_MISSING,
        "azure-identity",
    ),
    Text(
        _ENDPOINT,
        "",
        "managed identity configuration not found",
        Cause.IDENTITY_ENDPOINT_MISSING,
        "azure-identity",
    ),
    Text(
        _ENDPOINT,
        "",
        "no response from the IMDS endpoint",
        Cause.IDENTITY_ENDPOINT_MISSING,
        "azure-identity",
    ),
    Text(_ENDPOINT, "", "Failed to deserialize JSON", Cause.TOKEN_MALFORMED, "azure-identity"),
    Text(_ENDPOINT, "", "No token received", Cause.TOKEN_MALFORMED, "azure-identity"),
    Text(_ENDPOINT, "", "Unexpected response", Cause.TOKEN_MALFORMED, "azure-identity"),
    Text(_ENDPOINT, "", "Unexpected content type", Cause.TOKEN_MALFORMED, "azure-identity"),
    # Azure Resource Manager, which the doctor and the roles may ask.
    Text(
        _ARM,
        "AuthorizationFailed",
        "does not have authorization to perform action",
        Cause.MISSING_ROLE,
        "Azure CLI's own words, public reports",
    ),
    Text(_ARM, "ResourceNotFound", "", Cause.NO_SUCH_ENTITY, "Microsoft, ARM error codes"),
    Text(_ARM, "ResourceGroupNotFound", "", Cause.NO_SUCH_ENTITY, "Microsoft, ARM error codes"),
    Text(_ARM, "InvalidAuthenticationToken", "", Cause.TOKEN_NOT_ACCEPTED, "public reports"),
    Text(
        _ARM,
        "InvalidAuthenticationTokenTenant",
        "",
        Cause.WRONG_TENANT,
        "Microsoft, ARM error codes",
    ),
    Text(_ARM, "ExpiredAuthenticationToken", "", Cause.TOKEN_EXPIRED, "public reports"),
    # Not asked by the relay: what people meet on either side of it.
    Text(
        _ADT,
        "403",
        "public network access",
        Cause.NETWORK_DENIED,
        "Microsoft, Azure Digital Twins: private link; words: inferred",
    ),
    Text(_ADT, "403", "", Cause.MISSING_ROLE, _ADT_403),
    Text(
        _GRID,
        "403",
        "is rejected due to IpAddress filtering rules",
        Cause.NETWORK_DENIED,
        _GRID_ERRORS,
    ),
    Text(
        _GRID,
        "403",
        "no matching private endpoint connection found",
        Cause.NETWORK_DENIED,
        _GRID_ERRORS,
    ),
    Text(_GRID, "401", "", Cause.KEY_REFUSED, "inferred: a topic without local authentication"),
)
"""In the order in which they are tried; the first that fits counts."""

EXPLANATIONS: Final = {
    Cause.SETTINGS_UNUSABLE: Explanation(
        "The settings are missing, misspelt, contradictory or hold a secret.",
        "Mend what the message names; nothing else can be checked before.",
    ),
    Cause.NAME_NOT_FOUND: Explanation(
        "The host's name resolves to nothing.",
        "Mend the name in the setting, or link the private DNS zone to the app's network.",
        Reason.UNAVAILABLE,
    ),
    Cause.PUBLIC_ADDRESS: Explanation(
        "The host's name resolves to a public address: calls would leave the network, and a "
        "firewall would deny them.",
        "Give the private endpoint a DNS zone group, and link its zone to the app's network. "
        "If the namespace is meant to be public, say so: `<CONNECTION>__network` = `public`.",
    ),
    Cause.PORT_UNREACHABLE: Explanation(
        "Nobody answers on the port.",
        "Let the app's subnet out (network security group, route table, firewall): 5671 for "
        "AMQP, 443 for AMQP over WebSockets and for Blob.",
        Reason.UNAVAILABLE,
    ),
    Cause.TLS_NOT_TRUSTED: Explanation(
        "The certificate is not one that the relay trusts, or not for this name.",
        "Something on the way breaks TLS open, or the name is another's. Name the authority in "
        "`RELAY_CA_FILE` only if it is yours.",
        Reason.UNAVAILABLE,
    ),
    Cause.TLS_FAILED: Explanation(
        "The host answers, but not in TLS 1.2 or newer.",
        "Something else listens there, or an old proxy stands between.",
        Reason.UNAVAILABLE,
    ),
    Cause.NO_ANSWER: Explanation(
        "The connection stands and nothing answers in time.",
        "Look at the service's health in Azure; the relay tries again by itself.",
        Reason.TIMEOUT,
    ),
    Cause.IDENTITY_ENDPOINT_MISSING: Explanation(
        "This process has no managed identity: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are "
        "not set.",
        "Run it in the function app, and give the app an identity.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.IDENTITY_ENDPOINT_UNREACHABLE: Explanation(
        "Nobody answers at the identity endpoint.",
        "Restart the app; if it lasts, it is the platform's to mend.",
        Reason.UNAVAILABLE,
    ),
    Cause.IDENTITY_ENDPOINT_REFUSED: Explanation(
        "The identity endpoint does not know this process: its `IDENTITY_HEADER` is not the "
        "app's.",
        "Set neither `IDENTITY_ENDPOINT` nor `IDENTITY_HEADER` by hand; restart the app.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.IDENTITY_ENDPOINT_BUSY: Explanation(
        "The identity endpoint was asked too often (429).",
        "Wait; tokens are kept, so that this passes by itself.",
        Reason.THROTTLED,
    ),
    Cause.IDENTITY_ENDPOINT_FAILED: Explanation(
        "The identity endpoint is in trouble (5xx).",
        "Wait; if it lasts, restart the app.",
        Reason.UNAVAILABLE,
    ),
    Cause.IDENTITY_NOT_FOUND: Explanation(
        "The app does not have the identity that the settings name (400), or has none.",
        "Assign the identity to the app, or mend `__clientId` or "
        "`__managedIdentityResourceId`.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.AUDIENCE_UNKNOWN: Explanation(
        "The tenant knows no service for which the token was asked (AADSTS500011).",
        "Mend `RELAY_CLOUD`; in a new tenant, register the service's resource provider.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.TOKEN_MALFORMED: Explanation(
        "What the identity endpoint gave is no token that can be read.",
        "Something answers in the endpoint's place; set neither `IDENTITY_ENDPOINT` nor a "
        "proxy for it by hand.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.WRONG_IDENTITY: Explanation(
        "Another identity than the one that holds the role asks.",
        "Name the right one in `__clientId` (with `__credential` = `managedidentity`), or give "
        "the role to the one that asks.",
        Reason.FORBIDDEN,
    ),
    Cause.WRONG_AUDIENCE: Explanation(
        "The token is made out to another service than the one it was shown to.",
        "A route names an entity of the wrong kind, or `RELAY_CLOUD` another cloud.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.WRONG_TENANT: Explanation(
        "The token is of another tenant than the resource.",
        "The identity and the resource must be in one tenant.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.TOKEN_EXPIRED: Explanation(
        "The token has run out.",
        "The relay asks for a new one by itself; if it lasts, look at the clocks.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.CLOCK_SKEW: Explanation(
        "The clocks of this machine and of the service differ: a fresh token counts as not yet "
        "valid or as run out.",
        "Set the machine's clock by NTP.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.TOKEN_NOT_ACCEPTED: Explanation(
        "The service did not accept the token, and the SDK does not pass on why. The token's "
        "own audience and times are right: most often it is the firewall.",
        "Ask the namespace whether it lets in the app's subnet; else look at the tenant.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.MISSING_ROLE: Explanation(
        "The identity is known and lacks the role at this scope. *Owner* and *Contributor* are "
        "no data roles.",
        "Assign the role, by its id, to the object id, at the scope; then wait some minutes.",
        Reason.FORBIDDEN,
    ),
    Cause.ROLE_TOO_NEW: Explanation(
        "The role is assigned, and younger than the token or than the services' caches: it is "
        "not in effect yet.",
        "Wait up to ten minutes. If the token is older than the assignment, restart the app so "
        "that it gets a new one.",
        Reason.FORBIDDEN,
    ),
    Cause.NETWORK_DENIED: Explanation(
        "The firewall of the resource does not let the caller in; no role is missing.",
        "Come through a private endpoint, or allow the app's subnet. Azure Functions is no "
        "trusted service of Event Hubs or Service Bus.",
        Reason.NETWORK_DENIED,
    ),
    Cause.KEY_REFUSED: Explanation(
        "Somebody came with a key or a SAS, which the resource takes no more.",
        "Not the relay: it has none. An Event Grid endpoint of Azure Digital Twins can only "
        "use the topic's key; use an event hub or a Service Bus topic instead.",
        Reason.UNAUTHENTICATED,
    ),
    Cause.NO_SUCH_ENTITY: Explanation(
        "There is no such hub, consumer group, queue, topic, subscription or container.",
        "Create it, or mend its name in the settings or the route.",
        Reason.NOT_FOUND,
    ),
    Cause.ENTITY_DISABLED: Explanation(
        "The entity exists and is switched off.",
        "Switch it on.",
        Reason.DISABLED,
    ),
    Cause.NOT_ALLOWED: Explanation(
        "The entity exists and does not allow this kind of link.",
        "A queue or subscription with sessions is received by session.",
    ),
    Cause.THROTTLED: Explanation(
        "Too much for the capacity that was bought.",
        "Wait, or scale up; the relay slows down by itself.",
        Reason.THROTTLED,
    ),
    Cause.QUOTA_EXCEEDED: Explanation(
        "The entity is full, or has as many receivers as it may.",
        "Let its readers catch up, end stray receivers, or enlarge it.",
        Reason.QUOTA_EXCEEDED,
    ),
    Cause.UNAVAILABLE: Explanation(
        "The service has trouble of its own.",
        "Wait; the relay tries again by itself.",
        Reason.UNAVAILABLE,
    ),
    Cause.LOCAL_AUTH_ALLOWED: Explanation(
        "It works, but keys still open the resource too: local authentication is on.",
        "Switch it off once nothing else needs it.",
    ),
    Cause.TRUSTED_SERVICES_OFF: Explanation(
        "The landing namespace is closed and does not except trusted services: Azure Digital "
        "Twins can't reach it.",
        "Switch the exception on; it admits Azure Digital Twins by its *system-assigned* "
        "identity only. A user-assigned one authenticates and is stopped by the firewall.",
    ),
    Cause.UNKNOWN: Explanation(
        "The service said something that no table here knows.",
        "Its words are shown as they are; look there, and tell the project.",
        Reason.UNKNOWN,
    ),
}


def recognise(service: Service, code: str, said: str) -> Cause:
    """Return what a service means that answered so; `unknown` rather than a guess.

    Args:
        service: who said it.
        code: the AMQP condition, the HTTP error code, or the status where there is neither.
        said: all that it said.
    """
    last = code.rpartition(":")[2]
    return next((text.cause for text in TEXTS if text.fits(service, last, said)), Cause.UNKNOWN)
