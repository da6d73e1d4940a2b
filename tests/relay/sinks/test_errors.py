"""Each fault of the services, as the SDKs build its error, has the reason one would expect."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
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

from relay.failures import DeliveryError, Reason
from relay.identity import Identity
from relay.refusals import EVENT_HUBS_SENDER, Resource
from relay.sinks.errors import CLASSES, reason_of, translated

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
    ("amqp:not-allowed", "The SessionId was not set.", Reason.REJECTED),
    ("com.microsoft:argument-error", "The argument is wrong.", Reason.REJECTED),
    ("com.microsoft:argument-out-of-range", "It is out of range.", Reason.REJECTED),
    ("com.microsoft:auth-failed", "The token is not valid.", Reason.UNAUTHENTICATED),
    ("amqp:resource-deleted", "The entity was deleted.", Reason.NOT_FOUND),
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


def exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    for _, member in inspect.getmembers(module, inspect.isclass):
        if issubclass(member, Exception) and member.__module__ == module.__name__:
            yield member


@pytest.mark.parametrize("module", [eventhub, servicebus], ids=["eventhub", "servicebus"])
def test_every_exception_of_the_sdks_is_classified(module: ModuleType) -> None:
    found = set(exceptions_of(module))

    assert len(found) >= 8
    assert found - CLASSES.keys() == set()


# The border itself

HUB = Resource(
    label="plant/alarms",
    audience="https://eventhubs.azure.net/",
    role=EVENT_HUBS_SENDER,
    provider="Microsoft.EventHub/namespaces",
    account="plant",
    path="/eventhubs/alarms",
)


def translation_of(error: BaseException, **numbers: int) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught, translated(HUB, Identity("abc"), **numbers):
        raise error
    return caught.value


def test_a_refusal_is_explained_where_it_is_translated() -> None:
    link = hub_amqp.AMQPLinkError(b"amqp:unauthorized-access", description=CLAIM)
    sdk_error = from_hub(link)
    error = translation_of(sdk_error, accepted=3, suspects=2)

    assert (error.reason, error.accepted, error.suspects) == (Reason.FORBIDDEN, 3, 2)
    assert error.refusal is not None
    assert (error.refusal.client_id, error.refusal.role_id) == ("abc", EVENT_HUBS_SENDER.id)
    assert error.__cause__ is sdk_error
    assert error.detail.startswith("plant/alarms: ")
    assert "\n" not in error.detail


def test_why_a_token_was_refused_is_said_though_the_sdk_hides_it() -> None:
    error = bus_amqp.TokenAuthFailure(401, b"InvalidAudience: Unrecognized audience.")

    assert "InvalidAudience" in translation_of(from_bus(error)).detail


def test_what_is_no_refusal_has_no_explanation() -> None:
    error = translation_of(eventhub.OperationTimeoutError("late"))

    assert (error.reason, error.refusal) == (Reason.TIMEOUT, None)
    assert error.detail == "plant/alarms: late"


def test_an_error_without_words_is_told_by_its_class() -> None:
    assert translation_of(OSError()).detail == "plant/alarms: OSError"
    assert translation_of(TimeoutError()).detail == "plant/alarms: no answer within 10 seconds"


def test_what_is_translated_already_keeps_its_reason_and_gets_the_numbers() -> None:
    error = translation_of(DeliveryError(Reason.UNAUTHENTICATED, "no token"), accepted=7)

    assert (error.reason, error.accepted, error.suspects) == (Reason.UNAUTHENTICATED, 7, 1)
    assert error.detail == "plant/alarms: no token"
    assert error.refusal is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_is_no_error_passes_untranslated(error: BaseException) -> None:
    with pytest.raises(type(error)), translated(HUB, Identity()):
        raise error


def test_a_busy_service_says_how_long_to_wait() -> None:
    busy = servicebus.ServiceBusServerBusyError(message=THROTTLED)

    with pytest.raises(DeliveryError) as failed, translated(HUB, Identity()):
        raise busy

    assert failed.value.wait == 4.0
