"""What every store of dead letters promises, asked of the fake and of real Blob alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from lab.credential import managed_identity
from lab.local_azure import LocalAzure
from lab.plan import DEAD_LETTERS, free_block, plant_plan
from relay.dead_letters import Backlog, DeadLetter, DeadLetters, Fate, Parcel, Shelf, blob_name
from relay.dead_letters.blobs import Blobs
from relay.dead_letters.store import BlobDeadLetters
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.identity import Identity
from relay.observer import BlobFailed, Fact
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


type BreakClaim = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def memory(_: LocalAzure) -> AsyncIterator[tuple[DeadLetters, BreakClaim]]:
    store = MemoryDeadLetters()

    async def break_claim(name: str) -> None:
        store.break_claim(name)

    yield store, break_claim


@asynccontextmanager
async def blobs(azure: LocalAzure) -> AsyncIterator[tuple[DeadLetters, BreakClaim]]:
    async with Identity() as identity, container_of(azure) as others:
        container = Container(azure.storage.url, DEAD_LETTERS, "", azure.storage.resource_id)
        store = BlobDeadLetters(Blobs(container, identity, str(azure.tls.ca_file)))

        async def break_claim(name: str) -> None:
            await BlobLeaseClient(others.get_blob_client(name)).break_lease(0)

        yield store, break_claim
        await store.close()


@asynccontextmanager
async def container_of(azure: LocalAzure) -> AsyncIterator[ContainerClient]:
    """Open the container without any of the relay's code."""
    access = azure.access("relay")
    relay = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    container = ContainerClient(
        azure.storage.url,
        DEAD_LETTERS,
        credential=relay,
        connection_verify=str(azure.tls.ca_file),
    )
    async with relay, container:
        yield container


type Opened = AbstractAsyncContextManager[tuple[DeadLetters, BreakClaim]]

STORES: dict[str, Callable[[LocalAzure], Opened]] = {"memory": memory, "blobs": blobs}


@dataclass(frozen=True)
class Keeping:
    """A store, and a route that no other test uses."""

    store: DeadLetters
    route: str
    break_claim: BreakClaim

    async def put(
        self, *sequences: int, lane: str = "hub/0", hours: int = 0, fate: Fate = Fate.WAITING
    ) -> list[DeadLetter]:
        reason = Reason.FORBIDDEN if fate is Fate.WAITING else Reason.TOO_LARGE
        letters = [a_letter(number, lane, hours, reason) for number in sequences]
        name = blob_name(self.route, [letter.arrival for letter in letters], fate)
        await self.store.put(name, letters, self.route)
        return letters

    async def parcels(
        self, lane: str = "hub/0", fate: Fate = Fate.WAITING, since: str = ""
    ) -> list[Parcel]:
        shelf = Shelf(self.route, fate)
        portions = self.store.portions(shelf, lane, lambda blob: blob.name >= since)
        return [parcel async for portion in portions for parcel in portion]

    async def lanes(self, fate: Fate = Fate.WAITING) -> list[str]:
        return await self.store.lanes(Shelf(self.route, fate))


def a_letter(sequence: int, lane: str, hours: int, reason: Reason) -> DeadLetter:
    event = an_event(id=str(sequence), data=b'{"a" : 1.0}')
    arrival = an_arrival(event, lane=lane, sequence=sequence)
    arrival = replace(arrival, enqueued=NOON + timedelta(hours=hours))
    return DeadLetter(arrival, reason, "it is away", 1, NOON)


@pytest_asyncio.fixture(loop_scope="module", params=STORES, ids=str)
async def shelf(azure: LocalAzure, request: pytest.FixtureRequest) -> AsyncIterator[Keeping]:
    async with STORES[request.param](azure) as (store, break_claim):
        yield Keeping(store, f"route-{abs(hash(request.node.name))}", break_claim)


def ids(parcels: list[Parcel]) -> list[str]:
    contents = [letter.arrival.content for parcel in parcels for letter in parcel.letters]
    return [content.id for content in contents if isinstance(content, Event)]


async def test_letters_come_back_as_they_were_put(shelf: Keeping) -> None:
    letters = await shelf.put(1, 2, 3)

    (parcel,) = await shelf.parcels()
    assert letters == list(parcel.letters)


async def test_what_waits_comes_in_order_of_arrival_whenever_it_was_put(shelf: Keeping) -> None:
    await shelf.put(9, 10, hours=1)
    await shelf.put(100, hours=2)
    await shelf.put(7, 8)

    assert ["7", "8", "9", "10", "100"] == ids(await shelf.parcels())


async def test_one_lane_is_not_mistaken_for_another(shelf: Keeping) -> None:
    await shelf.put(1, lane="hub/1")
    await shelf.put(2, lane="hub/11")

    assert ["1"] == ids(await shelf.parcels("hub/1"))
    assert ["2"] == ids(await shelf.parcels("hub/11"))
    assert [] == ids(await shelf.parcels("hub"))
    assert ["hub/1", "hub/11"] == sorted(await shelf.lanes())


async def test_the_same_batch_put_again_adds_nothing(shelf: Keeping) -> None:
    await shelf.put(1, 2)
    await shelf.put(1, 2)

    assert ["1", "2"] == ids(await shelf.parcels())


async def test_what_is_held_does_not_wait(shelf: Keeping) -> None:
    await shelf.put(1, fate=Fate.HELD)

    assert [] == await shelf.parcels()
    assert [] == await shelf.lanes()
    assert ["1"] == ids(await shelf.parcels(fate=Fate.HELD))


async def test_a_parcel_is_replaced_by_what_is_left_of_it(shelf: Keeping) -> None:
    letters = await shelf.put(1, 2, 3)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed([parcel]) as ours:
        assert await shelf.store.replace(parcel, letters[2:], shelf.route)

    assert [parcel] == list(ours)
    assert ["3"] == ids(await shelf.parcels())


async def test_a_parcel_is_removed(shelf: Keeping) -> None:
    await shelf.put(1)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed([parcel]):
        assert await shelf.store.remove(parcel)

    assert [] == await shelf.parcels()


async def test_what_was_written_or_removed_since_it_was_read_is_not_claimed(
    shelf: Keeping,
) -> None:
    await shelf.put(1, 2)
    (old,) = await shelf.parcels()
    await shelf.put(1, 2)
    async with shelf.store.claimed([old]) as ours:
        assert not ours
    (new,) = await shelf.parcels()
    async with shelf.store.claimed([new]):
        assert await shelf.store.remove(new)
    async with shelf.store.claimed([new]) as ours:
        assert not ours


async def test_what_is_claimed_is_nobody_elses_until_it_is_let_go(shelf: Keeping) -> None:
    await shelf.put(1)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed([parcel]) as ours:
        async with shelf.store.claimed([parcel]) as others:
            assert (len(ours), len(others)) == (1, 0)
        with pytest.raises(DeliveryError):
            await shelf.put(1)
    async with shelf.store.claimed([parcel]) as ours:
        assert ours


async def test_only_the_first_parcels_up_to_one_that_is_not_free_are_claimed(
    shelf: Keeping,
) -> None:
    for number in range(5):
        await shelf.put(number)
    parcels = await shelf.parcels()
    async with shelf.store.claimed(parcels[2:3]), shelf.store.claimed(parcels) as ours:
        assert parcels[:2] == list(ours)
        async with shelf.store.claimed(parcels[3:]) as others:
            assert parcels[3:] == list(others)
    async with shelf.store.claimed(parcels) as ours:
        assert parcels == list(ours)


@pytest.mark.parametrize("is_rewritten", [True, False])
async def test_a_parcel_whose_claim_was_lost_is_neither_removed_nor_replaced(
    shelf: Keeping, is_rewritten: bool
) -> None:
    letters = await shelf.put(1, 2)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed([parcel]):
        await shelf.break_claim(parcel.name)
        if is_rewritten:
            await shelf.put(1, 2)
        assert not await shelf.store.replace(parcel, letters[1:], shelf.route)
        assert not await shelf.store.remove(parcel)

    assert ["1", "2"] == ids(await shelf.parcels())


async def test_a_parcel_that_is_gone_under_its_claim_is_no_trouble(shelf: Keeping) -> None:
    await shelf.put(1)
    (parcel,) = await shelf.parcels()
    async with shelf.store.claimed([parcel]):
        await shelf.break_claim(parcel.name)
        async with shelf.store.claimed([parcel]):
            assert await shelf.store.remove(parcel)
        assert not await shelf.store.remove(parcel)
        assert not await shelf.store.replace(parcel, parcel.letters, shelf.route)

    assert [] == await shelf.parcels()


async def test_what_is_kept_of_a_batch_is_found_whatever_its_fate_and_its_cut(
    shelf: Keeping,
) -> None:
    await shelf.put(1, 2, 3)
    await shelf.put(4, 6)
    await shelf.put(5, fate=Fate.HELD)
    await shelf.put(4, lane="hub/1")
    batch = [a_letter(n, "hub/0", 0, Reason.TIMEOUT).arrival for n in (3, 4, 5)]

    kept = await shelf.store.kept(shelf.route, batch)

    assert {("hub/0", n, 0) for n in (1, 2, 3, 4, 5, 6)} == kept.places
    assert kept.goes_on


async def test_a_blob_that_is_about_to_be_overwritten_is_not_asked_what_is_kept(
    shelf: Keeping,
) -> None:
    batch = [letter.arrival for letter in await shelf.put(1, 2)]
    name = blob_name(shelf.route, batch, Fate.WAITING)

    kept = await shelf.store.kept(shelf.route, batch, but=[name])

    assert (frozenset(), False) == (kept.places, kept.goes_on)


async def test_portions_grow_and_blobs_that_are_not_wanted_are_passed_over(
    shelf: Keeping,
) -> None:
    for number in range(8):
        await shelf.put(number)
    names = [parcel.name for parcel in await shelf.parcels()]

    portions = shelf.store.portions(Shelf(shelf.route), "hub/0", lambda x: x.name != names[3])

    found = [ids(portion) async for portion in portions]
    assert [["0"], ["1", "2"], ["4", "5", "6", "7"]] == found


async def test_the_shelves_are_told_each_once(shelf: Keeping) -> None:
    for lane in ("hub/0", "hub/1"):
        await shelf.put(1, lane=lane)
        await shelf.put(2, lane=lane)
        await shelf.put(1, lane=lane, fate=Fate.HELD)

    ours = [each for each in await shelf.store.shelves() if each.route == shelf.route]

    assert [Shelf(shelf.route, fate) for fate in (Fate.HELD, Fate.WAITING)] == sorted(
        ours, key=lambda each: each.fate
    )
    assert ["hub/0", "hub/1"] == await shelf.lanes(Fate.HELD)


async def test_without_its_role_the_relay_is_told_which_one(azure: LocalAzure) -> None:
    scope = azure.control.scope(DEAD_LETTERS)
    async with blobs(azure) as (store, break_claim):
        azure.control.revoke("relay", CONTRIBUTOR, scope)
        with pytest.raises(DeliveryError) as failed:
            await Keeping(store, "refused", break_claim).put(1)
        azure.control.grant("relay", CONTRIBUTOR, scope)

    assert Reason.FORBIDDEN is failed.value.reason
    assert failed.value.refusal is not None
    assert CONTRIBUTOR == failed.value.refusal.role
    assert scope == failed.value.refusal.scope


async def test_a_blob_that_is_no_batch_comes_without_letters(azure: LocalAzure) -> None:
    name = "foreign~hub=2F0/x.json"
    async with container_of(azure) as container, blobs(azure) as (store, _):
        await container.upload_blob(name, b"\xff{", overwrite=True)
        portions = store.portions(Shelf("foreign"), "hub/0")
        ((parcel,),) = [portion async for portion in portions]
        async with store.claimed([parcel]):
            assert await store.remove(parcel)

        assert () == parcel.letters
        with pytest.raises(ResourceNotFoundError):
            await container.download_blob(name)


async def test_a_store_that_is_down_is_unavailable_and_comes_back(azure: LocalAzure) -> None:
    async with blobs(azure) as (store, break_claim):
        azure.control.refuse_storage(500, "InternalError", 3)
        with pytest.raises(DeliveryError) as failed:
            await Keeping(store, "down", break_claim).put(1)
        azure.control.allow_storage()
        await Keeping(store, "down", break_claim).put(1)

    assert Reason.UNAVAILABLE is failed.value.reason


@pytest.mark.parametrize("lane", ["hub/0", "a~b=c%d", "ä ö", "..", "hub/with/slashes"])
async def test_a_lane_of_any_name_comes_back_by_its_name(shelf: Keeping, lane: str) -> None:
    await shelf.put(1, lane=lane)

    assert [lane] == await shelf.lanes()
    assert ["1"] == ids(await shelf.parcels(lane))


async def test_a_backlog_counts_events_by_what_is_to_become_of_them(shelf: Keeping) -> None:
    await shelf.put(5, 6, 7, hours=1)
    await shelf.put(1, lane="hub/1", hours=2)
    await shelf.put(8, fate=Fate.HELD)

    backlog = await shelf.store.backlog(shelf.route)

    assert (backlog.waiting, backlog.held, backlog.is_whole) == (4, 1, True)
    assert backlog.oldest == NOON + timedelta(hours=1)
    assert backlog.first is not None
    assert (backlog.first.reason, backlog.first.arrival.sequence) == (Reason.FORBIDDEN, 5)


async def test_a_backlog_shrinks_with_what_is_left_of_a_parcel(shelf: Keeping) -> None:
    letters = await shelf.put(1, 2, 3)
    parcels = await shelf.parcels()
    async with shelf.store.claimed(parcels) as ours:
        assert await shelf.store.replace(ours[0], letters[2:], shelf.route)

    assert (await shelf.store.backlog(shelf.route)).waiting == 1


async def test_a_route_without_dead_letters_has_no_backlog(shelf: Keeping) -> None:
    assert await shelf.store.backlog(shelf.route) == Backlog()


async def test_a_refusal_by_blob_is_told_whatever_was_asked(azure: LocalAzure) -> None:
    container = Container(azure.storage.url, DEAD_LETTERS, "", azure.storage.resource_id)
    facts: list[Fact] = []
    async with Identity() as identity:
        blobs = Blobs(container, identity, str(azure.tls.ca_file), facts.append)
        store = BlobDeadLetters(blobs)
        azure.storage.refuse(403, "AuthorizationPermissionMismatch")
        with pytest.raises(DeliveryError):
            await store.put("told~hub/1", [a_letter(1, "hub/0", 0, Reason.TIMEOUT)], "told")
        with pytest.raises(DeliveryError):
            await store.backlog("told")
        azure.storage.allow()
        await store.backlog("told")
        await store.close()

    failed = [fact.error for fact in facts if isinstance(fact, BlobFailed)]
    assert [Reason.FORBIDDEN, Reason.FORBIDDEN] == [error.reason for error in failed]
    assert all(error.refusal is not None for error in failed)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AuthorizationFailure", Reason.NETWORK_DENIED),
        (403, "AuthorizationPermissionMismatch", Reason.FORBIDDEN),
        (403, "AccountIsDisabled", Reason.DISABLED),
    ],
)
async def test_a_storage_firewall_is_told_from_a_missing_role(
    azure: LocalAzure, status: int, code: str, reason: Reason
) -> None:
    async with blobs(azure) as (store, break_claim):
        azure.control.refuse_storage(status, code)
        with pytest.raises(DeliveryError) as failed:
            await Keeping(store, "refused", break_claim).put(1)
        azure.control.allow_storage()

    assert reason is failed.value.reason


async def test_what_is_written_names_the_encryption_scope(azure: LocalAzure) -> None:
    """Azurite encrypts nothing; what counts here is that every write asks for the scope."""
    scoped = Container(azure.storage.url, DEAD_LETTERS, encryption_scope="twin-events")
    async with Identity() as identity:
        store = BlobDeadLetters(Blobs(scoped, identity, str(azure.tls.ca_file)))
        shelf = Keeping(store, "scoped", lambda _: asyncio.sleep(0))
        letters = await shelf.put(1, 2)
        [parcel] = await shelf.parcels()
        asked = azure.storage.encryption_scopes
        first = dict(asked)
        asked.clear()
        async with store.claimed([parcel]):
            assert await store.replace(parcel, letters[1:], "scoped")
        await store.close()

    assert set(first.values()) == set(asked.values()) == {"twin-events"}
    assert first.keys() == asked.keys()
