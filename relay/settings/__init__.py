"""App settings, read once into one frozen value; everything wrong with them said at once."""

from __future__ import annotations

from relay.settings.problems import Problem, SettingsError
from relay.settings.reader import read
from relay.settings.values import (
    SYSTEM_ASSIGNED,
    Connection,
    Container,
    Ingress,
    ManagedIdentity,
    Network,
    Settings,
    Transport,
)

__all__ = [
    "SYSTEM_ASSIGNED",
    "Connection",
    "Container",
    "Ingress",
    "ManagedIdentity",
    "Network",
    "Problem",
    "Settings",
    "SettingsError",
    "Transport",
    "read",
]
