"""A span for each attempt to send, linked to the traces that its events bring along.

An attempt is told of when it is over, so its span is made then, with the times that it had: the
event path never asks for one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from relay.event import Event
from relay.redaction import redacted
from relay.routing import Kind
from relay.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

    from relay.failures import DeliveryError
    from relay.ingress import Arrival
    from relay.routing import Route

SEND: Final = "send"
PROBE: Final = "probe"

_SYSTEMS: Final = {
    Kind.EVENT_HUB: "eventhubs",
    Kind.QUEUE: "servicebus",
    Kind.TOPIC: "servicebus",
}
_MOST_LINKS: Final = 128
"""Of the SDK's own limit; what is more would be dropped there, after it was made."""
_TRACE_CONTEXT: Final = TraceContextTextMapPropagator()


def attributes_of(route: Route, server: str, operation: str = SEND) -> dict[str, str]:
    """Return what the conventions ask of whatever is sent to a route's destination."""
    found = {
        names.SYSTEM: _SYSTEMS[route.destination.kind],
        names.OPERATION_NAME: operation,
        names.DESTINATION: route.destination.entity,
        names.ROUTE: route.name,
    }
    if operation == SEND:
        found[names.OPERATION_TYPE] = SEND
    return found | ({names.SERVER: server} if server else {})


class Spans:
    """Makes spans of what is over.

    Args:
        provider: where they go; the global one if none is given.
    """

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer: Tracer = trace.get_tracer(names.SCOPE, tracer_provider=provider)

    @contextmanager
    def attempt(
        self,
        attributes: Mapping[str, str],
        arrivals: Sequence[Arrival],
        seconds: float,
        error: DeliveryError | None = None,
    ) -> Iterator[None]:
        """Make the span of an attempt that just ended; what is logged inside belongs to it."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{attributes[names.OPERATION_NAME]} {attributes[names.DESTINATION]}",
            kind=SpanKind.CLIENT,
            attributes=_on_a_span(attributes, len(arrivals)),
            start_time=end - int(seconds * 1e9),
        )
        if span.is_recording():
            _link(span, arrivals)
            if error is not None:
                _blame(span, error)
        with trace.use_span(span):
            yield
        span.end(end_time=end)

    @contextmanager
    def batch(self, name: str, parent: str) -> Iterator[None]:
        """Make the span of an invocation: what it sends belongs to it.

        The worker makes the host's trace the current one only with a switch of its own, and
        some of its versions fail with that; told the trace, none is needed.
        """
        is_under_way = trace.get_current_span().get_span_context().is_valid
        context = None if is_under_way else _TRACE_CONTEXT.extract({"traceparent": parent})
        with self._tracer.start_as_current_span(name, context, SpanKind.INTERNAL):
            yield

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """Be in the span that is under way, or in one made for the purpose where none is."""
        if trace.get_current_span().get_span_context().is_valid:
            yield
            return
        with self._tracer.start_as_current_span(name, kind=SpanKind.INTERNAL):
            yield


def refusal_event(error: DeliveryError) -> None:
    """Note a refusal on the span that it happened in."""
    refusal = error.refusal
    trace.get_current_span().add_event(
        names.Log.REFUSED.value,
        {
            names.RELAY_ERROR_TYPE: error.reason.value,
            "relay.refusal.cause": redacted(refusal.cause if refusal else error.detail),
            "relay.refusal.remedy": redacted(refusal.remedy) if refusal else "",
        },
    )


def _on_a_span(attributes: Mapping[str, str], count: int) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        **attributes,
        names.RELAY_DESTINATION: attributes[names.DESTINATION],
    }
    return found | ({names.MESSAGE_COUNT: count} if count > 1 else {})


def _blame(span: Span, error: DeliveryError) -> None:
    span.set_attribute(names.ERROR_TYPE, error.reason.value)
    span.set_attribute(names.RELAY_ERROR_TYPE, error.reason.value)
    span.set_status(Status(StatusCode.ERROR, redacted(error.detail)))


def _link(span: Span, arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals[:_MOST_LINKS]:
        if isinstance(arrival.content, Event):
            context = _context_of(arrival.content)
            if context.is_valid:
                span.add_link(context, _identity(arrival.content))


def _context_of(event: Event) -> SpanContext:
    carrier: dict[str, Any] = {
        name: event.text(name) for name in ("traceparent", "tracestate") if event.text(name)
    }
    found = _TRACE_CONTEXT.extract(carrier, trace.set_span_in_context(trace.INVALID_SPAN))
    return trace.get_current_span(found).get_span_context()


def _identity(event: Event) -> dict[str, str]:
    return {
        name: event.text(attribute)
        for attribute, name in names.LINK.items()
        if event.text(attribute)
    }
