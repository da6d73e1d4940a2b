"""A filter made for Azure Digital Twins lets through all that routes want, in its language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.twins_filter import is_filter
from relay.event import TELEMETRY, Event
from relay.filters import FilterError, compile, lint, widened  # noqa: A004 - as in `re.compile`
from relay.filters.findings import Concern
from relay.filters.parsing import parse
from relay.filters.syntax import AllOf, AnyOf, Attribute, Comparison, Constant, Group, TextTest
from relay.filters.widening import LONGEST
from tests.relay.test_filters_properties import INSTANTS, written

UPDATE = "type = 'Microsoft.DigitalTwins.Twin.Update'"
OF_TELEMETRY = f"type = '{TELEMETRY}'"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], "false"),
        (["false"], "false"),
        ([UPDATE, "true"], "true"),
        ([UPDATE, UPDATE, "false"], UPDATE),
        (["$body.severity >= 3"], "$body.severity >= 3"),
        (
            [UPDATE, f"{OF_TELEMETRY} AND $body.on = true"],
            f"{UPDATE} OR ({OF_TELEMETRY} AND $body.on = true)",
        ),
        ([UPDATE, f"{UPDATE} AND $body.modelId = 'dtmi:a;1'"], UPDATE),
        (
            ["type = 'a' AND $body.x = 1", "type = 'a' AND $body.x = 1 AND $body.y = 2"],
            "type = 'a' AND $body.x = 1",
        ),
        ([f"{UPDATE} AND PATCH_TOUCHES('/motor')"], UPDATE),
        ([f"{UPDATE} AND NOT (PATCH_TOUCHES('/motor'))"], UPDATE),
        ([f"{UPDATE} OR PATCH_TOUCHES('/motor')"], "true"),
        (["type IN ('a', 'b')"], "type = 'a' OR type = 'b'"),
        (["type NOT IN ('a', 'b')"], "type != 'a' AND type != 'b'"),
        (["$body.x IN (1, 2.5, null)"], "true"),
        (["NOT (type = 'a' OR $body.x = 1)"], "type != 'a'"),
        (["NOT (type = 'a' AND $body.x = 1)"], "true"),
        (["type = 'a' AND $body.x != 5"], "type = 'a'"),
        (["$body.x != null AND NOT ($body.y = null)"], "$body.x != null AND $body.y != null"),
        (["type = 'a' AND $body.x = null"], "type = 'a'"),
        (["type = 'a' AND $body.x = 'it''s'"], "type = 'a'"),
        (["type = 'a' AND $body.x = 9007199254740993"], "type = 'a'"),
        (["type = 'a' AND $body.x = 1e300"], "type = 'a'"),
        (["type = 'a' AND $body.x = 0.0000001"], "type = 'a'"),
        (["type = 'a' AND $body.x > 'm'"], "type = 'a'"),
        (["type = 'a' AND $body.patch != null"], "type = 'a'"),
        (["type = 'a' AND $body['a b'] = 1"], "type = 'a'"),
        (["type = 'a' AND $body.and = 1"], "type = 'a'"),
        (["type = 'a' AND $body['b'] = 1"], "type = 'a' AND $body.b = 1"),
        (["type = 'a' AND $body.patch[0].path = '/rpm'"], "type = 'a'"),
        (["type = 'a' AND source = 'plant' AND id = '5'"], "type = 'a'"),
        (["type = 'a' AND datacontenttype = 'application/json'"], "type = 'a'"),
        (["subject = 'pump'"], f"subject = 'pump' OR {OF_TELEMETRY}"),
        (["subject != 'pump'"], f"subject != 'pump' OR {OF_TELEMETRY}"),
        ([f"{UPDATE} AND subject = 'pump'"], f"{UPDATE} AND subject = 'pump'"),
        ([f"{OF_TELEMETRY} AND subject = 'motor'"], OF_TELEMETRY),
        (["type = 'a' AND type = 'b'"], "false"),
        (["type = 'a' AND (type = 'b' OR type = 'c' AND $body.x = 1)"], "false"),
        (["type = 'a' AND (type = 'a' OR $body.x = 1)"], "type = 'a'"),
        (["dataschema = 'dtmi:a;1'"], "dataschema = 'dtmi:a;1'"),
        (["type = 'a' AND dataschema != 'dtmi:a;1'"], "type = 'a'"),
        (["type = 'a' and not starts_with(subject, 'p')"], "type = 'a'"),
    ],
)  # fmt: skip
def test_what_is_certain_is_kept_and_the_rest_is_let_through(
    filters: list[str], expected: str
) -> None:
    assert widened(filters) == expected


def test_what_is_too_long_asks_for_the_type_alone() -> None:
    many = ", ".join(f"'{number}'" for number in range(1000))

    assert widened([f"{UPDATE} AND $body.x IN ({many})"]) == UPDATE
    assert widened([f"type IN ({many})"]) == "true"


def test_what_is_too_deep_is_let_through() -> None:
    text = "type = 'a'"
    for number in range(40):
        text = f"({text} OR $body.x = {number}) AND $body.y = {number} OR $body.z = {number}"

    assert widened([text]) == "true"


def test_what_is_no_filter_is_refused() -> None:
    with pytest.raises(FilterError):
        widened(["true", "nonsense"])


# Any routes and any event

TYPES = ["Microsoft.DigitalTwins.Twin.Update", TELEMETRY]
TEXTS = ["t", "pump", "it's"]
NUMBERS = [0, 5, 2**53 + 1, 0.5, 5.0, 1e300]
NAMES = ["x", "and", "a b", "patch"]
ATTRIBUTES = [
    *("source", "subject", "dataschema", "datacontenttype", "specversion", "id"),
    *("traceparent", "$attributes.subject"),
]
ORDERS = ["=", "!=", "<", "<=", ">", ">="]

texts = st.sampled_from(TEXTS)
numbers = st.sampled_from(NUMBERS)
values = st.one_of(texts, numbers, st.booleans(), st.none())
orders = st.sampled_from(ORDERS)
instants = st.sampled_from(list(INSTANTS))
attributes = st.sampled_from([("attribute", name) for name in ATTRIBUTES])
steps = st.lists(st.one_of(st.sampled_from(NAMES), st.just(0)), max_size=2)
members = st.one_of(st.just(("x",)), steps.map(tuple)).map(lambda each: ("body", each))
functions = st.sampled_from(["STARTS_WITH", "ENDS_WITH", "CONTAINS"])
type_ = st.just(("attribute", "type"))
conditions = st.one_of(
    st.tuples(st.just("compare"), st.sampled_from(["=", "!="]), type_, st.sampled_from(TYPES)),
    st.tuples(st.just("compare"), st.just("="), st.just(("attribute", "subject")), texts),
    st.tuples(st.just("compare"), orders, attributes, texts),
    st.tuples(st.just("compare"), orders, members, values),
    st.tuples(st.just("in"), attributes, st.lists(texts, min_size=1, max_size=2)),
    st.tuples(st.just("in"), members, st.lists(values, min_size=1, max_size=2)),
    st.tuples(functions, st.one_of(attributes, members), st.sampled_from(["", "t", "pu", "'"])),
    st.tuples(st.just("time"), orders, instants),
    st.tuples(st.just("touches"), st.sampled_from(["", "/x", "/x/y"])),
    st.tuples(st.just("constant"), st.booleans()),
)
trees = st.recursive(
    st.one_of(conditions, st.tuples(st.just("not"), conditions)),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=4,
)
patches = st.lists(st.fixed_dictionaries({"path": st.sampled_from(["/x", "/x/y"])}))
members_of = st.one_of(values, patches, st.dictionaries(st.sampled_from(NAMES), values))
bodies = st.one_of(
    st.fixed_dictionaries({"x": values}),
    st.dictionaries(st.sampled_from(NAMES), members_of),
    values,
).map(lambda body: json.dumps(body).encode())


@st.composite
def events(draw: st.DrawFn) -> tuple[Event, Event]:
    """An event as Azure Digital Twins has it, and as it may arrive (by Event Grid)."""
    is_telemetry = draw(st.booleans())
    here = {"type": TYPES[is_telemetry], "specversion": "1.0", "source": "t", "id": draw(texts)}
    if not is_telemetry or draw(st.booleans()):
        here["subject"] = draw(texts)
    if is_telemetry:
        here["dataschema"] = draw(texts)
    there = here | {"source": draw(texts), "datacontenttype": draw(texts)}
    if draw(st.booleans()):
        there["time"] = draw(instants)
    if is_telemetry:
        there["subject"] = draw(texts)
    data = draw(st.one_of(bodies, st.sampled_from([b"", b"{", b"\xff"])))
    return Event(here, data), Event(there, data)


def taken(node: Any, event: Event, body: Any) -> bool:
    """Read a filter as grudgingly as its documentation allows.

    Of a field that isn't there nothing holds; what is not documented has no reading at all.
    """
    match node:
        case Constant(answer):
            return answer
        case Group(inner):
            return taken(inner, event, body)
        case AllOf(nodes):
            return all(taken(each, event, body) for each in nodes)
        case AnyOf(nodes):
            return any(taken(each, event, body) for each in nodes)
        case Comparison(operand, operator, value):
            return compared(found(operand, event, body), operator, value.value)
        case TextTest(function, operand, text):
            whole = found(operand, event, body)
            tests = {"STARTS_WITH": str.startswith, "ENDS_WITH": str.endswith}
            test = tests.get(function, str.__contains__)
            return isinstance(whole, str) and test(whole, text)
    raise AssertionError(node)


def compared(left: Any, operator: str, right: Any) -> bool:
    if left is None or isinstance(left, dict | list):
        return left is not None and (operator, right) == ("!=", None)
    numbers = {type(left), type(right)} <= {int, float}
    is_like = numbers or type(left) is type(right)
    if operator in {"=", "!="}:
        return (is_like and left == right) is (operator == "=")
    assert type(right) in {int, float}
    orders = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
    return numbers and bool(getattr(float(left), orders[operator])(float(right)))


def found(operand: Any, event: Event, body: Any) -> Any:
    if isinstance(operand, Attribute):
        return event.attributes.get(operand.name)
    value = body
    for step in operand.steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def body_of(event: Event) -> Any:
    try:
        return json.loads(event.data)
    except ValueError:
        return None


@settings(max_examples=400, deadline=None)
@given(st.lists(trees, min_size=1, max_size=3), events())
def test_no_event_that_a_route_wants_is_held_back(
    routes: list[Any], event: tuple[Event, Event]
) -> None:
    here, there = event
    texts = [written(tree) for tree in routes]
    derived = widened(texts)

    wanted = any(compile(text)(there) for text in texts)

    assert is_filter(derived)
    assert not {finding.concern for finding in lint(derived)} & {
        Concern.EXTENSION,
        Concern.UNVERIFIED,
    }
    assert len(derived) <= LONGEST
    if wanted:
        assert compile(derived)(there)
        assert compile(derived)(here)
        assert taken(parse(derived).tree, here, body_of(here))


@settings(max_examples=100, deadline=None)
@given(st.lists(trees, min_size=1, max_size=4))
def test_made_again_it_is_what_it_was(routes: list[Any]) -> None:
    texts = [written(tree) for tree in routes]
    derived = widened(texts)

    assert widened([derived]) == derived
    assert widened([*texts, *texts]) == derived
