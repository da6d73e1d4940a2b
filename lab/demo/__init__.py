"""The demonstration: twin events from end to end, a refusal, its remedy, and an audit."""

from __future__ import annotations
