"""Exporters that are watched: what they don't hand over is noted, and what full queues drop.

The SDK's processors keep what exporters have not taken yet, up to a limit. Behind an endpoint
that takes its time it is reached, and then the oldest is dropped without a word to anybody.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from relay.failures import DeliveryError, Reason
from relay.telemetry.losses import Loss, Losses, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExportResult
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

    from relay.failures import Refusal

QUEUED: Final = 2048
"""Spans, or log records, that wait for an exporter at most."""
_LONGEST: Final = 300
"""Characters of an exporter's words."""
_SPEAKERS: Final = ("opentelemetry.exporter", "azure.monitor.opentelemetry.exporter")
_GENERATED: Final = "._generated."
"""Code that speaks of formats only."""

type Explain = Callable[[Reason], Refusal | None]


class Watch:
    """Watches one exporter hand over batches of one signal.

    Args:
        exporter: its name in the settings.
        signal: what it exports.
        losses: hears what it does not hand over.
        explain: puts a refusal in words.
    """

    def __init__(
        self, exporter: str, signal: str, losses: Losses, explain: Explain = lambda _: None
    ) -> None:
        self._exporter = exporter
        self._signal = signal
        self._losses = losses
        self._explain = explain

    def __call__[Result: (SpanExportResult, MetricExportResult, LogRecordExportResult)](
        self, export: Callable[[], Result]
    ) -> Result:
        """Let it export, and note whether it could."""
        words: list[str] = []
        try:
            with overheard(words):
                result = export()
        except Exception as error:
            self._note([*words, repr(error)])
            raise
        if result.name != "SUCCESS":
            self._note(words)
        return result

    def overflows(self) -> None:
        """Note that what waits for the exporter is more than is kept."""
        words = f"it takes less than there is: beyond {QUEUED}, the oldest are dropped"
        self._losses.note(
            Loss(self._exporter, self._signal, DeliveryError(Reason.THROTTLED, words))
        )

    def _note(self, words: Sequence[str]) -> None:
        said = " ".join(dict.fromkeys(words))[:_LONGEST] or "it does not say why"
        reason = reason_of(" ".join(words))
        error = DeliveryError(reason, said, refusal=self._explain(reason))
        self._losses.note(Loss(self._exporter, self._signal, error))


@contextmanager
def overheard(words: list[str]) -> Iterator[None]:
    """Collect what exporters say in this thread meanwhile: they have no other way to tell.

    Their loggers drop what they said moments ago, so the ear goes before all other filters.
    """
    ear = _Ear(words)
    speakers = [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(_SPEAKERS) and _GENERATED not in name
    ]
    for speaker in speakers:
        speaker.filters.insert(0, ear)
    try:
        yield
    finally:
        for speaker in speakers:
            speaker.removeFilter(ear)


class _Ear(logging.Filter):
    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self._words = words
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread == self._thread and record.levelno >= logging.WARNING:
            self._words.append(record.getMessage())
        return True


class Queue:
    """Counts along with a processor's queue, which tells nobody that it is full.

    Args:
        watch: hears of it, once for each time that the exporter has taken something.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = threading.Lock()  # events are told of in one thread, exported in others
        self._waiting = 0
        self._is_told = False

    def add(self) -> None:
        """Count what goes into the queue; the oldest drops out of a full one."""
        with self._lock:
            is_full = self._waiting == QUEUED
            self._waiting += not is_full
            overflows, self._is_told = is_full and not self._is_told, is_full
        if overflows:
            self._watch.overflows()

    def take(self, count: int) -> None:
        """Count what an exporter takes out of it."""
        with self._lock:
            self._waiting = max(self._waiting - count, 0)


class WatchedSpans(SpanExporter):
    """A span exporter that is watched."""

    def __init__(self, inner: SpanExporter, watch: Watch, queue: Queue) -> None:
        self._inner = inner
        self._watch = watch
        self._queue = queue

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        self._queue.take(len(spans))
        return self._watch(lambda: self._inner.export(spans))

    def shutdown(self) -> None:
        """Let go of connections."""
        self._inner.shutdown()


class WatchedMetrics(MetricExporter):
    """A metric exporter that is watched."""

    def __init__(self, inner: MetricExporter, watch: Watch) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)  # noqa: SLF001 - readers ask the exporter for them, so the wrapper must have them
        self._inner = inner
        self._watch = watch

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export metrics."""
        return self._watch(lambda: self._inner.export(metrics_data, timeout_millis, **kwargs))

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: exporters keep nothing back."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Let go of connections."""
        self._inner.shutdown(timeout_millis, **kwargs)


class WatchedLogs(LogRecordExporter):
    """A log record exporter that is watched."""

    def __init__(self, inner: LogRecordExporter, watch: Watch, queue: Queue) -> None:
        self._inner = inner
        self._watch = watch
        self._queue = queue

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export log records."""
        self._queue.take(len(batch))
        return self._watch(lambda: self._inner.export(batch))

    def shutdown(self) -> None:
        """Let go of connections."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: exporters keep nothing back."""
        return self._inner.force_flush(timeout_millis)


class QueuedSpans(SpanProcessor):
    """Keeps spans for an exporter, and notices when they become too many."""

    def __init__(self, exporter: SpanExporter, watch: Watch) -> None:
        self._queue = Queue(watch)
        watched = WatchedSpans(exporter, watch, self._queue)
        self._inner = BatchSpanProcessor(watched, QUEUED)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self._queue.add()
        self._inner.on_end(span)

    def shutdown(self) -> None:
        """Export what is kept, and no more."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is kept."""
        return self._inner.force_flush(timeout_millis)


class QueuedLogs(LogRecordProcessor):
    """Keeps log records for an exporter, and notices when they become too many."""

    def __init__(self, exporter: LogRecordExporter, watch: Watch) -> None:
        self._queue = Queue(watch)
        watched = WatchedLogs(exporter, watch, self._queue)
        self._inner = BatchLogRecordProcessor(watched, max_queue_size=QUEUED)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep a log record."""
        self._queue.add()
        self._inner.on_emit(log_record)

    def shutdown(self) -> None:
        """Export what is kept, and no more."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is kept."""
        return self._inner.force_flush(timeout_millis)
