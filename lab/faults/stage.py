"""The real path of one case: a local Azure of its own, the relay in the host, and readers."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from azure.storage.blob.aio import ContainerClient

from lab.audit import Access, Expectation, audit, read_dead_letters, read_hub, read_queue
from lab.credential import managed_identity
from lab.faults.case import Scene
from lab.faults.entrance import PLANT, READERS, RELAY, Ingress
from lab.faults.journal import Journal
from lab.faults.plan import (
    FAULTED,
    HEALTHY,
    HEALTHY_HUB,
    HEALTHY_NAMESPACE,
    TARGETS,
    Kind,
    plan,
)
from lab.faults.times import times, worst_delay
from lab.faults.way_in import access_settings, by_value, open_way
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from lab.messaging.model import Hub
from lab.plan import DEAD_LETTERS, free_block
from lab.twins import Layout, Plant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from azure.identity.aio import ManagedIdentityCredential

    from lab.audit import Key, Received, Report
    from lab.faults.plan import Target
    from lab.faults.times import Times
    from lab.faults.way_in import WayIn

APP: Final = Path(__file__).parents[2]

_SEED: Final = 7
_FEW_TWINS: Final = Layout(1, 1, 3, 2)
"""Reading a session back costs most of a second."""
_HELD: Final = re.compile(r"[^~]*\.held~")
_MALFORMED: Final = "_malformed"


class LabStage:
    """Made by `open_stage`; see `lab.faults.runner.Stage`."""

    def __init__(
        self,
        azure: LocalAzure,
        host: FunctionsHost,
        journal: Journal,
        way_in: WayIn,
        auditor: ManagedIdentityCredential,
        target: Target,
        ingress: Ingress,
    ) -> None:
        self.journal = journal
        self._azure = azure
        self._host = host
        self._way_in = way_in
        self._auditor = auditor
        self._target = target
        self._ingress = ingress
        self._times: tuple[Times, Times] = {}, {}
        self._plant = iter(Plant(_SEED, datetime.now(UTC), layout=_FEW_TWINS))
        self.scene = Scene(
            azure.control,
            host,
            journal,
            target,
            way_in.held,
            lambda: sum(
                self._held(target.namespace, name) for name in self._entities(target.namespace)
            ),
            way_in.put,
        )

    async def flow(self, count: int, rate: float) -> None:
        """Let the plant send its next events."""
        await self._way_in.flow(islice(self._plant, count), rate)

    async def redrive(self) -> None:
        """Fire the relay's timer."""
        await self._host.invoke_timer("redrive")

    async def is_settled(self) -> bool:
        """Whether the way in is done with everything and nothing waits in Blob."""
        if not await self._way_in.is_settled():
            return False
        async with self._container(DEAD_LETTERS) as container:
            names = [name async for name in container.list_blob_names()]
        return all(_HELD.match(name) for name in names)

    async def audit(self) -> tuple[Report, int]:
        """Read everything back and compare; with the report, how many malformed are missing."""
        sent, faulted, healthy = await asyncio.gather(
            self._way_in.sent(),
            self._read_target(),
            read_hub(self._access(HEALTHY_NAMESPACE), HEALTHY_HUB, READERS),
        )
        if self._ingress is Ingress.EVENT_GRID:
            sent, faulted, healthy = map(by_value, (sent, faulted, healthy))
        self._times = times(sent), times(healthy)
        kept, ordered = await self._kept(), self._ingress.is_ordered
        expected = (
            Expectation(FAULTED, lambda _: True, ordered, moves=self._moves()),
            Expectation(HEALTHY, lambda _: True, ordered),
        )
        report = audit(sent, {FAULTED: faulted, HEALTHY: healthy}, expected, kept)
        return report, max(0, report.malformed - len(kept.get(_MALFORMED, ())))

    async def _read_target(self) -> list[Received]:
        access = self._access(self._target.namespace)
        if self._target.kind is Kind.QUEUE:
            return await read_queue(access, self._target.entity, session=True)
        hubs = [(name, await read_hub(access, name, READERS)) for name in self._hubs()]
        return [replace(m, stream=f"{name}/{m.stream}") for name, read in hubs for m in read]

    def _hubs(self) -> list[str]:
        """Return the target's hub, behind those whose place it has taken."""
        held = self._entities(self._target.namespace)
        return sorted(held, key=lambda name: (name == self._target.entity, name))

    def _moves(self) -> bool:
        """Whether the target's partitions are not those that it began with."""
        if self._target.kind is Kind.QUEUE:
            return False
        held = self._entities(self._target.namespace)
        return len(held) > 1 or len(held[self._target.entity]) != Hub("any").partitions

    async def _kept(self) -> Mapping[str, Collection[Key]]:
        return await read_dead_letters(
            self._azure.storage.url, DEAD_LETTERS, self._auditor, str(self._azure.tls.ca_file)
        )

    def worst_delay(self, since: float) -> float | None:
        """Return the seconds that the healthy route's slowest event took, by the audit."""
        return worst_delay(*self._times, since)

    def _access(self, namespace: str) -> Access:
        address = self._azure.namespace(namespace).address
        return Access(address, self._auditor, str(self._azure.tls.ca_file))

    def _container(self, name: str) -> ContainerClient:
        return ContainerClient(
            self._azure.storage.url,
            name,
            credential=self._auditor,
            connection_verify=str(self._azure.tls.ca_file),
        )

    def _held(self, namespace: str, entity: str) -> int:
        """Count what an entity holds."""
        counts = self._entities(namespace)[entity]
        if "active" in counts:
            return int(counts["active"])
        return sum(partition["next"] for partition in counts.values())

    def _entities(self, namespace: str) -> dict[str, dict[str, Any]]:
        state: Any = self._azure.broker.state()[namespace]
        entities: dict[str, dict[str, Any]] = state["entities"]
        return entities


@asynccontextmanager
async def open_stage(
    kind: Kind, ingress: Ingress = Ingress.EVENT_HUB
) -> AsyncIterator[LabStage]:
    """Start a local Azure and the relay in it; both end with the context.

    Raises:
        OSError: an address or a port is taken.
        AzuriteError: storage can't be had.
        AppFailed: the relay can't start.
    """
    target = TARGETS[kind]
    async with AsyncExitStack() as stack:
        state = stack.enter_context(TemporaryDirectory(prefix="twin-relay-faults-"))
        azure = LocalAzure(
            plan(free_block(), target, ingress),
            Path(state),
            event_grid_time_scale=ingress.time_scale,
            proxied=True,
        )
        await stack.enter_async_context(azure)
        journal = Journal()
        host = FunctionsHost(
            APP,
            {**azure.settings(RELAY), **access_settings(ingress, azure)},
            on_log=journal.hear,
            ca_file=azure.tls.ca_file,
            time_scale=ingress.time_scale,
        )
        stack.push_async_callback(host.stop)
        await host.start()
        plant = await stack.enter_async_context(_identity(azure, PLANT))
        auditor = await stack.enter_async_context(_identity(azure, "auditor"))
        way_in = await stack.enter_async_context(open_way(ingress, azure, host, plant, auditor))
        yield LabStage(azure, host, journal, way_in, auditor, target, ingress)


def _identity(azure: LocalAzure, app: str) -> ManagedIdentityCredential:
    settings = azure.access(app)
    return managed_identity(settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"])
