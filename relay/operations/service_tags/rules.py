"""From a service's networks to the rules of one target, or a refusal where they don't fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.operations.service_tags.networks import PRIVATE, in_order, only_v4
from relay.operations.service_tags.tags import ServiceTagsError

if TYPE_CHECKING:
    from collections.abc import Collection
    from ipaddress import IPv4Network

    from relay.operations.service_tags.networks import Network
    from relay.operations.service_tags.tags import Selection
    from relay.operations.service_tags.targets import Target


class TooManyRulesError(Exception):
    """The rules don't fit; the message says by how much and what can be done."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one target.

    Attributes:
        selection: what they were made of.
        target: whom they are for.
        addresses: one a rule, in order.
        waiting: those among them that the list no longer holds, and that wait to be removed.
        v6: how many IPv6 networks were left out.
    """

    selection: Selection
    target: Target
    addresses: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    v6: int = 0

    @property
    def warnings(self) -> list[str]:
        """What whoever applies them must know."""
        selection = self.selection
        said = [f"{self.target.label}: {note}" for note in self.target.notes]
        if selection.regions:
            said.append(
                f"regions alone may lose events: {selection.outside} ranges of {selection.tag} "
                "belong to no region, and Microsoft does not say what they are for"
            )
        if self.v6:
            said.append(f"{self.v6} IPv6 ranges were left out: {self.target.label} takes none")
        return said


def make_rules(
    selection: Selection,
    target: Target,
    waiting: Collection[Network] = (),
    limit: int | None = None,
) -> Rules:
    """Return the rules that let a service in.

    Args:
        selection: where the service calls from.
        target: what is to let it in.
        waiting: ranges that are gone from the list and keep their rules for now.
        limit: how many rules it takes, where its quota was raised.

    Raises:
        TooManyRulesError: they are more than it takes.
        ServiceTagsError: a range is none that it takes.
    """
    current = only_v4(selection.networks)
    kept = only_v4(in_order(set(waiting) - set(selection.networks)))
    written = _write([*current, *kept], target)
    rules = Rules(
        selection,
        target,
        tuple(written),
        tuple(_write(kept, target)),
        len(selection.networks) - len(current),
    )
    _check_count(rules, limit or target.limit)
    return rules


def _write(networks: list[IPv4Network], target: Target) -> list[str]:
    if not target.private:
        for network in networks:
            if any(network.overlaps(private) for private in PRIVATE):
                raise ServiceTagsError(f"{target.label} takes no private range: {network}")
    written = (
        text for network in only_v4(in_order(networks)) for text in target.write(network)
    )
    return list(dict.fromkeys(written))


def _check_count(rules: Rules, limit: int) -> None:
    count = len(rules.addresses)
    if count <= limit:
        return
    selection, target = rules.selection, rules.target
    what = ", ".join(selection.regions) or selection.tag
    also = f" ({len(rules.waiting)} of them wait to be removed)" if rules.waiting else ""
    ways = [] if selection.regions else ["take only your regions by --region"]
    ways.append("have the quota raised and say so by --limit")
    if target.path == ("ipRules",):
        ways.append("let Azure Digital Twins in as a trusted service, which needs no rule")
    raise TooManyRulesError(
        f"{what} needs {count} rules{also}, and {target.label} takes {limit}: "
        f"{'; or '.join(ways)}."
    )
