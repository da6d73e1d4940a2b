"""The host: one worker process, whatever happens to it, and the triggers of its app."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlencode
from uuid import uuid4

from lab.functions import host_json
from lab.functions.event_grid_trigger import EventGridWebhook
from lab.functions.event_hub_trigger import EventHubTrigger
from lab.functions.failures import AppFailed, InvocationTimedOut, WorkerDied
from lab.functions.http_listener import LARGEST_BODY, listener
from lab.functions.http_routes import routes
from lab.functions.http_trigger import HttpTrigger, Keys
from lab.functions.messages import Answer, HttpResponse, Invocation, LogRecord
from lab.functions.mishaps import EXIT
from lab.functions.service_bus_trigger import ServiceBusTrigger
from lab.functions.sources import managed_identity_bus_sources, managed_identity_sources
from lab.functions.supervisor import Supervisor
from lab.functions.timer_trigger import TimerTrigger

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.functions.messages import Data, RetryState
    from lab.functions.metadata import Function
    from lab.functions.sources import BusSourceFactory, SourceFactory
    from lab.serving import HttpServer

    type Pull = EventHubTrigger | ServiceBusTrigger | TimerTrigger

BANNER: Final = (
    "This is the lab's Functions host, not Azure's: the real worker library, but no scaling,"
    " no leases between hosts, no isolation, and AMQP as the Python SDK speaks it."
)
_DRIVEN: Final = {
    "httpTrigger",
    "timerTrigger",
    "eventHubTrigger",
    "eventGridTrigger",
    "serviceBusTrigger",
}
_BODY_LIMIT: Final = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
_RETRIED: Final = {"timerTrigger", "eventHubTrigger"}
"""The triggers whose functions may have a retry policy, of those that are driven here."""


class FunctionsHost:
    """Runs the function app in a directory, as the Functions host would.

    Args:
        app_directory: where `function_app.py` and `host.json` are.
        settings: the app settings; beside PATH and the like they are the whole environment.
        sources: makes the source of an Event Hubs trigger; by default the Azure SDK with the
            app's own managed identity.
        bus_sources: makes the source of a Service Bus trigger, in the same way.
        on_log: hears every log record of the app, of the worker library and of this host.
        ca_file: what the triggers' own connections trust.
        time_scale: what retry delays and pauses are multiplied by.
    """

    banner = BANNER

    def __init__(
        self,
        app_directory: Path,
        settings: Mapping[str, str],
        *,
        on_log: Callable[[LogRecord], None],
        sources: SourceFactory = managed_identity_sources,
        bus_sources: BusSourceFactory = managed_identity_bus_sources,
        ca_file: Path | None = None,
        time_scale: float = 1.0,
    ) -> None:
        self._app_directory = app_directory.resolve()
        self._settings = dict(settings)
        self._on_log = on_log
        self._sources = sources
        self._bus_sources = bus_sources
        self._ca_file = ca_file
        self._time_scale = time_scale
        self._host_json = host_json.HostJson()
        self._keys = Keys()
        self._counts: Counter[str] = Counter()
        self._functions: Sequence[Function] = ()
        self._http = self._http_trigger()
        self._supervisor = Supervisor(
            self._app_directory, self._settings, on_log, time_scale=time_scale
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: dict[str, TimerTrigger] = {}
        self._listeners: list[HttpServer] = []

    async def __aenter__(self) -> Self:
        """Start, for the time of an `async with`."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def functions(self) -> Sequence[Function]:
        """What the app declares; empty before `start`."""
        return self._functions

    @property
    def function_key(self) -> str:
        """The key that opens functions of level `FUNCTION`; new with every host."""
        return self._keys.function

    @property
    def admin_key(self) -> str:
        """The key that opens functions of level `ADMIN` too."""
        return self._keys.admin

    @property
    def event_grid_key(self) -> str:
        """The system key `eventgrid_extension`, which opens Event Grid's webhook."""
        return self._keys.event_grid

    def event_grid_path(self, name: str) -> str:
        """Return path and query of the webhook of an Event Grid function, with its key."""
        query = urlencode({"functionName": name, "code": self._keys.event_grid})
        return f"/runtime/webhooks/EventGrid?{query}"

    @property
    def time_scale(self) -> float:
        """What every waiting time is multiplied by."""
        return self._time_scale

    @property
    def counts(self) -> Mapping[str, int]:
        """How often: `succeeded`, `failed`, `timed_out` (invocations), `died` (workers)."""
        return {**self._counts, "died": self._supervisor.deaths}

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, `None` while there is no worker."""
        return self._supervisor.pid

    async def start(self) -> None:
        """Start the worker, index the app, start its triggers.

        Raises:
            AppFailed: the app, `host.json` or a setting is of no use; the message says why.
        """
        self._host_json = host_json.read(self._app_directory)
        self.log(logging.INFO, self.banner)
        self._functions = await self._supervisor.start()
        try:
            triggers = self._triggers()
        except AppFailed:
            await self.stop()
            raise
        self._tasks = [asyncio.create_task(self._drive(trigger)) for trigger in triggers]

    async def stop(self) -> None:
        """Stop the triggers, then kill the worker: what is under way is not checkpointed."""
        for server in self._listeners:
            await server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._supervisor.stop()

    def kill(self) -> None:
        """Kill the worker process (SIGKILL); the host starts another."""
        self._supervisor.kill()

    def crash(self, how: str = EXIT) -> None:
        """Let the worker process end itself, by `exit` or `segfault`; another is started."""
        self._supervisor.crash(how)

    def set_clock(self, seconds_off: float) -> None:
        """Set the worker's wall clock: so many seconds ahead of the true time, or behind."""
        self._supervisor.set_clock(seconds_off)

    async def invoke_timer(self, name: str, *, past_due: bool = False) -> Answer:
        """Run a timer's function now, with its retry policy; return how it ended.

        Raises:
            KeyError: the app has no such timer.
        """
        return await self._timers[name].fire(late=past_due)

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpResponse:
        """Return the answer of an HTTP function; `path` may carry a query.

        A body gets its Content-Length, unless it is said to be chunked. Where the worker serves
        HTTP itself, requests come by `listen` alone.

        Raises:
            AppFailed: it does.
        """
        if await self.http_address():
            raise AppFailed("the worker serves HTTP itself: send requests to what listens")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        if body and "transfer-encoding" not in given:
            given.setdefault("content-length", str(len(body)))
        return await self._http.answer(method, path, given, body)

    async def listen(
        self, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> str:
        """Serve HTTP and Event Grid functions and return the URL; port 0 takes a free one.

        Azure ends TLS in front of the host; here it may be ended by the host itself.

        Raises:
            PortInUseError: the port is taken.
        """
        limit = int(self._settings.get(_BODY_LIMIT, LARGEST_BODY))
        server = listener(self._http, address, port, tls, limit)
        await server.start()
        self._listeners.append(server)
        return server.url

    async def invoke(
        self,
        function: Function,
        value: Data,
        metadata: Mapping[str, Data],
        retry: RetryState | None = None,
        call_id: str = "",
    ) -> Answer:
        """Run a function with `value` as its trigger's input; `""` for a new id.

        A function that does not answer in time has failed, and its worker is replaced, as
        the host does (WebScriptHostExceptionHandler in Azure/azure-functions-host).

        Raises:
            WorkerDied: the process ended before it answered.
        """
        worker = await self._supervisor.worker()
        name = str(function.trigger["name"])
        call = Invocation(call_id or str(uuid4()), function.id, {name: value}, metadata, retry)
        try:
            answer = await worker.invoke(call, self._host_json.function_timeout)
        except InvocationTimedOut as error:
            worker.kill()
            self._counts["timed_out"] += 1
            answer = Answer(error=f"FunctionTimeoutException: {error}")
        self._supervisor.answered()
        self._note(function, call, answer)
        return answer

    async def http_address(self) -> str:
        """Return where the worker serves HTTP itself; `""` where it does not, or is not."""
        try:
            return (await self._supervisor.worker()).http_address
        except WorkerDied:
            return ""

    def log(self, level: int, message: str) -> None:
        """Say something in the host's own name."""
        self._on_log(LogRecord(level, "Host", message))

    async def _drive(self, trigger: Pull) -> None:
        try:
            await trigger.run()
        except Exception as error:
            # Nobody awaits a trigger: without a word it would just be still.
            self.log(logging.CRITICAL, f"{trigger.function.name}: its trigger ended: {error!r}")
            raise

    def _note(self, function: Function, call: Invocation, answer: Answer) -> None:
        self._counts["succeeded" if answer.succeeded else "failed"] += 1
        if not answer.succeeded:
            text = f"{answer.error}\n{answer.stack}".strip()
            category = f"Host.Function.{function.name}"
            self._on_log(LogRecord(logging.ERROR, category, text, invocation_id=call.id))

    def _triggers(self) -> Sequence[Pull]:
        self._http = self._http_trigger()
        found = self._of("timerTrigger")
        self._timers = {
            each.name: TimerTrigger.of(each, self._settings, self) for each in found
        }
        hubs = [self._event_hub_trigger(each) for each in self._of("eventHubTrigger")]
        buses = [self._service_bus_trigger(each) for each in self._of("serviceBusTrigger")]
        for function in self._functions:
            self._warn(function)
        return [*hubs, *buses, *self._timers.values()]

    def _warn(self, function: Function) -> None:
        if function.trigger_type not in _DRIVEN:
            text = f"{function.name}: nothing drives a {function.trigger_type} here"
            self.log(logging.WARNING, text)
        elif function.retry is not None and function.trigger_type not in _RETRIED:
            # In the words of the Functions host (4.x).
            text = f"Retries are not supported for function 'Functions.{function.name}'."
            self.log(logging.WARNING, text)

    def _http_trigger(self) -> HttpTrigger:
        webhook = EventGridWebhook(
            {each.name: each for each in self._of("eventGridTrigger")}, self._keys, self
        )
        found = routes(self._functions, self._host_json.route_prefix)
        return HttpTrigger(found, webhook, self._keys, self)

    def _of(self, trigger_type: str) -> Sequence[Function]:
        return [each for each in self._functions if each.trigger_type == trigger_type]

    def _event_hub_trigger(self, function: Function) -> EventHubTrigger:
        return EventHubTrigger(
            function,
            self._sources(function, self._settings, self._host_json, self._ca_file),
            self,
            binary=str(function.trigger.get("dataType", "")).upper() == "BINARY",
            many=str(function.trigger.get("cardinality", "MANY")).upper() == "MANY",
            batch_size=self._host_json.max_event_batch_size,
        )

    def _service_bus_trigger(self, function: Function) -> ServiceBusTrigger:
        options = self._host_json.service_bus
        completes = function.trigger.get("autoCompleteMessages")
        if isinstance(completes, bool):
            options = replace(options, auto_complete_messages=completes)
        return ServiceBusTrigger(
            function,
            self._bus_sources(function, self._settings, self._host_json, self._ca_file),
            self,
            binary=str(function.trigger.get("dataType", "")).upper() == "BINARY",
            many=str(function.trigger.get("cardinality", "ONE")).upper() == "MANY",
            sessions=bool(function.trigger.get("isSessionsEnabled")),
            options=options,
        )
