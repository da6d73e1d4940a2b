"""A Service Bus namespace: which entities it has, and what a link to each of them needs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from lab.messaging import model
from lab.messaging.entities import Queue, Rules, Topic
from lab.messaging.entities.partitioning import check_batch
from lab.messaging.entities.queue import DEAD_LETTERS
from lab.messaging.node import Claim, Error, Refusal, Right
from lab.messaging.refusals import NOT_ALLOWED, not_found, tracking
from lab.messaging.service_bus_dispatcher import Alarm, Dispatcher
from lab.messaging.service_bus_links import SESSION_FILTER, Receiver, Sender, SessionReceiver
from lab.messaging.service_bus_management import Management

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lab.messaging.entities import Incoming
    from lab.messaging.node import LinkRequest

_MANAGEMENT: Final = "/$management"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an entity is found.

    Attributes:
        path: as it is configured; compared without case.
        scope: its Azure Resource Manager id.
    """

    path: str
    scope: str

    def claim(self, right: Right) -> Claim:
        """Return what a link with this right needs."""
        return Claim(right, self.path, self.scope)


@dataclass(frozen=True, slots=True)
class ServedTopic:
    """A topic and the alarm for what is scheduled on it.

    Attributes:
        limit: the largest message or batch it takes, bytes.
    """

    address: Address
    topic: Topic
    limit: int
    alarm: Alarm

    def changed(self) -> None:
        """Something may be due earlier than it was."""
        self.alarm.set()

    def counts(self) -> dict[str, int]:
        """Return what it holds."""
        return self.topic.counts()

    def sender(self) -> Sender:
        """Return what sends to it."""
        claims = [self.address.claim(Right.SEND)]
        return Sender(claims, self.topic, self.changed, self.limit)

    def receiver(self, _request: LinkRequest) -> Receiver:
        """Refuse: a topic is received through its subscriptions."""
        raise Refusal(_not_for(self.address.path, "receive from one of its subscriptions"))

    def manager(self) -> Management:
        """Return its manager."""
        return Management(self.address.claim(Right.SEND), None, self.topic, self.changed)

    def close(self) -> None:
        """Cancel every timer."""
        self.alarm.stop()


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """A queue, subscription or dead-letter sub-queue with its dispatcher.

    Attributes:
        limit: the largest message or batch it takes, bytes; 0 where nobody may send.
        check: refuses a batch that it can't take as one.
    """

    address: Address
    dispatcher: Dispatcher
    limit: int
    check: Callable[[Sequence[Incoming]], None] = lambda _: None

    def changed(self) -> None:
        """Something may be there to receive, or be due earlier than it was."""
        self.dispatcher.wake()

    def counts(self) -> dict[str, int]:
        """Return what it holds, and how many links receive from it."""
        return self.dispatcher.queue.counts() | {"receivers": self.dispatcher.links}

    def sender(self) -> Sender:
        """Return what sends to it."""
        if not self.limit:
            raise Refusal(_not_for(self.address.path, "nothing can be sent to it"))
        claims = [self.address.claim(Right.SEND)]
        return Sender(claims, self.dispatcher.queue, self.changed, self.limit, self.check)

    def receiver(self, request: LinkRequest) -> Receiver:
        """Return what receives from it, or one of its sessions."""
        claims = [self.address.claim(Right.LISTEN)]
        kind = SessionReceiver if SESSION_FILTER in request.filters else Receiver
        return kind(claims, self.dispatcher, request)

    def manager(self) -> Management:
        """Return its manager."""
        send = self.address.claim(Right.SEND) if self.limit else None
        listen = self.address.claim(Right.LISTEN)
        return Management(send, listen, self.dispatcher.queue, self.changed)

    def close(self) -> None:
        """Cancel every timer."""
        self.dispatcher.close()


type Served = ServedQueue | ServedTopic


class ServiceBus:
    """The nodes of one Service Bus namespace."""

    def __init__(
        self, namespace: model.Namespace, clock: Callable[[], float] = time.time
    ) -> None:
        self._namespace = namespace
        self._clock = clock
        self._served = {
            served.address.path.lower(): served
            for entity in namespace.entities
            for served in self._serve(entity)
        }

    def intake(self, request: LinkRequest) -> Sender:
        """Return where this link's messages go; raises `Refusal`."""
        return self._find(request.path).sender()

    def outlet(self, request: LinkRequest) -> Receiver:
        """Return where this link's messages come from; raises `Refusal`."""
        return self._find(request.path).receiver(request)

    def manager(self, path: str) -> Management:
        """Return the manager of the entity at `ENTITY/$management`; raises `Refusal`."""
        return self._find(path[: -len(_MANAGEMENT)]).manager()

    def state(self) -> Mapping[str, object]:
        """Return counts by the entities' paths."""
        return {served.address.path: served.counts() for served in self._served.values()}

    def close(self) -> None:
        """Cancel every timer."""
        for served in self._served.values():
            served.close()

    def _find(self, path: str) -> Served:
        served = self._served.get(path.lower())
        if served is None:
            raise Refusal(not_found(self._namespace.address, path, "servicebus"))
        return served

    def _serve(self, entity: model.Entity) -> Iterator[Served]:
        match entity:
            case model.Queue():
                address = Address(entity.name, self._namespace.scope("queues", entity.name))
                queue = self._queue(entity, address, entity.duplicate_detection_seconds, 0)
                yield from self._with_dead_letters(
                    address, queue, entity.max_message_bytes, _check(entity)
                )
            case model.Topic():
                yield from self._serve_topic(entity)
            case model.Hub():
                raise ValueError(f"'{entity.name}' is an event hub: no entity of Service Bus")

    def _serve_topic(self, entity: model.Topic) -> Iterator[Served]:
        queues = {}
        for below in entity.subscriptions:
            scope = self._namespace.scope("topics", entity.name, "subscriptions", below.name)
            address = Address(f"{entity.name}/Subscriptions/{below.name}", scope)
            queues[below.name] = self._queue(below, address, 0, entity.default_ttl_seconds)
            yield from self._with_dead_letters(address, queues[below.name], 0)
        topic = Topic(entity.name, entity.duplicate_detection_seconds, self._clock, queues)
        address = Address(entity.name, self._namespace.scope("topics", entity.name))
        alarm = Alarm(self._clock, topic.next_due, topic.advance)
        yield ServedTopic(address, topic, entity.max_message_bytes, alarm)

    def _queue(
        self,
        entity: model.Queue | model.Subscription,
        address: Address,
        window: float,
        topic_ttl: float,
    ) -> Queue:
        lives = [ttl for ttl in (entity.default_ttl_seconds, topic_ttl) if ttl]
        rules = Rules(
            session=entity.session,
            lock_seconds=entity.lock_seconds,
            max_delivery_count=entity.max_delivery_count,
            duplicate_detection_seconds=window,
            ttl_seconds=min(lives, default=None),
            dead_letter_expired=entity.dead_letter_expired,
        )
        return Queue.with_dead_letters(address.path, rules, self._clock, entity.max_size_bytes)

    def _with_dead_letters(
        self,
        address: Address,
        queue: Queue,
        limit: int,
        check: Callable[[Sequence[Incoming]], None] = lambda _: None,
    ) -> Iterator[ServedQueue]:
        yield ServedQueue(address, Dispatcher(queue, self._clock), limit, check)
        if queue.dead_letters is not None:
            below = Address(f"{address.path}/{DEAD_LETTERS}", address.scope)
            yield ServedQueue(below, Dispatcher(queue.dead_letters, self._clock), 0)


def _check(entity: model.Queue) -> Callable[[Sequence[Incoming]], None]:
    if not entity.partitioned:
        return lambda _: None
    return partial(check_batch, detects_duplicates=entity.duplicate_detection_seconds > 0)


def _not_for(path: str, why: str) -> Error:
    return Error(
        NOT_ALLOWED, f"This link cannot be attached to '{path}': {why}. {tracking('gateway5')}"
    )
