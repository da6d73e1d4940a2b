"""Conditions that are valid and yet not what their author means, most likely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from relay.event import TELEMETRY
from relay.filters.findings import Advice, Concern
from relay.filters.reach import (
    EVERY,
    PREFIX,
    RELATIONSHIPS,
    TELEMETRY_ONLY,
    Types,
    present,
    reach,
)
from relay.filters.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    Body,
    Comparison,
    Constant,
    Group,
    Membership,
    Node,
    Not,
    Operand,
    TextTest,
    operand_of,
)

type Key = str | tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What the conditions joined to one by AND already say.

    Attributes:
        types: the types of events for which they may hold.
        before: the same of those that stand before it.
        present: the fields that they demand.
    """

    types: Types = EVERY
    before: Types = EVERY
    present: frozenset[Key] = frozenset()


def surprises(tree: Node) -> Iterator[Advice]:
    """Say where a filter can hold for nothing, or for more or less than it seems."""
    for node, context in _in_context(tree, Context()):
        if impossible := _impossible(node, context):
            yield impossible
        else:
            yield from (advice for rule in _RULES if (advice := rule(node, context)))


def _in_context(node: Node, context: Context) -> Iterator[tuple[Node, Context]]:
    """Iterate over the single conditions; what NOT turns round is taken as one."""
    match node:
        case Group(inner):
            yield from _in_context(inner, context)
        case AnyOf(nodes):
            for each in nodes:
                yield from _in_context(each, context)
        case AllOf(nodes):
            for each, narrowed in zip(nodes, _narrowed(context, nodes), strict=True):
                yield from _in_context(each, narrowed)
        case _:
            yield node, context


def _narrowed(context: Context, nodes: Sequence[Node]) -> Iterator[Context]:
    """Iterate over what each of the conditions learns from the others."""
    reaches = [reach(node) for node in nodes]
    present = context.present.union(*map(_demanded, nodes))
    before = context.before
    for index, own in enumerate(reaches):
        others = reaches[:index] + reaches[index + 1 :]
        yield Context(context.types.intersection(*others), before, present)
        before &= own


def _demanded(node: Node) -> frozenset[Key]:
    match node:
        case Comparison(operand, "!=", value) if value.value is None:
            return frozenset({_key(operand)})
        case _:
            return frozenset()


def _key(operand: Operand) -> Key:
    return operand.name if isinstance(operand, Attribute) else operand.steps


def _impossible(node: Node, context: Context) -> Advice | None:
    possible = reach(node)
    if not possible:
        return Advice(node.span, Concern.NEVER, *_never(node))
    if possible & context.before or not context.before:
        return None
    return Advice(
        node.span,
        Concern.NEVER,
        f"This can't hold for {_names(context.before)}, and what it is joined to by AND "
        "holds for nothing else.",
        _elsewhere(node),
    )


def _never(node: Node) -> tuple[str, str]:
    """Return why a condition holds for no event at all, and the remedy."""
    operand = operand_of(node)
    if isinstance(node, Constant):
        return "This holds for no event.", "Write a condition, or take the route out."
    if operand is not None and _key(operand) == "type":
        return "Azure Digital Twins writes no event of such a type.", _close_type(node)
    if operand is not None and _key(operand) == "specversion":
        return "Every event of Azure Digital Twins has specversion '1.0'.", "Leave it out."
    if isinstance(operand, Attribute):
        return f"The field {operand.name} is text.", "Compare it with a text, in single quotes."
    return "Only texts and numbers have an order.", "Use = or !=."


def _close_type(node: Node) -> str:
    close = [match for text in _texts(node) for match in get_close_matches(text, EVERY, n=1)]
    known = ", ".join(sorted(EVERY))
    return f"Did you mean '{close[0]}'?" if close else f"The types are {known}."


def _elsewhere(node: Node) -> str:
    """Return where what the condition asks for is to be found in other events."""
    operand = operand_of(node)
    if isinstance(operand, Body) and operand.steps[:1] not in {("modelId",), ("$metadata",)}:
        if operand.steps[:1] == ("patch",):
            return "Only updates have a patch."
        return (
            "An update's data has only modelId and patch: PATCH_TOUCHES('/temperature') or "
            "$body.patch[0].value ask for a property that changed."
        )
    if isinstance(operand, Body) or (
        isinstance(operand, Attribute) and operand.name == "dataschema"
    ):
        return (
            "The model is $body.$metadata.$model of a created or deleted twin, $body.modelId "
            "of an update and dataschema of telemetry."
        )
    if isinstance(operand, Attribute) and operand.name == "time":
        return "Telemetry of Azure Digital Twins carries no time."
    return "Join them by OR, or take one out."


def _names(types: Types) -> str:
    return ", ".join(sorted(each.removeprefix(PREFIX) for each in types))


def _texts(node: Node) -> list[str]:
    """Return the texts that a condition compares with for equality or looks for."""
    match node:
        case Comparison(_, "=", value):
            found = [value.value]
        case Membership(_, values):
            found = [each.value for each in values]
        case TextTest(text=text):
            found = [text]
        case _:
            found = []
    return [each for each in found if isinstance(each, str)]


type Rule = Callable[[Node, Context], Advice | None]


def _missing_is_different(node: Node, context: Context) -> Advice | None:
    operand = _told_apart(node)
    if operand is None or _key(operand) in context.present or not _may_lack(operand, context):
        return None
    written = _written(operand)
    return Advice(
        node.span,
        Concern.SURPRISE,
        f"This holds as well where there is no {written}.",
        f"If only events that have it are meant, add: AND {written} != null.",
    )


def _told_apart(node: Node) -> Operand | None:
    """Return the field of a `!=` or a NOT IN that null answers with true."""
    match node:
        case Comparison(operand, "!=", value) if value.value is not None:
            return operand
        case Not(Membership(operand, values)) if all(each.value is not None for each in values):
            return operand
        case _:
            return None


def _may_lack(operand: Operand, context: Context) -> bool:
    if isinstance(operand, Body):
        return True
    if operand.direct and operand.name in {"type", "source", "id", "specversion"}:
        return False
    lacking = EVERY - present(operand)
    return bool(context.types & (lacking | _OPTIONAL.get(operand.name, EVERY)))


_OPTIONAL: Final = {
    "subject": TELEMETRY_ONLY,
    "datacontenttype": frozenset[str](),
    "time": frozenset[str](),
    "dataschema": frozenset[str](),
}


def _json_misses_telemetry(node: Node, context: Context) -> Advice | None:
    if not _equals(node, "datacontenttype") or TELEMETRY not in context.types:
        return None
    if "application/json" not in _texts(node):
        return None
    return Advice(
        node.span,
        Concern.SURPRISE,
        "This misses telemetry, which arrives as application/json-patch+json; charset=utf-8.",
        "Leave it out, or write STARTS_WITH(datacontenttype, 'application/json').",
    )


def _source_of_telemetry(node: Node, context: Context) -> Advice | None:
    texts = _texts(node) if _about(node, "source") else []
    if any("://" in text for text in texts):
        return Advice(
            node.span,
            Concern.NEVER,
            "Azure Digital Twins writes source without a scheme.",
            "Leave out https://.",
        )
    if not texts or not _equals(node, "source") or TELEMETRY not in context.types:
        return None
    if all("/" in text for text in texts):
        return Advice(
            node.span,
            Concern.UNVERIFIED,
            "Only telemetry has a twin in its source, and whether /digitaltwins/ stands before "
            "it is documented both ways.",
            "Write ENDS_WITH(source, '/<twin>').",
        )
    return Advice(
        node.span,
        Concern.SURPRISE,
        "This misses telemetry, whose source goes on after the host: /digitaltwins/<twin>.",
        "Write STARTS_WITH(source, '<host>').",
    )


def _twin_is_not_all(node: Node, context: Context) -> Advice | None:
    names = [text for text in _texts(node) if "/" not in text]
    missed = context.types & (RELATIONSHIPS | TELEMETRY_ONLY)
    if not _equals(node, "subject") or not names or not missed or context.types <= missed:
        return None
    return Advice(
        node.span,
        Concern.SURPRISE,
        "This misses the twin's relationships, whose subject is <twin>/relationships/<id>, and "
        "its telemetry, whose twin stands at the end of source.",
        f"Add OR STARTS_WITH(subject, '{names[0]}/relationships/') "
        f"OR ENDS_WITH(source, '/{names[0]}'), or name the type.",
    )


def _part_of_a_name(node: Node, _context: Context) -> Advice | None:
    match node:
        case TextTest("CONTAINS", Attribute("subject"), text) if "/" not in text:
            return Advice(
                node.span,
                Concern.SURPRISE,
                f"This also takes twins whose id only contains {text}, as x{text}0 does.",
                f"For one twin write subject = '{text}' OR "
                f"STARTS_WITH(subject, '{text}/relationships/').",
            )
        case _:
            return None


def _digits_are_a_name(node: Node, _context: Context) -> Advice | None:
    operand = operand_of(node)
    if not isinstance(operand, Body):
        return None
    digits = [step for step in operand.steps if isinstance(step, str) and step.isdigit()]
    if operand.quoted or not digits:
        return None
    return Advice(
        operand.span,
        Concern.SURPRISE,
        f"{digits[0]} is the name of a member here, not a position in an array.",
        f"For the position write [{digits[0]}].",
    )


_RULES: Final[tuple[Rule, ...]] = (
    _missing_is_different,
    _json_misses_telemetry,
    _source_of_telemetry,
    _twin_is_not_all,
    _part_of_a_name,
    _digits_are_a_name,
)


def _about(node: Node, name: str) -> bool:
    operand = operand_of(node)
    return isinstance(operand, Attribute) and operand.name == name


def _equals(node: Node, name: str) -> bool:
    """Whether the condition asks if an attribute is just this or one of these."""
    return _about(node, name) and (
        isinstance(node, Membership) or (isinstance(node, Comparison) and node.operator == "=")
    )


def _written(operand: Operand) -> str:
    """Return the field as a filter names it."""
    if isinstance(operand, Attribute):
        return operand.name if operand.direct else f"$attributes.{operand.name}"
    steps = (f".{step}" if isinstance(step, str) else f"[{step}]" for step in operand.steps)
    return f"$body{''.join(steps)}"
