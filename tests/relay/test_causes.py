"""One table of causes: whole, reachable, in step with reasons; what it knows not is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.eventhub.exceptions import ConnectionLostError
from azure.servicebus.exceptions import ServiceBusError
from hypothesis import given
from hypothesis import strategies as st

from lab.diagnosis.cases import CASES
from lab.diagnosis.documents import DIAGNOSIS, TROUBLESHOOTING, troubleshooting
from relay.causes import EXPLANATIONS, TEXTS, Cause, Service, Text, recognise
from relay.failures import Reason
from relay.sdk_errors import reason_of

ROOT = Path(__file__).parents[2]
NAMED = [text for text in TEXTS if text.words]
# The SDKs hide why; the reason stays what their class says, and the doctor asks further.
OF_THE_DOCTOR_ALONE = {
    Cause.CLOCK_SKEW,
    Cause.KEY_REFUSED,
    Cause.NOT_ALLOWED,
    Cause.TOKEN_EXPIRED,
    Cause.TOKEN_MALFORMED,
    Cause.TOKEN_NOT_ACCEPTED,
    Cause.WRONG_AUDIENCE,
    Cause.WRONG_TENANT,
}


def named(text: Text) -> str:
    return f"{text.services[0]}: {text.code} {text.words}"


def test_every_cause_is_explained() -> None:
    assert set(Cause) == EXPLANATIONS.keys()
    assert all(each.meaning and each.advice for each in EXPLANATIONS.values())


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_every_text_is_reached_and_means_what_it_says(text: Text) -> None:
    """A line that an earlier one always beats would be dead."""
    for service in text.services:
        said = f"Something before. {text.words.upper()} And after."

        assert text.cause is recognise(service, text.code, said)


@pytest.mark.parametrize("text", NAMED, ids=named)
def test_the_words_of_one_service_are_not_anothers(text: Text) -> None:
    for service in set(Service) - set(text.services):
        assert Cause.UNKNOWN is recognise(service, "no-such-code", text.words) or any(
            text.words.lower() in other.words.lower()
            or other.words.lower() in text.words.lower()
            for other in TEXTS
            if service in other.services and other.words
        )


@given(st.sampled_from(Service), st.text(max_size=10), st.text(max_size=30))
def test_what_no_line_knows_is_unknown(service: Service, code: str, said: str) -> None:
    last = code.rpartition(":")[2]
    if not any(text.fits(service, last, said) for text in TEXTS):
        assert Cause.UNKNOWN is recognise(service, code, said)


def test_a_condition_counts_by_its_last_part() -> None:
    for condition in ("amqp:not-found", "com.microsoft:not-found", "not-found"):
        assert Cause.NO_SUCH_ENTITY is recognise(Service.EVENT_HUBS, condition, "")


@pytest.mark.parametrize(
    "text",
    [
        text
        for text in TEXTS
        if Service.SERVICE_BUS in text.services and text.cause not in OF_THE_DOCTOR_ALONE
    ],
    ids=named,
)
def test_a_delivery_that_meets_a_text_fails_for_the_reason_of_its_cause(text: Text) -> None:
    """The table of reasons and this one agree, over both SDKs."""
    bus = ServiceBusError(f"{text.words} Error condition: amqp:{text.code or 'x'}.")
    hub = ConnectionLostError(text.words)
    hub.error = text.code

    assert reason_of(bus) in {text.cause.reason, Reason.UNKNOWN}
    assert reason_of(hub) in {text.cause.reason, Reason.UNAVAILABLE}


def test_the_page_is_in_step_with_the_table() -> None:
    """`make documents` writes it anew."""
    assert troubleshooting() == (ROOT / TROUBLESHOOTING).read_text("utf-8")


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_place_on_the_page(cause: Cause) -> None:
    page, _, anchor = cause.page.partition("#")

    assert f"### {anchor}\n" in (ROOT / page).read_text("utf-8")


def test_every_cause_is_produced_or_said_not_to_be() -> None:
    page = (ROOT / DIAGNOSIS).read_text("utf-8")
    produced = {case.cause for case in CASES}

    assert {cause for cause in Cause if f"`{cause}`" not in page} == set()
    assert set(Cause) - produced == {
        Cause.SETTINGS_UNUSABLE,
        Cause.IDENTITY_ENDPOINT_MISSING,
        Cause.KEY_REFUSED,
        Cause.NOT_ALLOWED,
    }
