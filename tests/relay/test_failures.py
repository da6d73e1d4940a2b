"""The table of failures is one: in the docstring, in the code, for every reason."""

from __future__ import annotations

import pytest

from relay import failures
from relay.failures import REFUSALS, TRAITS, DeliveryError, Fault, Reason, Redriver, Traits


def the_documented_table() -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (failures.__doc__ or "").splitlines()
        if line.startswith("|")
    ]
    header, ruler, *body = rows
    assert header == ["reason", "fault", "retried here", "isolates", "redriven by", "HTTP"]
    assert set("".join(ruler)) == {"-"}
    return {reason: answers for reason, *answers in body}


def test_the_documented_table_is_the_one_that_counts() -> None:
    assert the_documented_table() == {
        reason.value: [
            traits.fault.value,
            "yes" if traits.retried else "no",
            "event" if traits.isolates_event else "destination",
            traits.redriven_by.value,
            str(traits.http_status),
        ]
        for reason, traits in TRAITS.items()
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_traits(reason: Reason) -> None:
    assert isinstance(reason.traits, Traits)


@pytest.mark.parametrize("reason", Reason)
def test_what_is_the_events_fault_is_never_retried(reason: Reason) -> None:
    assert reason.traits.isolates_event is (reason.traits.fault is Fault.EVENT)
    assert not (reason.traits.isolates_event and reason.traits.retried)


@pytest.mark.parametrize("reason", Reason)
def test_the_relay_redrives_whatever_is_not_the_events_fault(reason: Reason) -> None:
    assert (reason.traits.redriven_by is Redriver.RELAY) is not reason.traits.isolates_event


@pytest.mark.parametrize("reason", Reason)
def test_a_caller_is_blamed_for_the_event_and_nothing_else(reason: Reason) -> None:
    """Event Grid drops an event that it is refused with another status of the 400s."""
    is_blamed = 400 <= reason.traits.http_status < 500 and reason.traits.http_status != 429

    assert is_blamed is reason.traits.isolates_event


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_a_refusal_is_nobodys_load_and_not_retried(reason: Reason) -> None:
    assert reason.is_refusal
    assert reason.traits.fault in {Fault.IDENTITY, Fault.NETWORK}
    assert not reason.traits.retried


def test_the_refusals_are_those_of_identity_and_network() -> None:
    assert {reason for reason in Reason if reason.is_refusal} == {
        Reason.UNAUTHENTICATED,
        Reason.FORBIDDEN,
        Reason.NETWORK_DENIED,
    }


def test_reasons_are_words_for_telemetry() -> None:
    assert all(reason.value.replace("_", "").isalpha() for reason in Reason)
    assert all(reason.value == reason.name.lower() for reason in Reason)


def test_a_delivery_error_says_why_in_both_tongues() -> None:
    error = DeliveryError(Reason.THROTTLED, "please wait", accepted=2, suspects=3)

    assert str(error) == "throttled: please wait"
    assert (error.reason, error.detail, error.accepted, error.suspects, error.refusal) == (
        Reason.THROTTLED,
        "please wait",
        2,
        3,
        None,
    )
