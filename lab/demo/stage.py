"""The demo's stage: the local Azure, the relay in the Functions host, and who looks at them."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from lab.audit import (
    Access,
    audit,
    read_dead_letters,
    read_hub,
    read_queue,
    read_subscription,
)
from lab.credential import managed_identity
from lab.demo.expectations import EXPECTATIONS
from lab.demo.ledger import Ledger
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from lab.plan import DEAD_LETTERS, free_block, plant_plan
from lab.twins import Sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from azure.identity.aio import ManagedIdentityCredential

    from lab.audit import Expectation, Report
    from lab.demo.remedy import Assignment as Remedy
    from lab.demo.screen import Screen
    from lab.functions_host import LogRecord
    from lab.identity.directory import Assignment
    from lab.twins import Notification

APP: Final = Path(__file__).parents[2]
ROUTES: Final = "lab/demo/routes.json"
_RELAY: Final = "relay"


class LabStage:
    """Made by `open_stage`; see `lab.demo.play.Stage`."""

    def __init__(
        self, azure: LocalAzure, host: FunctionsHost, sender: Sender, ledger: Ledger
    ) -> None:
        self.ledger = ledger
        self._azure = azure
        self._host = host
        self._sender = sender
        self._revoked: Assignment | None = None

    async def send(self, notifications: Sequence[Notification], rate: float) -> None:
        """Send by the identity of Azure Digital Twins."""
        await self._sender.send(notifications, rate=rate)

    def revoke(self, route: str) -> str:
        """Take away the role that the relay has on a hub of analytics."""
        scope = self._azure.control.scope(f"analytics/{route}")
        held = next(
            each
            for each in self._azure.directory.assignments()
            if each.scope == scope and each.role.name.endswith("Data Sender")
        )
        self._azure.directory.revoke(held.object_id, held.role.id, held.scope)
        self._revoked = held
        return held.role.name

    def grant(self, assignment: Remedy) -> None:
        """Assign a role as a remedy says."""
        self._azure.directory.grant(assignment.object_id, assignment.role_id, assignment.scope)

    def restore(self) -> bool:
        """Give back what was revoked; tell whether it was missing still."""
        lost = self._revoked
        if lost is None or lost in self._azure.directory.assignments():
            return False
        self._azure.directory.grant(lost.object_id, lost.role.id, lost.scope)
        return True

    async def redrive(self) -> None:
        """Fire the relay's timer."""
        await self._host.invoke_timer("redrive")

    async def audit(self, expectations: Sequence[Expectation]) -> Report:
        """Read everything back by the auditor's identity, and compare."""
        async with _identity(self._azure, "auditor") as auditor:
            ingress, analytics, operations = (
                Access(
                    self._azure.namespace(name).address, auditor, str(self._azure.tls.ca_file)
                )
                for name in ("ingress", "analytics", "operations")
            )
            sent, changes, telemetry, alarms, lifecycle = await asyncio.gather(
                read_hub(ingress, "twin-events", "audit"),
                read_hub(analytics, "twin-changes", "audit"),
                read_hub(analytics, "telemetry", "audit"),
                read_queue(operations, "alarms", session=True),
                read_subscription(operations, "lifecycle", "audit", session=True),
            )
            kept = await read_dead_letters(
                self._azure.storage.url, DEAD_LETTERS, auditor, ingress.ca_file
            )
        arrived = {
            "twin-changes": changes,
            "telemetry": telemetry,
            "alarms": alarms,
            "lifecycle": lifecycle,
        }
        return audit(sent, arrived, expectations, kept)


@asynccontextmanager
async def open_stage(screen: Screen) -> AsyncIterator[LabStage]:
    """Start the local Azure and the relay in it; both end with the context.

    Raises:
        OSError: an address or a port is taken.
        AzuriteError: storage can't be had.
        AppFailed: the relay can't start.
    """
    async with AsyncExitStack() as stack:
        state = stack.enter_context(TemporaryDirectory(prefix="twin-relay-demo-"))
        screen.say("Starting a local Azure: identities, Event Hubs, Service Bus, storage")
        azure = LocalAzure(plant_plan(free_block()), Path(state))
        await stack.enter_async_context(azure)
        ledger = Ledger([one.route for one in EXPECTATIONS], time.monotonic)
        screen.say("Starting the relay in the Functions host")
        host = FunctionsHost(
            APP,
            azure.settings("relay") | {"RELAY_ROUTES_FILE": ROUTES},
            on_log=lambda record: _hear(record, ledger, screen),
            ca_file=azure.tls.ca_file,
        )
        stack.push_async_callback(host.stop)
        await host.start()
        plant = await stack.enter_async_context(_identity(azure, "digital-twins"))
        sender = Sender(
            azure.namespace("ingress").address, "twin-events", plant, str(azure.tls.ca_file)
        )
        yield LabStage(azure, host, await stack.enter_async_context(sender), ledger)


def _hear(record: LogRecord, ledger: Ledger, screen: Screen) -> None:
    """Enter what the relay says; of the others, pass on what is an error."""
    if record.category == _RELAY:
        ledger.hear(record.message, record.properties)
    elif record.level >= logging.ERROR or record.message == FunctionsHost.banner:
        screen.say(record.message.partition("\n")[0])


def _identity(azure: LocalAzure, app: str) -> ManagedIdentityCredential:
    settings = azure.access(app)
    return managed_identity(settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"])
