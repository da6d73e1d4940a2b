"""Which events of Azure Digital Twins a condition can hold for at all, judged by their type.

What each type carries is documented in Azure Digital Twins' "Event notifications"; telemetry
carries whatever its sender likes, so nothing in the body rules it out.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, assert_never

from relay.event import TELEMETRY, Event
from relay.filters.compiling import closure
from relay.filters.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    Body,
    Comparison,
    Constant,
    Group,
    Membership,
    Not,
    PatchTouches,
    TextTest,
)
from relay.filters.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.filters.syntax import Condition, Node, Operand, Scalar

type Types = frozenset[str]

PREFIX: Final = "Microsoft.DigitalTwins."
TWIN_LIFECYCLE: Final[Types] = frozenset({f"{PREFIX}Twin.Create", f"{PREFIX}Twin.Delete"})
RELATIONSHIP_LIFECYCLE: Final[Types] = frozenset(
    {f"{PREFIX}Relationship.Create", f"{PREFIX}Relationship.Delete"}
)
UPDATES: Final[Types] = frozenset({f"{PREFIX}Twin.Update", f"{PREFIX}Relationship.Update"})
RELATIONSHIPS: Final = RELATIONSHIP_LIFECYCLE | {f"{PREFIX}Relationship.Update"}
TELEMETRY_ONLY: Final[Types] = frozenset({TELEMETRY})
EVERY: Final = TWIN_LIFECYCLE | RELATIONSHIP_LIFECYCLE | UPDATES | TELEMETRY_ONLY
NONE: Final[Types] = frozenset()

_UPDATE_MEMBERS: Final = ("modelId", "patch")
_ATTRIBUTES: Final[Mapping[str, Types]] = {
    "dataschema": TELEMETRY_ONLY,
    "time": EVERY - TELEMETRY_ONLY,
}
_MEMBERS: Final[Mapping[str | int, Types]] = {
    "$dtId": TWIN_LIFECYCLE | TELEMETRY_ONLY,
    "$metadata": TWIN_LIFECYCLE | TELEMETRY_ONLY,
    "$relationshipId": RELATIONSHIP_LIFECYCLE | TELEMETRY_ONLY,
    "$relationshipName": RELATIONSHIP_LIFECYCLE | TELEMETRY_ONLY,
    "$sourceId": RELATIONSHIP_LIFECYCLE | TELEMETRY_ONLY,
    "$targetId": RELATIONSHIP_LIFECYCLE | TELEMETRY_ONLY,
}


def reach(node: Node) -> Types:
    """Return the types of events for which the condition may hold."""
    match node:
        case Group(inner):
            return reach(inner)
        case Not(inner):
            return missed(inner)
        case AllOf(nodes):
            return reduce(frozenset.intersection, map(reach, nodes))
        case AnyOf(nodes):
            return reduce(frozenset.union, map(reach, nodes))
        case _:
            return frozenset(each for each in EVERY if True in _answers(node, each))


def missed(node: Node) -> Types:
    """Return the types of events for which the condition may fail."""
    match node:
        case Group(inner):
            return missed(inner)
        case Not(inner):
            return reach(inner)
        case AllOf(nodes):
            return reduce(frozenset.union, map(missed, nodes))
        case AnyOf(nodes):
            return reduce(frozenset.intersection, map(missed, nodes))
        case _:
            return frozenset(each for each in EVERY if False in _answers(node, each))


def present(operand: Operand) -> Types:
    """Return the types of events that may have the field."""
    if isinstance(operand, Attribute):
        return _ATTRIBUTES.get(operand.name, EVERY)
    if not operand.steps or operand.steps[0] in _UPDATE_MEMBERS:
        return EVERY
    return _MEMBERS.get(operand.steps[0], EVERY - UPDATES)


def _answers(node: Condition, event_type: str) -> frozenset[bool]:
    """Return what the condition may answer for events of a type.

    The compiled condition is asked itself about an event that has nothing but what every event
    of the type has; if the field may be there besides, it may also answer otherwise.
    """
    bare = Event({"type": event_type, "specversion": "1.0"})
    answer = closure(node)(View(bare))
    return frozenset({answer, not answer} if _varies(node, event_type) else {answer})


def _varies(node: Condition, event_type: str) -> bool:
    match node:
        case Constant():
            return False
        case PatchTouches():
            return event_type in UPDATES | TELEMETRY_ONLY
        case Comparison(operand) | Membership(operand) | TextTest(_, operand):
            fixed = isinstance(operand, Attribute) and operand.name in {"type", "specversion"}
            return not fixed and _decidable(node) and event_type in _where(node, operand)
    assert_never(node)


def _where(node: Condition, operand: Operand) -> Types:
    """Return the types that may have the field with such a value.

    A property may be called `modelId` like the member of an update; that it holds a model's id
    as well is not worth a false silence.
    """
    if isinstance(operand, Body) and operand.steps == ("modelId",) and _names_model(node):
        return UPDATES | TELEMETRY_ONLY
    return present(operand)


def _names_model(node: Condition) -> bool:
    match node:
        case Comparison(value=value):
            return str(value.value).startswith("dtmi:")
        case Membership(values=values):
            return any(str(each.value).startswith("dtmi:") for each in values)
        case TextTest(text=text):
            return text.startswith("dtmi:")
        case _:
            return False


def _decidable(node: Condition) -> bool:
    """Whether the field's value could make a difference."""
    match node:
        case Comparison(operand, "=" | "!=", value):
            return _may_equal(operand, value.value)
        case Comparison(operand, _, value):
            return _has_order(value.value) and _may_equal(operand, value.value)
        case Membership(operand, values):
            return any(_may_equal(operand, each.value) for each in values)
        case _:
            return True


def _may_equal(operand: Operand, value: Scalar) -> bool:
    """Whether a field can have such a value: what Azure Digital Twins puts aside is text."""
    only_text = isinstance(operand, Attribute) and operand.direct
    return value is None or isinstance(value, str) or not only_text


def _has_order(value: Scalar) -> bool:
    return value is not None and not isinstance(value, bool)
