"""Expressions to values.

What can't be known becomes `UNKNOWN`, once with a finding; whatever is made of it is `UNKNOWN`
too, without another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.infra.bicep import functions
from tests.infra.bicep.nodes import (
    Array,
    Binary,
    Call,
    Choice,
    Expression,
    For,
    If,
    Index,
    Lambda,
    Literal,
    Member,
    Name,
    Nested,
    Object,
    Place,
    Text,
    Unary,
    Unread,
)


class Unknown:
    """What can't be known."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()


class Holder(Protocol):
    """A value with members of its own: a resource, a module, a scope."""

    def member(self, name: str, at: Place, *, safe: bool) -> Any: ...


class Scope(Protocol):
    """Where an expression stands."""

    def value_of(self, name: str, at: Place) -> Any:
        """Return what a name means."""

    def ask(self, function: str, arguments: tuple[Any, ...], at: Place) -> Any:
        """Call a function that asks where it stands, or one of the file's own."""

    def note(self, at: Place, what: str) -> Unknown:
        """Note something wrong."""


@dataclass(frozen=True)
class Local:
    """A scope with a few names more: those of a loop, a lambda or a function."""

    outer: Scope
    names: Mapping[str, Any]

    def value_of(self, name: str, at: Place) -> Any:
        return self.names[name] if name in self.names else self.outer.value_of(name, at)

    def ask(self, function: str, arguments: tuple[Any, ...], at: Place) -> Any:
        return self.outer.ask(function, arguments, at)

    def note(self, at: Place, what: str) -> Unknown:
        return self.outer.note(at, what)


def evaluate(  # noqa: C901, PLR0911, PLR0912 - a case a kind
    expression: Expression, scope: Scope
) -> Any:
    """Calculate an expression."""
    match expression:
        case Literal(_, value):
            return value
        case Text():
            return _text(expression, scope)
        case Name(at, name):
            return scope.value_of(name, at)
        case Member(at, of, name, safe):
            return _member(evaluate(of, scope), name, at, scope, safe=safe)
        case Index(at, of, index, safe):
            return _index(evaluate(of, scope), evaluate(index, scope), at, scope, safe=safe)
        case Nested(at, of, name):
            return _member(evaluate(of, scope), f"::{name}", at, scope, safe=False)
        case Call():
            return _call(expression, scope)
        case Unary(at, operator, of):
            return _unary(operator, evaluate(of, scope), at, scope)
        case Binary():
            return _binary(expression, scope)
        case Choice(at, condition, then, otherwise):
            chosen = evaluate(condition, scope)
            if chosen is UNKNOWN:
                return UNKNOWN
            if not isinstance(chosen, bool):
                return scope.note(at, "a choice asks for true or false")
            return evaluate(then if chosen else otherwise, scope)
        case Array(_, items):
            return [evaluate(item, scope) for item in items]
        case Object(_, members):
            return {str(evaluate(key, scope)): evaluate(value, scope) for key, value in members}
        case For():
            return [evaluate(expression.body, each) for each in turns(expression, scope)]
        case If(_, _, body):
            return evaluate(body, scope)
        case Lambda():
            return _closure(expression, scope)
        case Unread():
            return UNKNOWN


def turns(loop: For, scope: Scope) -> list[Local]:
    """Return the scope of each turn of a loop."""
    source = evaluate(loop.source, scope)
    if not isinstance(source, list):
        if source is not UNKNOWN:
            scope.note(loop.at, "a loop asks for an array")
        return []
    return [
        Local(scope, {loop.item: item} | ({loop.index: number} if loop.index else {}))
        for number, item in enumerate(source)
    ]


def _text(expression: Text, scope: Scope) -> Any:
    found = [evaluate(part, scope) for part in expression.parts]
    if any(value is UNKNOWN for value in found):
        return UNKNOWN
    if any(hasattr(value, "member") for value in found):
        return scope.note(expression.at, "a resource can't stand in a text: name its member")
    return "".join(map(functions.text, found))


def _member(value: Any, name: str, at: Place, scope: Scope, *, safe: bool) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if hasattr(value, "member"):
        return value.member(name, at, safe=safe)
    if isinstance(value, dict) and name in value:
        return value[name]
    if safe and (value is None or isinstance(value, dict)):
        return None
    return scope.note(at, f"there is no member {name}")


def _index(value: Any, index: Any, at: Place, scope: Scope, *, safe: bool) -> Any:
    if value is UNKNOWN or index is UNKNOWN:
        return UNKNOWN
    if hasattr(value, "item"):
        return value.item(index, at)
    if isinstance(index, str):
        return _member(value, index, at, scope, safe=safe)
    if isinstance(value, list) and isinstance(index, int) and 0 <= index < len(value):
        return value[index]
    if safe:
        return None
    return scope.note(at, f"there is no item {index}")


def _call(call: Call, scope: Scope) -> Any:
    arguments = tuple(evaluate(each, scope) for each in call.arguments)
    name = functions.plain(call.function)
    known = functions.FUNCTIONS.get(name)
    if any(value is UNKNOWN for value in arguments) and name != "coalesce":
        return UNKNOWN
    if known is None:
        return scope.ask(name, arguments, call.at)
    try:
        return known.call(*arguments)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        return scope.note(call.at, f"{name} can't take that: {error}")


def _unary(operator: str, value: Any, at: Place, scope: Scope) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if operator == "!" and isinstance(value, bool):
        return not value
    if operator == "-" and isinstance(value, int):
        return -value
    return scope.note(at, f"{operator} does not take {value!r}")


def _both(left: Any, right: Any) -> bool:
    """Return the right side of `&&` and `||`, where the left one has not decided."""
    if not isinstance(left, bool) or not isinstance(right, bool):
        raise TypeError("both sides must be true or false")
    return right


def _sum(left: Any, right: Any) -> int:
    if not isinstance(left, int) or not isinstance(right, int):
        raise TypeError("it adds numbers only; write '${a}${b}' or concat()")
    return left + right


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "??": lambda _, b: b,
    "&&": _both,
    "||": _both,
    "==": lambda a, b: a == b and type(a) is type(b),
    "!=": lambda a, b: a != b or type(a) is not type(b),
    "=~": lambda a, b: a.lower() == b.lower(),
    "!~": lambda a, b: a.lower() != b.lower(),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": _sum,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def _binary(expression: Binary, scope: Scope) -> Any:
    left = evaluate(expression.left, scope)
    operator = expression.operator
    if (operator == "??" and left is not None) or (
        operator in {"&&", "||"} and left is (operator == "||")
    ):
        return left  # the other side is not looked at
    right = evaluate(expression.right, scope)
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    try:
        return _OPERATIONS[operator](left, right)
    except (TypeError, AttributeError, ZeroDivisionError) as error:
        return scope.note(expression.at, f"{operator} can't take that: {error}")


def _closure(expression: Lambda, scope: Scope) -> Callable[..., Any]:
    def called(*values: Any) -> Any:
        # A function may hand over an index behind what the lambda asks for.
        given = dict(zip(expression.parameters, values, strict=False))
        return evaluate(expression.body, Local(scope, given))

    return called
