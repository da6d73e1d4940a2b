"""A filter's parse tree: what was written, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

type Scalar = str | int | float | bool | None
"""What a field is compared with."""

type Operator = Literal["=", "!=", "<", "<=", ">", ">="]
type Function = Literal["STARTS_WITH", "ENDS_WITH", "CONTAINS"]


class Span(NamedTuple):
    """Where something stands in the filter's text: offsets, the end excluded."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """Return the span from here to the end of `other`."""
        return Span(self.start, other.end)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A context attribute of the event; `direct` when it was written by its bare name."""

    name: str
    direct: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Body:
    """A place in the event's JSON: member names and array indices, from the outside in."""

    steps: tuple[str | int, ...]
    quoted: bool
    span: Span


type Operand = Attribute | Body


@dataclass(frozen=True, slots=True)
class Value:
    """A literal."""

    value: Scalar
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    """`true` or `false` as a condition."""

    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operand = value` and its five siblings."""

    operand: Operand
    operator: Operator
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Membership:
    """`operand IN (values)`."""

    operand: Operand
    values: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TextTest:
    """`STARTS_WITH(operand, 'text')` and its two siblings."""

    function: Function
    operand: Operand
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class PatchTouches:
    """`PATCH_TOUCHES('/a/b')`."""

    pointer: str
    span: Span


@dataclass(frozen=True, slots=True)
class Group:
    """A condition in parentheses."""

    node: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    node: Node
    span: Span


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions joined by AND."""

    nodes: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR."""

    nodes: tuple[Node, ...]
    span: Span


type Condition = Constant | Comparison | Membership | TextTest | PatchTouches
type Node = Condition | Group | Not | AllOf | AnyOf


def children(node: Node) -> Sequence[Node]:
    """Return the conditions that a condition is made of."""
    match node:
        case Group(inner) | Not(inner):
            return (inner,)
        case AllOf(nodes) | AnyOf(nodes):
            return nodes
        case _:
            return ()


def nodes_of(tree: Node) -> Iterator[Node]:
    """Iterate over a condition and all that it is made of, from the outside in."""
    yield tree
    for child in children(tree):
        yield from nodes_of(child)


def operand_of(node: Node) -> Operand | None:
    """Return the field that a condition asks about, if it names one itself."""
    match node:
        case Comparison(operand) | Membership(operand) | TextTest(_, operand):
            return operand
        case _:
            return None
