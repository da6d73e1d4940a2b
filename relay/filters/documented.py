"""What Azure Digital Twins documents of its filters, and where a filter goes beyond that.

The documentation is "Create event routes and filters in Azure Digital Twins".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.filters.findings import Advice, Concern
from relay.filters.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    Body,
    Constant,
    Membership,
    Not,
    PatchTouches,
    children,
    nodes_of,
    operand_of,
)
from relay.filters.tree import DOCUMENTED, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lark import Token

    from relay.filters.syntax import Node, Operand, Span

_UPPER: Final = frozenset({"_AND", "_OR", "FUNCTION"})
_LOWER: Final = frozenset({"TRUE", "FALSE", "NULL"})
_ONLY_HERE: Final = "The relay takes it; a route of Azure Digital Twins itself can't have it."


def spelling(tokens: Sequence[Token]) -> Iterator[Advice]:
    """Say where words are spelt as the documentation never spells them."""
    for token in tokens:
        documented = _documented_case(token)
        if token != documented:
            yield Advice(
                span_of(token),
                Concern.UNVERIFIED,
                f"Azure Digital Twins documents {documented}, not {token}.",
                f"Write {documented}.",
            )
        if token.type == "STRING" and ("\\" in token or "''" in token[1:-1]):
            yield Advice(
                span_of(token),
                Concern.UNVERIFIED,
                "How Azure Digital Twins takes quotes and backslashes inside a text is open.",
                "Test it there, or match the part before them with STARTS_WITH.",
            )


def _documented_case(token: Token) -> str:
    if token.type in _UPPER:
        return token.upper()
    return token.lower() if token.type in _LOWER else str(token)


def extensions(tree: Node) -> Iterator[Advice]:
    """Say what Azure Digital Twins would refuse, or may read otherwise."""
    for node in nodes_of(tree):
        operand = operand_of(node)
        if operand is not None:
            yield from _in_operand(operand)
        yield from _in_condition(node)


def _in_condition(node: Node) -> Iterator[Advice]:
    match node:
        case Membership(span=span):
            yield _extension(span, "IN", "Comparisons joined by OR mean the same.")
        case Not(inner, span) if inner.span != span:
            yield _extension(span, "NOT", "Often != says the same.")
        case PatchTouches(span=span):
            yield _extension(span, "PATCH_TOUCHES")
        case AllOf() | AnyOf():
            yield from _in_combination(node)


def _in_combination(node: AllOf | AnyOf) -> Iterator[Advice]:
    for child in children(node):
        if isinstance(child, Constant):
            yield Advice(
                child.span,
                Concern.UNVERIFIED,
                "Azure Digital Twins documents true and false only as a whole filter.",
                "Leave it out, or the whole filter but it.",
            )
        if isinstance(child, AllOf):
            yield Advice(
                child.span,
                Concern.UNVERIFIED,
                "AND binds tighter than OR here; Azure Digital Twins does not say what binds "
                "tighter there.",
                "Put parentheses around what AND joins.",
            )


def _in_operand(operand: Operand) -> Iterator[Advice]:
    match operand:
        case Attribute(name, direct, span) if not direct or name not in DOCUMENTED:
            yield _extension(span, name if direct else f"$attributes.{name}")
        case Body((), _, span):
            yield _extension(span, "$body without a name")
        case Body(quoted=True, span=span):
            yield _extension(span, "a name in brackets")
    if isinstance(operand, Body) and any(isinstance(step, int) for step in operand.steps):
        yield _extension(operand.span, "a position in an array")


def _extension(span: Span, what: str, hint: str = "") -> Advice:
    text = f"Azure Digital Twins does not know {what}."
    return Advice(span, Concern.EXTENSION, text, f"{_ONLY_HERE} {hint}".rstrip())
