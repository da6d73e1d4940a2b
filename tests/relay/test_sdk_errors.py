"""Each fault of the services, as the SDKs build its error, has the reason one would expect."""

from __future__ import annotations

import inspect
import logging
from types import ModuleType
from typing import Any

import pytest
from azure import identity
from azure.core import exceptions as core
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.eventhub import exceptions as eventhub
from azure.eventhub._pyamqp import error as hub_amqp
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport as HubTransport
from azure.identity import CredentialUnavailableError
from azure.servicebus import exceptions as servicebus
from azure.servicebus._pyamqp import error as bus_amqp
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport as BusTransport
from azure.storage import blob
from azure.storage.blob import StorageErrorCode

from relay.failures import Reason
from relay.sdk_errors import classes, reason_of

TRACKING = (
    "TrackingId:7b0c9d3e-52b4-4c8b-9a54-0f6e2a8d1c11, SystemTracker:gateway5, "
    "Timestamp:2026-03-05T12:00:00"
)
CLAIM = (
    "Unauthorized access. 'Send' claim(s) are required to perform this operation. "
    f"Resource: 'sb://plant.servicebus.windows.net/alarms'. {TRACKING}"
)
UNAUTHORIZED_OPERATION = "Attempted to perform an unauthorized operation."
FIREWALL = f"Ip has been prevented to connect to the endpoint. {TRACKING}"
NOT_FOUND = (
    "The messaging entity 'sb://plant.servicebus.windows.net/alarms' could not be found. "
    f"To know more visit https://aka.ms/sbResourceMgrExceptions. {TRACKING}"
)
THROTTLED = (
    "The request was terminated because the entity is being throttled. Error code : 50002. "
    f"Please wait 4 seconds and try again. {TRACKING}"
)
RENEW_TOKEN = f"The link 'sender' is force detached. Code: RenewToken. Details: {CLAIM}"
IDLE_LINK = (
    "The link 'sender' is force detached. Code: publisher(link1). Details: "
    "AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:10:00."
)
IDLE_CONNECTION = (
    "The connection was inactive for more than the allowed 60000 milliseconds and is closed by "
    "container 'x'."
)
TOO_LARGE = (
    "The received message (delivery-id:1, size:2000000 bytes) exceeds the limit "
    "(1048576 bytes) currently allowed on the link."
)

NO_SESSION = (
    "The SessionId was not set on a message, and it cannot be sent to the entity. Entities "
    "that have session support enabled can only receive messages that have the SessionId set "
    f"to a valid value. {TRACKING}"
)
NO_PARTITION = (
    "The specified partition is invalid for an EventHub partition sender or receiver. It "
    f"should be between 0 and 1. {TRACKING}"
)

# condition, the service's text, the reason
FAULTS = [
    ("amqp:unauthorized-access", CLAIM, Reason.FORBIDDEN),
    ("amqp:unauthorized-access", CLAIM.replace("'Send'", "'Listen'"), Reason.FORBIDDEN),
    ("amqp:unauthorized-access", None, Reason.FORBIDDEN),
    ("amqp:unauthorized-access", FIREWALL, Reason.NETWORK_DENIED),
    ("amqp:not-found", NOT_FOUND, Reason.NOT_FOUND),
    ("com.microsoft:entity-disabled", "It is currently disabled.", Reason.DISABLED),
    ("com.microsoft:server-busy", THROTTLED, Reason.THROTTLED),
    ("com.microsoft:timeout", "The operation did not complete in time.", Reason.TIMEOUT),
    ("amqp:resource-limit-exceeded", "The queue is full.", Reason.QUOTA_EXCEEDED),
    ("amqp:internal-error", "The service was unable to process it.", Reason.UNAVAILABLE),
    ("amqp:link:message-size-exceeded", TOO_LARGE, Reason.TOO_LARGE),
    ("amqp:link:detach-forced", RENEW_TOKEN, Reason.UNAVAILABLE),
    ("amqp:link:detach-forced", IDLE_LINK, Reason.UNAVAILABLE),
    ("amqp:not-allowed", "The message is not allowed.", Reason.REJECTED),
    ("com.microsoft:argument-error", "The argument is wrong.", Reason.REJECTED),
    ("com.microsoft:argument-out-of-range", "It is out of range.", Reason.REJECTED),
    ("com.microsoft:auth-failed", "The token is not valid.", Reason.UNAUTHENTICATED),
    ("amqp:resource-deleted", "The entity was deleted.", Reason.NOT_FOUND),
    ("amqp:not-allowed", NO_SESSION, Reason.NOT_ALLOWED),
    ("com.microsoft:argument-out-of-range", NO_PARTITION, Reason.NOT_FOUND),
]
CONNECTION_FAULTS = [
    ("amqp:connection:forced", IDLE_CONNECTION, Reason.UNAVAILABLE),
    ("amqp:connection:framing-error", "a bad frame", Reason.UNAVAILABLE),
    ("amqp:socket-error", "cut", Reason.UNAVAILABLE),
    ("amqp:unauthorized-access", FIREWALL, Reason.NETWORK_DENIED),
]


def condition_of(amqp: Any, text: str) -> Any:
    """Return the condition as the SDK has it: its own enumeration's where there is a member."""
    try:
        return amqp.ErrorCondition(text.encode())
    except ValueError:
        return text.encode()


def from_hub(error: Exception) -> Exception:
    """Return what azure-eventhub raises for an AMQP error."""
    made: Exception = HubTransport._create_eventhub_exception(error)
    return made


def from_bus(error: Exception) -> Exception:
    """Return what azure-servicebus raises for an AMQP error."""
    return BusTransport.create_servicebus_exception(logging.getLogger("silent"), error)


@pytest.mark.parametrize(("condition", "text", "reason"), FAULTS)
def test_a_link_refused_by_a_hub(condition: str, text: str | None, reason: Reason) -> None:
    error = hub_amqp.AMQPLinkError(condition_of(hub_amqp, condition), description=text)

    assert reason_of(from_hub(error)) is reason


@pytest.mark.parametrize(("condition", "text", "reason"), FAULTS)
def test_a_link_refused_by_a_hub_in_bytes(
    condition: str, text: str | None, reason: Reason
) -> None:
    words = None if text is None else text.encode()
    error = hub_amqp.AMQPLinkError(condition.encode(), description=words)

    assert reason_of(from_hub(error)) is reason


@pytest.mark.parametrize(("condition", "text", "reason"), FAULTS)
def test_an_event_rejected_by_a_hub(condition: str, text: str | None, reason: Reason) -> None:
    error = hub_amqp.MessageSendFailed(condition_of(hub_amqp, condition), description=text)

    assert reason_of(eventhub.EventDataSendError(str(error), error)) is reason  # type: ignore[arg-type]


@pytest.mark.parametrize(("condition", "text", "reason"), FAULTS)
@pytest.mark.parametrize("kind", ["AMQPLinkError", "MessageSendFailed"])
def test_a_link_or_a_message_refused_by_a_queue(
    kind: str, condition: str, text: str | None, reason: Reason
) -> None:
    error = getattr(bus_amqp, kind)(condition_of(bus_amqp, condition), description=text)

    assert reason_of(from_bus(error)) is reason


@pytest.mark.parametrize(("condition", "text", "reason"), CONNECTION_FAULTS)
def test_a_connection_closed(condition: str, text: str, reason: Reason) -> None:
    hub = hub_amqp.AMQPConnectionError(condition_of(hub_amqp, condition), description=text)
    bus = bus_amqp.AMQPConnectionError(condition_of(bus_amqp, condition), description=text)

    assert [reason_of(from_hub(hub)), reason_of(from_bus(bus))] == [reason, reason]


def test_what_service_bus_hides_is_taken_for_an_outage() -> None:
    """Only a new link tells whether it is one; until then nothing is said of roles."""
    error = bus_amqp.AMQPConnectionError(bus_amqp.ErrorCondition.UnknownError)

    assert reason_of(from_bus(error)) is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (401, UNAUTHORIZED_OPERATION, Reason.FORBIDDEN),
        (401, FIREWALL, Reason.NETWORK_DENIED),
        (401, "InvalidAudience: Unrecognized audience.", Reason.UNAUTHENTICATED),
        (401, "ExpiredToken: The token is expired.", Reason.UNAUTHENTICATED),
        (401, "InvalidIssuer: Token issuer is invalid.", Reason.UNAUTHENTICATED),
        (404, f"{NOT_FOUND}", Reason.NOT_FOUND),
    ],
)
@pytest.mark.parametrize("encode", [str, str.encode])
def test_a_token_refused(status: int, text: str, reason: Reason, encode: Any) -> None:
    hub = hub_amqp.TokenAuthFailure(status, encode(text))
    bus = bus_amqp.TokenAuthFailure(status, encode(text))

    assert [reason_of(from_hub(hub)), reason_of(from_bus(bus))] == [reason, reason]


def test_a_token_that_ran_out_on_an_idle_link_is_no_missing_role() -> None:
    error = bus_amqp.TokenExpired(
        condition=bus_amqp.ErrorCondition.InternalError,
        description="CBS Authentication Expired.",
    )

    assert reason_of(from_bus(error)) in {Reason.UNAVAILABLE, Reason.UNAUTHENTICATED}


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (401, UNAUTHORIZED_OPERATION, Reason.FORBIDDEN),
        (401, CLAIM, Reason.FORBIDDEN),
        (401, "Unauthorized", Reason.FORBIDDEN),
        (404, NOT_FOUND, Reason.NOT_FOUND),
    ],
)
def test_a_hubs_management_refuses(status: int, text: str, reason: Reason) -> None:
    assert reason_of(from_hub(HubTransport.get_error(status, text.encode()))) is reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (eventhub.OperationTimeoutError("late"), Reason.TIMEOUT),
        (eventhub.ConnectError("no route"), Reason.UNAVAILABLE),
        (eventhub.ClientClosedError("closed"), Reason.UNAVAILABLE),
        (eventhub.AuthenticationError("no"), Reason.UNAUTHENTICATED),
        (eventhub.EventHubError("?"), Reason.UNKNOWN),
        (servicebus.OperationTimeoutError(), Reason.TIMEOUT),
        (servicebus.ServiceBusConnectionError(), Reason.UNAVAILABLE),
        (servicebus.ServiceBusAuthorizationError(), Reason.FORBIDDEN),
        (servicebus.ServiceBusAuthenticationError(), Reason.UNAUTHENTICATED),
        (servicebus.MessageSizeExceededError(), Reason.TOO_LARGE),
        (servicebus.ServiceBusError("Handler failed: x."), Reason.UNKNOWN),
        (CredentialUnavailableError("no endpoint"), Reason.UNAUTHENTICATED),
        (ClientAuthenticationError("no"), Reason.UNAUTHENTICATED),
        (ServiceRequestError("refused"), Reason.UNAVAILABLE),
        (ServiceResponseError("cut"), Reason.UNAVAILABLE),
        (HttpResponseError("500"), Reason.UNAVAILABLE),
        (TimeoutError(), Reason.TIMEOUT),
        (ConnectionRefusedError(111, "refused"), Reason.UNAVAILABLE),
        (FileNotFoundError(2, "no CA"), Reason.UNAVAILABLE),
        (ValueError("?"), Reason.UNKNOWN),
        (RuntimeError(""), Reason.UNKNOWN),
    ],
    ids=lambda value: getattr(value, "value", type(value).__name__),
)
def test_where_no_condition_tells_the_class_does(error: Exception, reason: Reason) -> None:
    assert reason_of(error) is reason


# As the SDK gives them: members of an enum, whose text is not the code.
CODES = {str(member.value): member for member in StorageErrorCode}


def storage_error(status: int, code: str) -> HttpResponseError:
    """Return what azure-storage-blob raises where it has no class for the code."""
    error = HttpResponseError(f"The request failed.\nErrorCode:{code}")
    error.status_code = status
    error.error_code = CODES.get(code, code)  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AuthorizationPermissionMismatch", Reason.FORBIDDEN),
        (403, "AuthorizationFailure", Reason.NETWORK_DENIED),
        (403, "InsufficientAccountPermissions", Reason.FORBIDDEN),
        (403, "AccountIsDisabled", Reason.DISABLED),
        (409, "PublicAccessNotPermitted", Reason.NETWORK_DENIED),
        (403, "", Reason.FORBIDDEN),
        (401, "InvalidAuthenticationInfo", Reason.UNAUTHENTICATED),
        (404, "ContainerNotFound", Reason.NOT_FOUND),
        (409, "ContainerBeingDeleted", Reason.NOT_FOUND),
        (409, "LeaseAlreadyPresent", Reason.UNAVAILABLE),
        (412, "LeaseIdMissing", Reason.UNAVAILABLE),
        (412, "ConditionNotMet", Reason.UNAVAILABLE),
        (413, "RequestBodyTooLarge", Reason.TOO_LARGE),
        (429, "TooManyRequests", Reason.THROTTLED),
        (500, "InternalError", Reason.UNAVAILABLE),
        (500, "OperationTimedOut", Reason.TIMEOUT),
        (503, "ServerBusy", Reason.THROTTLED),
        (503, "", Reason.UNAVAILABLE),
        (507, "", Reason.UNAVAILABLE),
        (418, "WhatIsThis", Reason.UNAVAILABLE),
    ],
)
def test_a_storage_account_says_no(status: int, code: str, reason: Reason) -> None:
    assert reason_of(storage_error(status, code)) is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.UNAUTHENTICATED),
        (404, Reason.UNAUTHENTICATED),
        (429, Reason.THROTTLED),
        (500, Reason.UNAVAILABLE),
        (503, Reason.UNAVAILABLE),
        (504, Reason.TIMEOUT),
    ],
)
def test_an_identity_endpoint_says_no(status: int, reason: Reason) -> None:
    error = ClientAuthenticationError("the endpoint answered")
    error.status_code = status

    assert reason_of(error) is reason


SDKS = [core, eventhub, servicebus, identity, blob]


def exceptions_of(module: ModuleType) -> set[type[BaseException]]:
    """Return the exceptions of an SDK that its users can catch by name."""
    package = ".".join(module.__name__.split(".")[:2])
    return {
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseException) and member.__module__.startswith(package)
    }


@pytest.mark.parametrize("module", SDKS, ids=lambda module: str(module.__name__))
def test_every_exception_of_the_sdks_is_classified(module: ModuleType) -> None:
    found = exceptions_of(module)

    assert found
    assert found - classes().keys() == set()


def test_the_walk_finds_what_the_sdks_are_known_to_raise() -> None:
    found = {error.__name__ for module in SDKS for error in exceptions_of(module)}

    assert found >= {
        "ConnectionLostError",
        "ServiceBusServerBusyError",
        "CredentialUnavailableError",
        "ResourceModifiedError",
        "PartialBatchErrorException",
    }
