"""Log records: fixed names, their values as JSON, tied to the span they belong to."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber

from relay.redaction import redacted
from relay.telemetry.names import CUSTOM_EVENT, Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger

type Value = str | int | float | None

_log: Final = logging.getLogger("relay")
_SEVERITIES: Final = {
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
}
_CUSTOM_EVENTS: Final = frozenset({Log.ROUTE_STATE, Log.PLACE_STATE})


class Records:
    """Writes log records.

    The Functions worker hands a record's text on to the host and nothing else
    (Azure/azure-functions-python-worker, `dispatcher.py`), so the text holds all of it.

    Args:
        logger: takes them as well where the host does not bring them to an exporter's place.
        own: values of every record.
    """

    def __init__(self, logger: Logger | None, own: Mapping[str, str]) -> None:
        self._logger = logger
        self._own = own

    def write(self, level: int, name: Log, route: str | None = None, **values: Value) -> None:
        """Write one record."""
        if route is not None:
            values = {"route": route, **values}
        values |= {**self._own, **_span_ids()}
        values = {k: redacted(v) if isinstance(v, str) else v for k, v in values.items()}
        text = json.dumps(values, ensure_ascii=False)
        _log.log(level, "%s %s", name, text, extra=values)
        if self._logger is not None:
            self._logger.emit(_record(level, name, values))


def _span_ids() -> dict[str, Value]:
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(span.trace_id),
        "span_id": trace.format_span_id(span.span_id),
    }


def _record(level: int, name: Log, values: dict[str, Value]) -> LogRecord:
    known = {key: value for key, value in values.items() if value is not None}
    if name in _CUSTOM_EVENTS:
        known[CUSTOM_EVENT] = name.value
    return LogRecord(
        severity_number=_SEVERITIES[level],
        severity_text=logging.getLevelName(level),
        body=name.value,
        attributes=known,
        event_name=name.value,
    )
