"""What a client's links to Service Bus do: send, receive, receive a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from lab.messaging.codec import CodecError, Described, Value
from lab.messaging.entities import EntityError, SessionLockLostError
from lab.messaging.message import split_batch
from lab.messaging.node import (
    BATCH_FORMAT,
    Accepted,
    Answer,
    Error,
    Modified,
    Outcome,
    Refusal,
    Rejected,
    Released,
)
from lab.messaging.refusals import DECODE_ERROR, no_session, tracking
from lab.messaging.service_bus_messages import DESCRIPTION, REASON, incoming, outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.messaging.entities import Delivery as Handed
    from lab.messaging.entities import Incoming, SessionLock
    from lab.messaging.node import Claim, Delivery, Link, LinkRequest, OutgoingLink
    from lab.messaging.service_bus_dispatcher import Dispatcher

SESSION_FILTER: Final = "com.microsoft:session-filter"
LOCKED_UNTIL: Final = "com.microsoft:locked-until-utc"
OPERATION_TIMEOUT: Final = "com.microsoft:timeout"
BATCH_LIMIT: Final = "com.microsoft:max-message-batch-size"
SESSION_WAIT_SECONDS: Final = 65.0
"""How long Azure holds an attach that asks for the next session, unless it says so itself."""

_SETTLED: Final = 1
_TICKS_TO_1970: Final = 621_355_968_000_000_000


def refused(error: EntityError) -> Error:
    """Put an entity's refusal into the words of the wire."""
    return Error(error.condition, f"{error.text} {tracking('gateway7')}")


def ticks(seconds: float) -> int:
    """Return an epoch time as .NET counts it: units of 100 ns since the year 1."""
    return round(seconds * 1e7) + _TICKS_TO_1970


class Target(Protocol):
    """A queue or a topic, as a sender sees it."""

    def send(self, batch: Sequence[Incoming]) -> None:
        """Take a batch, all or nothing."""


class Sender:
    """A link that sends to a queue or a topic.

    Args:
        claims: what it needs.
        target: where the messages go.
        sent: called when some went there.
        limit: the largest message or batch, bytes.
        check: refuses a batch that can't be taken as one.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        target: Target,
        sent: Callable[[], None],
        limit: int,
        check: Callable[[Sequence[Incoming]], None] = lambda _: None,
    ) -> None:
        self.claims = claims
        self._target = target
        self._sent = sent
        self._limit = limit
        self._check = check

    async def open(self, _link: Link) -> Answer:
        """Tell the limits."""
        return Answer({BATCH_LIMIT: self._limit}, max_message_size=self._limit)

    def take(self, delivery: Delivery) -> None:
        """Store a message or a batch as a whole, or reject it as a whole."""
        batched = delivery.message_format == BATCH_FORMAT
        try:
            payloads = split_batch(delivery.payload) if batched else [delivery.payload]
            batch = [incoming(payload) for payload in payloads]
            if batched:
                self._check(batch)
            self._target.send(batch)
        except EntityError as error:
            delivery.reject(refused(error))
        except CodecError as error:
            delivery.reject(Error(DECODE_ERROR, str(error)))
        else:
            delivery.accept()
            self._sent()

    def closed(self) -> None:
        """Nothing is kept for a sender."""


class Receiver:
    """A link that receives from a queue, a subscription or a dead-letter sub-queue."""

    session: SessionLock | None = None

    def __init__(
        self, claims: Sequence[Claim], dispatcher: Dispatcher, request: LinkRequest
    ) -> None:
        self.claims = claims
        self.dispatcher = dispatcher
        self._queue = dispatcher.queue
        self._request = request
        self._link: OutgoingLink | None = None

    async def open(self, link: OutgoingLink) -> Answer:
        """Join those who are served."""
        if self._queue.rules.session:
            raise Refusal(_kind(self._queue.name, "requires sessions: accept one"))
        self._join(link)
        return Answer()

    def credit(self) -> None:
        """Serve at once: a client that drains takes its credit back afterwards."""
        self.dispatcher.serve()

    def feed(self) -> bool:
        """Take one message if there is credit and a message."""
        if self._link is None or not self._link.credit:
            return False
        deleting = self._request.send_mode == _SETTLED
        receive = self._queue.take if deleting else self._queue.receive
        handed = receive(1, self.session)
        for each in handed:
            self._send(self._link, each)
        return bool(handed)

    def check(self) -> None:
        """Nothing but a session can be lost."""

    def settled(self, tag: bytes, outcome: Outcome, *, settled: bool) -> None:
        """Do with a message what the client says, and tell it the same again."""
        answer = self._settle(tag, outcome)
        if not settled and self._link is not None:
            self._link.dispose(tag, answer)
        self.dispatcher.wake()

    def closed(self) -> None:
        """Stop; locks last until they expire, as a client may settle by `$management`."""
        self.dispatcher.leave(self)
        self._link = None

    def _join(self, link: OutgoingLink) -> None:
        self._link = link
        self.dispatcher.join(self)

    def _send(self, link: OutgoingLink, handed: Handed) -> None:
        until = None if self.session else handed.locked_until
        payload = outgoing(handed.message, until)
        if handed.token is None:
            link.send(payload)
        else:
            link.send(payload, handed.token.bytes_le, settled=False)

    def _settle(self, tag: bytes, outcome: Outcome) -> Outcome:
        try:
            self._apply(UUID(bytes_le=tag), outcome)
        except EntityError as error:
            return Rejected(refused(error))
        return Rejected() if isinstance(outcome, Rejected) else outcome

    def _apply(self, token: UUID, outcome: Outcome) -> None:
        match outcome:
            case Accepted():
                self._queue.complete(token)
            case Released():
                self._queue.release(token)
            case Modified(undeliverable_here=True):
                self._queue.defer(token)
            case Modified():
                self._queue.abandon(token)
            case Rejected(error):
                self._queue.dead_letter(token, *_why(error))


class SessionReceiver(Receiver):
    """A link that holds one session."""

    async def open(self, link: OutgoingLink) -> Answer:
        """Hold the session that was named, or wait for the next."""
        self.session = session = await self._accept()
        self._join(link)
        return Answer(
            {LOCKED_UNTIL: ticks(session.until)}, {SESSION_FILTER: session.session_id}
        )

    def feed(self) -> bool:
        """Take one of the session's messages; `check` ends a link whose session is lost."""
        try:
            return super().feed()
        except SessionLockLostError:
            return False

    def check(self) -> None:
        """End the link if its session is lost."""
        if self.session and self._link and not self._queue.holds(self.session):
            self._link.detach(refused(SessionLockLostError()))

    def closed(self) -> None:
        """Let the session go, with what was received of it and not settled."""
        super().closed()
        if self.session is not None:
            self._queue.leave_session(self.session)

    async def _accept(self) -> SessionLock:
        asked = self._request.filters[SESSION_FILTER]
        wanted = asked.value if isinstance(asked, Described) else asked
        seconds = self._wait_seconds()
        try:
            if isinstance(wanted, str):
                return self._queue.accept_session(wanted)
            return await self.dispatcher.next_session(seconds)
        except EntityError as error:
            raise Refusal(refused(error)) from error
        except TimeoutError as error:
            raise Refusal(no_session(_clock_time(seconds))) from error

    def _wait_seconds(self) -> float:
        milliseconds = self._request.properties.get(OPERATION_TIMEOUT)
        if isinstance(milliseconds, int):
            return milliseconds / 1000
        return SESSION_WAIT_SECONDS


def _kind(name: str, why: str) -> Error:
    return Error(
        "amqp:not-allowed",
        f"It is not possible for this receiver to be created on '{name}', which {why}. "
        f"{tracking('gateway7')}",
    )


def _why(error: Error | None) -> tuple[str | None, str | None]:
    """Return reason and description of a dead-lettering."""
    if error is None:
        return None, None
    info = error.info or {}
    return _text(info.get(REASON)), _text(info.get(DESCRIPTION) or error.description)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None


def _clock_time(seconds: float) -> str:
    """Return a duration as Azure writes it: 00:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"
