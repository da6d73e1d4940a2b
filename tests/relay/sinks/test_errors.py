"""Whatever an SDK raises comes out of a sink as a `DeliveryError`, refusals explained."""

from __future__ import annotations

import logging

import pytest
from azure.eventhub import exceptions as eventhub
from azure.eventhub._pyamqp import error as hub_amqp
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport as HubTransport
from azure.servicebus import exceptions as servicebus
from azure.servicebus._pyamqp import error as bus_amqp
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport as BusTransport

from relay.failures import DeliveryError, Reason
from relay.identity import Identity
from relay.refusals import EVENT_HUBS_SENDER, Resource
from relay.sinks.errors import translated

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
    link = hub_amqp.AMQPLinkError(
        b"amqp:unauthorized-access", description="'Send' claim(s) are required"
    )
    sdk_error = HubTransport._create_eventhub_exception(link)
    error = translation_of(sdk_error, accepted=3, suspects=2)

    assert (error.reason, error.accepted, error.suspects) == (Reason.FORBIDDEN, 3, 2)
    assert error.refusal is not None
    assert (error.refusal.client_id, error.refusal.role_id) == ("abc", EVENT_HUBS_SENDER.id)
    assert error.__cause__ is sdk_error
    assert error.detail.startswith("plant/alarms: ")
    assert "\n" not in error.detail


def test_why_a_token_was_refused_is_said_though_the_sdk_hides_it() -> None:
    error = bus_amqp.TokenAuthFailure(401, b"InvalidAudience: Unrecognized audience.")

    assert (
        "InvalidAudience"
        in translation_of(
            BusTransport.create_servicebus_exception(logging.getLogger("silent"), error)
        ).detail
    )


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
    busy = servicebus.ServiceBusServerBusyError(
        message="It is throttled. Please wait 4 seconds and try again."
    )

    with pytest.raises(DeliveryError) as failed, translated(HUB, Identity()):
        raise busy

    assert failed.value.wait == 4.0
