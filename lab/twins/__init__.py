"""A plant of digital twins, and the events that Azure Digital Twins would write about it."""

from __future__ import annotations

from lab.twins.bus_sender import BusSender, by_twin_session
from lab.twins.notification import TELEMETRY, Message, Notification
from lab.twins.plant import HOST, Layout, Plant
from lab.twins.poison import POISON
from lab.twins.sender import Place, Sender, anywhere, by_twin, on_partition
from lab.twins.topic_sender import TopicSender

__all__ = [
    "HOST",
    "POISON",
    "TELEMETRY",
    "BusSender",
    "Layout",
    "Message",
    "Notification",
    "Place",
    "Plant",
    "Sender",
    "TopicSender",
    "anywhere",
    "by_twin",
    "by_twin_session",
    "on_partition",
]
