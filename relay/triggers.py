"""The functions of a relay: one for each way in that its settings open, and the redrive."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, List

import azure.functions as func

from relay import host_times, http_whole
from relay.app import answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from relay.app import Relay
    from relay.operations.answers import Answer
    from relay.settings import HttpIngress, ServiceBusIngress

    type Declare = Callable[[Any], Any]


def blueprint(relay: Relay) -> func.Blueprint:
    """Return the functions of a relay, for a function app to register.

    Where a relay has a prefix, so have its functions and its webhook's path: several fit into
    one app.
    """
    if relay.settings.shortcuts:
        host_times.shorten()
    functions = func.Blueprint()  # type: ignore[no-untyped-call]
    ways_in = relay.settings.ways_in
    if ways_in.event_hub is not None:
        _event_hub(functions, relay)
    if ways_in.service_bus is not None:
        _service_bus(functions, relay, ways_in.service_bus)
    if ways_in.event_grid:
        _event_grid(functions, relay)
    if ways_in.http is not None:
        _http(functions, relay, ways_in.http)
    if relay.settings.api is not None:
        _operator(functions, relay)
    if relay.settings.twins is not None:
        _twins(functions, relay)
    if relay.settings.service_tags is not None and relay.settings.service_tags.subscription:
        _service_tags(functions, relay)
    _redrive(functions, relay)
    relay.get_ready()
    return functions


def _name(relay: Relay, function: str) -> str:
    own = relay.settings.name
    return f"{own}_{function}" if own else function


def _trace(context: func.Context) -> str:
    """Return the host's trace of an invocation, which the worker passes on by a switch only."""
    return str(context.trace_context.trace_parent or "")


def _setting(relay: Relay, name: str) -> str:
    """Return a reference to a setting, which the host follows."""
    return f"%{relay.settings.prefix}{name}%"


def _event_hub(functions: func.Blueprint, relay: Relay) -> None:
    @functions.function_name(_name(relay, "event_hub"))
    @functions.event_hub_message_trigger(
        arg_name="events",
        event_hub_name=_setting(relay, "INGRESS_EVENT_HUB"),
        consumer_group=_setting(relay, "INGRESS_CONSUMER_GROUP"),
        connection=f"{relay.settings.prefix}INGRESS",
        cardinality="many",
        data_type="binary",
    )
    @functions.retry(
        strategy="exponential_backoff",
        max_retry_count="-1",
        minimum_interval="00:00:01",
        maximum_interval="00:01:00",
    )
    @answered
    async def event_hub(events: List[func.EventHubEvent], context: func.Context) -> None:
        """Settle the events that a hub's partition brings."""
        await relay.from_event_hub(events, _trace(context))


def _service_bus(functions: func.Blueprint, relay: Relay, bus: ServiceBusIngress) -> None:
    """Declare the trigger; it takes no retry policy: the host abandons what fails."""
    declare = partial(
        _entity(functions, relay, bus),
        connection=f"{relay.settings.prefix}INGRESS_SERVICE_BUS",
        data_type="binary",
        is_sessions_enabled=bus.session,
    )
    name = functions.function_name(_name(relay, "service_bus"))
    if bus.batches:
        _many_messages(name, declare(arg_name="messages", cardinality="many"), relay)
    else:
        _one_message(name, declare(arg_name="message", cardinality="one"), relay)


def _entity(
    functions: func.Blueprint, relay: Relay, bus: ServiceBusIngress
) -> Callable[..., Declare]:
    if not bus.ingress.group:
        queue = _setting(relay, "INGRESS_QUEUE")
        return partial(functions.service_bus_queue_trigger, queue_name=queue)
    return partial(
        functions.service_bus_topic_trigger,
        topic_name=_setting(relay, "INGRESS_TOPIC"),
        subscription_name=_setting(relay, "INGRESS_SUBSCRIPTION"),
    )


def _many_messages(name: Declare, trigger: Declare, relay: Relay) -> None:
    @name
    @trigger
    @answered
    async def service_bus(
        messages: List[func.ServiceBusMessage], context: func.Context
    ) -> None:
        """Settle a batch of messages."""
        await relay.from_service_bus(messages, _trace(context))


def _one_message(name: Declare, trigger: Declare, relay: Relay) -> None:
    @name
    @trigger
    @answered
    async def service_bus(message: func.ServiceBusMessage, context: func.Context) -> None:
        """Settle a message."""
        await relay.from_service_bus([message], _trace(context))


def _event_grid(functions: func.Blueprint, relay: Relay) -> None:
    @functions.function_name(_name(relay, "event_grid"))
    @functions.event_grid_trigger(arg_name="event")
    @answered
    async def event_grid(event: str, context: func.Context) -> None:
        """Settle an event that a topic's subscription brings."""
        await relay.from_event_grid(event, _trace(context))


def _http(functions: func.Blueprint, relay: Relay, http: HttpIngress) -> None:
    _answer(functions, relay, "http", "events", relay.from_http, http.largest_body)


def _operator(functions: func.Blueprint, relay: Relay) -> None:
    _operated(functions, relay, "health", "health/{*rest}")
    _operated(functions, relay, "routes", "routes/{*rest}")
    _operated(functions, relay, "dead_letters", "dead-letters/{*rest}")
    _operated(functions, relay, "doctor", "doctor")
    _operated(functions, relay, "openapi", "openapi.json")


def _operated(functions: func.Blueprint, relay: Relay, name: str, route: str) -> None:
    from relay.operations.http_api import LARGEST_REQUEST

    _answer(functions, relay, name, route, relay.surface.from_operator, LARGEST_REQUEST)


def _twins(functions: func.Blueprint, relay: Relay) -> None:
    _answer(functions, relay, "twins", "twins/{*path}", relay.surface.from_page, None)


def _answer(
    functions: func.Blueprint,
    relay: Relay,
    name: str,
    route: str,
    handle: Callable[[Any], Awaitable[Answer]],
    largest: int | None,
) -> None:
    # As many methods as can get here, a browser's OPTIONS among them, so that a wrong one is
    # told so. No key opens it: a token does.
    model = _model(relay)
    declare = functions.route(
        route=relay.settings.path + route,
        methods=model.METHODS,
        auth_level=func.AuthLevel.ANONYMOUS,
    )
    function = model.function(handle, largest)
    functions.function_name(_name(relay, name))(declare(answered(function)))


def _model(relay: Relay) -> ModuleType:
    """Return what makes an HTTP function as the worker wants all of them in this app."""
    if relay.settings.streams:
        from relay import http_streams  # imported, it turns the whole process over

        return http_streams
    return http_whole


def _service_tags(functions: func.Blueprint, relay: Relay) -> None:
    @functions.function_name(_name(relay, "service_tags"))
    @functions.timer_trigger(arg_name="timer", schedule="0 0 6 * * 2")
    @answered
    async def service_tags(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host's
        """Look whether the addresses of Azure Digital Twins changed since the rules."""
        await relay.watch_service_tags()


def _redrive(functions: func.Blueprint, relay: Relay) -> None:
    @functions.function_name(_name(relay, "redrive"))
    @functions.timer_trigger(arg_name="timer", schedule="0 * * * * *")
    @answered
    async def redrive(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001 - the host wants the timer
        """Send dead letters again whose destination may have come back."""
        await relay.redrive(_trace(context))
