"""What a filter demands at the least: fields that must equal one of a few values.

It is less than the filter says, so meeting it means nothing, and failing it means no. Routes
are found by it without asking each filter (`relay/matching.py`).
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from relay.filters.compiling import TIME
from relay.filters.syntax import AllOf, AnyOf, Attribute, Comparison, Group, Membership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.filters.compiling import Place
    from relay.filters.syntax import Node, Operand, Scalar

type Demands = Mapping[Place, frozenset[Scalar]]


def demands(tree: Node) -> Demands:
    """Return what an event must hold in any case, by the place where it must stand."""
    match tree:
        case Group(inner):
            return demands(inner)
        case AllOf(nodes):
            return reduce(_both, map(demands, nodes))
        case AnyOf(nodes):
            return reduce(_either, map(demands, nodes))
        case Comparison(operand, "=", value) if not _is_time(operand):
            return {_place(operand): frozenset({value.value})}
        case Membership(operand, values) if not _is_time(operand):
            return {_place(operand): frozenset(each.value for each in values)}
        case _:
            return {}


def _both(one: Demands, other: Demands) -> Demands:
    shared = {place: one[place] & other[place] for place in one.keys() & other.keys()}
    return {**one, **other, **shared}


def _either(one: Demands, other: Demands) -> Demands:
    return {place: one[place] | other[place] for place in one.keys() & other.keys()}


def _is_time(operand: Operand) -> bool:
    """Whether equal values may be written differently there."""
    return isinstance(operand, Attribute) and operand.name == TIME


def _place(operand: Operand) -> Place:
    return operand.name if isinstance(operand, Attribute) else operand.steps
