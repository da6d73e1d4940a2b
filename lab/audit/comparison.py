"""Compare what the ingress holds with what the destinations hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from lab.audit.observation import Observed, Received, is_binary, observe
from lab.audit.report import Alteration, Report, RouteReport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from lab.audit.observation import Key

_UNREADABLE: Final = ("", "unreadable")
_MESSAGE_ID_LIMIT: Final = 128


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a route should deliver, said in Python and not in the relay's filter language.

    Attributes:
        route: the route's name.
        wants: whether the route wants an event.
        ordered: whether it promises order per lane and twin.
        moves: whether a twin's events may have gone on to another stream, since the
            destination's partitions changed.
    """

    route: str
    wants: Callable[[Observed], bool]
    ordered: bool = True
    moves: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    """An event in the ingress: in which lane, at which place, how often."""

    event: Observed
    lane: str
    position: int


def audit(
    ingress: Sequence[Received],
    arrived: Mapping[str, Sequence[Received]],
    expectations: Sequence[Expectation],
    dead_letters: Mapping[str, Collection[Key]] | None = None,
) -> Report:
    """Compare the ingress with each route's destination.

    Args:
        ingress: every message of the ingress; each `stream` in its order.
        arrived: by route, every message of its destination; each `stream` in its order.
        expectations: what each route wants.
        dead_letters: by route, what is kept as a dead letter and so is not lost.
    """
    events = [(message, observe(message)) for message in ingress]
    sent = [
        _Sent(event, message.stream, position)
        for position, (message, event) in enumerate(events)
        if event is not None
    ]
    kept = dead_letters or {}
    return Report(
        sent=len(ingress),
        malformed=len(ingress) - len(sent),
        routes=tuple(
            _audit_route(sent, arrived.get(e.route, ()), e, kept.get(e.route, ()))
            for e in expectations
        ),
    )


def _audit_route(
    sent: Sequence[_Sent],
    arrived: Sequence[Received],
    expectation: Expectation,
    kept: Collection[Key],
) -> RouteReport:
    wanted = [one for one in sent if expectation.wants(one.event)]
    copies = Counter(one.event.key for one in wanted)
    first = {one.event.key: one for one in reversed(wanted)}
    read = [(message, observe(message)) for message in arrived]
    known = [
        (message, first[event.key])
        for message, event in read
        if event is not None and event.key in first
    ]
    delivered = Counter(one.event.key for _, one in known)
    absent = [key for key in copies if key not in delivered]
    return RouteReport(
        route=expectation.route,
        expected=len(copies),
        delivered=len(delivered),
        dead_lettered=sum(key in kept for key in absent),
        lost=tuple(key for key in absent if key not in kept),
        unexpected=tuple(
            event.key if event else _UNREADABLE
            for _, event in read
            if event is None or event.key not in first
        ),
        duplicated=tuple(key for key, count in delivered.items() if count > copies[key]),
        out_of_order=tuple(_disorder(known, expectation)),
        altered=tuple(_altered(known)),
    )


def _disorder(
    arrivals: Sequence[tuple[Received, _Sent]], expectation: Expectation
) -> Iterator[Key]:
    if not expectation.ordered:
        return iter(())
    return _out_of_time(arrivals) if expectation.moves else _out_of_order(arrivals)


def _out_of_time(arrivals: Sequence[tuple[Received, _Sent]]) -> Iterator[Key]:
    """Yield what came after a later event of its lane and twin, on whatever streams.

    Across streams the times of arrival tell, which are those of one clock; where they are the
    same, nothing does.
    """
    came: defaultdict[tuple[str, str], list[tuple[float, str, int]]] = defaultdict(list)
    seen: set[Key] = set()
    for message, one in sorted(arrivals, key=lambda arrival: arrival[0].enqueued or 0.0):
        if one.event.key in seen:
            continue
        seen.add(one.event.key)
        now, strand = message.enqueued or 0.0, came[one.lane, one.event.twin]
        if any(
            place > one.position and (stream == message.stream or moment < now)
            for moment, stream, place in strand
        ):
            yield one.event.key
        strand.append((now, message.stream, one.position))


def _out_of_order(arrivals: Sequence[tuple[Received, _Sent]]) -> Iterator[Key]:
    """Yield what came after a later event of its lane and twin, or strayed from its stream.

    Only an event's first arrival counts: what is delivered again later was there already.
    """
    latest: dict[tuple[str, str], tuple[str, int]] = {}
    seen: set[Key] = set()
    for message, one in arrivals:
        if one.event.key in seen:
            continue
        seen.add(one.event.key)
        strand = (one.lane, one.event.twin)
        stream, position = latest.get(strand, (message.stream, -1))
        if stream != message.stream or position > one.position:
            yield one.event.key
        latest[strand] = (stream, max(position, one.position))


def _altered(arrivals: Sequence[tuple[Received, _Sent]]) -> Iterator[Alteration]:
    for message, one in arrivals:
        differences = tuple(differences_between(one.event, message))
        if differences:
            yield Alteration(one.event.key, differences)


def differences_between(sent: Observed, message: Received) -> Iterator[str]:
    """Yield in words whatever is not as it was sent; CloudEvents' AMQP binary mode is due."""
    arrived = observe(message)
    if arrived is None or not is_binary(message):
        yield "not a CloudEvent in AMQP binary mode"
        return
    for name in sorted({*sent.attributes, *arrived.attributes}):
        before, after = sent.attributes.get(name), arrived.attributes.get(name)
        if type(before) is not type(after) or before != after:
            yield f"{name}: {before!r} became {after!r}"
    if sent.data != arrived.data:
        yield f"data: {len(sent.data)} bytes became {len(arrived.data)} other bytes"
    if not _fits(sent.key[1], message.message_id):
        yield f"message-id: {message.message_id!r} is not the event's id"


def _fits(event_id: str, message_id: str | None) -> bool:
    """Whether the message id is the event's id; one that is too long, by its digest."""
    if len(event_id) <= _MESSAGE_ID_LIMIT:
        return message_id == event_id
    return message_id == f"sha256-{sha256(event_id.encode()).hexdigest()}"
