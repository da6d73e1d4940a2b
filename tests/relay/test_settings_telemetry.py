from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay.settings import Exporter, Protocol, TelemetrySettings, read
from relay.settings.problems import Problems, SettingsError
from relay.settings.secrets import find_secrets
from relay.settings.telemetry import read_telemetry
from tests.test_function_app import ROOT, example_settings

AZURE = {
    "RELAY_TELEMETRY": "azureMonitor",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (
        "InstrumentationKey=00000000-0000-0000-0000-000000000001;"
        "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;"
        "LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;"
        "ApplicationId=00000000-0000-0000-0000-000000000002"
    ),
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "ClientId=the-client;Authorization=AAD",
}
OTLP = {"RELAY_TELEMETRY": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318/"}


def reading(
    environment: dict[str, str], directory: Path = Path("/nowhere")
) -> TelemetrySettings:
    problems = Problems()
    settings = read_telemetry(environment, directory, problems)
    problems.raise_if_any()
    return settings


def problem(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        reading(environment)
    return str(raised.value)


def test_without_the_setting_telemetry_goes_nowhere_by_itself() -> None:
    insights = {name: value for name, value in AZURE.items() if name != "RELAY_TELEMETRY"}

    assert reading(insights) == TelemetrySettings()


def test_azure_monitor_is_written_to_by_the_identity_that_is_named() -> None:
    settings = reading(AZURE | {"WEBSITE_SITE_NAME": "twins", "WEBSITE_INSTANCE_ID": "i-1"})

    assert settings.exporters == (Exporter.AZURE_MONITOR,)
    assert settings.client_id == "the-client"
    assert settings.connection_string.startswith("InstrumentationKey=")
    assert (settings.service, settings.instance) == ("twins", "i-1")


def test_a_connection_string_of_application_insights_is_no_secret() -> None:
    assert list(find_secrets(AZURE)) == []


@pytest.mark.parametrize("value", ["", "ClientId=x", "Authorization=Key"])
def test_azure_monitor_without_a_managed_identity_is_refused(value: str) -> None:
    name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"

    with pytest.raises(SettingsError, match=name):
        read(example_settings() | AZURE | {name: value}, ROOT)


def test_azure_monitor_without_a_place_is_refused() -> None:
    name = "APPLICATIONINSIGHTS_CONNECTION_STRING"

    assert name in problem(AZURE | {name: " "})


def test_a_worker_that_exports_to_azure_monitor_itself_is_no_reason_to_do_it_twice() -> None:
    name = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"

    assert "twice" in problem(AZURE | {name: "true"})


def test_several_exporters_are_named_with_commas() -> None:
    named = AZURE | OTLP | {"RELAY_TELEMETRY": "otlp, azureMonitor ,otlp"}

    assert reading(named).exporters == (Exporter.OTLP, Exporter.AZURE_MONITOR)


def test_an_exporter_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    said = problem({"RELAY_TELEMETRY": "applicationInsights"})

    assert "applicationInsights" in said
    assert "azureMonitor, otlp, prometheus, console" in said


@pytest.mark.parametrize("endpoint", ["", "collector:4318", "https://u:p@collector", "ftp://x"])
def test_an_otlp_endpoint_must_be_a_plain_address(endpoint: str) -> None:
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"

    assert name in problem(OTLP | {name: endpoint})


def test_otlp_travels_over_http_unless_it_is_told_otherwise() -> None:
    assert reading(OTLP).protocol is Protocol.HTTP
    assert reading(OTLP).endpoint == "https://collector:4318"
    assert reading(OTLP | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).protocol is Protocol.GRPC
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in problem(
        OTLP | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    )


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
)
def test_a_key_in_otlps_headers_is_refused_and_not_shown(name: str) -> None:
    said = problem(OTLP | {name: "api-key=very-secret"})

    assert name in said
    assert "very-secret" not in said


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_a_port_for_prometheus_must_be_one(port: str) -> None:
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in problem({"OTEL_EXPORTER_PROMETHEUS_PORT": port})


@pytest.mark.parametrize(
    ("mode", "switches", "exported"),
    [
        ("", {}, {Exporter.OTLP}),
        ("applicationInsights", {}, {Exporter.OTLP}),
        ("OpenTelemetry", {}, set()),
        (
            "OpenTelemetry",
            {"PYTHON_ENABLE_OPENTELEMETRY": "true"},
            {Exporter.OTLP, Exporter.AZURE_MONITOR},
        ),
        (
            "",
            {"PYTHON_ENABLE_OPENTELEMETRY": "1"},
            {Exporter.OTLP, Exporter.AZURE_MONITOR},
        ),
    ],
)
def test_log_records_are_exported_only_to_where_the_host_brings_none(
    tmp_path: Path, mode: str, switches: dict[str, str], exported: set[Exporter]
) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"telemetryMode": mode} if mode else {}))
    both = AZURE | OTLP | {"RELAY_TELEMETRY": "azureMonitor,otlp"}

    assert reading(both | switches, tmp_path).with_logs == exported
