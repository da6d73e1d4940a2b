"""What the relay tells operators, by OpenTelemetry: metrics, spans, logs; it only listens."""

from __future__ import annotations

from relay.telemetry.listening import Telemetry
from relay.telemetry.pipeline import Pipeline, build

__all__ = ["Pipeline", "Telemetry", "build"]
