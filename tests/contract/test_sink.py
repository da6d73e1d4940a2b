"""What every sink promises to delivery, asked of the fake and of the real ones alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from lab.audit import Access, Received, read_hub, read_queue, read_subscription
from lab.credential import managed_identity
from lab.local_azure import LocalAzure
from lab.messaging.model import Queue
from lab.messaging.switches import Switches
from lab.plan import Plan, free_block, plant_plan
from relay import sinks
from relay.failures import DeliveryError, Reason
from relay.filters import compile as compile_filter
from relay.identity import Identity
from relay.routing import Destination, Kind, Route
from relay.sending import Sink
from relay.settings import Connection, Transport
from relay.turns import InTurn
from tests.fakes import MemorySink, always, an_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1024 * 1024
HTTPS = 443


@dataclass(frozen=True)
class Bench:
    """A sink, how to look behind it, and how to make its destination refuse.

    Attributes:
        accepted: gives the stream and the id of every event that arrived whose id begins so.
    """

    sink: Sink
    accepted: Callable[[str], Awaitable[list[tuple[str, str]]]]
    forbid: Callable[[], None]
    allow: Callable[[], None]


type Opened = Callable[[LocalAzure], AbstractAsyncContextManager[Bench]]


@asynccontextmanager
async def memory(_: LocalAzure) -> AsyncIterator[Bench]:
    sink = MemorySink(
        streams=4, largest_batch=3, poison=lambda event: len(event.data) > MEGABYTE
    )

    async def accepted(prefix: str) -> list[tuple[str, str]]:
        took = [(stream, event.id) for stream, held in sink.accepted.items() for event in held]
        return [(stream, one) for stream, one in took if one.startswith(prefix)]

    def forbid() -> None:
        sink.faults = always(Reason.FORBIDDEN)

    def allow() -> None:
        sink.faults = lambda: None

    yield Bench(sink, accepted, forbid, allow)


def real(
    namespace: str,
    destination: Destination,
    transport: Transport = Transport.AMQP,
    *,
    ordered: bool = True,
    shortcuts: bool = True,
) -> Opened:
    """Return what opens a sink to one of the plant's destinations."""

    @asynccontextmanager
    async def opened(azure: LocalAzure) -> AsyncIterator[Bench]:
        async with AsyncExitStack() as stack:
            place = azure.namespace(namespace)
            is_hub = destination.kind is Kind.EVENT_HUB
            client = azure.directory.principal("relay" if is_hub else "relay-operations")
            identity = Identity("" if client.system_assigned else client.client_id)
            stack.push_async_callback(identity.close)
            route = Route("a-route", compile_filter("true"), destination, ordered)
            connection = Connection("ANY", place.address, "", transport, place.resource_id)
            ca_file = str(azure.tls.ca_file)
            sink = InTurn(
                sinks.build(route, connection, identity, ca_file, shortcuts=shortcuts)
            )
            stack.push_async_callback(sink.close)
            access = azure.access("auditor")
            auditor = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
            await stack.enter_async_context(auditor)
            reader = Access(place.address, auditor, str(azure.tls.ca_file))
            role = f"Azure {'Event Hubs' if is_hub else 'Service Bus'} Data Sender"
            scope = azure.control.scope(f"{namespace}/{destination.entity}")

            async def accepted(prefix: str) -> list[tuple[str, str]]:
                held = [(m.stream, _id(m)) for m in await _read(reader, destination)]
                return [(stream, one) for stream, one in held if one.startswith(prefix)]

            yield Bench(
                sink,
                accepted,
                lambda: azure.control.revoke(client.name, role, scope),
                lambda: azure.control.grant(client.name, role, scope),
            )

    return opened


async def _read(reader: Access, destination: Destination) -> list[Received]:
    match destination.kind:
        case Kind.EVENT_HUB:
            return await read_hub(reader, destination.entity, "audit")
        case Kind.QUEUE:
            return await read_queue(reader, destination.entity, session=True)
        case Kind.TOPIC:
            return await read_subscription(reader, destination.entity, "audit", session=True)


def _id(message: Received) -> str:
    return str(message.properties["cloudEvents:id"])


HUB = Destination("ANY", Kind.EVENT_HUB, "telemetry")
KINDS: dict[str, Opened] = {
    "memory": memory,
    "hub": real("analytics", HUB),
    "queue": real("operations", Destination("ANY", Kind.QUEUE, "alarms", session=True)),
    "topic": real(
        "operations",
        Destination("ANY", Kind.TOPIC, "lifecycle", session=True),
        shortcuts=False,
    ),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state) as running:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in running.access("relay").items():
                environment.setenv(name, value)
            yield running


@pytest_asyncio.fixture(loop_scope="module", params=KINDS, ids=str)
async def bench(azure: LocalAzure, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with KINDS[request.param](azure) as opened:
        yield opened


async def deliver(sink: Sink, *ids: str, twin: str = "pump-17", data: bytes = b"1") -> None:
    """Send events of one twin in one call."""
    await sink.open()
    events = [an_event(id=one, subject=twin, data=data) for one in ids]
    await sink.send(sink.stream(events[0]), events)


async def test_events_of_a_twin_arrive_once_in_order_on_one_stream(bench: Bench) -> None:
    ids = [f"order-{number}" for number in range(50)]
    for start in range(0, 50, 10):
        await deliver(bench.sink, *ids[start : start + 10])

    arrived = await bench.accepted("order-")
    assert ids == [one for _, one in arrived]
    assert 1 == len({stream for stream, _ in arrived})


async def test_more_than_a_batch_holds_goes_in_several(bench: Bench) -> None:
    ids = [f"large-{number}" for number in range(30)]
    await deliver(bench.sink, *ids, data=b"x" * 100_000)

    assert ids == [one for _, one in await bench.accepted("large-")]


async def test_sending_nothing_is_no_failure(bench: Bench) -> None:
    await bench.sink.open()
    await bench.sink.send(bench.sink.stream(an_event()), [])


async def test_an_event_that_fits_nowhere_is_among_the_suspects_and_those_before_are_taken(
    bench: Bench,
) -> None:
    events = [an_event(id=f"fits-{number}") for number in range(4)]
    events.append(an_event(id="fits-not", data=b"x" * (2 * MEGABYTE)))
    events.append(an_event(id="never-tried"))
    await bench.sink.open()

    with pytest.raises(DeliveryError) as failed:
        await bench.sink.send(bench.sink.stream(events[0]), events)

    error = failed.value
    assert error.reason.traits.isolates_event
    assert error.accepted <= 4 < error.accepted + error.suspects
    taken = [one for _, one in await bench.accepted("fits-")]
    assert [f"fits-{number}" for number in range(error.accepted)] == taken


def assert_explained(error: DeliveryError) -> None:
    """A refusal by a real destination names everything that its remedy needs."""
    if error.refusal is not None:
        assert error.refusal.object_id in error.refusal.remedy
        assert error.refusal.role_id in error.refusal.remedy
        assert error.refusal.scope in error.refusal.remedy


async def test_a_refusal_is_told_as_one_and_ends_when_the_role_is_granted(bench: Bench) -> None:
    await deliver(bench.sink, "role-before")
    bench.forbid()
    reasons = []
    for attempt in range(3):
        with pytest.raises(DeliveryError) as failed:
            await deliver(bench.sink, f"role-refused-{attempt}")
        assert 0 == failed.value.accepted
        assert_explained(failed.value)
        reasons.append(failed.value.reason)
    bench.allow()
    await deliver(bench.sink, "role-after")

    # Service Bus hides behind a lost connection why it closed a link; a new one tells.
    assert reasons[0] in {Reason.FORBIDDEN, Reason.UNAVAILABLE}
    assert [Reason.FORBIDDEN] * 2 == reasons[1:]
    arrived = await bench.accepted("role-")
    assert ["role-before", "role-after"] == [one for _, one in arrived]


async def test_a_probe_sends_nothing_and_tells_whether_the_relay_is_let_in(
    bench: Bench,
) -> None:
    await deliver(bench.sink, "probe-before")
    bench.forbid()
    with pytest.raises(DeliveryError) as failed:
        await bench.sink.probe()
    bench.allow()
    await bench.sink.probe()
    await deliver(bench.sink, "probe-after")

    assert Reason.FORBIDDEN is failed.value.reason
    assert_explained(failed.value)
    arrived = await bench.accepted("probe-")
    assert ["probe-before", "probe-after"] == [one for _, one in arrived]


async def test_a_closed_sink_opens_again(bench: Bench) -> None:
    await deliver(bench.sink, "close-before")
    await bench.sink.close()
    await deliver(bench.sink, "close-after")

    arrived = await bench.accepted("close-")
    assert ["close-before", "close-after"] == [one for _, one in arrived]


def with_queues(plan: Plan, queues: Sequence[Queue]) -> Plan:
    """Add queues to the namespace `operations`."""
    namespaces = tuple(
        replace(one, entities=(*one.entities, *queues)) if one.name == "operations" else one
        for one in plan.namespaces
    )
    return replace(plan, namespaces=namespaces)


@asynccontextmanager
async def a_lab(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    websocket_port: int | None = None,
    switches: Switches | None = None,
    queues: Sequence[Queue] = (),
) -> AsyncIterator[LocalAzure]:
    """A local Azure of a test's own, whose relay's identities the test has."""
    state = tmp_path_factory.mktemp("lab")
    plan = with_queues(plant_plan(free_block()), queues)
    async with LocalAzure(plan, state, websocket_port=websocket_port, switches=switches) as lab:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in lab.access("relay").items():
                environment.setenv(name, value)
            yield lab


@pytest.mark.parametrize(
    "queue",
    [
        Queue("parted", session=True, partitioned=True),
        Queue("parted", session=True, partitioned=True, duplicate_detection_seconds=600),
    ],
    ids=["sessions", "duplicate-detection"],
)
async def test_a_partitioned_queue_gets_what_it_takes_in_order(
    tmp_path_factory: pytest.TempPathFactory, queue: Queue
) -> None:
    destination = Destination("ANY", Kind.QUEUE, "parted", session=True)
    events = [an_event(id=str(n), subject=f"pump-{n // 5 % 3}") for n in range(40)]
    async with (
        a_lab(tmp_path_factory, queues=[queue]) as lab,
        real("operations", destination)(lab) as bench,
    ):
        bench.allow()
        await bench.sink.open()
        await bench.sink.send("", events)
        arrived = await bench.accepted("")

    assert {(f"pump-{n // 5 % 3}", str(n)) for n in range(40)} == set(arrived)
    for twin in ("pump-0", "pump-1", "pump-2"):
        numbers = [int(one) for stream, one in arrived if stream == twin]
        assert sorted(numbers) == numbers


@pytest.mark.parametrize("is_ahead", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
async def test_where_partitions_may_not_be_read_a_lost_link_is_no_missing_role(
    tmp_path_factory: pytest.TempPathFactory, ordered: bool, is_ahead: bool
) -> None:
    """The SDK then raises what the hub's management node says, not why the link was lost."""
    async with (
        a_lab(tmp_path_factory, switches=Switches(read_needs_listen=True)) as lab,
        real("analytics", HUB, ordered=ordered)(lab) as bench,
    ):
        if is_ahead:
            await bench.sink.probe()
            lab.control.detach("analytics")
        await deliver(bench.sink, "lost-0")
        for number, lose in enumerate((lab.control.detach, lab.control.cut), 1):
            lose("analytics")
            await deliver(bench.sink, f"lost-{number}")
        bench.forbid()
        with pytest.raises(DeliveryError) as failed:
            await deliver(bench.sink, "lost-3")
        arrived = [one for _, one in await bench.accepted("lost-")]

    assert Reason.FORBIDDEN is failed.value.reason
    assert ["lost-0", "lost-1", "lost-2"] == sorted(arrived)


async def test_amqp_travels_over_web_sockets_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    try:
        async with (
            a_lab(tmp_path_factory, websocket_port=HTTPS) as lab,
            real("analytics", HUB, Transport.WEB_SOCKETS, shortcuts=False)(lab) as bench,
        ):
            await deliver(bench.sink, "through-443")

            assert ["through-443"] == [one for _, one in await bench.accepted("through")]
    except PermissionError:
        pytest.skip(
            "port 443, the only one the SDKs know for it, is privileged on this machine"
        )


@pytest.mark.parametrize("shortcuts", [True, False])
async def test_a_few_events_wait_for_no_partitions_and_stay_where_their_keys_belong(
    azure: LocalAzure, shortcuts: bool
) -> None:
    """First by their keys, later by partition: a twin's events are on one, and in order."""
    prefix = f"few-{shortcuts}-"
    twins = [f"fan-{number}" for number in range(6)]
    streams: list[str] = []
    sent: dict[str, list[str]] = {twin: [] for twin in twins}

    async def send(sink: Sink, twin: str, count: int) -> None:
        ids = [f"{prefix}{twin}-{len(sent[twin]) + number}" for number in range(count)]
        events = [an_event(id=one, subject=twin) for one in ids]
        await sink.open(count)
        streams.append(sink.stream(events[0]))
        await sink.send(streams[-1], events)
        sent[twin] += ids

    async with real("analytics", HUB, shortcuts=shortcuts)(azure) as bench:
        async with asyncio.timeout(20):
            while (
                not all(stream.isdecimal() for stream in streams[-len(twins) :]) or not streams
            ):
                for twin in twins:
                    await send(bench.sink, twin, 1)
        for twin in twins:
            await send(bench.sink, twin, 20)
        arrived = await bench.accepted(prefix)

    assert not streams[0].isdecimal()
    for twin in twins:
        its = [(stream, one) for stream, one in arrived if f"{twin}-" in one]
        assert sent[twin] == [one for _, one in its]
        assert 1 == len({stream for stream, _ in its})


async def test_a_few_events_are_told_of_a_refusal_as_many_are(azure: LocalAzure) -> None:
    async with real("analytics", HUB)(azure) as bench:
        bench.forbid()
        try:
            await bench.sink.open(1)
            with pytest.raises(DeliveryError) as failed:
                await bench.sink.send(bench.sink.stream(an_event()), [an_event()])
        finally:
            bench.allow()

    assert Reason.FORBIDDEN is failed.value.reason
    assert failed.value.refusal is not None


async def test_links_opened_ahead_are_those_that_events_take(azure: LocalAzure) -> None:
    for kind in ("hub", "queue"):
        async with KINDS[kind](azure) as bench:
            assert isinstance(bench.sink, InTurn)
            await bench.sink.open_ahead()
            await deliver(bench.sink, f"ahead-{kind}")

            assert [f"ahead-{kind}"] == [one for _, one in await bench.accepted("ahead-")]
