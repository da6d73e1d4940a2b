"""Whoever waits for events hears what became of each, and nothing of the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from relay.delivery import UnsettledError
from relay.failures import Reason
from relay.ingress import Arrival, Malformed, Order, from_caller
from relay.observer import DeadLettered, Delivered, Redriven
from relay.outcomes import Ending, Outcome, Outcomes, Result
from tests.fakes import NOON, MemorySink, a_route, always, an_arrival, an_event, failing
from tests.relay.event_path import EventPath, an_event_path


async def results(path: EventPath, arrivals: list[Arrival]) -> list[Result]:
    outcomes = Outcomes()
    path.facts = _Both(path.facts, outcomes)
    path.delivery = path.another_process()
    with outcomes.of(arrivals) as found:
        await path.delivery.settle(arrivals)
        return found()


class _Both(list[object]):
    """A list of facts that tells each to another listener too."""

    def __init__(self, facts: list[object], hear: Callable[..., None]) -> None:
        super().__init__(facts)
        self._hear = hear

    def append(self, fact: object) -> None:
        super().append(fact)
        self._hear(fact)


async def test_each_event_has_an_outcome_on_every_route_that_wants_it() -> None:
    gone = MemorySink(faults=always(Reason.FORBIDDEN))
    path = an_event_path(a_route("all"), a_route("some", wants="subject = 'pump-1'"), all=gone)
    arrivals = [
        an_arrival(an_event(subject="pump-1"), sequence=0),
        an_arrival(an_event(subject="pump-2"), sequence=1),
    ]
    first, second = await results(path, arrivals)

    assert {
        ("all", Ending.DEAD_LETTERED, Reason.FORBIDDEN),
        ("some", Ending.DELIVERED, None),
    } == {(each.route, each.ending, each.reason) for each in first.outcomes}
    assert [("all", Ending.DEAD_LETTERED)] == [(o.route, o.ending) for o in second.outcomes]
    assert (arrivals[0].content, False) == (first.content, first.is_delivered)
    assert "it is forbidden" in second.outcomes[0].detail


async def test_what_no_route_wants_and_what_is_no_event_are_outcomes_too() -> None:
    path = an_event_path(a_route("none", wants="false"))
    bad = Malformed(b"x", {}, "no JSON")
    unrouted, malformed = await results(
        path, [an_arrival(sequence=0), an_arrival(bad, sequence=1)]
    )

    assert ((Outcome("", Ending.UNROUTED),), True) == (unrouted.outcomes, unrouted.is_delivered)
    assert (Outcome("", Ending.MALFORMED, Reason.MALFORMED, "no JSON"),) == malformed.outcomes
    assert not malformed.is_delivered


async def test_a_poison_event_alone_is_dead_lettered_and_says_why() -> None:
    sink = MemorySink(poison=lambda event: event.id == "1")
    path = an_event_path(a_route("all"), all=sink)
    found = await results(path, [an_arrival(sequence=n) for n in range(3)])

    assert [Ending.DELIVERED, Ending.DEAD_LETTERED, Ending.DELIVERED] == [
        each.outcomes[0].ending for each in found
    ]


async def test_calls_side_by_side_hear_of_their_own_only() -> None:
    outcomes = Outcomes()
    path = EventPath([a_route("all")], {"all": MemorySink(latency=lambda: 0.01)})
    path.facts = _Both([], outcomes)
    path.delivery = path.another_process()

    async def settle(count: int) -> list[Result]:
        given = [an_event(id=f"{count}/{n}") for n in range(count)]
        arrivals = from_caller(given, NOON, None)
        with outcomes.of(arrivals) as found:
            await path.delivery.settle(arrivals)
            return found()

    found = await asyncio.gather(*(settle(count) for count in range(1, 6)))

    assert [1, 2, 3, 4, 5] == [len(each) for each in found]
    assert all(r.outcomes == (Outcome("all", Ending.DELIVERED),) for f in found for r in f)


async def test_nothing_is_remembered_of_what_is_over() -> None:
    outcomes = Outcomes()
    route = a_route("all")
    arrival = an_arrival()
    with pytest.raises(UnsettledError), outcomes.of([arrival]):
        raise UnsettledError
    outcomes(Delivered(route, [arrival], 1))
    outcomes(DeadLettered(route, []))
    outcomes(Redriven(route, 1))

    with outcomes.of([arrival]) as found:
        assert Ending.UNROUTED is found()[0].outcomes[0].ending


async def test_events_given_together_share_a_dead_letter_and_keep_their_places() -> None:
    path = an_event_path(a_route("all"), all=MemorySink(faults=failing(Reason.FORBIDDEN)))
    arrivals = from_caller([an_event(id="1"), b'{"a": 1}', "[1, 2]"], NOON, None)
    found = await results(path, arrivals)

    assert [0, 1, 2, 3] == [arrival.part for arrival in arrivals]
    assert {Order.NONE} == {arrival.order for arrival in arrivals}
    assert 2 == len(path.dead_letters.blobs)
    assert [1, 0, 0, 0] == [
        sum(o.ending is Ending.DEAD_LETTERED for o in each.outcomes) for each in found
    ]


def test_an_event_without_what_every_event_has_is_malformed() -> None:
    (arrival,) = from_caller([an_event(id="")], NOON, None)

    assert isinstance(arrival.content, Malformed)
    assert "id" in arrival.content.detail
