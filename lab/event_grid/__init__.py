"""Event Grid topics: published to over HTTPS, delivered to webhooks, retried, dead-lettered."""

from __future__ import annotations

from lab.event_grid.handshake import HandshakeFailed
from lab.event_grid.model import Schema, Subscription, Topic
from lab.event_grid.service import EventGrid

__all__ = ["EventGrid", "HandshakeFailed", "Schema", "Subscription", "Topic"]
