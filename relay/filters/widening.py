"""One filter that Azure Digital Twins itself takes, and that loses no event of several others.

What it documents is kept, what is the relay's own is left out, so that the filter lets through
more rather than less. The same goes for what it documents and may yet read otherwise than the
relay:

- `source` and `datacontenttype`: the documentation and its own samples differ in both, and
  Event Grid's schema carries neither.
- `subject` of telemetry: a component in CloudEvents, the twin in Event Grid's schema.
- What a missing field is: only that `!= null` asks for it is documented, not that `!=` and NOT
  hold without it.
- Numbers that a double does not hold, exponents, the order of texts, quotes and backslashes in
  them, members of arrays, and with them `patch`.

Source: "Create event routes and filters in Azure Digital Twins".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, assert_never

from relay.event import TELEMETRY
from relay.filters.parsing import DEEPEST, parse
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
    operand_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from relay.filters.syntax import Condition, Node, Operand, Scalar

LONGEST: Final = 4_000
"""Characters. Azure Digital Twins publishes no limit for filters; texts of twins have 4 KB."""

_CERTAIN: Final = frozenset({"type", "specversion", "subject", "dataschema"})
_NAME: Final = re.compile(r"\$?[A-Za-z][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_EXACT: Final = 2**53
"""Up to here integers are the same as doubles."""


@dataclass(frozen=True, slots=True)
class _Joined:
    """Conditions joined by a word; none of them is joined by the same."""

    word: Literal["AND", "OR"]
    parts: tuple[_Wide, ...]


type _Wide = bool | str | _Joined
"""A constant, a condition as it is written, or several."""


def widened(filters: Iterable[str]) -> str:
    """Return the filter for Azure Digital Twins.

    It holds for every event of Azure Digital Twins for which one of the filters holds. If it
    becomes too long or too deep, only conditions on `type` are kept, and at last nothing.

    Args:
        filters: in the relay's language; none want nothing.

    Raises:
        FilterError: one of them isn't a filter.
    """
    trees = [parse(text).tree for text in filters]
    for asks in (_of_anything, _of_the_type):
        text = _written(_joined("OR", [_wide(tree, asks, is_negated=False) for tree in trees]))
        if _fits(text):
            return text
    return "true"


def _fits(text: str) -> bool:
    depth = deepest = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    return len(text) <= LONGEST and deepest <= DEEPEST


def _wide(node: Node, asks: Callable[[Operand], bool], *, is_negated: bool) -> _Wide:
    """Return what holds wherever the condition does, or, negated, wherever it doesn't."""
    match node:
        case Group(inner):
            return _wide(inner, asks, is_negated=is_negated)
        case Not(inner):
            return _wide(inner, asks, is_negated=not is_negated)
        case AllOf(nodes):
            parts = [_wide(each, asks, is_negated=is_negated) for each in nodes]
            return _joined("OR" if is_negated else "AND", parts)
        case AnyOf(nodes):
            parts = [_wide(each, asks, is_negated=is_negated) for each in nodes]
            return _joined("AND" if is_negated else "OR", parts)
        case _:
            return _condition(node, asks, is_negated=is_negated)


def _condition(node: Condition, asks: Callable[[Operand], bool], *, is_negated: bool) -> _Wide:
    """Return a single condition if it is certain, else that anything may be."""
    operand = operand_of(node)
    if operand is not None and not asks(operand):
        return True
    match node:
        case Constant(answer):
            return answer is not is_negated
        case PatchTouches():
            return True
        case Membership(operand, values):
            parts = [_equality(operand, each.value, is_equal=not is_negated) for each in values]
            return _joined("AND" if is_negated else "OR", parts)
        case Comparison(operand, "=" | "!=" as operator, value):
            is_equal = (operator == "=") is not is_negated
            return _equality(operand, value.value, is_equal=is_equal)
        case Comparison() | TextTest():
            return True if is_negated else _test(node)
    assert_never(node)


def _of_anything(operand: Operand) -> bool:
    """Whether Azure Digital Twins knows the field, and as what the relay knows it."""
    if isinstance(operand, Attribute):
        return operand.direct and operand.name in _CERTAIN
    return (
        bool(operand.steps)
        and operand.steps[0] != "patch"
        and all(map(_is_name, operand.steps))
    )


def _of_the_type(operand: Operand) -> bool:
    return isinstance(operand, Attribute) and operand.direct and operand.name == "type"


def _is_name(step: str | int) -> bool:
    return (
        isinstance(step, str)
        and _NAME.fullmatch(step) is not None
        and step.lower() not in _RESERVED
    )


def _equality(operand: Operand, value: Scalar, *, is_equal: bool) -> _Wide:
    """Return the comparison if it is certain.

    A field that isn't there equals nothing that can be written, and whether it differs from it
    is open; with null it is the other way round.
    """
    if value is None:
        is_open = is_equal or isinstance(operand, Attribute)
        return True if is_open else f"{_field(operand)} != null"
    literal = _literal(operand, value)
    if literal is None:
        return True
    if is_equal:
        return _about(operand, f"{_field(operand)} = {literal}")
    may_lack = isinstance(operand, Body) or operand.name == "dataschema"
    return True if may_lack else _about(operand, f"{_field(operand)} != {literal}")


def _test(node: Comparison | TextTest) -> _Wide:
    """Return an order of numbers, or what is asked of a text, if it is certain."""
    if isinstance(node, TextTest):
        literal = _literal(node.operand, node.text)
        asked = f"{node.function}({_field(node.operand)}, {literal})"
        return _about(node.operand, asked) if literal else True
    value = node.value.value
    literal = _literal(node.operand, value)
    is_number = literal is not None and not isinstance(value, bool | str)
    return f"{_field(node.operand)} {node.operator} {literal}" if is_number else True


def _about(operand: Operand, condition: str) -> _Wide:
    """Return a condition; what is said of a subject can't be said of telemetry."""
    if isinstance(operand, Attribute) and operand.name == "subject":
        return _joined("OR", [condition, f"type = '{TELEMETRY}'"])
    return condition


def _literal(operand: Operand, value: Scalar) -> str | None:
    """Write a value; `None` if it may be read there as another, or as none of the field."""
    if isinstance(value, str):
        is_plain = value.isprintable() and value != "" and not set(value) & {"'", "\\"}
        return f"'{value}'" if is_plain else None
    if value is None or isinstance(operand, Attribute):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    written = repr(value)
    return written if abs(value) <= _EXACT and "e" not in written else None


def _field(operand: Operand) -> str:
    if isinstance(operand, Attribute):
        return operand.name
    return ".".join(["$body", *map(str, operand.steps)])


def _joined(word: Literal["AND", "OR"], parts: Sequence[_Wide]) -> _Wide:
    """Join conditions; what changes nothing beside the others is left out."""
    decisive = word == "OR"
    flat = list(dict.fromkeys(each for part in parts for each in _parts(part, word)))
    if any(each is decisive for each in flat):
        return decisive
    if word == "AND" and (narrowed := _of_one_type(flat)) != flat:
        return _joined(word, narrowed)
    kept = _needed([each for each in flat if not isinstance(each, bool)], word)
    if len(kept) < 2:  # noqa: PLR2004 - one alone needs no word
        return kept[0] if kept else not decisive
    return _Joined(word, tuple(kept))


def _of_one_type(parts: list[_Wide]) -> list[_Wide]:
    """Leave out alternatives of other types where one type is demanded."""
    demanded = next(filter(_names_type, parts), None)
    if demanded is None:
        return parts
    return [
        _joined("OR", [e for e in _parts(part, "OR") if e == demanded or not _names_type(e)])
        for part in parts
    ]


def _names_type(wide: _Wide) -> bool:
    return isinstance(wide, str) and wide.startswith("type = ")


def _needed(parts: list[str | _Joined], word: Literal["AND", "OR"]) -> list[str | _Joined]:
    """Leave out what another part implies: `a AND b` beside `a`, where OR joins them."""
    inner = {each: frozenset(_parts(each, "OR" if word == "AND" else "AND")) for each in parts}
    alone = {each for each in parts if len(inner[each]) == 1}
    joined = [inner[each] for each in parts if each not in alone]
    return [
        each
        for each in parts
        if each in alone
        or not (inner[each] & alone or any(other < inner[each] for other in joined))
    ]


def _parts(wide: _Wide, word: Literal["AND", "OR"]) -> tuple[_Wide, ...]:
    return wide.parts if isinstance(wide, _Joined) and wide.word == word else (wide,)


def _written(wide: _Wide) -> str:
    if isinstance(wide, bool):
        return str(wide).lower()
    if isinstance(wide, str):
        return wide
    parts = (f"({_written(p)})" if isinstance(p, _Joined) else _written(p) for p in wide.parts)
    return f" {wide.word} ".join(parts)
