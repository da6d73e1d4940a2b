"""App settings, read once into one frozen value; everything wrong with them said at once."""

from __future__ import annotations

from relay.settings.operations import is_twins_address
from relay.settings.problems import Problem, SettingsError
from relay.settings.reader import is_in_azure, read
from relay.settings.routes import routes_of
from relay.settings.telemetry import Exporter, Protocol, TelemetrySettings
from relay.settings.values import (
    SYSTEM_ASSIGNED,
    Access,
    Api,
    Connection,
    Container,
    HttpIngress,
    Ingress,
    ManagedIdentity,
    Network,
    ServiceBusIngress,
    ServiceTags,
    Settings,
    Transport,
    TwinsInstance,
    WaysIn,
)

__all__ = [
    "SYSTEM_ASSIGNED",
    "Access",
    "Api",
    "Connection",
    "Container",
    "Exporter",
    "HttpIngress",
    "Ingress",
    "ManagedIdentity",
    "Network",
    "Problem",
    "Protocol",
    "ServiceBusIngress",
    "ServiceTags",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "Transport",
    "TwinsInstance",
    "WaysIn",
    "is_in_azure",
    "is_twins_address",
    "read",
    "routes_of",
]
