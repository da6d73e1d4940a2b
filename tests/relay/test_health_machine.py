"""The states of a route, whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from relay.dead_letters import Backlog, DeadLetter
from relay.failures import DeliveryError, Reason
from relay.health import CURRENT, FRESH, SETTLING, Health, RouteHealth, State, state_for
from relay.observer import DeadLettered, Delivered, Fact, Failed, Redriven, Sent, Surveyed
from tests.fakes import NOON, a_route, an_arrival

HUB = a_route("hub")
OTHERS = [reason for reason in Reason if not reason.traits.isolates_event]
FINAL = [reason for reason in OTHERS if not reason.traits.retried]


class Machine(RuleBasedStateMachine):
    """A process that hears facts, over a Blob storage that other processes use as well."""

    @initialize()
    def begin(self) -> None:
        self.now = NOON
        self.changes: list[RouteHealth] = []
        self.health = Health(["hub", "queue"], lambda: self.now, self.changes.append)
        self.before = self.route

    @property
    def route(self) -> RouteHealth:
        return self.health.routes["hub"]

    def hear(self, fact: Fact) -> None:
        self.before = self.route
        self.health(fact)

    @rule(seconds=st.integers(0, 900))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.before = self.route

    @rule(attempts=st.integers(1, 3))
    def deliver(self, attempts: int) -> None:
        self.hear(Sent(HUB, [an_arrival()], 0.1))
        self.hear(Delivered(HUB, [an_arrival()], attempts))

        assert self.route.last_success == self.now
        assert self.route.state in {State.HEALTHY, State.DEGRADED}
        if attempts == 1 and not self.route.is_behind(self.now):
            assert self.route.state is State.HEALTHY

    @rule(reason=st.sampled_from(Reason))
    def fail(self, reason: Reason) -> None:
        self.hear(Failed(HUB, DeliveryError(reason, f"it was {reason}")))

        if reason in FINAL:
            assert (self.route.state, self.route.reason) == (state_for(reason), reason)
        elif reason.traits.isolates_event:
            assert self.route.state is self.before.state
        else:
            assert self.route.state is not State.HEALTHY

    @rule(reason=st.sampled_from(Reason), attempts=st.integers(0, 2))
    def dead_letter(self, reason: Reason, attempts: int) -> None:
        self.hear(DeadLettered(HUB, [a_letter(reason, self.now, attempts)]))

    @rule(count=st.integers(1, 5), left=st.integers(0, 1))
    def redrive(self, count: int, left: int) -> None:
        self.hear(Redriven(HUB, count, left))

        assert self.route.last_success == self.now

    @rule(
        waiting=st.integers(0, 9),
        reason=st.sampled_from(OTHERS),
        minutes=st.integers(0, 60),
        is_whole=st.booleans(),
    )
    def survey(self, waiting: int, reason: Reason, minutes: int, *, is_whole: bool) -> None:
        given_up = self.now - timedelta(minutes=minutes)
        first = a_letter(reason, given_up, 1) if waiting else None
        backlog = Backlog(waiting, 0, given_up if waiting else None, first, is_whole)
        self.hear(Surveyed(HUB, backlog))

        failed = self.before.last_failure
        if waiting:
            assert self.route.state is not State.HEALTHY
        elif is_whole and (failed is None or self.now - failed > SETTLING):
            assert self.route.state is State.HEALTHY
        else:
            assert self.route.state is self.before.state

    @rule(reason=st.sampled_from(OTHERS))
    def another_process_begins(self, reason: Reason) -> None:
        """It knows from Blob alone what this one may have seen."""
        fresh = Health(["hub"], lambda: self.now, lambda _: None)
        letter = a_letter(reason, self.now, 1)

        fresh(Surveyed(HUB, Backlog(1, 0, self.now, letter)))

        route = fresh.routes["hub"]
        assert (route.state, route.reason) == (state_for(reason), reason)
        assert route.is_current(self.now)

    @invariant()
    def has_a_reason_unless_it_is_healthy(self) -> None:
        assert (self.route.reason is None) is (self.route.state is State.HEALTHY)

    @invariant()
    def changes_are_told_once_each(self) -> None:
        told = [(c.state, c.reason) for c in self.changes if c.route == "hub"]
        assert all(one != next_ for one, next_ in pairwise(told))
        assert told[-1] == (self.route.state, self.route.reason)

    @invariant()
    def is_in_a_state_since_it_entered_it(self) -> None:
        assert self.route.since <= self.now
        same = (self.before.state, self.before.reason)
        if same == (self.route.state, self.route.reason):
            assert self.route.since == self.before.since

    @invariant()
    def is_current_while_something_is_heard_of_it(self) -> None:
        heard = self.route.heard or self.route.since
        if self.now - heard <= CURRENT:
            assert self.route.is_current(self.now)
        if self.now - heard > CURRENT + FRESH and self.route.state is not State.HEALTHY:
            assert not self.route.is_current(self.now)

    @invariant()
    def is_told_apart_from_other_routes(self) -> None:
        assert self.health.routes["queue"].state is State.HEALTHY


def a_letter(reason: Reason, time: datetime, attempts: int) -> DeadLetter:
    return replace(
        DeadLetter(an_arrival(), reason, f"it was {reason}", attempts, NOON), time=time
    )


TestTheStatesOfARoute = Machine.TestCase
TestTheStatesOfARoute.settings = settings(max_examples=60, stateful_step_count=30)
