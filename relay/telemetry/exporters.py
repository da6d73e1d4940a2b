"""OpenTelemetry's providers with the exporters that the settings name; each imported late."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from relay import refusals
from relay.failures import DeliveryError, Reason
from relay.identity import BlockingIdentity
from relay.refusals import METRICS_PUBLISHER
from relay.settings import Exporter, Protocol
from relay.telemetry import names
from relay.telemetry.flushing import Flusher
from relay.telemetry.losses import Loss, Losses
from relay.telemetry.pipeline import Pipeline
from relay.telemetry.watching import QueuedLogs, QueuedSpans, Watch, WatchedMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.pipeline import PipelineResponse
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter

    from relay.failures import Refusal
    from relay.settings import TelemetrySettings

_EVERY: Final = 30_000
"""Milliseconds between two exports of metrics, for processes that have nothing to do."""
_CALL: Final = 5.0
"""Seconds for a call of an exporter; it runs in a thread for which nobody waits so long."""
_QUIET: Final = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)
"""Azure Monitor's exporter also calls endpoints that nobody named, unless told not to; a locked
network does not let it."""
_ANSWERS: Final = logging.getLogger("azure.monitor.opentelemetry.exporter.answers")
_INSIGHTS: Final = refusals.Resource(
    label="Application Insights",
    audience="https://monitor.azure.com/",
    role=METRICS_PUBLISHER,
    provider="Microsoft.Insights/components",
    account="<component>",
    path="",
)


@dataclass(frozen=True, slots=True)
class _Exporters:
    """What one place takes; what it takes none of is `None`."""

    spans: SpanExporter | None = None
    metrics: MetricExporter | None = None
    logs: LogRecordExporter | None = None


@dataclass(slots=True)
class _Parts:
    """What providers are built of."""

    tracers: TracerProvider
    loggers: LoggerProvider
    ca_file: str | None
    losses: Losses = field(default_factory=Losses)
    readers: list[MetricReader] = field(default_factory=list)


def build(settings: TelemetrySettings, ca_file: str | None) -> Pipeline:
    """Build providers of our own; the global ones stay with whoever set them."""
    resource = _resource(settings)
    parts = _Parts(
        TracerProvider(resource=resource, shutdown_on_exit=False),
        LoggerProvider(resource=resource, shutdown_on_exit=False),
        ca_file,
    )
    for exporter in settings.exporters:
        _MAKERS[exporter](settings, parts)
    meters = MeterProvider(parts.readers, resource=resource, shutdown_on_exit=False)
    parts.losses.count_with(meters)

    def flush() -> None:
        parts.tracers.force_flush()
        parts.loggers.force_flush()
        meters.force_flush()  # last, so that it tells what the others lost

    def end() -> None:
        parts.tracers.shutdown()
        parts.loggers.shutdown()
        meters.shutdown()

    return Pipeline(
        meters,
        parts.tracers,
        parts.loggers.get_logger(names.SCOPE) if settings.with_logs else None,
        parts.losses,
        Flusher(flush, end),
    )


def _resource(settings: TelemetrySettings) -> Resource:
    instance = {"service.instance.id": settings.instance} if settings.instance else {}
    return Resource.create({"service.name": settings.service, **instance})


def _add(
    settings: TelemetrySettings,
    parts: _Parts,
    name: Exporter,
    made: _Exporters,
    explain: Callable[[Reason], Refusal | None] = lambda _: None,
) -> None:
    watch = partial(Watch, name.value, losses=parts.losses, explain=explain)
    if made.spans is not None:
        parts.tracers.add_span_processor(QueuedSpans(made.spans, watch("spans")))
    if made.metrics is not None:
        metrics = WatchedMetrics(made.metrics, watch("metrics"))
        parts.readers.append(PeriodicExportingMetricReader(metrics, _EVERY))
    if made.logs is not None and name in settings.with_logs:
        parts.loggers.add_log_record_processor(QueuedLogs(made.logs, watch("logs")))


def _azure_monitor(settings: TelemetrySettings, parts: _Parts) -> None:
    for name in _QUIET:
        os.environ.setdefault(name, "true")
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    identity = BlockingIdentity(settings.client_id)
    arguments = {
        "connection_string": settings.connection_string,
        "credential": identity,
        "disable_offline_storage": True,
        "timeout": _CALL,
        "read_timeout": _CALL,
        "retry_total": 0,
        "connection_verify": parts.ca_file or True,
        "raw_response_hook": _say,
    }
    made = _Exporters(
        AzureMonitorTraceExporter(tracer_provider=parts.tracers, **arguments),
        AzureMonitorMetricExporter(**arguments),
        AzureMonitorLogExporter(**arguments),
    )

    def explain(reason: Reason) -> Refusal | None:
        return refusals.explain(reason, _INSIGHTS, identity.principal)

    _add(settings, parts, Exporter.AZURE_MONITOR, made, explain)


def _say(answered: PipelineResponse[Any, Any]) -> None:
    """Say how ingestion answered, where `Watch` hears it: the exporter does not always."""
    status = answered.http_response.status_code
    if status >= HTTPStatus.BAD_REQUEST:
        _ANSWERS.warning("Application Insights answered %s", status)


def _otlp(settings: TelemetrySettings, parts: _Parts) -> None:
    make = _otlp_http if settings.protocol is Protocol.HTTP else _otlp_grpc
    made = make(settings.endpoint, parts.ca_file)
    _add(settings, parts, Exporter.OTLP, made)


def _otlp_http(endpoint: str, ca_file: str | None) -> _Exporters:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return _Exporters(
        OTLPSpanExporter(f"{endpoint}/v1/traces", ca_file, timeout=_CALL),
        OTLPMetricExporter(f"{endpoint}/v1/metrics", ca_file, timeout=_CALL),
        OTLPLogExporter(f"{endpoint}/v1/logs", ca_file, timeout=_CALL),
    )


def _otlp_grpc(endpoint: str, ca_file: str | None) -> _Exporters:
    from grpc import ssl_channel_credentials
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    trusted = ssl_channel_credentials(Path(ca_file).read_bytes()) if ca_file else None
    return _Exporters(
        OTLPSpanExporter(endpoint, credentials=trusted, timeout=_CALL),
        OTLPMetricExporter(endpoint, credentials=trusted, timeout=_CALL),
        OTLPLogExporter(endpoint, credentials=trusted, timeout=_CALL),
    )


def _prometheus(settings: TelemetrySettings, parts: _Parts) -> None:
    """Let metrics be scraped; a second worker process, whose port is taken, goes without."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import start_http_server

    host, port = settings.prometheus
    try:
        start_http_server(port, host)
    except OSError as error:
        failure = DeliveryError(Reason.UNAVAILABLE, f"{host}:{port}: {error}")
        parts.losses.note(Loss(Exporter.PROMETHEUS.value, "metrics", failure))
    else:
        parts.readers.append(PrometheusMetricReader())


def _console(settings: TelemetrySettings, parts: _Parts) -> None:
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    made = _Exporters(ConsoleSpanExporter(out=sys.stderr), ConsoleMetricExporter(sys.stderr))
    _add(settings, parts, Exporter.CONSOLE, made)


_MAKERS: Final = {
    Exporter.AZURE_MONITOR: _azure_monitor,
    Exporter.OTLP: _otlp,
    Exporter.PROMETHEUS: _prometheus,
    Exporter.CONSOLE: _console,
}
