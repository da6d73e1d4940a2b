from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.dead_letters import Backlog, DeadLetter
from relay.failures import LONGEST_DETAIL, DeliveryError, Reason, Refusal
from relay.health import FRESH, Health, PlaceHealth, RouteHealth, State, state_for, tried
from relay.observer import (
    BlobLooked,
    DeadLettered,
    Delivered,
    Fact,
    Failed,
    Knocked,
    MalformedKept,
    Redriven,
    Surveyed,
    Unrouted,
)
from relay.survey import OLD, Survey
from tests.fakes import NOON, a_route, always, an_arrival, an_event, failing
from tests.relay.event_path import an_event_path
from tests.virtual_time import in_virtual_time

HUB = a_route("hub")
EXPECTED = {
    Reason.UNAUTHENTICATED: State.REFUSED,
    Reason.FORBIDDEN: State.REFUSED,
    Reason.NETWORK_DENIED: State.REFUSED,
    Reason.NOT_FOUND: State.MISCONFIGURED,
    Reason.DISABLED: State.MISCONFIGURED,
    Reason.NOT_ALLOWED: State.MISCONFIGURED,
    Reason.THROTTLED: State.UNREACHABLE,
    Reason.QUOTA_EXCEEDED: State.UNREACHABLE,
    Reason.TIMEOUT: State.UNREACHABLE,
    Reason.UNAVAILABLE: State.UNREACHABLE,
    Reason.UNKNOWN: State.UNREACHABLE,
}
AT_FAULT = [reason for reason in Reason if reason not in EXPECTED]


class Watch:
    """A health that is told facts, a minute apart, and what it says of changes."""

    def __init__(self, *routes: str) -> None:
        self.minutes = 0
        self.changes: list[RouteHealth] = []
        self.health = Health(routes or ("hub",), self.now, self.changes.append)
        self.changes.clear()

    def now(self) -> datetime:
        return NOON + timedelta(minutes=self.minutes)

    def hear(self, *facts: Fact) -> RouteHealth:
        for fact in facts:
            self.minutes += 1
            self.health(fact)
        return self.health.routes["hub"]

    @property
    def states(self) -> list[tuple[State, Reason | None]]:
        return [(change.state, change.reason) for change in self.changes]


def test_a_route_begins_healthy_and_says_so() -> None:
    told: list[RouteHealth] = []

    health = Health(["hub", "queue"], lambda: NOON, told.append)

    assert told == [RouteHealth(name, State.HEALTHY, NOON) for name in ("hub", "queue")]
    assert {route.route: route for route in told} == health.routes


def test_a_route_that_delivers_at_once_stays_healthy_and_says_nothing() -> None:
    watch = Watch()

    health = watch.hear(delivered(), delivered())

    assert health.state is State.HEALTHY
    assert health.last_success == NOON + timedelta(minutes=2)
    assert watch.changes == []


def test_a_route_that_needs_retries_is_degraded_and_tells_why() -> None:
    watch = Watch()

    health = watch.hear(failed(Reason.THROTTLED), delivered(attempts=2), delivered(attempts=3))

    assert (health.state, health.reason) == (State.DEGRADED, Reason.THROTTLED)
    assert health.detail == "it was throttled"
    assert watch.states == [(State.DEGRADED, Reason.THROTTLED)]


def test_a_degraded_route_recovers_with_the_first_delivery_at_once() -> None:
    watch = Watch()

    health = watch.hear(failed(Reason.TIMEOUT), delivered(attempts=2), delivered())

    assert (health.state, health.reason, health.detail) == (State.HEALTHY, None, "")
    assert health.since == NOON + timedelta(minutes=3)


@pytest.mark.parametrize("reason", EXPECTED)
def test_what_was_tried_and_dead_lettered_tells_the_state(reason: Reason) -> None:
    watch = Watch()

    health = watch.hear(failed(reason), dead_lettered(reason))

    assert (health.state, health.reason) == (EXPECTED[reason], reason)
    assert state_for(reason) is EXPECTED[reason]
    assert health.detail == f"it was {reason}"


@pytest.mark.parametrize("reason", [reason for reason in EXPECTED if not reason.traits.retried])
def test_one_failure_that_no_retry_mends_is_enough(reason: Reason) -> None:
    """A redrive that is refused makes no new dead letters, and is all that a restart shows."""
    health = Watch().hear(failed(reason))

    assert (health.state, health.reason) == (EXPECTED[reason], reason)


def test_a_route_that_only_fails_is_not_called_degraded_for_long() -> None:
    health = Watch().hear(failed(Reason.TIMEOUT), dead_lettered(Reason.TIMEOUT, attempts=0))

    assert health.state is State.UNREACHABLE


def test_events_that_were_not_even_tried_tell_of_a_destination_known_to_be_at_fault() -> None:
    """Another route to the same destination has found out."""
    watch = Watch()
    error = DeliveryError(Reason.FORBIDDEN, "it was forbidden")

    watch.hear(replace(dead_lettered(Reason.FORBIDDEN, attempts=0), error=error))

    assert [State.REFUSED] == [change.state for change in watch.changes]


def test_events_that_only_went_behind_others_say_nothing_against_a_healthy_route() -> None:
    watch = Watch()

    watch.hear(
        failed(Reason.FORBIDDEN),
        Redriven(HUB, 5),
        dead_lettered(Reason.FORBIDDEN, attempts=0),
        Redriven(HUB, 5),
    )

    assert watch.states == [(State.REFUSED, Reason.FORBIDDEN), (State.HEALTHY, None)]


def test_events_that_go_behind_others_do_not_change_why_a_route_is_refused() -> None:
    watch = Watch()

    health = watch.hear(failed(Reason.FORBIDDEN), dead_lettered(Reason.UNAVAILABLE, attempts=0))

    assert (health.state, health.reason) == (State.REFUSED, Reason.FORBIDDEN)


def test_a_redrive_that_gets_through_in_part_only_heals_nothing() -> None:
    health = Watch().hear(failed(Reason.FORBIDDEN), Redriven(HUB, 5, left=1))

    assert health.state is State.REFUSED
    assert health.last_success == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("reason", AT_FAULT)
def test_an_event_at_fault_is_not_held_against_the_route(reason: Reason) -> None:
    watch = Watch()

    watch.hear(failed(reason), dead_lettered(reason), delivered())

    assert watch.changes == []


def test_what_concerns_no_route_changes_none() -> None:
    watch = Watch()

    watch.hear(Unrouted(3), MalformedKept([]))

    assert watch.changes == []


def test_a_state_lasts_since_it_began() -> None:
    refused = (failed(Reason.FORBIDDEN), dead_lettered(Reason.FORBIDDEN))

    health = Watch().hear(*refused, *refused, *refused)

    assert health.since == NOON + timedelta(minutes=1)


def test_routes_are_told_apart() -> None:
    watch = Watch("hub", "queue")

    watch.hear(failed(Reason.FORBIDDEN))

    assert watch.health.routes["queue"].state is State.HEALTHY


REASONS = st.sampled_from(Reason)
FACTS = st.one_of(
    st.builds(lambda attempts: delivered(attempts=attempts), st.integers(1, 3)),
    st.deferred(lambda: st.builds(failed, REASONS)),
    st.builds(lambda reason, n: dead_lettered(reason, attempts=n), REASONS, st.integers(0, 3)),
    st.builds(lambda left: Redriven(HUB, 1, left), st.integers(0, 1)),
)


@given(st.lists(FACTS))
def test_every_change_is_one_and_a_route_that_is_not_well_has_a_reason(
    facts: Sequence[Fact],
) -> None:
    watch = Watch()

    watch.hear(*facts)

    told = [(State.HEALTHY, None), *watch.states]
    assert all(before != after for before, after in pairwise(told))
    assert all((state is State.HEALTHY) is (reason is None) for state, reason in told)
    assert watch.health.routes["hub"].state is told[-1][0]


@in_virtual_time
async def test_a_refusal_is_known_again_after_a_restart_and_so_is_its_end() -> None:
    path = an_event_path(HUB)
    path.sinks["hub"].faults = always(Reason.FORBIDDEN)
    await path.delivery.settle([an_arrival(sequence=0)])
    await path.restart()
    path.facts.clear()
    watch = Watch()

    await path.delivery.settle([an_arrival(sequence=1)])
    await path.delivery.redrive()
    assert watch.hear(*path.facts).state is State.REFUSED

    path.facts.clear()
    path.sinks["hub"].faults = failing()
    await path.delivery.redrive()
    assert watch.hear(*path.facts).state is State.HEALTHY


def delivered(*, attempts: int = 1) -> Delivered:
    return Delivered(HUB, [an_arrival()], attempts)


def failed(reason: Reason) -> Failed:
    return Failed(HUB, DeliveryError(reason, f"it was {reason}"))


def dead_lettered(reason: Reason, *, attempts: int = 1) -> DeadLettered:
    letter = DeadLetter(an_arrival(an_event()), reason, f"it was {reason}", attempts, NOON)
    return DeadLettered(HUB, [letter])


# What Blob tells


def test_what_waits_in_blob_counts_in_a_process_that_has_just_begun() -> None:
    watch = Watch()
    words = "hub refused it. To mend it: az role assignment create"

    health = watch.hear(Surveyed(HUB, a_backlog(Reason.FORBIDDEN, detail=words)))

    assert (health.state, health.reason) == (State.REFUSED, Reason.FORBIDDEN)
    assert (health.detail, health.remedy) == ("hub refused it.", "az role assignment create")
    assert health.since == NOON


def test_words_that_were_cut_give_no_command_to_paste() -> None:
    words = "hub refused it. To mend it: az role assignment create".ljust(LONGEST_DETAIL, "x")

    health = Watch().hear(Surveyed(HUB, a_backlog(Reason.FORBIDDEN, detail=words)))

    assert (health.detail, health.remedy) == ("hub refused it.", "")


def test_a_route_that_delivers_while_letters_wait_is_degraded() -> None:
    watch = Watch()

    health = watch.hear(delivered(), Surveyed(HUB, a_backlog(Reason.FORBIDDEN)), delivered())

    assert (health.state, health.reason) == (State.DEGRADED, Reason.FORBIDDEN)
    assert watch.states == [(State.DEGRADED, Reason.FORBIDDEN)]


def test_a_redrive_of_all_that_waits_heals_at_once() -> None:
    watch = Watch()

    health = watch.hear(
        failed(Reason.FORBIDDEN),
        Surveyed(HUB, a_backlog(Reason.FORBIDDEN, waiting=5)),
        Redriven(HUB, 2),
        Redriven(HUB, 3),
    )

    assert health.state is State.HEALTHY
    assert [state for state, _ in watch.states] == [
        *(State.REFUSED, State.DEGRADED, State.HEALTHY)
    ]


def test_an_old_failure_counts_no_more_once_nothing_waits() -> None:
    """Another process redrove it, or a person took it away."""
    watch = Watch()
    watch.hear(failed(Reason.FORBIDDEN), Surveyed(HUB, Backlog()))
    assert watch.health.routes["hub"].state is State.REFUSED

    health = watch.hear(Surveyed(HUB, Backlog()))

    assert health.state is State.HEALTHY


def test_a_survey_that_did_not_come_to_an_end_clears_nobody() -> None:
    health = Watch().hear(failed(Reason.FORBIDDEN), Unrouted(1), Unrouted(1), NOT_WHOLE)

    assert health.state is State.REFUSED


def test_what_is_held_for_a_person_is_not_held_against_the_route() -> None:
    health = Watch().hear(Surveyed(HUB, Backlog(waiting=0, held=9)))

    assert health.state is State.HEALTHY
    assert health.backlog is not None
    assert health.backlog.held == 9


def test_a_letter_that_cannot_be_read_still_waits() -> None:
    health = Watch().hear(Surveyed(HUB, Backlog(waiting=1, oldest=NOON)))

    assert (health.state, health.reason) == (State.DEGRADED, Reason.UNKNOWN)


def test_a_refusal_is_told_with_the_command_that_mends_it() -> None:
    error = DeliveryError(Reason.FORBIDDEN, "unauthorized-access", refusal=a_refusal())

    health = Watch().hear(Failed(HUB, error))

    assert (health.detail, health.remedy) == ("it lacks the role", "az role assignment create")


# Ingresses


class Door:
    """A health that is told of tries at one ingress, a minute apart."""

    def __init__(self) -> None:
        self.minutes = 0
        self.changes: list[PlaceHealth] = []
        self.health = Health(
            ["hub"], self.now, lambda _: None, ["ingress hub"], self.changes.append
        )

    def now(self) -> datetime:
        return NOON + timedelta(minutes=self.minutes)

    def knock(self, *reasons: Reason | None) -> PlaceHealth:
        for reason in reasons:
            self.minutes += 1
            error = DeliveryError(reason, f"it is {reason}") if reason else None
            self.health(Knocked("ingress hub", error))
        return self.health.places["ingress hub"]


def test_an_ingress_that_nobody_tried_is_not_held_against_it_and_not_believed() -> None:
    places = Door().health.places

    assert places.keys() == {"ingress hub", "dead letters"}
    for place in places.values():
        assert (place.state, place.tried) == (State.HEALTHY, None)
        assert not place.is_current(NOON)


@pytest.mark.parametrize("reason", EXPECTED)
def test_an_ingress_that_fails_twice_is_in_the_state_of_a_route_that_fails_so(
    reason: Reason,
) -> None:
    ingress = Door().knock(reason, reason)

    assert (ingress.state, ingress.reason) == (EXPECTED[reason], reason)
    assert ingress.detail == f"it is {reason}"


def test_blob_has_a_state_of_its_own_and_no_route_shares_it() -> None:
    door, error = Door(), DeliveryError(Reason.FORBIDDEN, "no role", refusal=a_refusal())

    door.health(BlobLooked(error))
    refused = door.health.places["dead letters"]
    assert (refused.state, refused.detail) == (State.REFUSED, "it lacks the role")
    assert door.health.routes["hub"].state is State.HEALTHY
    assert door.health.places["ingress hub"].state is State.HEALTHY

    door.health(BlobLooked())
    assert door.health.places["dead letters"].state is State.HEALTHY
    assert [change.place for change in door.changes] == ["dead letters"] * 2


@pytest.mark.parametrize("reason", EXPECTED)
def test_one_failure_of_an_ingress_that_may_pass_is_not_called_more(reason: Reason) -> None:
    ingress = Door().knock(reason)

    expected = State.DEGRADED if reason.traits.retried else EXPECTED[reason]
    assert (ingress.state, ingress.reason) == (expected, reason)


def test_an_ingress_keeps_its_state_since_it_came_into_it_and_says_each_change_once() -> None:
    door = Door()

    refused = door.knock(None, Reason.FORBIDDEN, Reason.FORBIDDEN, Reason.FORBIDDEN)
    assert refused.since == NOON + timedelta(minutes=2)
    assert refused.tried == NOON + timedelta(minutes=4)

    mended = door.knock(None, None)
    assert (mended.state, mended.reason, mended.detail) == (State.HEALTHY, None, "")
    assert [change.state for change in door.changes] == [State.REFUSED, State.HEALTHY]


def test_a_refusal_by_an_ingress_is_told_with_the_command_that_mends_it() -> None:
    error = DeliveryError(Reason.FORBIDDEN, "unauthorized-access", refusal=a_refusal())

    told = tried(PlaceHealth("ingress hub", State.HEALTHY, NOON), error, NOON)

    assert (told.detail, told.remedy) == ("it lacks the role", "az role assignment create")


@given(st.lists(st.sampled_from([None, *EXPECTED]), min_size=1))
def test_whatever_an_ingress_answered_only_the_last_try_and_its_kind_count(
    answers: list[Reason | None],
) -> None:
    ingress = Door().knock(*answers)

    *_, last = answers
    assert ingress.reason is last
    allowed = {State.HEALTHY} if last is None else {State.DEGRADED, EXPECTED[last]}
    assert ingress.state in allowed
    assert (ingress.state is State.REFUSED) is (last is not None and last.is_refusal)
    assert ingress.since <= (ingress.tried or NOON)


def test_a_try_is_believed_as_long_as_a_survey() -> None:
    ingress = Door().knock(None)

    assert ingress.tried is not None
    assert ingress.is_current(ingress.tried + FRESH)
    assert not ingress.is_current(ingress.tried + FRESH + timedelta(seconds=1))


@in_virtual_time
async def test_a_survey_tries_each_ingress_and_tells_what_came_of_it() -> None:
    path, facts = an_event_path(HUB), list[Fact]()
    error = DeliveryError(Reason.FORBIDDEN, "no role")

    async def refused() -> None:
        raise error

    async def let_in() -> None:
        """Raise nothing."""

    async def silent() -> None:
        await asyncio.Event().wait()

    knocks = {"ingress a": refused, "ingress b": let_in, "ingress c": silent}
    await Survey([HUB], path.dead_letters, facts.append, knocks).look()

    assert Knocked("ingress a", error) in facts
    assert Knocked("ingress b") in facts
    assert counted(facts) == {"hub": 0}
    assert len(facts) == 4


NOT_WHOLE = Surveyed(HUB, Backlog(is_whole=False))


def a_backlog(reason: Reason, *, waiting: int = 1, detail: str = "it is away") -> Backlog:
    letter = DeadLetter(an_arrival(an_event()), reason, detail, 1, NOON)
    return Backlog(waiting, 0, NOON, letter)


@in_virtual_time
async def test_a_survey_tells_of_every_route_and_blob_that_fails_is_no_failure_of_it() -> None:
    queue, facts = a_route("queue"), list[Fact]()
    path = an_event_path(HUB, queue)
    path.sinks["hub"].faults = always(Reason.FORBIDDEN)
    await path.delivery.settle([an_arrival(sequence=n) for n in range(3)])
    survey = Survey([HUB, queue], path.dead_letters, facts.append)

    await survey.look()
    assert counted(facts) == {"hub": 3, "queue": 0}

    assert BlobLooked() in facts

    facts.clear()
    path.dead_letters.faults = always(Reason.TIMEOUT)
    await survey.look()
    (fact,) = facts
    assert isinstance(fact, BlobLooked)
    assert fact.error is not None
    assert fact.error.reason is Reason.TIMEOUT


@in_virtual_time
async def test_who_asks_how_routes_fare_has_blob_looked_into_once_a_minute() -> None:
    path, facts = an_event_path(HUB), list[Fact]()
    survey = Survey([HUB], path.dead_letters, facts.append)

    for _ in range(5):
        survey.look_soon()
        await asyncio.sleep(1)
    assert counted(facts) == {"hub": 0}
    assert len(facts) == 2

    await asyncio.sleep(OLD)
    survey.look_soon()
    await asyncio.sleep(1)
    assert len(facts) == 4
    await survey.close()


@in_virtual_time
async def test_a_survey_under_way_ends_with_its_process() -> None:
    path, facts = an_event_path(HUB), list[Fact]()
    path.dead_letters.latency = lambda: 100.0
    survey = Survey([HUB], path.dead_letters, facts.append)

    survey.look_soon()
    await asyncio.sleep(0)
    await survey.close()

    assert facts == []


def counted(facts: Sequence[Fact]) -> dict[str, int]:
    return {f.route.name: f.backlog.waiting for f in facts if isinstance(f, Surveyed)}


def a_refusal() -> Refusal:
    return Refusal(
        reason=Reason.FORBIDDEN,
        identity="system-assigned identity",
        client_id="",
        object_id="",
        destination="analytics/hub",
        audience="https://eventhubs.azure.net/",
        role="Azure Event Hubs Data Sender",
        role_id="2b629674-e913-4c01-ae53-ef4638d8f975",
        scope="/subscriptions/s",
        cause="it lacks the role",
        remedy="az role assignment create",
    )
