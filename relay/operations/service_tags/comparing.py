"""What changed between two lists, or between a list and the rules that are applied."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from relay.operations.service_tags.networks import in_order, merged, only_v4
from relay.operations.service_tags.tags import ServiceTagsError, tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.operations.service_tags.networks import Network

_PLACES: Final = (
    (),
    ("networkAcls",),
    ("networkRuleSet",),
    ("properties",),
    ("properties", "networkAcls"),
)
_LISTS: Final = ("ipRules", "inboundIpRules")
_MEMBERS: Final = ("ipMask", "value", "ipAddressOrRange")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared.

    Attributes:
        networks: what it lets in, or where the service calls from.
        change_number: of the tag; `None` for rules that are applied.
        cloud: of the list, else `""`.
    """

    networks: frozenset[Network]
    change_number: int | None = None
    cloud: str = ""

    @property
    def is_applied(self) -> bool:
        """Whether these are a target's rules, and no list."""
        return self.change_number is None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed. A service is refused for what was added, not for what was removed."""

    old: Side
    new: Side
    added: tuple[Network, ...]
    removed: tuple[Network, ...]
    unchanged: int

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed)


def read_side(text: str, tag: str, regions: Sequence[str]) -> Side:
    """Read a list of service tags, or a target's rules as `az` or this command prints them.

    Raises:
        ServiceTagsError: it is neither, or lacks the tag.
    """
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ServiceTagsError(f"it is not JSON: {error}") from error
    applied = _applied(written)
    if applied is not None:
        return Side(applied)
    selection = tags_of(written).select(tag, regions)
    return Side(frozenset(selection.networks), selection.change_number, selection.cloud)


def compare(old: Side, new: Side) -> Comparison:
    """Compare; where rules are applied, by their addresses, since no target takes IPv6."""
    before, after = old.networks, new.networks
    if old.is_applied or new.is_applied:
        before, after = merged(only_v4(before)), merged(only_v4(after))
    return Comparison(
        old,
        new,
        tuple(in_order(after - before)),
        tuple(in_order(before - after)),
        len(before & after),
    )


def _applied(written: Any) -> frozenset[Network] | None:
    """Find rules where a resource, `az` or ARM has them; `None` if there are none."""
    for place in _PLACES:
        found = written
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        for name in _LISTS:
            if isinstance(found, dict) and isinstance(found.get(name), list):
                return frozenset(_network(rule) for rule in found[name])
    return None


def _network(rule: Any) -> Network:
    given = [rule[name] for name in _MEMBERS if isinstance(rule, dict) and name in rule]
    try:
        return ip_network(str(given[0]))
    except (IndexError, ValueError) as error:
        raise ServiceTagsError(f"{rule!r} is no rule for a range of addresses") from error
