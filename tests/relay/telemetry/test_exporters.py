"""Exporters over real protocols, and what becomes of an event when they fail."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from lab.certificates import TlsFiles, issue
from lab.identity import Directory, IdentityEndpoint
from lab.identity.tokens import TokenRefused
from relay.failures import DeliveryError, Reason
from relay.observer import Delivered, Failed, Sent
from relay.settings import Exporter, Protocol, TelemetrySettings
from relay.telemetry import Pipeline, Telemetry, build
from tests.fakes import a_route, an_arrival
from tests.relay.telemetry.receivers import Ingestion, OtlpOverHttp, otlp_over_grpc

HUB = a_route("hub")
MONITOR = "https://monitor.azure.com"


@asynccontextmanager
async def telemetry(
    settings: TelemetrySettings, tls: TlsFiles | None = None
) -> AsyncIterator[Telemetry]:
    pipeline = build(settings, str(tls.ca_file) if tls else None)
    yield Telemetry(pipeline, {"ANALYTICS": "analytics.servicebus.windows.net"})
    await pipeline.close()
    await ended(pipeline)


async def ended(pipeline: Pipeline) -> None:
    """Wait for the thread: one that goes on would draw from Hypothesis' chance."""
    assert pipeline.flusher is not None
    thread = pipeline.flusher._thread
    assert thread is not None
    await asyncio.to_thread(thread.join)


async def an_invocation(listening: Telemetry) -> None:
    """Deliver an event after a failed attempt."""
    async with listening.batch("settle"):
        error = DeliveryError(Reason.TIMEOUT, "no answer")
        listening(Failed(HUB, error, [an_arrival()], 0.1))
        listening(Sent(HUB, [an_arrival()], 0.1))
        listening(Delivered(HUB, [an_arrival()], 2))


@pytest.fixture
async def collector() -> AsyncIterator[OtlpOverHttp]:
    collector = OtlpOverHttp()
    await collector.server.start()
    yield collector
    await collector.server.stop()


def over_http(collector: OtlpOverHttp) -> TelemetrySettings:
    return TelemetrySettings(
        (Exporter.OTLP,),
        frozenset({Exporter.OTLP}),
        service="twins",
        instance="i-1",
        endpoint=collector.server.url,
    )


# OTLP


async def test_otlp_over_http_brings_all_three_signals(collector: OtlpOverHttp) -> None:
    async with telemetry(over_http(collector)) as listening:
        await an_invocation(listening)

    received = collector.received
    assert {"relay.events", "messaging.client.operation.duration"} <= received.metrics
    assert ["send hub", "send hub", "settle"] == received.spans
    assert ["relay.attempt_failed", "relay.delivered"] == received.logs
    assert all(
        {"service.name": "twins", "service.instance.id": "i-1"}.items() <= resource.items()
        for resource in received.resources
    )


async def test_otlp_over_grpc_brings_all_three_signals() -> None:
    with otlp_over_grpc() as (endpoint, received):
        settings = TelemetrySettings(
            (Exporter.OTLP,),
            frozenset({Exporter.OTLP}),
            endpoint=endpoint,
            protocol=Protocol.GRPC,
        )
        async with telemetry(settings) as listening:
            await an_invocation(listening)

    assert {"relay.events", "messaging.client.operation.duration"} <= received.metrics
    assert ["send hub", "send hub", "settle"] == received.spans
    assert ["relay.attempt_failed", "relay.delivered"] == received.logs


async def test_a_collector_behind_an_authority_of_ones_own_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `RELAY_CA_FILE` says; over HTTP and over gRPC."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which requests would prefer
        monkeypatch.delenv(name, raising=False)
    tls = issue(tmp_path, ["127.0.0.1"])
    collector = OtlpOverHttp(tls)
    await collector.server.start()
    async with telemetry(over_http(collector), tls) as listening:
        await an_invocation(listening)
    await collector.server.stop()

    with otlp_over_grpc(tls=tls) as (endpoint, received):
        settings = TelemetrySettings(
            (Exporter.OTLP,), endpoint=endpoint, protocol=Protocol.GRPC
        )
        async with telemetry(settings, tls) as listening:
            await an_invocation(listening)

    assert collector.received.spans == received.spans == ["send hub", "send hub", "settle"]


async def test_a_collector_that_nobody_vouches_for_gets_nothing(
    tmp_path: Path,
) -> None:
    collector = OtlpOverHttp(issue(tmp_path, ["127.0.0.1"]))
    await collector.server.start()
    pipeline = build(over_http(collector))
    await an_invocation(Telemetry(pipeline))
    await pipeline.close()
    await ended(pipeline)
    await collector.server.stop()

    assert collector.received.spans == []
    lost = pipeline.losses.take()
    assert {loss.signal for loss in lost} == {"spans", "metrics", "logs"}
    assert {loss.error.reason for loss in lost} == {Reason.UNAVAILABLE}
    assert all("CERTIFICATE_VERIFY_FAILED" in loss.error.detail for loss in lost)


async def test_who_wants_fewer_spans_says_so_as_with_opentelemetry_and_keeps_the_metrics(
    collector: OtlpOverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    async with telemetry(over_http(collector)) as listening:
        await an_invocation(listening)

    assert collector.received.spans == []
    assert collector.received.value("relay.events", relay_outcome="delivered") == 1


async def test_logs_are_not_exported_where_the_host_brings_them(
    collector: OtlpOverHttp,
) -> None:
    settings = TelemetrySettings((Exporter.OTLP,), endpoint=collector.server.url)

    async with telemetry(settings) as listening:
        await an_invocation(listening)

    assert collector.received.spans
    assert collector.received.logs == []


# Losses


def rejected(log: pytest.LogCaptureFixture) -> set[tuple[str, str, str]]:
    """Return exporter, signal and reason of what was told to be lost."""
    return {
        (record.exporter, record.signal, record.reason)  # type: ignore[attr-defined]
        for record in log.records
        if record.name == "relay" and "relay.telemetry_rejected" in record.getMessage()
    }


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthenticated"), (403, "forbidden"), (400, "rejected")]
)
async def test_what_a_collector_refuses_is_told_with_its_reason(
    collector: OtlpOverHttp, caplog: pytest.LogCaptureFixture, status: int, reason: str
) -> None:
    collector.status = status

    async with telemetry(over_http(collector)) as listening:
        await an_invocation(listening)

    assert rejected(caplog) == {
        ("otlp", signal, reason) for signal in ("metrics", "spans", "logs")
    }


async def test_what_a_grpc_collector_refuses_is_told_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with otlp_over_grpc(grpc.StatusCode.PERMISSION_DENIED) as (endpoint, _):
        settings = TelemetrySettings(
            (Exporter.OTLP,), endpoint=endpoint, protocol=Protocol.GRPC
        )
        async with telemetry(settings) as listening:
            await an_invocation(listening)

    assert rejected(caplog) == {
        ("otlp", signal, "forbidden") for signal in ("metrics", "spans")
    }


async def test_losses_are_counted_and_the_count_arrives_once_telemetry_is_back(
    collector: OtlpOverHttp,
) -> None:
    collector.status = 403
    async with telemetry(over_http(collector)) as listening:
        await an_invocation(listening)
        collector.status = 200
        with pytest.raises(ValueError, match="an urgent end"):
            async with listening.batch("settle"):
                raise ValueError("an urgent end")

    assert {"relay.telemetry.rejected", "relay.authorization.failures"} <= (
        collector.received.metrics
    )


# Telemetry that is down


async def test_a_collector_that_is_gone_fails_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        settings = TelemetrySettings((Exporter.OTLP,), endpoint=endpoint)

        async with telemetry(settings) as listening:
            await an_invocation(listening)


# Azure Monitor


@dataclass
class Azure:
    """An Application Insights component on loopback, and who may write there."""

    directory: Directory
    ingestion: Ingestion
    tls: TlsFiles

    @property
    def settings(self) -> TelemetrySettings:
        return TelemetrySettings(
            (Exporter.AZURE_MONITOR,),
            connection_string=self.ingestion.connection_string,
            client_id=self.directory.principal("relay-telemetry").client_id,
        )


@asynccontextmanager
async def azure_in(directory_of_files: Path) -> AsyncIterator[Azure]:
    tls = issue(directory_of_files, ["127.0.0.1"])
    directory = Directory()
    directory.register("relay-telemetry", app="relay")
    endpoint = IdentityEndpoint(directory)
    await endpoint.start()

    def judge(token: str) -> int:
        try:
            claims = directory.verify(token, {MONITOR})
        except TokenRefused:
            return 401
        is_ours = claims.object_id == directory.principal("relay-telemetry").object_id
        return 200 if is_ours else 403

    ingestion = Ingestion(tls, judge)
    await ingestion.server.start()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in endpoint.settings("relay").items():
            environment.setenv(name, value)
        yield Azure(directory, ingestion, tls)
    await ingestion.server.stop()
    await endpoint.stop()


@pytest.fixture
async def azure(tmp_path: Path) -> AsyncIterator[Azure]:
    async with azure_in(tmp_path) as running:
        yield running


async def test_azure_monitor_takes_what_the_managed_identity_brings(azure: Azure) -> None:
    async with telemetry(azure.settings, azure.tls) as listening:
        await an_invocation(listening)

    assert {"relay.events", "relay.batch.duration"} <= azure.ingestion.metrics
    failed, sent, _ = azure.ingestion.dependencies
    assert sent["name"] == "send hub"
    assert sent["properties"]["relay.route.name"] == "hub"
    assert (failed["success"], failed["properties"]["relay.error.type"]) == (False, "timeout")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (206, "rejected"),
        (401, "unauthenticated"),
        (402, "quota_exceeded"),
        (403, "forbidden"),
        (429, "throttled"),
        (439, "quota_exceeded"),
        (500, "unavailable"),
    ],
)
async def test_what_azure_monitor_refuses_is_told_with_its_reason(
    azure: Azure, caplog: pytest.LogCaptureFixture, status: int, reason: str
) -> None:
    azure.ingestion.judge = lambda _: status

    async with telemetry(azure.settings, azure.tls) as listening:
        await an_invocation(listening)

    assert rejected(caplog) == {
        ("azureMonitor", signal, reason) for signal in ("metrics", "spans")
    }


async def test_a_refusal_by_azure_monitor_names_the_role_that_is_missing(
    azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    azure.ingestion.judge = lambda _: 403

    async with telemetry(azure.settings, azure.tls) as listening:
        await an_invocation(listening)

    told = [
        r.getMessage() for r in caplog.records if r.getMessage().startswith("relay.refused")
    ]
    assert told
    assert "Monitoring Metrics Publisher" in told[0]
    assert "3913510d-42f4-4e42-8a64-420c390055eb" in told[0]
    who = azure.directory.principal("relay-telemetry")
    assert f"az role assignment create --assignee-object-id {who.object_id}" in told[0]


async def test_a_token_that_azure_monitor_does_not_accept_is_not_called_missing(
    azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    azure.ingestion.judge = lambda _: 401

    async with telemetry(azure.settings, azure.tls) as listening:
        await an_invocation(listening)

    told = [
        r.getMessage() for r in caplog.records if r.getMessage().startswith("relay.refused")
    ]
    assert "Application Insights did not accept the token of" in told[0]


async def test_an_identity_that_gets_no_token_for_telemetry_is_a_refusal(
    azure: Azure, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = "99999999-9999-4999-8999-999999999999"
    settings = TelemetrySettings(
        (Exporter.AZURE_MONITOR,),
        connection_string=azure.ingestion.connection_string,
        client_id=stranger,
    )

    async with telemetry(settings, azure.tls) as listening:
        await an_invocation(listening)

    assert rejected(caplog) == {
        ("azureMonitor", signal, "unauthenticated") for signal in ("metrics", "spans")
    }


# Others


async def test_prometheus_finds_the_metrics(free_port: int) -> None:
    settings = TelemetrySettings((Exporter.PROMETHEUS,), prometheus=("127.0.0.1", free_port))

    async with telemetry(settings) as listening:
        await an_invocation(listening)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{free_port}/metrics") as answer,
        ):
            text = await answer.text()

    assert "relay_events_total{" in text
    assert 'relay_outcome="delivered"' in text
    assert "messaging_client_operation_duration_seconds_bucket{" in text


async def test_a_port_that_is_taken_costs_prometheus_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = TelemetrySettings(
            (Exporter.PROMETHEUS,), prometheus=("127.0.0.1", taken.getsockname()[1])
        )
        async with telemetry(settings) as listening:
            await an_invocation(listening)

    assert rejected(caplog) == {("prometheus", "metrics", "unavailable")}


async def test_the_console_shows_spans_and_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    async with telemetry(TelemetrySettings((Exporter.CONSOLE,))) as listening:
        await an_invocation(listening)

    shown = capsys.readouterr().err
    assert '"name": "send hub"' in shown
    assert '"name": "relay.events"' in shown


def test_what_is_not_configured_is_not_imported() -> None:
    heavy = ["azure.monitor", "grpc", "prometheus_client", "opentelemetry.exporter"]
    code = (
        "import sys; from relay.telemetry import Telemetry, build;"
        "from relay.settings import TelemetrySettings; Telemetry(build(TelemetrySettings()));"
        f"print([name for name in {[*heavy, 'opentelemetry.sdk']} if name in sys.modules])"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert shown.stdout.strip() == "[]"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def _loud_and_impatient(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tell everything, and let no exporter try for long once a test is over."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("relay.telemetry.exporters._CALL", 2.0)


async def test_a_provider_of_ours_is_not_made_global() -> None:
    """Whoever set a global provider, such as the worker, keeps it."""
    pipeline = build(TelemetrySettings((Exporter.CONSOLE,)))

    assert isinstance(pipeline.tracers, TracerProvider)
    assert Pipeline().tracers is None
    await pipeline.close()
    await ended(pipeline)
