"""From an SDK's error to a `Reason`: ask the text, then the condition or code, then the class.

The only place where errors of the Azure SDKs are classified. The class alone would tell an
operator the wrong story: azure-eventhub reports a missing role as `ConnectionLostError`, a
firewall's denial says "unauthorized" too, azure-servicebus hides why a link was closed behind
`amqp:unknown-error`, and a storage firewall answers 403 as a missing role does.

Conditions, codes and texts are the services', from public reports:
Azure/azure-sdk-for-java#27831 and Azure/azure-sdk-for-net#60290 (claims),
Azure/azure-sdk-for-python#31798 (tokens), Azure/azure-event-hubs-spark#576 (busy),
Azure/azure-sdk-for-python#11708 (partitions), Azure/azure-sdk-for-python#738 (sessions),
Azure/amqpnetlite#120 and Azure/azure-service-bus#103
(partitioned entities), and Microsoft's page "Blob Storage error codes".
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from azure.core import exceptions as core

from relay.causes import Cause, Service, recognise
from relay.failures import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS: Final = (
    ("code: renewtoken", Reason.UNAVAILABLE),  # a link outlived its token; a new one will do
    ("ip has been prevented to connect", Reason.NETWORK_DENIED),
    ("public network access", Reason.NETWORK_DENIED),
    ("claim(s) are required", Reason.FORBIDDEN),
    ("attempted to perform an unauthorized operation", Reason.FORBIDDEN),
    ("the sessionid was not set", Reason.NOT_ALLOWED),
    ("specified partition is invalid", Reason.NOT_FOUND),  # the hub has fewer than it had
)
"""What a service says, in lower case; it tells apart what one condition lumps together."""

CONDITIONS: Final = {
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

CODES: Final = {
    "AuthorizationFailure": Reason.NETWORK_DENIED,
    "PublicAccessNotPermitted": Reason.NETWORK_DENIED,
    "AuthorizationPermissionMismatch": Reason.FORBIDDEN,
    "InsufficientAccountPermissions": Reason.FORBIDDEN,
    "AccountIsDisabled": Reason.DISABLED,
    "ContainerBeingDeleted": Reason.NOT_FOUND,
    "ServerBusy": Reason.THROTTLED,
    "OperationTimedOut": Reason.TIMEOUT,
    "InternalError": Reason.UNAVAILABLE,
}
"""By the code of Blob storage. A firewall says `AuthorizationFailure`
(microsoft/AzureStorageExplorer#8344), a missing role `AuthorizationPermissionMismatch`."""

STATUSES: Final = {
    400: Reason.REJECTED,
    401: Reason.UNAUTHENTICATED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    409: Reason.UNAVAILABLE,  # a blob that another one leases or wrote meanwhile
    412: Reason.UNAVAILABLE,
    413: Reason.TOO_LARGE,
    429: Reason.THROTTLED,
    504: Reason.TIMEOUT,
}
"""By HTTP status, where the code tells nothing; what else is 5xx is `unavailable`."""

_MAY_PASS: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of an identity endpoint in trouble; any other says that the identity is."""
_STATED: Final = re.compile(r"Error condition: ([\w:.-]*\w)")
_CBS_NOT_FOUND: Final = re.compile(r"Status code: 404")
_ASKED_TO_WAIT: Final = re.compile(r"[Pp]lease wait (\d{1,3}) seconds")


@cache
def classes() -> Mapping[type[BaseException], Reason]:
    """Return reasons by class, where nothing else tells; the nearest ancestor counts.

    An app that meets no error imports no SDK for their sake.
    """
    from azure.eventhub import exceptions as eventhub
    from azure.identity import AuthenticationRequiredError, CredentialUnavailableError
    from azure.servicebus import exceptions as servicebus
    from azure.storage.blob import PartialBatchErrorException

    return {
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
        CredentialUnavailableError: Reason.UNAUTHENTICATED,
        AuthenticationRequiredError: Reason.UNAUTHENTICATED,
        PartialBatchErrorException: Reason.UNKNOWN,
        core.ClientAuthenticationError: Reason.UNAUTHENTICATED,
        core.ResourceNotFoundError: Reason.NOT_FOUND,
        core.ResourceExistsError: Reason.UNAVAILABLE,
        core.ResourceModifiedError: Reason.UNAVAILABLE,
        core.ResourceNotModifiedError: Reason.UNAVAILABLE,
        core.ServiceRequestTimeoutError: Reason.TIMEOUT,
        core.ServiceResponseTimeoutError: Reason.TIMEOUT,
        core.ServiceRequestError: Reason.UNAVAILABLE,
        core.ServiceResponseError: Reason.UNAVAILABLE,
        core.IncompleteReadError: Reason.UNAVAILABLE,
        core.TooManyRedirectsError: Reason.UNAVAILABLE,
        core.DecodeError: Reason.UNAVAILABLE,
        core.DeserializationError: Reason.UNKNOWN,
        core.SerializationError: Reason.REJECTED,
        core.ODataV4Error: Reason.UNAVAILABLE,
        core.StreamConsumedError: Reason.UNKNOWN,
        core.StreamClosedError: Reason.UNKNOWN,
        core.ResponseNotReadError: Reason.UNKNOWN,
        core.HttpResponseError: Reason.UNAVAILABLE,
        core.AzureError: Reason.UNAVAILABLE,
        TimeoutError: Reason.TIMEOUT,
        OSError: Reason.UNAVAILABLE,
    }


def reason_of(error: BaseException) -> Reason:
    """Return why an SDK's call failed; what nobody has classified is `unknown`, not a guess."""
    words = said(error)
    for text, reason in TEXTS:
        if text in words.lower():
            return reason
    if isinstance(error, core.HttpResponseError) and error.status_code:
        return _http_reason(error)
    if _CBS_NOT_FOUND.search(words):
        return Reason.NOT_FOUND
    return CONDITIONS.get(condition_of(error)) or _class_reason(error)


def _http_reason(error: core.HttpResponseError) -> Reason:
    code, status = code_of(error), error.status_code or 0
    if isinstance(error, core.ClientAuthenticationError) and status not in _MAY_PASS:
        return CODES.get(code, Reason.UNAUTHENTICATED)
    return CODES.get(code) or STATUSES.get(status) or Reason.UNAVAILABLE


def _class_reason(error: BaseException) -> Reason:
    known = (classes()[each] for each in type(error).__mro__ if each in classes())
    return next(known, Reason.UNKNOWN)


def said(error: BaseException) -> str:
    """Return all that an error says: azure-servicebus leaves why a token was refused inside."""
    outer, inner = str(error), str(getattr(error, "inner_exception", None) or "")
    return outer if inner in outer else f"{outer} {inner}"


def code_of(error: core.HttpResponseError) -> str:
    """Return the code that a service gave, `""` where it gave none.

    azure-storage-blob makes it a member of an enum, whose text is not the code.
    """
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def condition_of(error: BaseException) -> str:
    """Return the last part of the AMQP condition, `""` where there is none."""
    told = getattr(error, "error", None)  # the condition, with azure-eventhub
    if isinstance(told, str):
        return told.rpartition(":")[2]
    stated = _STATED.search(str(error))
    return stated[1].rpartition(":")[2] if stated else ""


def asked_to_wait(words: str) -> float:
    """Return the seconds that a busy service asks for: "Please wait 4 seconds"."""
    asked = _ASKED_TO_WAIT.search(words)
    return float(asked[1]) if asked else 0.0


def cause_of_no_token(error: BaseException) -> Cause:
    """Return why the identity endpoint gave no token."""
    if isinstance(error, TimeoutError | core.ServiceRequestError | core.ServiceResponseError):
        return Cause.IDENTITY_ENDPOINT_UNREACHABLE
    if isinstance(error, KeyError):
        return Cause.TOKEN_MALFORMED  # a member is missing from the answer
    status = str(getattr(error, "status_code", None) or "")
    return recognise(Service.IDENTITY, status, said(error))
