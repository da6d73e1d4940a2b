"""Parse tree to closures: what each condition means, decided once and not for every event."""

from __future__ import annotations

from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Final, assert_never

from relay.filters.literals import instant
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
    Value,
    nodes_of,
    operand_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from relay.filters.syntax import Condition, Node, Operand, Operator, Scalar
    from relay.filters.view import Json, View

type Holds = Callable[[View], bool]
type Read = Callable[[View], Json]
type Test = Callable[[Json], bool]
type Place = str | tuple[str | int, ...]
"""An attribute by its name, or steps into the body."""

TIME: Final = "time"
"""The attribute that is compared as an instant and not as text."""

_NUMBERS: Final = frozenset({int, float})
_ORDER: Final[Mapping[Operator, Callable[..., bool]]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_TEXT_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "STARTS_WITH": str.startswith,
    "ENDS_WITH": str.endswith,
    "CONTAINS": str.__contains__,
}


def closure(node: Node) -> Holds:
    """Return what decides whether the condition holds for an event; it never raises."""
    match node:
        case Group(inner):
            return closure(inner)
        case Not(inner):
            return _not(closure(inner))
        case AllOf(nodes):
            return _all([closure(each) for each in _cheapest_first(nodes)])
        case AnyOf(nodes):
            return _any([closure(each) for each in _cheapest_first(nodes)])
        case _:
            return _condition(node)


def _condition(node: Condition) -> Holds:
    match node:
        case Constant(answer):
            return lambda _view: answer
        case PatchTouches(pointer):
            wanted = f"{pointer}/"
            return lambda view: _touches(view.body, wanted)
        case Comparison(Attribute(name), "=", Value(str(text))) if name != TIME:
            return lambda view: view.attributes.get(name) == text  # most filters ask it first
        case Comparison(operand, operator, value):
            return _asked(operand, _comparison(operand, operator, value.value))
        case Membership(operand, values):
            return _asked(operand, _one_of([_equals(operand, each.value) for each in values]))
        case TextTest(function, operand, text):
            return _asked(operand, _text_test(function, text))
    assert_never(node)


def reads_body(tree: Node) -> bool:
    """Whether the condition can only be decided by parsing the event's JSON."""
    return any(
        isinstance(node, PatchTouches) or isinstance(operand_of(node), Body)
        for node in nodes_of(tree)
    )


def _cheapest_first(nodes: Sequence[Node]) -> Sequence[Node]:
    """Put what needs no body first: conditions have no effects, so only time can tell."""
    return sorted(nodes, key=reads_body)


def _not(holds: Holds) -> Holds:
    return lambda view: not holds(view)


def _all(conditions: Sequence[Holds]) -> Holds:
    if len(conditions) == 2:  # noqa: PLR2004 - the usual number, a third faster than the loop
        first, second = conditions
        return lambda view: first(view) and second(view)

    def holds(view: View) -> bool:
        for condition in conditions:  # noqa: SIM110 - a generator costs more than the loop
            if not condition(view):
                return False
        return True

    return holds


def _any(conditions: Sequence[Holds]) -> Holds:
    def holds(view: View) -> bool:
        for condition in conditions:  # noqa: SIM110 - a generator costs more than the loop
            if condition(view):
                return True
        return False

    return holds


def _asked(operand: Operand, test: Test) -> Holds:
    """Return the test of whatever stands at `operand`."""
    if isinstance(operand, Attribute):
        name = operand.name
        return lambda view: test(view.attributes.get(name))
    read = reader(operand.steps)
    return lambda view: test(read(view))


def reader(place: Place) -> Read:
    """Return what reads a place; what isn't there is `None`, as null is."""
    if isinstance(place, str):
        return lambda view: view.attributes.get(place)
    return _body_reader(place)


def _body_reader(steps: Sequence[str | int]) -> Read:
    match steps:
        case [str(name)]:
            return lambda view: body.get(name) if type(body := view.body) is dict else None

    def read(view: View) -> Json:
        value = view.body
        for step in steps:
            if type(value) is dict:
                value = value.get(step)  # type: ignore[arg-type] # an index is never a name
            elif type(value) is list and type(step) is int and step < len(value):
                value = value[step]
            else:
                return None
        return value

    return read


def _comparison(operand: Operand, operator: Operator, value: Scalar) -> Test:
    equals = _equals(operand, value)
    if operator == "=":
        return equals
    if operator == "!=":
        return lambda found: not equals(found)
    order = _ORDER[operator]
    if _is_time(operand) and isinstance(value, str):
        wanted = instant(value)
        return lambda found: (at := _instant(found)) is not None and order(at, wanted)
    if isinstance(value, str):
        return lambda found: isinstance(found, str) and order(found, value)
    if type(value) in _NUMBERS:
        return lambda found: type(found) in _NUMBERS and order(found, value)
    return lambda _found: False


def _equals(operand: Operand, value: Scalar) -> Test:
    if value is None or isinstance(value, bool):
        return lambda found: found is value
    if _is_time(operand) and isinstance(value, str):
        wanted = instant(value)
        return lambda found: _instant(found) == wanted
    if isinstance(value, str):
        return lambda found: found == value
    return lambda found: type(found) in _NUMBERS and found == value


def _one_of(tests: Sequence[Test]) -> Test:
    return lambda found: any(test(found) for test in tests)


def _text_test(function: str, text: str) -> Test:
    test = _TEXT_TESTS[function]
    return lambda found: isinstance(found, str) and test(found, text)


def _is_time(operand: Operand) -> bool:
    return isinstance(operand, Attribute) and operand.name == TIME


def _instant(found: Json) -> tuple[int, str] | None:
    return instant(found) if isinstance(found, str) else None


def _touches(body: Json, wanted: str) -> bool:
    """Whether an operation of the body's patch is at the place, above it or below it.

    Escapes are canonical in JSON Pointer, so that the texts compare as what they mean; `wanted`
    ends in a slash, so that `/temp` isn't above `/temperature`.
    """
    patch = body.get("patch") if isinstance(body, dict) else None
    if not isinstance(patch, list):
        return False
    return any(_related(operation, wanted) for operation in patch)


def _related(operation: Json, wanted: str) -> bool:
    path = operation.get("path") if isinstance(operation, dict) else None
    if not isinstance(path, str):
        return False
    touched = f"{path}/"
    return touched.startswith(wanted) or wanted.startswith(touched)
