"""The links of Service Bus, with a client that is a list: what the engine would do by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from lab.messaging.codec import Array, Described, Int, Symbol, Timestamp, Uint
from lab.messaging.message import Header, Message, Properties, data, decode_message
from lab.messaging.model import Namespace, Queue, Subscription, Topic
from lab.messaging.node import (
    BATCH_FORMAT,
    Accepted,
    Claim,
    Error,
    LinkRequest,
    Modified,
    Outcome,
    Outlet,
    Refusal,
    Rejected,
    Released,
    Request,
    Right,
)
from lab.messaging.service_bus import ServiceBus
from lab.messaging.service_bus_links import SESSION_FILTER, Receiver


@dataclass
class Peer:
    rights: set[Right] = field(default_factory=lambda: set(Right))
    outlets: dict[str, Outlet] = field(default_factory=dict)
    host: str = "127.0.0.2"

    def allows(self, claim: Claim) -> bool:
        return claim.right in self.rights

    def outlet(self, link_name: str) -> Outlet | None:
        return self.outlets.get(link_name)


@dataclass
class Client:
    """A receiving client: what it was sent, and the outcomes that it was told."""

    request: LinkRequest
    peer: Peer = field(default_factory=Peer)
    credit: int = 0
    got: list[Message] = field(default_factory=list)
    tags: list[bytes] = field(default_factory=list)
    told: list[tuple[bytes, Outcome]] = field(default_factory=list)
    error: Error | None = None
    receiver: Receiver | None = None

    def send(self, payload: bytes, tag: bytes = b"", *, settled: bool = True) -> None:
        assert self.credit > 0
        assert settled is (tag == b"")
        self.credit -= 1
        self.got.append(decode_message(payload))
        self.tags.append(tag)

    def dispose(self, tag: bytes, outcome: Outcome) -> None:
        self.told.append((tag, outcome))

    def detach(self, error: Error) -> None:
        self.error = error
        self.closes()

    def grants(self, credit: int) -> None:
        assert self.receiver is not None
        self.credit = credit
        self.receiver.credit()

    def settles(self, number: int, outcome: Outcome) -> Outcome:
        assert self.receiver is not None
        self.receiver.settled(self.tags[number], outcome, settled=False)
        tag, answer = self.told.pop()
        assert tag == self.tags[number]
        return answer

    def closes(self) -> None:
        assert self.receiver is not None
        self.receiver.closed()

    @property
    def bodies(self) -> list[bytes]:
        return [message.body[5:] for message in self.got]


@dataclass
class Sent:
    """A delivery, and what became of it."""

    payload: bytes
    message_format: int = 0
    outcome: str = "open"
    error: Error | None = None

    def accept(self) -> None:
        self.outcome = "accepted"

    def reject(self, error: Error) -> None:
        self.outcome, self.error = "rejected", error


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    bus: ServiceBus
    clock: Clock

    def sends(self, path: str, *bodies: bytes, **properties: str) -> Sent:
        payloads = [
            Message(properties=Properties(**properties), body=data(body)).encode()
            for body in bodies
        ]
        if len(payloads) == 1:
            return self.delivers(path, payloads[0])
        return self.delivers(path, b"".join(map(data, payloads)), BATCH_FORMAT)

    def delivers(self, path: str, payload: bytes, message_format: int = 0) -> Sent:
        sent = Sent(payload, message_format)
        self.bus.intake(LinkRequest("sender", path)).take(sent)
        return sent

    async def receives(
        self, path: str, *, session: str | None = "", deleting: bool = False, **properties: int
    ) -> Client:
        filters = {} if session == "" else {SESSION_FILTER: session}
        renamed = {f"com.microsoft:{name}": Uint(value) for name, value in properties.items()}
        request = LinkRequest(
            "receiver", path, filters, renamed, send_mode=1 if deleting else 0
        )
        client = Client(request)
        client.receiver = self.bus.outlet(request)
        await client.receiver.open(client)
        client.peer.outlets["receiver"] = client.receiver
        return client

    async def asks(
        self, path: str, operation: str, body: object, peer: Peer | None = None
    ) -> tuple[object, object]:
        manager = self.bus.manager(f"{path}/$management")
        properties = {
            "operation": f"com.microsoft:{operation}",
            "associated-link-name": "receiver",
        }
        reply = await manager.answer(Request(properties, body), peer or Peer())
        return reply.properties["statusCode"], reply.body


@pytest.fixture
async def house() -> House:
    clock = Clock()
    namespace = Namespace(
        "operations",
        "servicebus",
        "127.0.0.2",
        (
            Queue("alarms"),
            Queue("ordered", session=True),
            Topic("news", (Subscription("a"), Subscription("b", session=True))),
        ),
    )
    return House(ServiceBus(namespace, clock), clock)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a condition of several objects has no event
            await asyncio.sleep(0)


async def test_never_more_is_delivered_than_there_is_credit(house: House) -> None:
    house.sends("alarms", *[b"%d" % number for number in range(10)])
    client = await house.receives("alarms")
    client.grants(3)
    house.sends("alarms", b"10")
    await asyncio.sleep(0)

    assert [b"0", b"1", b"2"] == client.bodies
    client.grants(100)
    assert [b"%d" % number for number in range(11)] == client.bodies


async def test_a_message_goes_at_once_to_who_waits_for_it(house: House) -> None:
    client = await house.receives("ALARMS")
    client.grants(1)
    house.sends("alarms", b"fire")
    await eventually(lambda: client.got)

    assert [b"fire"] == client.bodies


async def test_two_receivers_share_a_queue_evenly(house: House) -> None:
    first, second = await house.receives("alarms"), await house.receives("alarms")
    first.grants(100)
    second.grants(100)
    house.sends("alarms", *[b"%d" % number for number in range(10)])
    await eventually(lambda: len(first.got) + len(second.got) == 10)

    assert len(first.got) == len(second.got) == 5
    assert not set(first.bodies) & set(second.bodies)


@pytest.mark.parametrize(
    ("outcome", "echo", "counts"),
    [
        (Accepted(), Accepted(), {"active": 0, "deferred": 0, "dead_letters": 0}),
        (Released(), Released(), {"active": 1, "deferred": 0, "dead_letters": 0}),
        (
            Modified(delivery_failed=True),
            Modified(delivery_failed=True),
            {"active": 1, "deferred": 0, "dead_letters": 0},
        ),
        (
            Modified(delivery_failed=True, undeliverable_here=True),
            Modified(delivery_failed=True, undeliverable_here=True),
            {"active": 0, "deferred": 1, "dead_letters": 0},
        ),
        (
            Rejected(Error("com.microsoft:dead-letter", "")),
            Rejected(),
            {"active": 0, "deferred": 0, "dead_letters": 1},
        ),
    ],
    ids=["complete", "release", "abandon", "defer", "dead-letter"],
)
async def test_a_settlement_is_done_and_echoed(
    house: House, outcome: Outcome, echo: Outcome, counts: dict[str, int]
) -> None:
    house.sends("alarms", b"1")
    client = await house.receives("alarms")
    client.grants(1)

    assert echo == client.settles(0, outcome)
    state = house.bus.state()["alarms"]
    assert isinstance(state, dict)
    assert counts.items() <= state.items()


async def test_a_lost_lock_is_told_as_a_rejection_with_its_condition(house: House) -> None:
    house.sends("alarms", b"1")
    client = await house.receives("alarms")
    client.grants(1)
    house.clock.now += 61
    answer = client.settles(0, Accepted())

    assert isinstance(answer, Rejected)
    assert answer.error is not None
    assert "com.microsoft:message-lock-lost" == answer.error.condition


async def test_a_receiver_that_deletes_gets_settled_messages_and_leaves_none(
    house: House,
) -> None:
    house.sends("alarms", b"1", b"2")
    client = await house.receives("alarms", deleting=True)
    client.grants(10)

    assert [b"", b""] == client.tags
    assert {
        "active": 0,
        "deferred": 0,
        "scheduled": 0,
        "locked": 0,
        "dead_letters": 0,
        "receivers": 1,
    } == house.bus.state()["alarms"]


async def test_the_bare_message_arrives_byte_for_byte_with_the_entitys_annotations(
    house: House,
) -> None:
    sent = Message(
        header=Header(durable=True, ttl=60_000),
        annotations={"x-opt-partition-key": "k"},
        properties=Properties(message_id="m", content_type="application/json"),
        application_properties={"cloudEvents:type": "t", "n": Int(1)},
        body=data(b"{}"),
    )
    house.delivers("alarms", sent.encode())
    client = await house.receives("alarms")
    client.grants(1)
    (got,) = client.got
    now = Timestamp(house.clock.now * 1000)

    assert got.properties == sent.properties
    assert got.application_properties == sent.application_properties
    assert got.body == sent.body
    assert got.header == Header(durable=True, ttl=60_000, delivery_count=0)
    assert {
        "x-opt-partition-key": "k",
        "x-opt-sequence-number": 1,
        "x-opt-enqueue-sequence-number": 1,
        "x-opt-enqueued-time": now,
        "x-opt-locked-until": now + 60_000,
        "x-opt-message-state": 0,
    } == got.annotations


async def test_a_dead_letter_says_why_beside_the_senders_own_properties(house: House) -> None:
    payload = Message(application_properties={"mine": "kept"}, body=data(b"bad")).encode()
    house.delivers("alarms", payload)
    client = await house.receives("alarms")
    client.grants(1)
    info = {"DeadLetterReason": "unreadable", "DeadLetterErrorDescription": "byte 3"}
    client.settles(0, Rejected(Error("com.microsoft:dead-letter", "", info)))
    below = await house.receives("alarms/$deadletterqueue")
    below.grants(1)

    assert below.got[0].application_properties == {"mine": "kept"} | info
    assert below.got[0].body == data(b"bad")
    assert "alarms" == below.got[0].annotations["x-opt-deadletter-source"]


@pytest.mark.parametrize(
    ("path", "right", "scope"),
    [
        ("Alarms", Right.LISTEN, "/queues/alarms"),
        ("alarms/$DeadLetterQueue", Right.LISTEN, "/queues/alarms"),
        ("news/subscriptions/A", Right.LISTEN, "/topics/news/subscriptions/a"),
        ("news/subscriptions/a/$deadletterqueue", Right.LISTEN, "/topics/news/subscriptions/a"),
        ("alarms", Right.SEND, "/queues/alarms"),
        ("news", Right.SEND, "/topics/news"),
    ],
)
async def test_each_link_needs_its_right_on_its_entity(
    house: House, path: str, right: Right, scope: str
) -> None:
    request = LinkRequest("link", path)
    find = house.bus.intake if right is Right.SEND else house.bus.outlet
    (claim,) = find(request).claims

    assert claim.right is right
    assert claim.path.lower() == path.lower()
    assert claim.scope.endswith("/providers/Microsoft.ServiceBus/namespaces/operations" + scope)


@pytest.mark.parametrize(
    ("path", "sending", "condition"),
    [
        ("nowhere", True, "amqp:not-found"),
        ("nowhere", False, "amqp:not-found"),
        ("news/subscriptions/c", False, "amqp:not-found"),
        ("news", False, "amqp:not-allowed"),
        ("news/subscriptions/a", True, "amqp:not-allowed"),
        ("alarms/$deadletterqueue", True, "amqp:not-allowed"),
    ],
)
async def test_a_link_that_cannot_be_is_refused(
    house: House,
    path: str,
    sending: bool,
    condition: str,
) -> None:
    find = house.bus.intake if sending else house.bus.outlet
    with pytest.raises(Refusal) as refusal:
        find(LinkRequest("link", path))

    assert refusal.value.error.condition == condition


async def test_a_batch_is_rejected_as_a_whole(house: House) -> None:
    with_session = Message(properties=Properties(group_id="s"), body=data(b"1")).encode()
    without = Message(body=data(b"2")).encode()
    sent = house.delivers("ordered", data(with_session) + data(without), BATCH_FORMAT)

    assert sent.error is not None
    assert "amqp:not-allowed" == sent.error.condition
    assert house.bus.state()["ordered"] == house.bus.state()["alarms"]


async def test_what_is_no_message_is_rejected(house: House) -> None:
    sent = house.delivers("alarms", b"\x00\x53\x70\x45nonsense")

    assert sent.error is not None
    assert "amqp:decode-error" == sent.error.condition


async def test_a_named_session_is_answered_with_its_lock(house: House) -> None:
    request = LinkRequest("receiver", "ordered", {SESSION_FILTER: "s"})
    client = Client(request)
    receiver = house.bus.outlet(request)
    answer = await receiver.open(client)

    assert {SESSION_FILTER: "s"} == answer.filters
    ticks = answer.properties["com.microsoft:locked-until-utc"]
    assert ticks == 621_355_968_000_000_000 + (1_700_000_000 + 60) * 10_000_000


async def test_who_asks_for_the_next_session_waits_until_there_is_one(house: House) -> None:
    waiting = asyncio.create_task(house.receives("ordered", session=None))
    await asyncio.sleep(0)
    house.sends("ordered", b"1", group_id="s")
    client = await waiting
    client.grants(5)

    assert [b"1"] == client.bodies
    assert client.got[0].annotations.get("x-opt-locked-until") is None


async def test_who_waits_in_vain_for_a_session_is_told_after_the_time_it_gave(
    house: House,
) -> None:
    with pytest.raises(Refusal) as refusal:
        await house.receives("ordered", session=None, timeout=10)

    assert "com.microsoft:timeout" == refusal.value.error.condition


async def test_a_session_handed_to_who_has_gone_is_free_again(house: House) -> None:
    gone = asyncio.create_task(house.receives("ordered", session=None))
    await asyncio.sleep(0)
    house.sends("ordered", b"1", group_id="s")
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    client = await house.receives("ordered", session="s")
    client.grants(1)
    assert [b"1"] == client.bodies


async def test_a_session_is_held_by_one_link_until_that_closes(house: House) -> None:
    first = await house.receives("ordered", session="s")
    with pytest.raises(Refusal) as refusal:
        await house.receives("ordered", session="s")
    first.closes()

    assert "com.microsoft:session-cannot-be-locked" == refusal.value.error.condition
    await house.receives("ordered", session="s")


async def test_a_link_whose_session_is_lost_is_detached(house: House) -> None:
    client = await house.receives("ordered", session="s")
    house.clock.now += 61
    house.sends("ordered", b"1", group_id="s")
    await eventually(lambda: client.error)

    assert client.error is not None
    assert "com.microsoft:session-lock-lost" == client.error.condition
    assert [] == client.got


async def test_a_described_session_filter_means_the_same(house: House) -> None:
    described = Described(Symbol(SESSION_FILTER), "s")
    request = LinkRequest("receiver", "ordered", {SESSION_FILTER: described})
    answer = await house.bus.outlet(request).open(Client(request))

    assert {SESSION_FILTER: "s"} == answer.filters


@pytest.mark.parametrize(("path", "session"), [("alarms", "s"), ("ordered", "")])
async def test_the_wrong_kind_of_receiver_is_refused(
    house: House, path: str, session: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        await house.receives(path, session=session)

    assert "amqp:not-allowed" == refusal.value.error.condition


async def test_a_topic_gives_each_subscription_its_own_copy(house: House) -> None:
    house.sends("news", b"1", group_id="s")
    plain = await house.receives("news/Subscriptions/a")
    plain.grants(1)
    session = await house.receives("news/Subscriptions/b", session="s")
    session.grants(1)

    assert ([b"1"], [b"1"]) == (plain.bodies, session.bodies)
    assert plain.settles(0, Accepted()) == session.settles(0, Accepted()) == Accepted()


# $management


async def test_management_asks_for_the_right_that_the_operation_needs(house: House) -> None:
    listener, sender = Peer({Right.LISTEN}), Peer({Right.SEND})
    peek = {"from-sequence-number": 1, "message-count": Int(1)}

    assert (204, None) == await house.asks("alarms", "peek-message", peek, listener)
    assert (401, None) == await house.asks("alarms", "peek-message", peek, sender)
    nothing = {"sequence-numbers": Array(int)}
    cancel = "cancel-scheduled-message"
    assert (200, {}) == await house.asks("alarms", cancel, nothing, sender)
    assert (401, None) == await house.asks("news", cancel, nothing, listener)


@pytest.mark.parametrize(
    ("path", "operation", "body", "status"),
    [
        ("alarms", "make-coffee", {}, 501),
        ("alarms", "peek-message", {}, 400),
        ("alarms", "peek-message", None, 400),
        ("alarms", "renew-lock", {"lock-tokens": "x"}, 400),
        ("alarms", "renew-lock", {"lock-tokens": Array(UUID, (UUID(int=1),))}, 410),
        ("alarms", "cancel-scheduled-message", {"sequence-numbers": Array(int, (7,))}, 404),
        ("alarms", "update-disposition", {"lock-tokens": Array(UUID, (UUID(int=1),))}, 400),
        ("news", "peek-message", {}, 400),
        ("alarms/$DeadLetterQueue", "schedule-message", {"messages": []}, 400),
        ("ordered", "get-session-state", {"session-id": "s"}, 410),
    ],
)
async def test_what_management_cannot_do_it_says(
    house: House, path: str, operation: str, body: object, status: int
) -> None:
    assert (await house.asks(path, operation, body))[0] == status


async def test_a_session_is_managed_by_the_link_that_holds_it_only(house: House) -> None:
    client = await house.receives("ordered", session="s")
    body = {"session-id": "s", "session-state": b"half way"}

    assert (200, {}) == await house.asks("ordered", "set-session-state", body, client.peer)
    assert 410 == (await house.asks("ordered", "set-session-state", body, Peer()))[0]
    assert (
        200,
        {"session-state": b"half way"},
    ) == await house.asks("ordered", "get-session-state", body, client.peer)
    house.clock.now += 30
    assert (
        200,
        {"expiration": Timestamp((house.clock.now + 60) * 1000)},
    ) == await house.asks("ordered", "renew-session-lock", body, client.peer)


async def test_a_scheduled_message_wakes_its_receiver_when_it_is_due(house: House) -> None:
    due = Timestamp(house.clock.now * 1000 + 20)
    payload = Message(
        annotations={"x-opt-scheduled-enqueue-time": due}, body=data(b"later")
    ).encode()
    client = await house.receives("alarms")
    client.grants(1)
    status, _ = await house.asks(
        "alarms", "schedule-message", {"messages": [{"message": payload, "message-id": "m"}]}
    )
    await asyncio.sleep(0)
    assert (200, []) == (status, client.got)
    house.clock.now += 1
    await eventually(lambda: client.got)

    assert [b"later"] == client.bodies


async def test_a_peek_stops_where_its_reply_would_be_too_large(house: House) -> None:
    house.sends("alarms", bytes(600_000))
    house.sends("alarms", bytes(600_000))
    for start, expected in ((1, 1), (2, 1), (3, 0)):
        body = {"from-sequence-number": start, "message-count": Int(10)}
        _, found = await house.asks("alarms", "peek-message", body)
        assert len(found["messages"] if isinstance(found, dict) else []) == expected


async def test_sessions_are_listed_page_by_page(house: House) -> None:
    for name in "cab":
        house.sends("ordered", b"1", group_id=name)
    every = Timestamp(253_402_300_800_000)

    async def page(skip: int) -> tuple[object, object]:
        body = {"last-updated-time": every, "skip": Int(skip), "top": Int(2)}
        return await house.asks("ordered", "get-message-sessions", body)

    assert (200, {"sessions-ids": Array(str, ("a", "b")), "skip": 2}) == await page(0)
    assert (200, {"sessions-ids": Array(str, ("c",)), "skip": 3}) == await page(2)
    assert (204, None) == await page(3)
