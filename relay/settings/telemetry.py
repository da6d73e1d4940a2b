"""Where telemetry goes besides the Functions host.

`RELAY_TELEMETRY` says to whom; OpenTelemetry and Application Insights have names for the rest.
The host copies what Python logs to its own Application Insights, and in `host.json`'s
`telemetryMode` `OpenTelemetry` to its OTLP endpoint too, unless a switch of the Python worker
says that the app does (Azure/azure-functions-host, `OpenTelemetryConfigurationExtensions.cs`).
So that nothing arrives twice, log records are exported only to where the host brings none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from relay.settings.problems import Problems

RELAY_TELEMETRY: Final = "RELAY_TELEMETRY"

_CONNECTION: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
_AUTHENTICATION: Final = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_PROMETHEUS_PORT: Final = "OTEL_EXPORTER_PROMETHEUS_PORT"
_PROMETHEUS_HOST: Final = "OTEL_EXPORTER_PROMETHEUS_HOST"
_WORKER_EXPORTS: Final = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"
_WORKER_TRACES: Final = "PYTHON_ENABLE_OPENTELEMETRY"
_HEADERS: Final = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS")
_LARGEST_PORT: Final = 65535


class Exporter(StrEnum):
    """Where telemetry may go; the value is the setting's."""

    AZURE_MONITOR = "azureMonitor"
    OTLP = "otlp"
    PROMETHEUS = "prometheus"
    CONSOLE = "console"


class Protocol(StrEnum):
    """How OTLP travels; the value is OpenTelemetry's."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where telemetry goes.

    Attributes:
        exporters: to whom; nobody is an answer too: then it goes to whatever providers the
            process has.
        with_logs: those of them that get log records, because the host brings them none.
        service: the app's name.
        instance: which instance of the app this is, or `""`.
        connection_string: says where Application Insights takes it; it is no credential where
            that demands a token.
        client_id: of the user-assigned identity that writes there; `""` for the system's.
        endpoint: of OTLP.
        protocol: of OTLP.
        prometheus: host and port to be scraped at.
    """

    exporters: tuple[Exporter, ...] = ()
    with_logs: frozenset[Exporter] = frozenset()
    service: str = "twin-relay"
    instance: str = ""
    connection_string: str = ""
    client_id: str = ""
    endpoint: str = ""
    protocol: Protocol = Protocol.HTTP
    prometheus: tuple[str, int] = ("localhost", 9464)


NO_TELEMETRY: Final = TelemetrySettings()


def read_telemetry(
    environment: Mapping[str, str],
    directory: Path,
    problems: Problems,
    name: str = RELAY_TELEMETRY,
) -> TelemetrySettings:
    """Read where telemetry goes.

    Args:
        environment: the settings by name.
        directory: where `host.json` stands.
        problems: hears of what is wrong.
        name: of the setting that names the exporters.
    """
    exporters = _exporters(environment, name, problems)
    azure = Exporter.AZURE_MONITOR in exporters
    otlp = Exporter.OTLP in exporters
    return TelemetrySettings(
        exporters=exporters,
        with_logs=_with_logs(exporters, environment, _mode(directory)),
        service=environment.get("WEBSITE_SITE_NAME") or "twin-relay",
        instance=environment.get("WEBSITE_INSTANCE_ID", ""),
        connection_string=_connection(environment, problems) if azure else "",
        client_id=_client_id(environment) if azure else "",
        endpoint=_endpoint(environment, problems) if otlp else "",
        protocol=_protocol(environment, problems) if otlp else Protocol.HTTP,
        prometheus=_prometheus(environment, problems),
    )


def _exporters(
    environment: Mapping[str, str], name: str, problems: Problems
) -> tuple[Exporter, ...]:
    named = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
    for each in named:
        if each not in set(Exporter):
            problems.add(
                name, f"there is no exporter {each!r}", f"Name one or more of {_all(Exporter)}"
            )
    return tuple(Exporter(each) for each in dict.fromkeys(named) if each in set(Exporter))


def _connection(environment: Mapping[str, str], problems: Problems) -> str:
    value = environment.get(_CONNECTION, "").strip()
    if not value:
        problems.add(
            _CONNECTION,
            f"it is missing, and {RELAY_TELEMETRY} names {Exporter.AZURE_MONITOR}",
            "Set it to the component's connection string: with local authentication off, it "
            "says where telemetry goes and lets nobody in",
        )
    if _is_on(environment, _WORKER_EXPORTS):
        problems.add(
            _WORKER_EXPORTS,
            f"the worker exports to Azure Monitor by itself, and so does {RELAY_TELEMETRY}: "
            "all of it would arrive twice",
            "Remove one of the two",
        )
    return value


def _client_id(environment: Mapping[str, str]) -> str:
    """Return whose token ingestion gets; that it asks for one is seen to elsewhere."""
    parts = environment.get(_AUTHENTICATION, "").split(";")
    named = {key.strip(): value for key, _, value in (part.partition("=") for part in parts)}
    return named.get("ClientId", "").strip()


def _endpoint(environment: Mapping[str, str], problems: Problems) -> str:
    value = environment.get(_ENDPOINT, "").strip().rstrip("/")
    if not re.fullmatch(r"https?://[^?#@\s]+", value):
        problems.add(
            _ENDPOINT,
            "it is no plain http or https address",
            f"Set it to the collector's, for example https://collector:4318, or take "
            f"{Exporter.OTLP} out of {RELAY_TELEMETRY}",
        )
    for name in environment:
        if _HEADERS.fullmatch(name) and environment[name].strip():
            problems.add(
                name,
                "headers of OTLP hold keys, and the relay takes none",
                "Remove it: send to a collector in your network, which holds the key itself",
            )
    return value


def _protocol(environment: Mapping[str, str], problems: Problems) -> Protocol:
    value = environment.get(_PROTOCOL, "").strip() or Protocol.HTTP
    if value not in set(Protocol):
        problems.add(_PROTOCOL, "no such protocol", f"Use {_all(Protocol)}")
        return Protocol.HTTP
    return Protocol(value)


def _prometheus(environment: Mapping[str, str], problems: Problems) -> tuple[str, int]:
    host = environment.get(_PROMETHEUS_HOST, "").strip() or "localhost"
    port = environment.get(_PROMETHEUS_PORT, "").strip() or "9464"
    if not port.isdecimal() or not 0 <= int(port) <= _LARGEST_PORT:
        problems.add(_PROMETHEUS_PORT, "it is no port", "Set it to a number, such as 9464")
        return host, 0
    return host, int(port)


def _with_logs(
    exporters: tuple[Exporter, ...], environment: Mapping[str, str], mode: str
) -> frozenset[Exporter]:
    """Return who gets log records from the relay, because the host brings them none."""
    host_is_silent = _is_on(environment, _WORKER_TRACES) or _is_on(environment, _WORKER_EXPORTS)
    logged = {
        Exporter.AZURE_MONITOR: host_is_silent,
        Exporter.OTLP: host_is_silent or mode != "opentelemetry",
    }
    return frozenset(exporter for exporter in exporters if logged.get(exporter))


def _mode(directory: Path) -> str:
    """Return the host's `telemetryMode`; what is wrong with `host.json` is said elsewhere."""
    try:
        written: Any = json.loads((directory / "host.json").read_text("utf-8-sig"))
    except (OSError, ValueError):
        return ""
    return str(written.get("telemetryMode", "")).lower() if isinstance(written, dict) else ""


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in {"true", "1", "t", "y", "yes"}


def _all(names: type[StrEnum]) -> str:
    return ", ".join(each.value for each in names)
