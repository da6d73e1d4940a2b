"""What exporters could not hand over: they say so in a log of their own and go on.

A flush succeeds even if every request of it was refused, so nothing but the result of each
export tells. It is counted as `relay.telemetry.rejected`, which other exporters hand over, or
this one later; and told as a log record, which the Functions host takes along.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics

from relay.failures import DeliveryError, Reason
from relay.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

_MOST: Final = 32
"""Losses that are remembered until they are told of; they are counted all the same."""
_REASONS: Final = {
    "401": Reason.UNAUTHENTICATED,
    "unauthorized": Reason.UNAUTHENTICATED,
    "unauthenticated": Reason.UNAUTHENTICATED,
    "403": Reason.FORBIDDEN,
    "forbidden": Reason.FORBIDDEN,
    "permission_denied": Reason.FORBIDDEN,
    "402": Reason.QUOTA_EXCEEDED,  # a component's daily cap
    "439": Reason.QUOTA_EXCEEDED,  # the same, as older endpoints say it
    "404": Reason.NOT_FOUND,
    "408": Reason.TIMEOUT,
    "504": Reason.TIMEOUT,
    "429": Reason.THROTTLED,
    "resource_exhausted": Reason.THROTTLED,
    "deadline_exceeded": Reason.TIMEOUT,
    "400": Reason.REJECTED,
    "invalid_argument": Reason.REJECTED,
}
_TEXTS: Final = (
    ("managed identity", Reason.UNAUTHENTICATED),
    ("managedidentity", Reason.UNAUTHENTICATED),
    ("timed out", Reason.TIMEOUT),
    ("not found", Reason.NOT_FOUND),
)


@dataclass(frozen=True, slots=True)
class Loss:
    """A batch that was not handed over."""

    exporter: str
    signal: str
    error: DeliveryError


class Losses:
    """Counts losses from any thread and keeps them until somebody tells of them."""

    def __init__(self) -> None:
        self._kept: deque[Loss] = deque(maxlen=_MOST)
        self._counter = metrics.NoOpMeter("relay").create_counter(names.REJECTED.name)

    def count_with(self, provider: MeterProvider) -> None:
        """Count with a provider: it is built of exporters, which note losses here."""
        meter = metrics.get_meter(names.SCOPE, meter_provider=provider)
        metric = names.REJECTED
        self._counter = meter.create_counter(metric.name, metric.unit, metric.meaning)

    def note(self, loss: Loss) -> None:
        """Note a loss."""
        attributes = {
            names.EXPORTER: loss.exporter,
            names.SIGNAL: loss.signal,
            names.ERROR_TYPE: loss.error.reason.value,
        }
        self._counter.add(1, attributes)
        self._kept.append(loss)

    def take(self) -> list[Loss]:
        """Return what nobody told of yet, one of a kind."""
        found: dict[tuple[str, str, Reason], Loss] = {}
        while self._kept:
            loss = self._kept.popleft()
            found[loss.exporter, loss.signal, loss.error.reason] = loss
        return list(found.values())


def reason_of(words: str) -> Reason:
    """Return why an exporter could not hand over, by what it says."""
    for text, reason in _TEXTS:
        if text in words.lower():
            return reason
    for word in re.findall(r"\w+", words.lower()):
        if word in _REASONS:
            return _REASONS[word]
    return Reason.UNAVAILABLE
