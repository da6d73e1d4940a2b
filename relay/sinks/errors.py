"""From an SDK's error to a `Reason`: ask the text, then the condition, then the class.

azure-eventhub reports a missing role as `ConnectionLostError`, a firewall's denial says
"unauthorized" too, and azure-servicebus hides why a link was closed behind
`amqp:unknown-error`; so the class alone would tell an operator the wrong story. Conditions and
texts are the services', from public reports: Azure/azure-sdk-for-java#27831 and
Azure/azure-sdk-for-net#60290 (claims), Azure/azure-sdk-for-python#31798 (tokens),
Azure/azure-event-hubs-spark#576 (busy).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.eventhub import exceptions as eventhub
from azure.servicebus import exceptions as servicebus

from relay.failures import DeliveryError, Reason
from relay.refusals import explain
from relay.sinks.calls import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.identity import Identity
    from relay.refusals import Resource

_TEXTS: Final = (
    ("code: renewtoken", Reason.UNAVAILABLE),  # a link outlived its token; a new one will do
    ("ip has been prevented to connect", Reason.NETWORK_DENIED),
    ("public network access", Reason.NETWORK_DENIED),
    ("claim(s) are required", Reason.FORBIDDEN),
    ("attempted to perform an unauthorized operation", Reason.FORBIDDEN),
)
"""What a service says, in lower case; it tells apart what one condition lumps together."""

_CONDITIONS: Final = {
    "unauthorized-access": Reason.FORBIDDEN,
    "auth-failed": Reason.UNAUTHENTICATED,
    "not-found": Reason.NOT_FOUND,
    "resource-deleted": Reason.NOT_FOUND,
    "entity-disabled": Reason.DISABLED,
    "server-busy": Reason.THROTTLED,
    "timeout": Reason.TIMEOUT,
    "resource-limit-exceeded": Reason.QUOTA_EXCEEDED,
    "message-size-exceeded": Reason.TOO_LARGE,
    "not-allowed": Reason.REJECTED,
    "decode-error": Reason.REJECTED,
    "invalid-field": Reason.REJECTED,
    "argument-error": Reason.REJECTED,
    "argument-out-of-range": Reason.REJECTED,
    "not-implemented": Reason.REJECTED,
    "internal-error": Reason.UNAVAILABLE,
    "operation-cancelled": Reason.UNAVAILABLE,
    "socket-error": Reason.UNAVAILABLE,
    "forced": Reason.UNAVAILABLE,
    "detach-forced": Reason.UNAVAILABLE,
    "framing-error": Reason.UNAVAILABLE,
}
"""By the last part of an AMQP error condition."""

CLASSES: Final[dict[type[Exception], Reason]] = {
    eventhub.AuthenticationError: Reason.UNAUTHENTICATED,
    eventhub.ClientClosedError: Reason.UNAVAILABLE,
    eventhub.ConnectError: Reason.UNAVAILABLE,
    eventhub.ConnectionLostError: Reason.UNAVAILABLE,
    eventhub.EventDataError: Reason.REJECTED,
    eventhub.EventDataSendError: Reason.UNKNOWN,
    eventhub.OperationTimeoutError: Reason.TIMEOUT,
    eventhub.OwnershipLostError: Reason.UNKNOWN,
    eventhub.EventHubError: Reason.UNKNOWN,
    servicebus.ServiceBusAuthenticationError: Reason.UNAUTHENTICATED,
    servicebus.ServiceBusAuthorizationError: Reason.FORBIDDEN,
    servicebus.ServiceBusConnectionError: Reason.UNAVAILABLE,
    servicebus.ServiceBusCommunicationError: Reason.UNAVAILABLE,
    servicebus.OperationTimeoutError: Reason.TIMEOUT,
    servicebus.MessageSizeExceededError: Reason.TOO_LARGE,
    servicebus.MessagingEntityNotFoundError: Reason.NOT_FOUND,
    servicebus.MessagingEntityDisabledError: Reason.DISABLED,
    servicebus.ServiceBusServerBusyError: Reason.THROTTLED,
    servicebus.ServiceBusQuotaExceededError: Reason.QUOTA_EXCEEDED,
    servicebus.MessagingEntityAlreadyExistsError: Reason.UNKNOWN,
    servicebus.MessageAlreadySettled: Reason.UNKNOWN,
    servicebus.MessageLockLostError: Reason.UNKNOWN,
    servicebus.MessageNotFoundError: Reason.UNKNOWN,
    servicebus.SessionCannotBeLockedError: Reason.UNKNOWN,
    servicebus.SessionLockLostError: Reason.UNKNOWN,
    servicebus.AutoLockRenewFailed: Reason.UNKNOWN,
    servicebus.AutoLockRenewTimeout: Reason.UNKNOWN,
    servicebus.ServiceBusError: Reason.UNKNOWN,
    ClientAuthenticationError: Reason.UNAUTHENTICATED,
    AzureError: Reason.UNAVAILABLE,
    TimeoutError: Reason.TIMEOUT,
    OSError: Reason.UNAVAILABLE,
}
"""By class, where neither condition nor text tells; the nearest ancestor counts."""

_STATED: Final = re.compile(r"Error condition: ([\w:.-]*\w)")
_ASKED_TO_WAIT: Final = re.compile(r"[Pp]lease wait (\d{1,3}) seconds")
_CBS_NOT_FOUND: Final = re.compile(r"Status code: 404")


def reason_of(error: Exception) -> Reason:
    """Return why an SDK's call failed; what nobody has classified is `unknown`, not a guess."""
    said = _said(error)
    for words, reason in _TEXTS:
        if words in said.lower():
            return reason
    if _CBS_NOT_FOUND.search(said):
        return Reason.NOT_FOUND
    condition = _CONDITIONS.get(_condition(error))
    return condition or next(
        (CLASSES[ancestor] for ancestor in type(error).__mro__ if ancestor in CLASSES),
        Reason.UNKNOWN,
    )


def _said(error: Exception) -> str:
    """Return all that an error says: azure-servicebus leaves why a token was refused inside."""
    said, inner = str(error), str(getattr(error, "inner_exception", None) or "")
    return said if inner in said else f"{said} {inner}"


def _condition(error: Exception) -> str:
    """Return the last part of the AMQP condition, `""` where there is none."""
    if isinstance(error, eventhub.EventHubError):
        return (error.error or "").rpartition(":")[2]
    stated = _STATED.search(str(error))
    return stated[1].rpartition(":")[2] if stated else ""


@contextmanager
def translated(
    resource: Resource, identity: Identity, *, accepted: int = 0, suspects: int = 1
) -> Iterator[None]:
    """Turn whatever an SDK raises into a `DeliveryError`, a refusal with its explanation.

    Raises:
        DeliveryError: in place of the SDK's error, which is its cause.
    """
    try:
        yield
    except Exception as error:
        reason, words = _told(error)
        if reason is Reason.UNAUTHENTICATED:
            identity.forget()
        raise DeliveryError(
            reason,
            f"{resource.label}: {words}",
            accepted=accepted,
            suspects=suspects,
            refusal=explain(reason, resource, identity.principal),
            wait=_wait(words),
        ) from error


def _wait(words: str) -> float:
    """Return the seconds that a busy service asks for: "Please wait 4 seconds"."""
    asked = _ASKED_TO_WAIT.search(words)
    return float(asked[1]) if asked else 0.0


def _told(error: Exception) -> tuple[Reason, str]:
    if isinstance(error, DeliveryError):
        return error.reason, error.detail
    if type(error) is TimeoutError and not str(error):
        return Reason.TIMEOUT, f"no answer within {CALL_SECONDS:g} seconds"
    return reason_of(error), " ".join(_said(error).split()) or type(error).__name__
