"""A telemetry whose metrics, spans and exported log records stay in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from relay.telemetry import Pipeline, Telemetry
from relay.telemetry.losses import Losses
from tests.fakes import NOON

SERVER = "analytics.servicebus.windows.net"

type Series = dict[tuple[tuple[str, Any], ...], float]


class Ear:
    """A telemetry with what it measures, spans and logs."""

    def __init__(self, name: str) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.losses = Losses()
        self.losses.count_with(self.meters)
        pipeline = Pipeline(
            self.meters, self.tracers, self.loggers.get_logger("relay"), self.losses
        )
        self.telemetry = Telemetry(pipeline, {"ANALYTICS": SERVER}, lambda: NOON, name)

    def series(self, *names: str) -> dict[str, Series]:
        """Return the value of each series of attributes, by metric; of histograms their count.

        Args:
            names: of the metrics to return; all if there is none.
        """
        data = self._reader.get_metrics_data()
        return {
            metric.name: {
                tuple(sorted((point.attributes or {}).items())): (
                    point.count if isinstance(point, HistogramDataPoint) else point.value
                )
                for point in metric.data.data_points
            }
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if not names or metric.name in names
        }

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Every span that is over."""
        return self._spans.get_finished_spans()

    @property
    def exported(self) -> list[tuple[str | None, dict[str, Any]]]:
        """The name and attributes of each log record that was exported."""
        records = [each.log_record for each in self._logs.get_finished_logs()]
        return [(each.event_name, dict(each.attributes or {})) for each in records]

    @property
    def belonging(self) -> list[tuple[str | None, int | None, int | None]]:
        """The name, trace and span of each log record that was exported."""
        records = [each.log_record for each in self._logs.get_finished_logs()]
        return [(each.event_name, each.trace_id, each.span_id) for each in records]

    def ids(self) -> dict[str, str]:
        """Return what a log record says of the last span."""
        context = self.spans[-1].get_span_context()
        assert context is not None
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }


@contextmanager
def an_ear(name: str = "") -> Iterator[Ear]:
    """Yield a telemetry in memory, and let go of it."""
    ear = Ear(name)
    yield ear
    ear.meters.shutdown()
    ear.tracers.shutdown()
    ear.loggers.shutdown()
