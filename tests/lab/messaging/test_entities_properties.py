"""Whatever senders, receivers and time do, each message is in exactly one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lab.messaging.entities import (
    Delivery,
    Incoming,
    NoSessionError,
    Queue,
    Rules,
    SessionLock,
    State,
)
from lab.messaging.entities.agenda import Agenda

LOCK_SECONDS = 30
MAX_DELIVERIES = 3


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Held:
    """A delivery, as a receiver remembers it."""

    delivery: Delivery
    token: UUID
    until: float
    session: SessionLock | None
    queue: Queue

    @property
    def body(self) -> bytes:
        return self.delivery.message.incoming.sections


@dataclass
class Ledger:
    """What must be true, kept by much simpler means."""

    sent: set[bytes] = field(default_factory=set)
    gone: set[bytes] = field(default_factory=set)
    failures: dict[bytes, int] = field(default_factory=dict)


class QueueMachine(RuleBasedStateMachine):
    session_ids: tuple[str, ...] = ()

    @initialize(dead_letter_expired=st.booleans())
    def start(self, dead_letter_expired: bool) -> None:
        self.clock = Clock()
        self.expiring = not dead_letter_expired
        rules = Rules(
            session=bool(self.session_ids),
            lock_seconds=LOCK_SECONDS,
            max_delivery_count=MAX_DELIVERIES,
            dead_letter_expired=dead_letter_expired,
        )
        self.queue = Queue.with_dead_letters("q", rules, self.clock, 1 << 30)
        self.ledger = Ledger()
        self.held: list[Held] = []
        self.sessions: list[SessionLock] = []
        self.mortal: dict[bytes, float] = {}
        self.names = count()

    @property
    def below(self) -> Queue:
        assert self.queue.dead_letters is not None
        return self.queue.dead_letters

    # What people do

    @rule(
        amount=st.integers(1, 4),
        which=st.integers(0, 2),
        ttl=st.none() | st.integers(1, 100),
        delay=st.none() | st.integers(1, 60),
    )
    def send(self, amount: int, which: int, ttl: int | None, delay: int | None) -> None:
        session_id = self.session_ids[which] if self.session_ids else None
        due = None if delay is None else self.clock.now + delay
        batch = [
            Incoming(b"%d" % next(self.names), None, session_id, ttl, due)
            for _ in range(amount)
        ]
        self.queue.send(batch)
        for incoming in batch:
            self.ledger.sent.add(incoming.sections)
            if ttl is not None:
                self.mortal[incoming.sections] = (due or self.clock.now) + ttl

    @precondition(lambda self: self.session_ids)
    @rule()
    def accept_a_session(self) -> None:
        try:
            lock = self.queue.accept_session()
        except NoSessionError:
            return
        self.sessions = [other for other in self.sessions if self.queue.holds(other)]

        assert all(other.session_id != lock.session_id for other in self.sessions)
        self.sessions.append(lock)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def leave_a_session(self, data: st.DataObject) -> None:
        lock = data.draw(st.sampled_from(self.sessions))
        self.settle_expired()
        self.queue.leave_session(lock)
        self.sessions.remove(lock)
        self.held = [held for held in self.held if held.session is not lock]

    @rule(data=st.data(), limit=st.integers(1, 5), below=st.booleans())
    def receive(self, data: st.DataObject, limit: int, below: bool) -> None:
        self.settle_expired()
        queue = self.below if below else self.queue
        lock = None
        if queue.rules.session:
            self.sessions = [other for other in self.sessions if self.queue.holds(other)]
            if not self.sessions:
                return
            lock = data.draw(st.sampled_from(self.sessions))
        deliveries = queue.receive(limit, lock)
        numbers = [delivery.message.sequence_number for delivery in deliveries]
        locked = {held.body for held in self.held}

        assert len(deliveries) <= limit
        assert below or sorted(numbers) == numbers
        for delivery in deliveries:
            self.take_delivery(delivery, lock, queue, locked)

    def take_delivery(
        self, delivery: Delivery, lock: SessionLock | None, queue: Queue, locked: set[bytes]
    ) -> None:
        message = delivery.message
        body = message.incoming.sections

        assert body not in locked
        assert body not in self.ledger.gone
        assert self.ledger.failures.get(body, 0) == message.delivery_count
        if lock is not None:
            assert lock.session_id == message.incoming.session_id
        assert delivery.token is not None
        assert delivery.locked_until is not None
        self.held.append(Held(delivery, delivery.token, delivery.locked_until, lock, queue))

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        how=st.sampled_from(["complete", "abandon", "release", "defer", "dead_letter"]),
    )
    def settle(self, data: st.DataObject, how: str) -> None:
        self.settle_expired()
        if not self.held:
            return
        held = data.draw(st.sampled_from(self.held))
        if how == "dead_letter" and held.queue is self.below:
            return
        self.held.remove(held)
        getattr(held.queue, how)(held.token)
        if how == "complete":
            self.ledger.gone.add(held.body)
        if how == "abandon":
            self.fail(held)

    @rule(seconds=st.integers(1, 40))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.now += seconds
        self.settle_expired()

    # What must follow

    def settle_expired(self) -> None:
        """Forget what the clock has taken away, failing it as the queue must."""
        for held in tuple(self.held):
            until = held.until if held.session is None else held.session.until
            if until <= self.clock.now:
                self.held.remove(held)
                self.fail(held)

    def fail(self, held: Held) -> None:
        self.ledger.failures[held.body] = self.ledger.failures.get(held.body, 0) + 1

    @invariant()
    def every_message_is_in_exactly_one_place(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.settle_expired()
        here = [m.incoming.sections for m in self.queue.peek(1, 10_000)]
        there = [m.incoming.sections for m in self.below.peek(1, 10_000)]
        places = [*here, *there]
        missing = self.ledger.sent - self.ledger.gone - set(places)

        assert len(set(places)) == len(places)
        assert not set(places) & self.ledger.gone
        assert all(self.expiring and self.mortal[body] <= self.clock.now for body in missing)
        self.ledger.gone |= missing

    @invariant()
    def what_is_held_is_still_there(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.settle_expired()
        bodies = [held.body for held in self.held]

        assert len(set(bodies)) == len(bodies)
        assert self.queue.counts()["locked"] + self.below.counts()["locked"] == len(bodies)

    @invariant()
    def nothing_stays_that_failed_too_often(self) -> None:
        if not hasattr(self, "queue"):
            return
        for message in self.queue.peek(1, 10_000):
            assert message.delivery_count < MAX_DELIVERIES

    @invariant()
    def the_charge_is_what_the_messages_weigh(self) -> None:
        if not hasattr(self, "queue"):
            return
        messages = [*self.queue.peek(1, 10_000), *self.below.peek(1, 10_000)]

        assert self.queue.quota.used == sum(message.incoming.size for message in messages)

    def teardown(self) -> None:
        """When all locks have ended, what is left can all be received: nothing is stuck."""
        if not hasattr(self, "queue"):
            return
        self.clock.now += 10_000
        self.queue.advance()
        left = self.queue.counts()
        active = left["active"]
        taken = 0
        if self.session_ids:
            for session_id in self.session_ids:
                lock = self.queue.accept_session(session_id)
                taken += len(self.queue.take(10_000, lock))
        else:
            taken = len(self.queue.take(10_000))

        assert (0, 0) == (left["locked"], left["scheduled"])
        assert active == taken
        assert all(m.state is State.DEFERRED for m in self.queue.peek(1, 10_000))


class SessionQueueMachine(QueueMachine):
    session_ids = ("a", "b", "c")


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSessionQueue = SessionQueueMachine.TestCase
TestSessionQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "discard", "pop", "due"]), st.integers(0, 20)),
        max_size=300,
    )
)
def test_an_agenda_yields_what_a_sorted_list_would(steps: list[tuple[str, int]]) -> None:
    agenda: Agenda[int] = Agenda()
    model: dict[int, tuple[int, int]] = {}
    for turn, (step, number) in enumerate(steps):
        ordered = sorted(model, key=model.__getitem__)
        if step == "put":
            agenda.put(number, number % 5)
            model[number] = (number % 5, turn)
        elif step == "discard":
            agenda.discard(number)
            model.pop(number, None)
        elif step == "pop":
            assert (ordered[0] if ordered else None) == agenda.pop()
            model.pop(ordered[0] if ordered else -1, None)
        else:
            due = [item for item in ordered if model[item][0] <= number % 5]
            assert due == list(agenda.due(number % 5))
            for item in due:
                del model[item]
        assert len(model) == len(agenda)


@given(st.integers(200, 2000))
def test_an_agenda_forgets_what_is_struck_out(amount: int) -> None:
    agenda: Agenda[int] = Agenda()
    for item in range(amount):
        agenda.put(item, item)
        agenda.discard(item - 10)

    assert len(agenda._heap) <= 2 * len(agenda) + 66
