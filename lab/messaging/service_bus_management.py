"""`ENTITY/$management`: what a client asks of an entity beside sending and receiving.

Operations: https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lab.messaging.codec import Array, Int, Symbol, Timestamp, Value
from lab.messaging.entities import EntityError, NotAllowedError, Queue, SessionLockLostError
from lab.messaging.node import Reply
from lab.messaging.refusals import (
    NOT_IMPLEMENTED,
    UNAUTHORIZED,
    UNAUTHORIZED_OPERATION,
    tracking,
)
from lab.messaging.service_bus_links import SessionReceiver, refused
from lab.messaging.service_bus_messages import incoming, outgoing, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from lab.messaging.entities import Delivery, Incoming, SessionLock, Topic
    from lab.messaging.node import Claim, Peer, Request

ARGUMENT_ERROR: Final = "com.microsoft:argument-error"
ALL_SESSIONS: Final = 253_402_300_800_000
"""As `last-updated-time` (ms): every session that has messages or a state."""

MOST_PEEKED_BYTES: Final = 1024 * 1024
"""A reply to peek-message ends with the message before it would be larger."""

_PREFIX: Final = "com.microsoft:"
_AND_DELETE: Final = 0

type Body = Mapping[str, Any]
type Answered = dict[str, Any] | None
"""A reply's body; None says that there is nothing (204)."""


class Management:
    """The manager of one entity.

    Args:
        send: what scheduling needs; None where nothing can be sent.
        listen: what everything else needs; None on a topic.
        entity: the queue, subscription, sub-queue or topic.
        changed: called after each operation.
    """

    def __init__(
        self,
        send: Claim | None,
        listen: Claim | None,
        entity: Queue | Topic,
        changed: Callable[[], None],
    ) -> None:
        self._send = send
        self._listen = listen
        self._entity = entity
        self._changed = changed

    @property
    def claims(self) -> Sequence[Claim]:
        """Either right opens the links; each operation asks for its own."""
        return [claim for claim in (self._send, self._listen) if claim is not None]

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """Do one operation."""
        operation = str(request.properties.get("operation")).removeprefix(_PREFIX)
        sending = operation in SENDING
        claim = self._send if sending else self._listen
        if operation not in SENDING and operation not in RECEIVING:
            return _failed(501, NOT_IMPLEMENTED, f"There is no operation '{operation}'.")
        if claim is None:
            return _refused(NotAllowedError(f"'{operation}' is not for this entity."))
        if not peer.allows(claim):
            return _failed(401, UNAUTHORIZED, UNAUTHORIZED_OPERATION)
        return self._try(operation, request, peer)

    def _try(self, operation: str, request: Request, peer: Peer) -> Reply:
        body = request.body if isinstance(request.body, dict) else {}
        try:
            return _done(self._do(operation, body, _Holder(self._entity, request, peer)))
        except EntityError as error:
            return _refused(error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return _failed(400, ARGUMENT_ERROR, f"'{operation}' cannot be read: {error!r}")
        finally:
            self._changed()

    def _do(self, operation: str, body: Body, holder: _Holder) -> Answered:
        if operation in SENDING:
            return SENDING[operation](self._entity, body)
        if not isinstance(self._entity, Queue):
            raise NotAllowedError(f"'{operation}' is not for topics.")
        return RECEIVING[operation](self._entity, body, holder)


class _Holder:
    """Who asks, if it is a session that the request is about."""

    def __init__(self, entity: Queue | Topic, request: Request, peer: Peer) -> None:
        self._entity = entity
        self._name = request.properties.get("associated-link-name")
        self._peer = peer

    def session(self, session_id: str | None) -> SessionLock | None:
        """Return the hold on that session; None where none is asked for.

        Raises:
            SessionLockLostError: the client's link holds no such session.
        """
        if session_id is None:
            return None
        outlet = self._peer.outlet(self._name) if isinstance(self._name, str) else None
        if isinstance(outlet, SessionReceiver) and outlet.dispatcher.queue is self._entity:
            session = outlet.session
            if session is not None and session.session_id == session_id:
                return session
        raise SessionLockLostError

    def required(self, body: Body) -> SessionLock:
        """Return the hold on the session that the request must name."""
        session = self.session(body["session-id"])
        if session is None:
            raise SessionLockLostError
        return session


def _schedule(entity: Queue | Topic, body: Body) -> Answered:
    batch = [_scheduled(each) for each in body["messages"]]
    numbers = entity.schedule(batch)
    return {"sequence-numbers": Array(int, tuple(numbers))}


def _scheduled(item: Body) -> Incoming:
    return incoming(item["message"])


def _cancel(entity: Queue | Topic, body: Body) -> Answered:
    entity.cancel(_numbers(body))
    return {}


def _peek(queue: Queue, body: Body, _: _Holder) -> Answered:
    start, limit = body["from-sequence-number"], body["message-count"]
    found = queue.peek(int(start), int(limit), body.get("session-id"))
    shown = [{"message": payload} for payload in _fitting(map(outgoing, found))]
    return {"messages": shown} if shown else None


def _fitting(payloads: Iterable[bytes]) -> Iterator[bytes]:
    """Yield as many as one reply may hold, but at least one."""
    room = MOST_PEEKED_BYTES
    for payload in payloads:
        if room < len(payload) and room < MOST_PEEKED_BYTES:
            return
        room -= len(payload)
        yield payload


def _renew_lock(queue: Queue, body: Body, _: _Holder) -> Answered:
    ends = tuple(timestamp(queue.renew(token)) for token in _tokens(body))
    return {"expirations": Array(Timestamp, ends)}


def _renew_session(queue: Queue, body: Body, holder: _Holder) -> Answered:
    return {"expiration": timestamp(queue.renew_session(holder.required(body)))}


def _get_state(queue: Queue, body: Body, holder: _Holder) -> Answered:
    return {"session-state": queue.session_state(holder.required(body))}


def _set_state(queue: Queue, body: Body, holder: _Holder) -> Answered:
    queue.set_session_state(holder.required(body), body.get("session-state"))
    return {}


def _list_sessions(queue: Queue, body: Body, _: _Holder) -> Answered:
    since, skip, top = body["last-updated-time"], int(body["skip"]), int(body["top"])
    every = since >= ALL_SESSIONS
    found = queue.sessions() if every else queue.sessions_with_state(since / 1000)
    page = found[skip : skip + top]
    if not page:
        return None
    return {"sessions-ids": Array(str, tuple(page)), "skip": Int(skip + len(page))}


def _receive_deferred(queue: Queue, body: Body, holder: _Holder) -> Answered:
    session = holder.session(body.get("session-id"))
    deleting = body["receiver-settle-mode"] == _AND_DELETE
    receive = queue.take_deferred if deleting else queue.receive_deferred
    found = receive(_numbers(body), session)
    return {"messages": [_lent(delivery, session) for delivery in found]} if found else None


def _lent(delivery: Delivery, session: SessionLock | None) -> dict[str, Value]:
    until = None if session else delivery.locked_until
    message: dict[str, Value] = {"message": outgoing(delivery.message, until)}
    return message if delivery.token is None else message | {"lock-token": delivery.token}


def _settle(queue: Queue, body: Body, _: _Holder) -> Answered:
    status = body["disposition-status"]
    for token in _tokens(body):
        if status == "suspended":
            reason, description = (
                body.get("deadletter-reason"),
                body.get("deadletter-description"),
            )
            queue.dead_letter(token, reason or None, description or None)
        else:
            DISPOSITIONS[status](queue, token)
    return {}


def _numbers(body: Body) -> tuple[int, ...]:
    return tuple(int(number) for number in body["sequence-numbers"].items)


def _tokens(body: Body) -> tuple[UUID, ...]:
    return tuple(body["lock-tokens"].items)


SENDING: Final[Mapping[str, Callable[[Queue | Topic, Body], Answered]]] = {
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
}

RECEIVING: Final[Mapping[str, Callable[[Queue, Body, _Holder], Answered]]] = {
    "peek-message": _peek,
    "renew-lock": _renew_lock,
    "renew-session-lock": _renew_session,
    "get-session-state": _get_state,
    "set-session-state": _set_state,
    "get-message-sessions": _list_sessions,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _settle,
}

DISPOSITIONS: Final[Mapping[str, Callable[[Queue, UUID], None]]] = {
    "completed": Queue.complete,
    "abandoned": Queue.abandon,
    "defered": Queue.defer,  # the protocol's own spelling
}


def _done(body: Answered) -> Reply:
    if body is None:
        return Reply({"statusCode": Int(204), "statusDescription": "No Content"})
    return Reply({"statusCode": Int(200), "statusDescription": "OK"}, body)


def _refused(error: EntityError) -> Reply:
    words = refused(error)
    return _failed(error.status, words.condition, words.description)


def _failed(status: int, condition: str, text: str) -> Reply:
    tail = "" if "TrackingId" in text else f" {tracking('gateway7')}"
    return Reply(
        {
            "statusCode": Int(status),
            "statusDescription": text + tail,
            "errorCondition": Symbol(condition),
        }
    )
