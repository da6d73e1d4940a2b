"""What every store of dead letters promises, asked of the fake and of real Blob alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from lab.credential import managed_identity
from lab.local_azure import LocalAzure
from lab.plan import DEAD_LETTERS, free_block, plant_plan
from relay.dead_letters import DeadLetter, DeadLetters, Fate, Parcel, blob_name
from relay.dead_letters.blobs import BlobDeadLetters
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.identity import Identity
from relay.settings import Container
from tests.fakes import NOON, MemoryDeadLetters, an_arrival, an_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRIBUTOR = "Storage Blob Data Contributor"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state) as running:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in running.access("relay").items():
                environment.setenv(name, value)
            yield running


@asynccontextmanager
async def memory(_: LocalAzure) -> AsyncIterator[DeadLetters]:
    yield MemoryDeadLetters()


@asynccontextmanager
async def blobs(azure: LocalAzure) -> AsyncIterator[DeadLetters]:
    container = Container(azure.storage.url, DEAD_LETTERS, "", azure.storage.resource_id)
    async with Identity() as identity:
        store = BlobDeadLetters(container, identity, str(azure.tls.ca_file))
        yield store
        await store.close()


STORES: dict[str, Callable[[LocalAzure], AbstractAsyncContextManager[DeadLetters]]] = {
    "memory": memory,
    "blobs": blobs,
}


@dataclass(frozen=True)
class Shelf:
    """A store, and a route that no other test uses."""

    store: DeadLetters
    route: str

    async def put(
        self, *sequences: int, lane: str = "hub/0", hours: int = 0, fate: Fate = Fate.WAITING
    ) -> list[DeadLetter]:
        reason = Reason.FORBIDDEN if fate is Fate.WAITING else Reason.TOO_LARGE
        letters = [a_letter(number, lane, hours, reason) for number in sequences]
        name = blob_name(self.route, [letter.arrival for letter in letters], fate)
        await self.store.put(name, letters, self.route)
        return letters

    async def parcels(self, lane: str = "hub/0") -> list[Parcel]:
        return [parcel async for parcel in self.store.waiting(self.route, lane)]


def a_letter(sequence: int, lane: str, hours: int, reason: Reason) -> DeadLetter:
    event = an_event(id=str(sequence), data=b'{"a" : 1.0}')
    arrival = an_arrival(event, lane=lane, sequence=sequence)
    arrival = replace(arrival, enqueued=NOON + timedelta(hours=hours))
    return DeadLetter(arrival, reason, "it is away", 1, NOON)


@pytest_asyncio.fixture(loop_scope="module", params=STORES, ids=str)
async def shelf(azure: LocalAzure, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    async with STORES[request.param](azure) as store:
        yield Shelf(store, f"route-{abs(hash(request.node.name))}")


def ids(parcels: list[Parcel]) -> list[str]:
    contents = [letter.arrival.content for parcel in parcels for letter in parcel.letters]
    return [content.id for content in contents if isinstance(content, Event)]


async def test_letters_come_back_as_they_were_put(shelf: Shelf) -> None:
    letters = await shelf.put(1, 2, 3)

    (parcel,) = await shelf.parcels()
    assert letters == list(parcel.letters)


async def test_what_waits_comes_in_order_of_arrival_whenever_it_was_put(shelf: Shelf) -> None:
    await shelf.put(9, 10, hours=1)
    await shelf.put(100, hours=2)
    await shelf.put(7, 8)

    assert ["7", "8", "9", "10", "100"] == ids(await shelf.parcels())


async def test_one_lane_is_not_mistaken_for_another(shelf: Shelf) -> None:
    await shelf.put(1, lane="hub/1")
    await shelf.put(2, lane="hub/11")

    assert ["1"] == ids(await shelf.parcels("hub/1"))
    assert ["2"] == ids(await shelf.parcels("hub/11"))
    assert [] == ids(await shelf.parcels("hub"))
    assert ["hub/1", "hub/11"] == sorted(await shelf.store.lanes(shelf.route))


async def test_the_same_batch_put_again_adds_nothing(shelf: Shelf) -> None:
    await shelf.put(1, 2)
    await shelf.put(1, 2)

    assert ["1", "2"] == ids(await shelf.parcels())


async def test_what_is_held_does_not_wait(shelf: Shelf) -> None:
    await shelf.put(1, fate=Fate.HELD)

    assert [] == await shelf.parcels()
    assert [] == await shelf.store.lanes(shelf.route)


async def test_a_parcel_is_replaced_by_what_is_left_of_it(shelf: Shelf) -> None:
    letters = await shelf.put(1, 2, 3)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed(parcel) as is_ours:
        await shelf.store.replace(parcel, letters[2:], shelf.route)

    assert is_ours
    assert ["3"] == ids(await shelf.parcels())


async def test_a_parcel_is_removed(shelf: Shelf) -> None:
    await shelf.put(1)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed(parcel):
        await shelf.store.remove(parcel)

    assert [] == await shelf.parcels()


async def test_what_was_written_or_removed_since_it_was_read_is_not_claimed(
    shelf: Shelf,
) -> None:
    await shelf.put(1, 2)
    (old,) = await shelf.parcels()
    await shelf.put(1, 2)
    async with shelf.store.claimed(old) as is_ours:
        assert not is_ours
    (new,) = await shelf.parcels()
    async with shelf.store.claimed(new):
        await shelf.store.remove(new)
    async with shelf.store.claimed(new) as is_ours:
        assert not is_ours


async def test_what_is_claimed_is_nobody_elses_until_it_is_let_go(shelf: Shelf) -> None:
    await shelf.put(1)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed(parcel) as is_ours:
        async with shelf.store.claimed(parcel) as is_others:
            assert (is_ours, is_others) == (True, False)
        with pytest.raises(DeliveryError):
            await shelf.put(1)
    async with shelf.store.claimed(parcel) as is_ours:
        assert is_ours


async def test_without_its_role_the_relay_is_told_which_one(azure: LocalAzure) -> None:
    scope = azure.control.scope(DEAD_LETTERS)
    async with blobs(azure) as store:
        azure.control.revoke("relay", CONTRIBUTOR, scope)
        with pytest.raises(DeliveryError) as failed:
            await Shelf(store, "refused").put(1)
        azure.control.grant("relay", CONTRIBUTOR, scope)

    assert Reason.FORBIDDEN is failed.value.reason
    assert failed.value.refusal is not None
    assert CONTRIBUTOR == failed.value.refusal.role
    assert scope == failed.value.refusal.scope


async def test_a_blob_that_is_no_batch_comes_without_letters(azure: LocalAzure) -> None:
    access = azure.access("relay")
    relay = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    container = ContainerClient(
        azure.storage.url,
        DEAD_LETTERS,
        credential=relay,
        connection_verify=str(azure.tls.ca_file),
    )
    async with relay, container, blobs(azure) as store:
        await container.upload_blob("foreign/hub=2F0~x.waiting.json", b"\xff{", overwrite=True)
        (parcel,) = [one async for one in store.waiting("foreign", "hub/0")]
        async with store.claimed(parcel):
            await store.remove(parcel)

        assert () == parcel.letters
        with pytest.raises(ResourceNotFoundError):
            await container.download_blob("foreign/hub=2F0~x.waiting.json")


async def test_a_store_that_is_down_is_unavailable_and_comes_back(azure: LocalAzure) -> None:
    async with blobs(azure) as store:
        azure.control.refuse_storage(500, "InternalError", 3)
        with pytest.raises(DeliveryError) as failed:
            await Shelf(store, "down").put(1)
        azure.control.allow_storage()
        await Shelf(store, "down").put(1)

    assert Reason.UNAVAILABLE is failed.value.reason


@pytest.mark.parametrize("lane", ["hub/0", "a~b=c%d", "ä ö", "..", "hub/with/slashes"])
async def test_a_lane_of_any_name_comes_back_by_its_name(shelf: Shelf, lane: str) -> None:
    await shelf.put(1, lane=lane)

    assert [lane] == await shelf.store.lanes(shelf.route)
    assert ["1"] == ids(await shelf.parcels(lane))
