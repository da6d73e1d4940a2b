"""The composition root: builds everything once, and answers the host whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import cached_property, partial, wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay import sinks
from relay.identity import Identity
from relay.redaction import RedactedRecord, redacted, tells_a_secret
from relay.settings import read
from relay.side_by_side import side_by_side
from relay.turns import InTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    import azure.functions as func

    from relay.by_hand import ByHand
    from relay.event import Event
    from relay.event_path import EventPath
    from relay.health import Health
    from relay.needs import Need
    from relay.observer import Observer
    from relay.operations.answers import Answer
    from relay.operations.operating import Parts
    from relay.operations.surface import Surface
    from relay.operations.webhook import Request, Webhook
    from relay.outcomes import Result
    from relay.routing import Destination, Route
    from relay.settings import Container, ManagedIdentity, Settings
    from relay.survey import Knock
    from relay.twins_redrive import TwinsRedrive


_APP: Final = Path(__file__).resolve().parent.parent
_AT_ONCE: Final = 8
"""Links that are opened side by side before there are events."""


class Relay:
    """Twin Relay, built from its settings.

    What stands in the way of any event stops the start. What events pass is put together when
    it is first used, or by `get_ready`, so that links are opened meanwhile.

    Args:
        settings: what it was told.
        listen: hears of everything too.

    Attributes:
        settings: the same as was given.
    """

    def __init__(self, settings: Settings, listen: Observer | None = None) -> None:
        self.settings = settings
        self._listen = listen
        self._identities: dict[ManagedIdentity, Identity] = {}
        self._sinks = self._build_sinks()
        self._readying: asyncio.Task[None] | None = None
        if settings.telemetry.exporters:
            self._path  # noqa: B018 - what is wrong with its settings stops the start
        if settings.api or settings.twins or settings.service_tags:
            self.surface  # noqa: B018 - so does what is wrong with these
        self._webhook = self._build_webhook()

    # What is called later is imported later: an app that only forwards events starts in half
    # the time, and links are opened meanwhile.

    @cached_property
    def _path(self) -> EventPath:
        from relay.event_path import EventPath

        return EventPath(
            self.settings, self._sinks, self._identity, self._knocks(), self._listen
        )

    async def _loaded(self) -> EventPath:
        """Return the event path, imported in a thread, so that the event loop goes on."""
        if "_path" not in vars(self):
            await asyncio.to_thread(import_module, "relay.event_path")
        return self._path

    @property
    def health(self) -> Health:
        """How each route fares."""
        return self._path.health

    @property
    def by_hand(self) -> ByHand:
        """What an operator may do with dead letters."""
        return self._path.by_hand

    @cached_property
    def surface(self) -> Surface:
        """What may be called besides its triggers."""
        from relay.operations.surface import Surface

        return Surface(self.settings, self._identity, self._path.observe, self._parts())

    def _parts(self) -> Parts:
        """Return what operators are shown and may do over HTTP."""
        from relay.operations.operating import Parts

        return Parts(
            self.settings.routes,
            self.by_hand,
            self.report,
            self._path.dead_letters.shelves,
            self._examine,
            _page,
        )

    async def _examine(self) -> dict[str, Any]:
        """Run the doctor, with identities of its own."""
        from relay.operations.examination import Examination

        return (await Examination(self.settings).run()).as_json()

    def _knocks(self) -> dict[str, Knock]:
        """Return how to try each ingress that the host reads for this relay."""
        from relay.needs import Act, needs_of

        return {
            need.subject: partial(self._knock, need)
            for need in needs_of(self.settings)
            if need.act is Act.LISTEN
        }

    async def _knock(self, need: Need) -> None:
        from relay.operations.knocking import knock

        await knock(need, self._identity(need.identity), self.settings.ca_file)

    def _build_webhook(self) -> Webhook | None:
        http = self.settings.ways_in.http
        if http is None:
            return None
        from relay.event_path import now
        from relay.operations.access import Authenticator
        from relay.operations.webhook import Webhook

        authenticator = Authenticator(http.access, ca_file=self.settings.ca_file)
        source = self.settings.event_grid_source
        path, gate = self._path, self.surface.gate
        return Webhook(http, source, authenticator.caller, path.settle, path.observe, now, gate)

    def get_ready(self) -> None:
        """Begin to open what the first event will need, if an event loop runs already.

        A host takes its time from when it has loaded an app until it hands over an event, and
        an event that comes meanwhile waits for what is being opened. Nothing that fails here
        is told: the first event meets the same, and tells it as ever. Whoever calls this is
        not kept waiting. Without a loop, the first event opens what it needs.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._readying is None:
            self._readying = loop.create_task(self._open_ahead())

    async def _open_ahead(self) -> None:
        """Open a link to each destination to which some route may send."""
        wanted = {self._sinks[r.name] for r in self.settings.routes if r.filter.text != "false"}
        opening = side_by_side(InTurn.open_ahead, wanted, _AT_ONCE)
        await asyncio.gather(opening, self._load(), return_exceptions=True)

    async def _load(self) -> None:
        await self._loaded()
        from relay.dead_letters import blobs

        await blobs.load()

    def _build_sinks(self) -> dict[str, InTurn]:
        """Make a sink for each route; routes that send alike to one destination share it."""
        built: dict[tuple[Destination, bool], InTurn] = {}
        for route in self.settings.routes:
            alike = route.destination, route.ordered
            built[alike] = built.get(alike) or self._sink(route)
        return {r.name: built[r.destination, r.ordered] for r in self.settings.routes}

    def _sink(self, route: Route) -> InTurn:
        connection = self.settings.connections[route.destination.connection]
        identity = self._identity(connection.identity)
        ca_file, shortcuts = self.settings.ca_file, self.settings.shortcuts
        return InTurn(sinks.build(route, connection, identity, ca_file, shortcuts=shortcuts))

    def _identity(self, which: ManagedIdentity) -> Identity:
        return self._identities.setdefault(which, Identity(which.client_id, which.resource_id))

    async def from_event_hub(
        self, events: Sequence[func.EventHubEvent], trace: str = ""
    ) -> None:
        """Settle a batch of the Event Hubs trigger.

        Args:
            events: as the trigger brings them.
            trace: the host's trace of the invocation, as a `traceparent`.

        Raises:
            UnsettledError: the host must deliver the batch again.
        """
        await (await self._loaded()).from_event_hub(events, trace)

    async def from_service_bus(
        self, messages: Sequence[func.ServiceBusMessage], trace: str = ""
    ) -> None:
        """Settle what the Service Bus trigger brings.

        Raises:
            UnsettledError: the host must abandon the messages, so that they come again.
            LookupError: the settings name no entity.
        """
        await (await self._loaded()).from_service_bus(messages, trace)

    async def from_event_grid(self, event: str, trace: str = "") -> None:
        """Settle an event of the Event Grid trigger.

        Raises:
            UnsettledError: the host must answer Event Grid that it failed.
        """
        await (await self._loaded()).from_event_grid(event, trace)

    async def from_http(self, request: Request) -> Answer:
        """Answer a request to the webhook.

        Raises:
            LookupError: the settings do not open it.
        """
        if self._webhook is None:
            raise LookupError("INGRESS_HTTP is not set")
        return await self._webhook.answer(request)

    async def settle(self, events: Sequence[Event | bytes | str]) -> list[Result]:
        """Settle events that another part of the app has.

        Args:
            events: as values, or CloudEvents in JSON, one or an array each.

        Returns:
            What became of each, in their order: delivered or durable in Blob.

        Raises:
            UnsettledError: something is neither; hand all of it over again.
        """
        return await (await self._loaded()).from_caller(events)

    def twins_redrive(self, container: Container, prefix: str) -> TwinsRedrive:
        """Return what brings dead letters of Azure Digital Twins itself to the routes."""
        return self._path.twins_redrive(container, prefix)

    async def redrive(self, trace: str = "") -> None:
        """Redrive every dead letter that waits for its destination.

        Raises:
            UnsettledError: Blob storage did not answer.
        """
        await (await self._loaded()).redrive(trace)

    async def watch_service_tags(self) -> None:
        """Look whether addresses changed, and hand over at once what is to be told of it.

        Raises:
            LookupError: the settings don't say where to look.
            DiscoveryError: there is no list of today.
        """
        try:
            await self.surface.watch_service_tags()
        finally:
            # Once a week: an instance may be gone before anything else hands over.
            await self._path.pipeline.flush(is_urgent=True)

    def report(self) -> dict[str, Any]:
        """Say how each route fares, as the page and machines read it.

        What waits in Blob is counted anew in the background, for whoever asks again, and each
        ingress is tried.
        """
        from relay.event_path import now
        from relay.operations.route_report import report

        path = self._path
        path.survey.look_soon()
        servers = {name: each.namespace for name, each in self.settings.connections.items()}
        return report(
            self.settings.routes,
            path.health.routes,
            servers,
            path.rates.per_minute,
            now(),
            self.settings.telemetry.instance,
            path.health.places.values(),
        )

    async def close(self) -> None:
        """Let go of every connection."""
        if self._readying is not None:
            self._readying.cancel()
            await asyncio.wait([self._readying])
        path = vars(self).get("_path")
        if path is not None:
            await path.stop()
        for sink in set(self._sinks.values()):
            await sink.close()
        if path is not None:
            await path.close()
        if "surface" in vars(self):
            await self.surface.close()
        if path is not None:
            await path.pipeline.close()
        for identity in self._identities.values():
            await identity.close()


def from_environment(
    environment: Mapping[str, str] | None = None,
    *,
    prefix: str = "",
    directory: Path = _APP,
    needs_ingress: bool = True,
) -> Relay:
    """Build a relay from app settings.

    Args:
        environment: the settings by name; the process environment if none are given.
        prefix: how the names of all its settings begin, where an app holds several relays.
        directory: where `function_app.py` and `host.json` stand, and `RELAY_ROUTES_FILE`.
        needs_ingress: whether it is of no use without a way in of its own.

    Raises:
        SettingsError: with everything that is wrong with them.
        ValueError: the prefix can't be one.
    """
    # The SDKs' own chatter, a record for every request, would drown what the relay says.
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.setLogRecordFactory(RedactedRecord)
    given = os.environ if environment is None else environment
    return Relay(read(given, directory, prefix, needs_ingress=needs_ingress))


def answered[**Arguments, Result](
    function: Callable[Arguments, Coroutine[Any, Any, Result]],
) -> Callable[Arguments, Coroutine[Any, Any, Result]]:
    """Make a function of the app always answer the host.

    The worker answers for an `Exception` only: a `CancelledError` that escapes leaves the host
    waiting for `functionTimeout`, and `SystemExit` ends the worker with every other invocation
    in it (Azure/azure-functions-python-worker, `handle_event.py`).
    """

    @wraps(function)
    async def answering(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            if tells_a_secret(error):  # its traceback would be logged by the host
                raise RuntimeError(redacted(f"{type(error).__name__}: {error}")) from None
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise RuntimeError(f"the invocation was ended by {error!r}") from error

    return answering


def _page() -> Answer:
    from relay.operations.answers import Answer
    from relay.operations.page import page

    body, headers = page()
    return Answer(200, headers, body)
