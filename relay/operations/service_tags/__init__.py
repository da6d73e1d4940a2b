"""The addresses that a service calls from, and the IP filters that let it in.

Azure publishes them as service tags, weekly. Facts about the tag and the targets' limits:
docs/service-tags.md.
"""

from __future__ import annotations

from relay.operations.service_tags.comparing import Comparison, Side, compare
from relay.operations.service_tags.grace import Sightings
from relay.operations.service_tags.networks import Network
from relay.operations.service_tags.rules import Rules, TooManyRulesError, make_rules
from relay.operations.service_tags.tags import (
    Selection,
    ServiceTagsError,
    Tag,
    TagList,
    read_tags,
)
from relay.operations.service_tags.targets import TARGETS, Target

__all__ = [
    "TARGETS",
    "Comparison",
    "Network",
    "Rules",
    "Selection",
    "ServiceTagsError",
    "Side",
    "Sightings",
    "Tag",
    "TagList",
    "Target",
    "TooManyRulesError",
    "compare",
    "make_rules",
    "read_tags",
]
