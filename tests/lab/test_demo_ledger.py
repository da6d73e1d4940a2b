from __future__ import annotations

import asyncio

import pytest

from lab.demo.ledger import Ledger, Refusal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(["changes", "alarms"], clock)


REFUSED = {
    "route": "alarms",
    "identity": "system-assigned identity",
    "client_id": "c",
    "object_id": "o",
    "destination": "operations/alarms",
    "audience": "https://servicebus.azure.net",
    "role": "Azure Service Bus Data Sender",
    "role_id": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "scope": "/subscriptions/s",
    "cause": "it lacks the role",
    "remedy": "az role assignment create",
}


def test_deliveries_add_up_by_route(ledger: Ledger) -> None:
    ledger.hear("relay.delivered", {"route": "changes", "count": 3})
    ledger.hear("relay.delivered", {"route": "changes", "count": 4})
    assert [tally.delivered for tally in ledger.tallies.values()] == [7, 0]


def test_a_redriven_dead_letter_waits_no_longer_and_is_settled_once(ledger: Ledger) -> None:
    tally = ledger.tallies["alarms"]
    ledger.hear("relay.dead_lettered", {"route": "alarms", "count": 5, "reason": "forbidden"})
    assert (tally.waiting, tally.settled) == (5, 5)
    ledger.hear("relay.redriven", {"route": "alarms", "count": 3})
    assert (tally.waiting, tally.settled, tally.delivered) == (2, 5, 3)
    assert (ledger.dead_lettered, ledger.redriven) == (5, 3)


def test_the_rate_forgets_what_is_long_ago(ledger: Ledger, clock: Clock) -> None:
    ledger.hear("relay.delivered", {"route": "changes", "count": 300})
    assert ledger.rate("changes") == 100
    clock.now += 10
    assert ledger.rate("changes") == 0


def test_a_routes_state_has_its_reason(ledger: Ledger) -> None:
    ledger.hear(
        "relay.route_state", {"route": "alarms", "state": "refused", "reason": "forbidden"}
    )
    assert ledger.tallies["alarms"].state == "refused"
    assert ledger.tallies["alarms"].reason == "forbidden"


def test_malformed_messages_have_no_route(ledger: Ledger) -> None:
    ledger.hear("relay.malformed", {"count": 2})
    assert ledger.malformed == 2


def test_a_refusal_that_is_repeated_is_one(ledger: Ledger) -> None:
    ledger.hear("relay.refused", REFUSED)
    ledger.hear("relay.refused", {**REFUSED, "levelname": "ERROR"})
    assert [refusal.as_json() for refusal in ledger.refusals] == [REFUSED]
    assert ledger.refusals[0].is_explained


@pytest.mark.parametrize("missing", REFUSED)
def test_a_refusal_that_lacks_a_part_is_not_explained(missing: str) -> None:
    said = {name: value for name, value in REFUSED.items() if name != missing}
    assert not Refusal.from_log(said).is_explained


@pytest.mark.parametrize("name", ["relay.started", "relay.delivered"])
def test_records_of_other_things_change_nothing(ledger: Ledger, name: str) -> None:
    ledger.hear(name, {"route": "unknown", "count": 1})
    assert [tally.settled for tally in ledger.tallies.values()] == [0, 0]


async def test_waiting_ends_when_the_condition_holds(ledger: Ledger) -> None:
    tally = ledger.tallies["changes"]
    waiting = asyncio.create_task(ledger.until(lambda: tally.delivered >= 2, 30))
    for _ in range(2):
        await asyncio.sleep(0)
        ledger.hear("relay.delivered", {"route": "changes", "count": 1})
    assert await waiting


async def test_waiting_ends_when_time_is_up(ledger: Ledger) -> None:
    assert not await ledger.until(lambda: False, 0.01)
