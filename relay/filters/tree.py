"""What the parser builds at each rule of the grammar, and what it refuses to build."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, cast, get_args

from lark import Transformer

from relay.filters.errors import Mistake
from relay.filters.literals import instant, is_pointer, number, unquote
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
    Operator,
    PatchTouches,
    Span,
    TextTest,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lark import Token

    from relay.filters.syntax import Function, Node, Operand

DOCUMENTED: Final = (
    "type",
    "source",
    "subject",
    "dataschema",
    "datacontenttype",
    "specversion",
)
"""The fields that Azure Digital Twins knows, besides the body's."""

FIELDS: Final = (*DOCUMENTED, "id", "time", "traceparent")

_LONG: Final = 40
"""Characters of a name that a message repeats."""

_OPERATORS: Final = get_args(Operator.__value__)
_OTHER_LANGUAGES: Final[Mapping[str, str]] = {
    "==": "=",
    "===": "=",
    "<>": "!=",
    "!==": "!=",
    "=!": "!=",
    "=<": "<=",
    "=>": ">=",
}

type Step = tuple[str | int, bool, Span]
"""A name or an index, whether the name was in quotes, and where."""


def span_of(token: Token) -> Span:
    """Return where a word of the filter stands."""
    start = token.start_pos or 0
    return Span(start, start + len(token))


class Tree(Transformer["Token", "Node"]):
    """One method a rule; each takes what stands in the rule and returns its node.

    Raises:
        Mistake: from any of them, if the words are in order but mean nothing.
    """

    def disjunction(self, nodes: list[Node]) -> AnyOf:
        """Build `a OR b`."""
        return AnyOf(tuple(nodes), nodes[0].span.to(nodes[-1].span))

    def conjunction(self, nodes: list[Node]) -> AllOf:
        """Build `a AND b`."""
        return AllOf(tuple(nodes), nodes[0].span.to(nodes[-1].span))

    def negated(self, parts: tuple[Token, Node]) -> Not:
        """Build `NOT a`."""
        word, node = parts
        return Not(node, span_of(word).to(node.span))

    def group(self, parts: tuple[Token, Node, Token]) -> Group:
        """Build `(a)`."""
        left, node, right = parts
        return Group(node, span_of(left).to(span_of(right)))

    def always(self, parts: list[Token]) -> Constant:
        """Build the condition `true`."""
        return Constant(value=True, span=span_of(parts[0]))

    def never(self, parts: list[Token]) -> Constant:
        """Build the condition `false`."""
        return Constant(value=False, span=span_of(parts[0]))

    def comparison(self, parts: tuple[Operand, Token, Value]) -> Comparison:
        """Build `a = 1`."""
        operand, operator, value = parts
        _check_time(operand, value)
        return Comparison(operand, _operator(operator), value, operand.span.to(value.span))

    def membership(self, parts: tuple[Operand, tuple[list[Value], Span]]) -> Membership:
        """Build `a IN (1, 2)`."""
        operand, (values, end) = parts
        for value in values:
            _check_time(operand, value)
        return Membership(operand, tuple(values), operand.span.to(end))

    def exclusion(self, parts: tuple[Operand, Token, tuple[list[Value], Span]]) -> Not:
        """Build `a NOT IN (1, 2)`."""
        operand, _, values = parts
        inner = self.membership((operand, values))
        return Not(inner, inner.span)

    def text_test(self, parts: tuple[Token, Token, Operand, Token, Token]) -> TextTest:
        """Build `CONTAINS(a, 'text')`."""
        name, _, operand, text, right = parts
        function = cast("Function", name.upper())
        return TextTest(function, operand, _text(text), span_of(name).to(span_of(right)))

    def patch_touches(self, parts: tuple[Token, Token, Token, Token]) -> PatchTouches:
        """Build `PATCH_TOUCHES('/a')`."""
        name, _, text, right = parts
        pointer = _text(text)
        if not is_pointer(pointer):
            raise Mistake(
                span_of(text),
                "this is no JSON Pointer",
                "A property's pointer begins with /, as in '/motor/temperature'; "
                "~ is written ~0 and a / in a name ~1.",
            )
        return PatchTouches(pointer, span_of(name).to(span_of(right)))

    def attribute(self, parts: list[Token]) -> Attribute:
        """Build a field by its bare name."""
        name = parts[0]
        if name not in FIELDS:
            raise unknown_field(span_of(name), str(name))
        return Attribute(str(name), direct=True, span=span_of(name))

    def any_attribute(self, parts: tuple[Token, Token]) -> Attribute:
        """Build `$attributes.name`."""
        word, name = parts
        return Attribute(str(name), direct=False, span=span_of(word).to(span_of(name)))

    def body(self, parts: list[Token | Step]) -> Body:
        """Build `$body.a[0]['b c']`."""
        word, *rest = parts
        steps = cast("list[Step]", rest)
        start = span_of(cast("Token", word))
        end = steps[-1][2] if steps else start
        return Body(
            tuple(step for step, _, _ in steps), any(q for _, q, _ in steps), start.to(end)
        )

    def member(self, parts: list[Token]) -> Step:
        """Build `.name`."""
        return str(parts[0]), False, span_of(parts[0])

    def element(self, parts: tuple[Token, Token, Token]) -> Step:
        """Build `[0]`."""
        left, index, right = parts
        return cast("int", _number(index)), False, span_of(left).to(span_of(right))

    def quoted_member(self, parts: tuple[Token, Token, Token]) -> Step:
        """Build `['a name']`."""
        left, name, right = parts
        return _text(name), True, span_of(left).to(span_of(right))

    def values(self, parts: list[Token | Value]) -> tuple[list[Value], Span]:
        """Build the list behind IN."""
        values = [part for part in parts if isinstance(part, Value)]
        return values, span_of(cast("Token", parts[-1]))

    def text(self, parts: list[Token]) -> Value:
        """Build `'text'`."""
        return Value(_text(parts[0]), span_of(parts[0]))

    def number(self, parts: list[Token]) -> Value:
        """Build `5` or `5.5`."""
        return Value(_number(parts[0]), span_of(parts[0]))

    def true(self, parts: list[Token]) -> Value:
        """Build the value `true`."""
        return Value(value=True, span=span_of(parts[0]))

    def false(self, parts: list[Token]) -> Value:
        """Build the value `false`."""
        return Value(value=False, span=span_of(parts[0]))

    def null(self, parts: list[Token]) -> Value:
        """Build the value `null`."""
        return Value(None, span_of(parts[0]))


def unknown_field(span: Span, name: str) -> Mistake:
    """Return what to say of a name that is no field."""
    close = get_close_matches(name.lower(), FIELDS, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return Mistake(
        span,
        f"there is no field {name if len(name) <= _LONG else f'{name[:_LONG]}…'}",
        f"{meant}The fields are {', '.join(FIELDS)}, what is in the data as $body.<name>, "
        "and any other attribute as $attributes.<name>.",
    )


def _operator(token: Token) -> Operator:
    if token in _OPERATORS:
        return cast("Operator", str(token))
    meant = _OTHER_LANGUAGES.get(token)
    remedy = f"Write {meant}." if meant else f"The comparisons are {' '.join(_OPERATORS)}."
    raise Mistake(span_of(token), f"{token} is no comparison", remedy)


def _text(token: Token) -> str:
    try:
        return unquote(token)
    except ValueError as error:
        escape = str(error)
        place = span_of(token).start + token.index(escape)
        raise Mistake(
            Span(place, place + len(escape)),
            "this backslash means nothing",
            r"Write \\ for a backslash and '' for a quote.",
        ) from None


def _number(token: Token) -> int | float:
    try:
        return number(token)
    except ValueError:
        raise Mistake(span_of(token), "the number is too large") from None


def _check_time(operand: Operand, value: Value) -> None:
    """Refuse what a time can't be compared with: it would be false for ever."""
    if not isinstance(operand, Attribute) or operand.name != "time" or value.value is None:
        return
    if not isinstance(value.value, str) or instant(value.value) is None:
        raise Mistake(
            value.span,
            "this is no time",
            "Write date, time and zone in quotes, as in '2024-03-05T08:14:22Z'.",
        )
