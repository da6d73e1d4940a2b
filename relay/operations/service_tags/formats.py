"""Rules written down: as Bicep, as ARM's JSON, or as `az` commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from relay.operations.service_tags.targets import (
    EVENT_GRID,
    EVENT_HUBS,
    SERVICE_BUS,
    STORAGE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from relay.operations.service_tags.rules import Rules

_A_COMMAND: Final = 50
"""Rules in one command: a line of them all would be longer than some shells take."""


def as_json(rules: Rules) -> dict[str, Any]:
    """Return the rules below `properties`, where ARM wants them, and what they were made of."""
    kind, _, version = rules.target.type.partition("@")
    found: Any = [rules.target.rule(address) for address in rules.addresses]
    for member in reversed(rules.target.path):
        found = {member: found}
    return {
        "type": kind,
        "apiVersion": version,
        "properties": found,
        "count": len(rules.addresses),
        "source": source_of(rules),
        "waiting": list(rules.waiting),
        "warnings": rules.warnings,
    }


def as_bicep(rules: Rules) -> str:
    """Return a Bicep file that exports the rules; a template imports them and adds its own.

    It deploys nothing by itself: a rule set is written as a whole, and would drop whatever
    other rules a resource has.
    """
    target = rules.target
    lines = [f"// {line}" for line in _said(rules)]
    lines += [f"// Goes to {target.type}, {'.'.join(('properties', *target.path))}."]
    lines += ["@export()", "var azureDigitalTwinsRules = ["]
    lines += [
        f"  {{ {target.member}: '{address}', action: 'Allow' }}" for address in rules.addresses
    ]
    return "\n".join([*lines, "]", ""])


def as_az(rules: Rules) -> str:
    """Return commands that add the rules, for a shell with `RESOURCE_GROUP` and `NAME` set."""
    lines = [f"# {line}" for line in _said(rules)]
    lines += [_NEEDS, *_COMMANDS[rules.target.name](rules)]
    return "\n".join([*lines, ""])


def source_of(rules: Rules) -> dict[str, Any]:
    """Say what rules were made of."""
    selection = rules.selection
    return {
        "tag": selection.tag,
        "regions": list(selection.regions),
        "changeNumber": selection.change_number,
        "cloud": selection.cloud,
    }


def _said(rules: Rules) -> list[str]:
    selection = rules.selection
    what = ", ".join(selection.regions) or selection.tag
    first = (
        f"{what} of {selection.cloud or 'an unnamed cloud'}, change number "
        f"{selection.change_number}: {len(rules.addresses)} rules for {rules.target.label}."
    )
    waiting = f"Gone from the list, and kept for now: {', '.join(rules.waiting)}."
    return [first, *rules.warnings, *([waiting] if rules.waiting else [])]


_NEEDS: Final = ': "${RESOURCE_GROUP:?set it first}" "${NAME:?set it first}"'


def _groups(rules: Rules) -> list[tuple[str, ...]]:
    found = rules.addresses
    return [found[at : at + _A_COMMAND] for at in range(0, len(found), _A_COMMAND)]


def _namespace(service: str) -> Callable[[Rules], list[str]]:
    """Event Hubs and Service Bus add to what there is."""
    command = (
        f"az {service} namespace network-rule-set ip-rule add "
        '--resource-group "$RESOURCE_GROUP" --namespace-name "$NAME"'
    )

    def commands(rules: Rules) -> list[str]:
        return [
            " ".join(
                [command, *(f"--ip-rule ip-address={each} action=Allow" for each in group)]
            )
            for group in _groups(rules)
        ]

    return commands


def _topic(rules: Rules) -> list[str]:
    """An Event Grid topic takes the list as a whole, in one command."""
    options = [f"--inbound-ip-rules {address} allow" for address in rules.addresses]
    command = 'az eventgrid topic update --resource-group "$RESOURCE_GROUP" --name "$NAME"'
    return [
        "# Replaces whatever rules the topic has.",
        " ".join([command, "--public-network-access enabled", *options]),
    ]


def _account(rules: Rules) -> list[str]:
    """A storage account adds to what it has."""
    command = (
        "az storage account network-rule add "
        '--resource-group "$RESOURCE_GROUP" --account-name "$NAME" --ip-address'
    )
    return [" ".join([command, *group]) for group in _groups(rules)]


_COMMANDS: Final[Mapping[str, Callable[[Rules], list[str]]]] = {
    EVENT_HUBS.name: _namespace("eventhubs"),
    SERVICE_BUS.name: _namespace("servicebus"),
    EVENT_GRID.name: _topic,
    STORAGE.name: _account,
}

FORMATS: Final[Mapping[str, Callable[[Rules], str]]] = {
    "bicep": as_bicep,
    "json": lambda rules: json.dumps(as_json(rules), indent=2) + "\n",
    "az": as_az,
}
