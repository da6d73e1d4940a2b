"""What the SDKs and the services do unasked, and what the relay does about it.

docs/reliability.md lists it; each sentence there names its test here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from lab.local_azure import LocalAzure
from lab.plan import free_block, plant_plan
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.routing import Destination, Kind
from relay.sending import Failure, Patience, Sender
from tests.contract.test_sink import HUB, KINDS, Bench, real
from tests.fakes import a_route, an_arrival, an_event
from tests.relay.held import in_hub, in_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTE = a_route("a-route")
PATIENT = Patience(first=0.01, longest=0.05, budget=30.0)
"""A slow machine opens links slowly."""


@dataclass(frozen=True)
class Place:
    """A destination of the lab, and the relay's way to it."""

    azure: LocalAzure
    bench: Bench
    namespace: str
    entity: str

    async def send(self, *ids: str, patience: Patience = PATIENT) -> list[Failure]:
        """Send events of one twin by the relay's own `Sender`, in one batch."""
        sender = Sender({ROUTE.name: self.bench.sink}, lambda _: None, patience)
        arrivals = [an_arrival(event, sequence=n) for n, event in enumerate(events(*ids))]
        return await sender.send(ROUTE, arrivals)

    def held(self, prefix: str) -> list[str]:
        is_hub = self.namespace == "analytics"
        held = (in_hub if is_hub else in_queue)(self.azure, self.namespace, self.entity)
        return [name for name in held if name.startswith(prefix)]


def events(*ids: str) -> list[Event]:
    return [an_event(id=name, subject="pump-known") for name in ids]


def numbered(prefix: str, count: int = 10) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state) as running:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in running.access("relay").items():
                environment.setenv(name, value)
            yield running


PLACES = {"hub": ("analytics", HUB.entity), "queue": ("operations", "alarms")}


@pytest_asyncio.fixture(loop_scope="module")
async def place(azure: LocalAzure, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(KINDS[request.param](azure))
        yield Place(azure, bench, *PLACES[request.param])
        azure.control.heal(PLACES[request.param][0])


either = pytest.mark.parametrize("place", PLACES, indirect=True)
hub = pytest.mark.parametrize("place", ["hub"], indirect=True)
queue = pytest.mark.parametrize("place", ["queue"], indirect=True)


@either
async def test_what_is_rejected_is_sent_again_by_the_relay(place: Place) -> None:
    """azure-eventhub never does, azure-servicebus is told not to."""
    assert [] == await place.send("rejected-before")
    place.azure.control.reject(place.namespace, "amqp:internal-error", place.entity, 3)

    assert [] == await place.send(*numbered("rejected"))
    assert ["rejected-before", *numbered("rejected")] == place.held("rejected")


@either
async def test_what_is_too_much_goes_behind_when_the_service_asks_for_more_patience(
    place: Place,
) -> None:
    place.azure.control.throttle(place.namespace, place.entity)

    failures = await place.send(*numbered("busy"), patience=Patience())

    assert {Reason.THROTTLED} == {failure.error.reason for failure in failures}
    assert not any(failure.is_final for failure in failures)
    assert [] == place.held("busy")


@hub
async def test_a_hub_may_get_a_batch_twice_and_nobody_is_told(place: Place) -> None:
    await place.bench.sink.open()
    await place.bench.sink.send(place.bench.sink.stream(events("x")[0]), events("twice-first"))
    place.azure.control.cut_acknowledgements(place.namespace, place.entity, 1)
    batch = numbered("twice")

    await place.bench.sink.send(place.bench.sink.stream(events("x")[0]), events(*batch))

    assert ["twice-first", *batch, *batch] == place.held("twice")


@either
async def test_a_lost_acknowledgement_leaves_whole_copies_in_order(place: Place) -> None:
    assert [] == await place.send("lost-before")
    place.azure.control.cut_acknowledgements(place.namespace, place.entity, 2)
    batch = numbered("lost")

    assert [] == await place.send(*batch)

    _, *held = place.held("lost")
    copies = len(held) // len(batch)
    assert copies >= 2
    assert batch * copies == held


@either
async def test_a_link_that_was_closed_is_opened_anew(place: Place) -> None:
    """azure-servicebus says `amqp:unknown-error` of it, whatever the reason was."""
    for number, close in enumerate(
        (place.azure.control.detach, place.azure.control.cut, place.azure.control.expire_idle)
    ):
        assert [] == await place.send(f"closed-{number}")
        close(place.namespace)

    assert [] == await place.send("closed-3")
    assert numbered("closed", 4) == place.held("closed")


@queue
async def test_a_new_link_tells_the_truth_that_a_closed_one_hides(place: Place) -> None:
    assert [] == await place.send("truth")
    place.bench.forbid()
    failures = [*await place.send("hidden"), *await place.send("hidden-again")]
    place.bench.allow()

    assert {Reason.FORBIDDEN} == {failure.error.reason for failure in failures}
    assert ["truth"] == place.held("truth")


@pytest.mark.parametrize("place", ["queue"], indirect=True)
async def test_where_a_route_forgot_sessions_everything_waits_for_the_mended_route(
    place: Place,
) -> None:
    forgetful = real("operations", Destination("ANY", Kind.QUEUE, "alarms"))
    async with forgetful(place.azure) as bench:
        await bench.sink.open()
        with pytest.raises(DeliveryError) as failed:
            await bench.sink.send("", events(*numbered("session")))

    assert (Reason.NOT_ALLOWED, 0) == (failed.value.reason, failed.value.accepted)
    assert not failed.value.reason.traits.isolates_event
    assert "session" in failed.value.detail.lower()
    assert [] == await place.send(*numbered("session"))
    assert numbered("session") == place.held("session")
