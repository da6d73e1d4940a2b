"""What the demo's routes should deliver, said in Python: the audit's half of `routes.json`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lab.audit import Expectation, Observed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.twins import Notification

_TELEMETRY: Final = "microsoft.iot.telemetry"
_LIFECYCLE: Final = frozenset(
    f"Microsoft.DigitalTwins.{what}.{happening}"
    for what in ("Twin", "Relationship")
    for happening in ("Create", "Delete")
)


def _is_change(event: Observed) -> bool:
    model = event.body.get("modelId")
    is_ours = isinstance(model, str) and model.startswith("dtmi:com:example:")
    return event.type == "Microsoft.DigitalTwins.Twin.Update" and is_ours


def _is_telemetry(event: Observed) -> bool:
    return event.type == _TELEMETRY


def _is_alarm(event: Observed) -> bool:
    severity = event.body.get("severity")
    if not isinstance(severity, int | float) or isinstance(severity, bool):
        return False
    return event.type == _TELEMETRY and severity >= 3


def _is_lifecycle(event: Observed) -> bool:
    return event.type in _LIFECYCLE


EXPECTATIONS: Final = (
    Expectation("twin-changes", _is_change),
    Expectation("telemetry", _is_telemetry),
    Expectation("alarms", _is_alarm),
    Expectation("lifecycle", _is_lifecycle),
)


def expected(notifications: Iterable[Notification]) -> Counter[str]:
    """Count, by route, how many of these events it wants."""
    events = [Observed(n.attributes, n.data) for n in notifications]
    return Counter(
        {one.route: sum(one.wants(event) for event in events) for one in EXPECTATIONS}
    )
