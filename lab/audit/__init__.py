"""The audit: read back what was sent and what arrived, and say what is wrong with it."""

from __future__ import annotations

from lab.audit.comparison import Expectation, audit
from lab.audit.observation import Key, Observed, Received, observe
from lab.audit.readers import Access, read_dead_letters, read_hub, read_queue, read_subscription
from lab.audit.report import Alteration, Report, RouteReport

__all__ = [
    "Access",
    "Alteration",
    "Expectation",
    "Key",
    "Observed",
    "Received",
    "Report",
    "RouteReport",
    "audit",
    "observe",
    "read_dead_letters",
    "read_hub",
    "read_queue",
    "read_subscription",
]
