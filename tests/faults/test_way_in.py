"""When a way in is done with what was sent, and how what the host rewrites is compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.audit import Received
from lab.faults.entrance import ENTITY, INGRESS
from lab.faults.way_in import BusWay, TopicWay, by_value
from lab.twins import Message

EMPTY = {"active": 0, "deferred": 0, "scheduled": 0, "locked": 0, "dead_letters": 0}


def bus_way(*, session: bool, path: str, counts: dict[str, int]) -> BusWay:
    state = {INGRESS: {"entities": {path: counts}}}
    azure = SimpleNamespace(broker=SimpleNamespace(state=lambda: state))
    return BusWay(cast("Any", azure), cast("Any", (None, None)), session=session)


@pytest.mark.parametrize(
    ("session", "path"), [(True, ENTITY), (False, f"{ENTITY}/Subscriptions/relay")]
)
@pytest.mark.parametrize("left", ["active", "locked", "dead_letters"])
async def test_a_service_bus_entity_is_done_when_nothing_is_left_nor_given_up(
    left: str, path: str, *, session: bool
) -> None:
    assert await bus_way(session=session, path=path, counts=EMPTY).is_settled()
    with_one = bus_way(session=session, path=path, counts={**EMPTY, left: 1})
    assert not await with_one.is_settled()


@dataclass
class Topic:
    """An Event Grid that takes everything and has delivered what it is told to have."""

    pending: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    async def send_message(self, _: Message) -> None: ...

    @property
    def event_grid(self) -> object:
        return SimpleNamespace(active=lambda *_: SimpleNamespace(deliveries=self))


@pytest.mark.parametrize(
    ("pending", "ended", "done"),
    [
        (0, {"delivered": 2}, True),
        (1, {"delivered": 1}, False),
        (0, {"delivered": 1, "dropped": 1}, False),
        (0, {"delivered": 1, "dead_lettered": 1}, False),
    ],
)
async def test_a_topic_is_done_when_everything_is_delivered_and_nothing_given_up(
    pending: int, ended: dict[str, int], *, done: bool
) -> None:
    topic = Topic(pending, Counter(ended))
    way = TopicWay(cast("Any", topic), cast("Any", topic))
    await way.put([Message({}, b"1", None), Message({}, b"2", None)])

    assert 2 == way.held() == len(await way.sent())
    assert done is await way.is_settled()


def test_json_that_is_written_anew_is_the_same_by_its_value_and_another_value_is_not() -> None:
    def of(body: bytes) -> list[Received]:
        return by_value([Received("", {}, body)])

    assert of(b'{"a": 1, "b":[2]}') == of(b'{"b":[2],"a":1}')
    assert of(b'{"a":1}') != of(b'{"a":2}')
    assert of(b"no JSON") != of(b"no  JSON")
