"""The conditions and texts with which Azure refuses.

Texts follow what users of the real services have quoted in public:
Azure/azure-sdk-for-java#27831 (missing claim), Azure/azure-event-hubs-spark#576 and
Azure/azure-sdk-for-net#27067 (throttling), Azure/azure-sdk-for-python#23487 (expired token) and
the services' troubleshooting pages. The wordings for a disabled entity and for an oversized
message are ours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from lab.messaging.node import Error

if TYPE_CHECKING:
    from lab.messaging.model import Service
    from lab.messaging.node import Claim

UNAUTHORIZED: Final = "amqp:unauthorized-access"
NOT_FOUND: Final = "amqp:not-found"
NOT_ALLOWED: Final = "amqp:not-allowed"
NOT_IMPLEMENTED: Final = "amqp:not-implemented"
INTERNAL: Final = "amqp:internal-error"
DECODE_ERROR: Final = "amqp:decode-error"
RESOURCE_LIMIT: Final = "amqp:resource-limit-exceeded"
LINK_STOLEN: Final = "amqp:link:stolen"
DETACH_FORCED: Final = "amqp:link:detach-forced"
TOO_LARGE: Final = "amqp:link:message-size-exceeded"
CONNECTION_FORCED: Final = "amqp:connection:forced"
FRAMING_ERROR: Final = "amqp:connection:framing-error"
UNATTACHED_HANDLE: Final = "amqp:session:unattached-handle"
SERVER_BUSY: Final = "com.microsoft:server-busy"
ENTITY_DISABLED: Final = "com.microsoft:entity-disabled"
TIMEOUT: Final = "com.microsoft:timeout"
LOCK_LOST: Final = "com.microsoft:message-lock-lost"
MESSAGE_NOT_FOUND: Final = "com.microsoft:message-not-found"
SESSION_LOCK_LOST: Final = "com.microsoft:session-lock-lost"
SESSION_CANNOT_BE_LOCKED: Final = "com.microsoft:session-cannot-be-locked"

NETWORK_DENIED_TEXT: Final = "Ip has been prevented to connect to the endpoint."
UNAUTHORIZED_OPERATION: Final = "Attempted to perform an unauthorized operation."


def tracking(system: str) -> str:
    """Return the tail of Azure's texts, by which its support finds the request in its logs."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"TrackingId:{uuid4()}, SystemTracker:{system}, Timestamp:{now}"


def resource(host: str, path: str) -> str:
    """Return how Azure names an entity in its texts."""
    return f"sb://{host}/{path}".lower()


def missing_claim(host: str, claim: Claim) -> Error:
    """No role assignment covers what the link needs."""
    return Error(UNAUTHORIZED, missing_claim_text(host, claim))


def missing_claim_text(host: str, claim: Claim) -> str:
    """Return the text that names the claim and the resource."""
    where = resource(host, claim.path)
    return (
        f"Unauthorized access. '{claim.right}' claim(s) are required to perform this "
        f"operation. Resource: '{where}'. {tracking('gateway5')}"
    )


def token_expired(host: str, link: str, claim: Claim) -> Error:
    """The token ran out while the link was open."""
    text = missing_claim_text(host, claim)
    return Error(
        DETACH_FORCED, f"The link '{link}' is force detached. Code: RenewToken. Details: {text}"
    )


def not_found(host: str, path: str, service: Service) -> Error:
    """The namespace has no such entity."""
    more = (
        " To know more visit https://aka.ms/sbResourceMgrExceptions."
        if service == "servicebus"
        else ""
    )
    text = f"The messaging entity '{resource(host, path)}' could not be found.{more} "
    return Error(NOT_FOUND, text + tracking("gateway5"))


def disabled(host: str, path: str) -> Error:
    """The entity exists and is switched off."""
    text = f"Messaging entity '{resource(host, path)}' is currently disabled. "
    return Error(ENTITY_DISABLED, text + tracking("gateway5"))


def throttled(service: Service) -> Error:
    """Too much for the capacity that was bought."""
    code, seconds = ("50002", 4) if service == "eventhubs" else ("50009", 2)
    return Error(
        SERVER_BUSY,
        "The request was terminated because the entity is being throttled. "
        f"Error code : {code}. Please wait {seconds} seconds and try again. "
        f"{tracking('gateway7')}",
    )


def network_denied() -> Error:
    """The client's address is not let in by the namespace's network rules."""
    return Error(UNAUTHORIZED, f"{NETWORK_DENIED_TEXT} {tracking('gateway5')}")


def too_large(number: int, size: int, limit: int) -> Error:
    """A message is larger than the link allows."""
    return Error(
        TOO_LARGE,
        f"The received message (delivery-id:{number}, size:{size} bytes) exceeds the limit "
        f"({limit} bytes) currently allowed on the link.",
    )


def stolen(link: str, epoch: int, displaced: int) -> Error:
    """A receiver with a higher or the same epoch took the partition over."""
    return Error(
        LINK_STOLEN,
        f"New receiver '{link}' with higher epoch of '{epoch}' is created hence current "
        f"receiver with epoch '{displaced}' is getting disconnected. If you are recreating the "
        f"receiver, make sure a higher epoch is used. {tracking('gateway7')}",
    )


def epoch_held(epoch: int) -> Error:
    """A receiver without epoch, or with a lower one, came to a partition that is held."""
    return Error(
        LINK_STOLEN,
        f"At least one receiver for the endpoint is created with epoch of '{epoch}', and so "
        "non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure "
        f"all epoch receivers are closed or disconnected. {tracking('gateway7')}",
    )


def too_many_receivers(limit: int, names: str) -> Error:
    """A partition has as many receivers of this consumer group as it may."""
    return Error(
        RESOURCE_LIMIT,
        "Exceeded the maximum number of allowed receivers per partition in a consumer group "
        f"which is {limit}. List of connected receivers - {names}. {tracking('gateway7')}",
    )


def idle_link(link: str, end: str, limit: str) -> Error:
    """Nothing moved on the link for too long; `end` is `publisher` or `consumer`."""
    return Error(
        DETACH_FORCED,
        f"The link '{link}' is force detached. Code: {end}({link}). Details: "
        f"AmqpMessage{end.capitalize()}.IdleTimerExpired: Idle timeout: {limit}.",
    )


def no_links(container: str, milliseconds: int) -> Error:
    """The connection has carried no link for too long."""
    return Error(
        CONNECTION_FORCED,
        f"The connection was closed by container '{container}' because it did not have any "
        f"active links in the past {milliseconds} milliseconds. {tracking('gateway5')}",
    )


def silent(container: str, milliseconds: int) -> Error:
    """The client said nothing, not even that it is there."""
    return Error(
        CONNECTION_FORCED,
        f"The connection was inactive for more than the allowed {milliseconds} milliseconds "
        f"and is closed by container '{container}'.",
    )


def lock_lost() -> Error:
    """A Service Bus message's lock is not what the client thinks."""
    return Error(
        LOCK_LOST,
        "The lock supplied is invalid. Either the lock expired, or the message has already "
        f"been removed from the queue. {tracking('gateway7')}",
    )


def session_held(session_id: str) -> Error:
    """Another receiver holds the session."""
    return Error(
        SESSION_CANNOT_BE_LOCKED,
        f"The requested session '{session_id}' cannot be accepted. It may be locked by another "
        f"receiver. {tracking('gateway7')}",
    )


def no_session(allotted: str = "00:01:05") -> Error:
    """No session became free in the time that the client would wait."""
    return Error(
        TIMEOUT,
        f"The operation did not complete within the allotted timeout of {allotted}. The time "
        "allotted to this operation may have been a portion of a longer timeout. "
        f"{tracking('gateway7')}",
    )
