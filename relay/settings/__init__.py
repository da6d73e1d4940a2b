"""App settings, read once into one frozen value; everything wrong with them said at once."""

from __future__ import annotations

from relay.settings.problems import Problem, SettingsError
from relay.settings.reader import read
from relay.settings.values import Connection, Container, Settings, Transport

__all__ = [
    "Connection",
    "Container",
    "Problem",
    "Settings",
    "SettingsError",
    "Transport",
    "read",
]
