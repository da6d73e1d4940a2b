"""The matrix of faults: each is injected for real while events flow, and then it is counted."""

from __future__ import annotations
