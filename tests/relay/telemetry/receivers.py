"""Where exporters hand over: what arrives is decoded, and answered as told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

from lab.certificates import TlsFiles, server_context
from lab.serving import HttpServer


@dataclass
class Received:
    """What arrived over OTLP: names, and of metrics the last value of each series."""

    metrics: set[str] = field(default_factory=set)
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)
    spans: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    def take(self, request: Any) -> None:
        """Decode a request of any of the three signals."""
        match request:
            case metrics.ExportMetricsServiceRequest():
                for resource in request.resource_metrics:
                    self._resource(resource.resource)
                    for metric in (m for s in resource.scope_metrics for m in s.metrics):
                        self._metric(metric)
            case traces.ExportTraceServiceRequest():
                for resource in request.resource_spans:
                    self._resource(resource.resource)
                    self.spans += [p.name for s in resource.scope_spans for p in s.spans]
            case logs.ExportLogsServiceRequest():
                for resource in request.resource_logs:
                    self._resource(resource.resource)
                    self.logs += [
                        record.body.string_value
                        for scope in resource.scope_logs
                        for record in scope.log_records
                    ]

    def value(self, name: str, **attributes: str) -> float:
        """Return what a metric's series with these attributes amount to."""
        wanted = {(key.replace("_", "."), value) for key, value in attributes.items()}
        return sum(
            value
            for (found, series), value in self.values.items()
            if found == name and wanted <= {(k.replace("_", "."), v) for k, v in series}
        )

    def _metric(self, metric: Any) -> None:
        self.metrics.add(metric.name)
        for point in (*metric.sum.data_points, *metric.gauge.data_points):
            series = frozenset((a.key, a.value.string_value) for a in point.attributes)
            value = point.as_int if point.HasField("as_int") else point.as_double
            self.values[metric.name, series] = value

    def _resource(self, resource: Any) -> None:
        self.resources.append({a.key: a.value.string_value for a in resource.attributes})


_REQUESTS: dict[str, Callable[[], Any]] = {
    "/v1/metrics": metrics.ExportMetricsServiceRequest,
    "/v1/traces": traces.ExportTraceServiceRequest,
    "/v1/logs": logs.ExportLogsServiceRequest,
}


class Manner(Enum):
    """How a collector answers."""

    AT_ONCE = auto()
    LATE = auto()
    """Not before it is told to."""
    BY_DRIPS = auto()
    """At once, but byte by byte and without an end before it is told to."""


DRIP_SECONDS = 0.02


class OtlpOverHttp:
    """A collector on loopback.

    Attributes:
        status: how it answers.
        manners: how by path; else at once.
        asked: set with the first request.
        told: whether those who wait are answered.
    """

    def __init__(self, tls: TlsFiles | None = None) -> None:
        self.received = Received()
        self.status = 200
        self.manners: dict[str, Manner] = {}
        self.asked = asyncio.Event()
        self.told = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        context = server_context(tls) if tls else None
        self.server = HttpServer("a collector", app, tls=context)

    async def _take(self, request: web.Request) -> web.Response:
        self.asked.set()
        body = await request.read()
        answer: web.StreamResponse = web.Response(status=self.status)
        match self.manners.get(request.path, Manner.AT_ONCE):
            case Manner.LATE:
                await self.told.wait()
            case Manner.BY_DRIPS:
                answer = await self._drip(request)
        if self.status == 200:
            message = _REQUESTS[request.path]()
            message.ParseFromString(body)
            self.received.take(message)
        return answer

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=self.status)
        await answer.prepare(request)
        while not self.told.is_set():
            await answer.write(b" ")
            with suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), DRIP_SECONDS)
        await answer.write_eof()
        return answer


class _Taker:
    """A servicer of any signal."""

    def __init__(
        self,
        received: Received,
        answer: Any,
        code: grpc.StatusCode | None,
        told: threading.Event | None,
    ) -> None:
        self._received = received
        self._answer = answer
        self._code = code
        self._told = told

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - OTLP's name
        if self._code is not None:
            context.abort(self._code, "so it was told")
        if self._told is not None:
            self._told.wait()
        self._received.take(request)
        return self._answer


@contextmanager
def otlp_over_grpc(
    code: grpc.StatusCode | None = None,
    told: threading.Event | None = None,
    tls: TlsFiles | None = None,
) -> Iterator[tuple[str, Received]]:
    """Serve a collector on loopback; yield where, and what arrives.

    Args:
        code: how it refuses, if it does.
        told: answers come when it is set; at once without it.
        tls: what it shows who it is by; it speaks in the clear without it.
    """
    received = Received()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    for add, answer in (
        (
            metrics_grpc.add_MetricsServiceServicer_to_server,
            metrics.ExportMetricsServiceResponse,
        ),
        (traces_grpc.add_TraceServiceServicer_to_server, traces.ExportTraceServiceResponse),
        (logs_grpc.add_LogsServiceServicer_to_server, logs.ExportLogsServiceResponse),
    ):
        add(_Taker(received, answer(), code, told), server)
    port = _listen(server, tls)
    server.start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", received
    server.stop(None).wait()


def _listen(server: grpc.Server, tls: TlsFiles | None) -> int:
    if tls is None:
        return server.add_insecure_port("127.0.0.1:0")
    pair = (Path(tls.key_file).read_bytes(), Path(tls.cert_file).read_bytes())
    return server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))


_CLOSE = {"Connection": "close"}
"""Azure Monitor's exporters never close a connection by themselves."""


class Ingestion:
    """Stands in for the ingestion of Application Insights, over TLS.

    Attributes:
        judge: answers for a bearer token: 200 takes what it brings, 206 all but the first.
        envelopes: what was taken.
        told: answers come when it is set; it is from the beginning.
    """

    def __init__(self, tls: TlsFiles, judge: Callable[[str], int]) -> None:
        self.judge = judge
        self.envelopes: list[dict[str, Any]] = []
        self.told = asyncio.Event()
        self.told.set()
        app = web.Application()
        app.router.add_post("/{slash:/?}v2.1/track", self._track)
        self.server = HttpServer("ingestion", app, tls=server_context(tls))

    @property
    def connection_string(self) -> str:
        """Return what leads here."""
        key = "00000000-0000-0000-0000-000000000001"
        return f"InstrumentationKey={key};IngestionEndpoint={self.server.url}/"

    @property
    def metrics(self) -> set[str]:
        """The names of the metrics that were taken."""
        return {
            metric["name"]
            for envelope in self.envelopes
            for metric in envelope["data"]["baseData"].get("metrics", [])
        }

    @property
    def dependencies(self) -> list[dict[str, Any]]:
        """The spans that were taken."""
        kind = "RemoteDependencyData"
        datas = [envelope["data"] for envelope in self.envelopes]
        return [data["baseData"] for data in datas if data["baseType"] == kind]

    async def _track(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        await self.told.wait()
        status = self.judge(token)
        if status not in {200, 206}:
            return web.Response(status=status, headers=_CLOSE)
        taken = json.loads(await request.read())
        told = {"itemsReceived": len(taken), "itemsAccepted": len(taken), "errors": []}
        if status == 206:
            error = {"index": 0, "statusCode": 400, "message": "105: a field is too long"}
            told |= {"itemsAccepted": len(taken) - 1, "errors": [error]}
            taken = taken[1:]
        self.envelopes += taken
        return web.json_response(told, status=status, headers=_CLOSE)
