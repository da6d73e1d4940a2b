"""Where telemetry goes: providers with their exporters, and handing over what is buffered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.telemetry.losses import Losses

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from relay.settings import TelemetrySettings
    from relay.telemetry.flushing import Flusher


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where telemetry goes; by default to OpenTelemetry's global providers.

    Attributes:
        meters: where metrics go, `None` for the global provider.
        tracers: where spans go, `None` for the global provider.
        logger: where log records go besides the Functions host, `None` for nowhere.
        losses: what exporters could not hand over.
        flusher: hands over what is buffered; `None` where somebody else sees to that.
    """

    meters: MeterProvider | None = None
    tracers: TracerProvider | None = None
    logger: Logger | None = None
    losses: Losses = field(default_factory=Losses)
    flusher: Flusher | None = None

    async def flush(self, *, is_urgent: bool = False) -> None:
        """Hand over what is buffered; bounded in time, and never raises."""
        if self.flusher is not None:
            await self.flusher(is_urgent=is_urgent)

    async def close(self) -> None:
        """Let go of threads and connections; bounded in time, and never raises."""
        if self.flusher is not None:
            await self.flusher.close()


def build(settings: TelemetrySettings, ca_file: str | None = None) -> Pipeline:
    """Build what the settings ask for; exporters that they don't name are not even imported."""
    if not settings.exporters:
        return Pipeline()
    from relay.telemetry import exporters  # a cold start pays for them only if asked to

    return exporters.build(settings, ca_file)
