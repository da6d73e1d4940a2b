"""A whole Azure on one machine, by identity alone: for development, never deployed."""

from __future__ import annotations
