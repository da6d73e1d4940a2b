"""What the SDKs would not do: a client that says exactly what it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from azure.eventhub import EventData

from bench.messaging import RawClient
from lab.messaging.codec import Described, Int, Symbol, Ulong
from lab.messaging.frames import Attach, Close, Detach, Disposition, Flow, Transfer
from lab.messaging.message import data
from lab.messaging.model import Hub
from lab.messaging.node import BATCH_FORMAT
from lab.messaging.switches import Limits, Switches
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import EVENT_HUBS, RECEIVER, SENDER, World

LIMIT = 1024 * 1024
RECEIVES = True
CONSUMER = "hub/ConsumerGroups/$Default/Partitions/0"

type Connect = Callable[[World], Awaitable[RawClient]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients = []

    async def open_client(world: World) -> RawClient:
        client = await RawClient.connect(world.namespace.address, world.tls.ca_file)
        clients.append(client)
        await client.begin(world.namespace.address)
        return client

    yield open_client
    for client in clients:
        await client.close()


async def authorised(connect: Connect, world: World) -> RawClient:
    client = await connect(world)
    token = world.directory.issue(world.owner, EVENT_HUBS)
    await client.put_token(f"sb://{world.namespace.address}/hub", token)
    return client


async def sender(connect: Connect, world: World) -> RawClient:
    client = await authorised(connect, world)
    client.attach(1, "hub")
    await client.until(Attach)
    return client


def message_of(size: int) -> bytes:
    """Return an encoded message of exactly this many bytes."""
    return data(b"x" * (size - 8))


async def error_of_next(client: RawClient, kind: type[Detach | Disposition | Close]) -> str:
    performative = (await client.until(kind)).performative
    described = performative.state if kind is Disposition else performative.error
    while described.descriptor != 0x1D:
        described = described.value[0]
    return str(described.value[0])


async def answer_to(client: RawClient, number: int) -> None:
    answered = None
    while answered != number:
        answered = (await client.until(Disposition)).performative.last


async def test_a_message_of_the_largest_size_is_accepted(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)

    client.deliver(1, 7, message_of(LIMIT))
    answer = (await client.until(Disposition)).performative

    assert answer[:4] == (True, 7, 7, True)
    assert Described(Ulong(0x24), []) == answer.state


async def test_a_message_that_is_too_large_detaches_the_link(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)

    client.deliver(1, 7, message_of(LIMIT + 1))

    assert await error_of_next(client, Detach) == "amqp:link:message-size-exceeded"
    assert sum(world.kept().values()) == 0


async def test_a_message_that_is_too_large_is_rejected_if_so_switched(
    make_world: MakeWorld, connect: Connect
) -> None:
    world = await make_world(switches=Switches(oversized="reject"))
    client = await sender(connect, world)

    client.deliver(1, 7, message_of(LIMIT + 200_000))

    assert await error_of_next(client, Disposition) == "amqp:link:message-size-exceeded"
    client.deliver(1, 8, message_of(100))
    assert (await client.until(Disposition)).performative.first == 8


async def test_answers_to_neighbours_come_in_one_disposition(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)

    for number in range(10):
        client.send(Transfer(1, number, b"t", 0), data(b"x"))
    answer = (await client.until(Disposition)).performative

    assert (answer.first, answer.last) == (0, 9)


async def test_an_aborted_delivery_is_forgotten(world: World, connect: Connect) -> None:
    client = await sender(connect, world)

    client.send(Transfer(1, 1, b"t", 0, more=True), data(b"x"))
    client.send(Transfer(1, aborted=True))
    client.deliver(1, 2, data(b"y"))

    assert (await client.until(Disposition)).performative.first == 2
    assert sum(world.kept().values()) == 1


async def test_a_batch_that_is_no_batch_is_rejected(world: World, connect: Connect) -> None:
    client = await sender(connect, world)

    client.deliver(1, 1, b"\x00\x53\x75\xa0\xff", BATCH_FORMAT)

    assert await error_of_next(client, Disposition) == "amqp:decode-error"


async def test_a_refused_link_is_attached_without_ends_and_then_detached(
    world: World, connect: Connect
) -> None:
    client = await authorised(connect, world)

    client.attach(1, "nowhere")
    attach = (await client.until(Attach)).performative

    assert (attach.source, attach.target) == (None, None)
    assert await error_of_next(client, Detach) == "amqp:not-found"


async def test_a_sixth_receiver_without_epoch_is_refused(
    world: World, connect: Connect
) -> None:
    client = await authorised(connect, world)

    for handle in range(1, 7):
        client.attach(handle, CONSUMER, receives=True)

    assert await error_of_next(client, Detach) == "amqp:resource-limit-exceeded"
    assert world.consumers() == 5


@pytest.mark.parametrize(
    ("role", "path", "condition"),
    [
        pytest.param(SENDER, CONSUMER, "amqp:unauthorized-access", id="sender receives"),
        pytest.param(
            RECEIVER,
            "hub/ConsumerGroups/audit/Partitions/0",
            "amqp:not-found",
            id="no such consumer group",
        ),
        pytest.param(
            RECEIVER,
            "hub/ConsumerGroups/$Default/Partitions/4",
            "amqp:not-found",
            id="no such partition",
        ),
        pytest.param(RECEIVER, "hub", "amqp:not-found", id="no consumer's address"),
    ],
)
async def test_a_receiver_is_refused(
    world: World, connect: Connect, role: str, path: str, condition: str
) -> None:
    """The aio SDK keeps such a refusal to itself and tries again for ever."""
    client = await connect(world)
    token = world.directory.issue(world.principal("p", role), EVENT_HUBS)
    await client.put_token(f"sb://{world.namespace.address}/hub", token)

    client.attach(1, path, receives=True)

    assert condition == await error_of_next(client, Detach)


async def test_a_token_for_one_hub_opens_no_other(
    make_world: MakeWorld, connect: Connect
) -> None:
    world = await make_world(Hub("hub"), Hub("other"))
    client = await authorised(connect, world)

    client.attach(1, "other")

    assert await error_of_next(client, Detach) == "amqp:unauthorized-access"


@pytest.mark.parametrize(
    "below",
    [
        pytest.param(("eventhubs", "hub", "consumergroups", "$Default"), id="consumer group"),
        pytest.param(("eventhubs", "HUB"), id="hub"),
        pytest.param((), id="namespace"),
    ],
)
async def test_a_role_on_the_consumer_group_or_above_suffices(
    world: World, connect: Connect, below: tuple[str, ...]
) -> None:
    client = await connect(world)
    token = world.directory.issue(world.principal("r", RECEIVER, *below), EVENT_HUBS)
    await client.put_token("sb://h/hub/consumergroups/$Default", token)

    client.attach(1, CONSUMER, receives=True)

    assert (await client.until(Attach)).performative.source is not None
    assert world.consumers() == 1


@pytest.mark.parametrize("epoch", [None, 3])
async def test_a_lower_epoch_or_none_is_refused_where_one_is(
    world: World, connect: Connect, epoch: int | None
) -> None:
    client = await authorised(connect, world)
    key = Symbol("com.microsoft:epoch")
    client.attach(1, CONSUMER, receives=True, properties={key: 4})
    await client.until(Attach)

    client.attach(2, CONSUMER, receives=True, properties={} if epoch is None else {key: epoch})

    assert await error_of_next(client, Detach) == "amqp:link:stolen"


async def test_an_equal_epoch_displaces(world: World, connect: Connect) -> None:
    client = await authorised(connect, world)
    key = Symbol("com.microsoft:epoch")

    for handle in (1, 2):
        client.attach(handle, CONSUMER, receives=True, properties={key: 4})
    detach = (await client.until(Detach)).performative

    assert detach.handle == 1
    assert world.consumers() == 1


async def test_drained_credit_is_taken_back(world: World, connect: Connect) -> None:
    client = await sender(connect, world)
    client.attach(2, CONSUMER, receives=True)
    await client.until(Attach)

    client.grant(2, 10, drain=True)
    flow = (await client.until(Flow)).performative
    while flow.handle != 2:
        flow = (await client.until(Flow)).performative

    assert (flow.delivery_count, flow.link_credit) == (10, 0)


async def test_a_message_is_cut_into_frames_that_the_client_can_take(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)
    client.attach(2, "hub/Partitions/0")
    await client.until(Attach)
    client.deliver(2, 1, message_of(200_000))
    await client.until(Disposition)

    client.attach(3, CONSUMER, receives=True)
    client.grant(3, 1)
    frames = [await client.until(Transfer) for _ in range(4)]

    assert [frame.performative.more for frame in frames] == [True, True, True, False]
    assert [frame.performative.delivery_tag for frame in frames] == [b"", None, None, None]
    assert 200_000 < sum(len(frame.payload) for frame in frames) < 200_300


async def test_a_selector_that_nobody_knows_is_refused(world: World, connect: Connect) -> None:
    client = await authorised(connect, world)
    source = Described(
        Ulong(0x28),
        [CONSUMER, *[None] * 6, {Symbol("apache.org:selector-filter:string"): "x = 1"}],
    )

    client.send(Attach("n", 1, RECEIVES, 0, 0, source, Described(Ulong(0x29), ["me"])))

    assert await error_of_next(client, Detach) == "amqp:invalid-field"


async def test_a_put_token_is_accepted_with_202(world: World, connect: Connect) -> None:
    client = await connect(world)
    token = world.directory.issue(world.owner, EVENT_HUBS)

    reply = await client.put_token("sb://h/hub", token)

    assert Int(202) == reply.application_properties["status-code"]
    assert type(reply.application_properties["status-code"]) is Int


@pytest.mark.parametrize("with_condition", [True, False])
async def test_a_shared_access_signature_is_refused(
    make_world: MakeWorld, connect: Connect, *, with_condition: bool
) -> None:
    world = await make_world(switches=Switches(put_token_condition=with_condition))
    client = await connect(world)

    reply = await client.put_token("sb://h/hub", "sig", "servicebus.windows.net:sastoken")

    answer = reply.application_properties
    assert answer["status-code"] == 401
    assert str(answer["status-description"]).startswith("LocalAuthDisabled")
    assert with_condition == ("error-condition" in answer)


async def test_a_link_ends_when_its_token_does(world: World, connect: Connect) -> None:
    world.directory.token_lifetime = timedelta(seconds=2)
    client = await sender(connect, world)

    detach = (await client.until(Detach)).performative

    condition, text, _ = detach.error.value
    assert condition == "amqp:link:detach-forced"
    assert "Code: RenewToken. Details: Unauthorized access. 'Send' claim(s)" in text


async def test_no_more_frames_are_sent_than_the_client_has_room_for(world: World) -> None:
    client = await RawClient.connect(world.namespace.address, world.tls.ca_file)
    await client.begin(world.namespace.address, window=4)
    token = world.directory.issue(world.owner, EVENT_HUBS)
    await client.put_token("sb://h/hub", token)
    client.attach(1, "hub/Partitions/0")
    client.attach(2, CONSUMER, receives=True)
    client.deliver(1, 1, data(data(b"x")) * 10, BATCH_FORMAT)
    await answer_to(client, 1)

    client.send(Flow(2, 4, 0, 65536, 2, 0, 10))
    for _ in range(4):
        await client.until(Transfer)
    client.send(Flow(6, 4, 0, 65536, echo=True))
    passed = [(await client.frame()).performative for _ in range(5)]
    await client.close()

    assert [type(each) for each in passed] == [Transfer] * 4 + [Flow]


async def test_an_event_that_is_no_message_stops_no_consumer(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)
    client.attach(2, "hub/Partitions/0")
    hostile = [b"junk", b"", b"\x00\x53\x72\x45", b"\x00\x53\x72\xff"]
    client.deliver(2, 1, b"".join(map(data, [*hostile, data(b"good")])), BATCH_FORMAT)

    client.attach(3, CONSUMER, receives=True)
    client.grant(3, 100)
    await client.until(Transfer)
    second = await client.until(Transfer)

    assert second.payload.endswith(data(b"good"))


async def test_a_client_that_does_not_read_holds_up_no_other(
    world: World, connect: Connect
) -> None:
    client = await sender(connect, world)
    client.attach(2, "hub/Partitions/0")
    for number in range(1, 25):
        client.deliver(2, number, data(data(b"x" * 1000)) * 500, BATCH_FORMAT)
    await answer_to(client, 24)

    client.attach(3, CONSUMER, receives=True)
    client.grant(3, 2**31)
    await client.until(Attach)
    producer = await world.producer()
    await producer.send_event(EventData("y"), partition_id="1")
    received = [len((await client.until(Transfer)).payload) for _ in range(12_000)]

    assert min(received) > 1000
    assert world.kept() == {"0": 12_000, "1": 1, "2": 0, "3": 0}


async def test_a_silent_connection_is_closed(make_world: MakeWorld, connect: Connect) -> None:
    world = await make_world(limits=Limits(connection_silent=0.1, sweep=0.05))
    client = await sender(connect, world)

    assert await error_of_next(client, Close) == "amqp:connection:forced"
    assert world.state()["connections"] == 0


async def test_a_connection_without_links_is_closed(
    make_world: MakeWorld, connect: Connect
) -> None:
    world = await make_world(limits=Limits(connection_without_links=0.1, sweep=0.05))
    client = await connect(world)

    assert await error_of_next(client, Close) == "amqp:connection:forced"


async def test_an_idle_link_is_detached(make_world: MakeWorld, connect: Connect) -> None:
    world = await make_world(limits=Limits(event_hubs_link_idle=0.1, sweep=0.05))
    client = await sender(connect, world)

    detach = (await client.until(Detach)).performative

    condition, text, _ = detach.error.value
    assert condition == "amqp:link:detach-forced"
    assert "AmqpMessagePublisher.IdleTimerExpired" in text


async def test_an_unknown_namespace_closes_the_connection(
    world: World,
) -> None:
    world.broker._sites.clear()
    client = await RawClient.connect(world.namespace.address, world.tls.ca_file)

    with pytest.raises(StopAsyncIteration):
        await client.begin("nowhere")
    await client.close()
