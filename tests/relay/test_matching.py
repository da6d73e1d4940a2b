"""The routes found by what they demand are those that the plain loop finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.filters import compile as compile_filter
from relay.matching import Matcher
from relay.routing import Route, match
from tests.fakes import a_route, an_event
from tests.relay.test_filters_properties import events, filters, written

UPDATE = "type = 'Microsoft.DigitalTwins.Twin.Update'"


def routes_of(texts: list[str]) -> list[Route]:
    return [a_route(f"r{number}", wants=text) for number, text in enumerate(texts)]


@given(st.lists(filters, min_size=1, max_size=30), st.lists(events, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_routes_are_found_as_the_plain_loop_finds_them(
    trees: list[Any], some: list[Event]
) -> None:
    routes = routes_of([written(tree) for tree in trees])
    matcher = Matcher(routes)

    for event in some:
        assert matcher(event) == match(routes, event)


equalities = st.tuples(
    st.sampled_from(["type", "subject", "$body.x", "$body.y[0]", "$attributes.line"]),
    st.sampled_from(["'a'", "'b'", "1", "1.0", "true", "null"]),
) | st.just(("time", "'2024-03-05T08:14:22Z'"))
clauses = st.lists(equalities, min_size=1, max_size=5).map(
    lambda its: " AND ".join(f"{field} = {value}" for field, value in its)
)
tight = st.one_of(
    clauses,
    st.lists(clauses, min_size=1, max_size=3).map(lambda its: f"({' OR '.join(its)})"),
    st.tuples(clauses, clauses).map(lambda two: f"NOT ({two[0]}) OR {two[1]}"),
    st.sampled_from(["type IN ('a', 'b')", "$body.x IN (1, true, 'a')", "true", "type != 'a'"]),
)
sparse = st.builds(
    Event,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["a", "b"])},
        optional={
            "subject": st.sampled_from(["a", "c"]),
            "time": st.sampled_from(["2024-03-05T08:14:22.0Z", "a"]),
            "line": st.sampled_from([1, True, "a"]),
        },
    ),
    st.sampled_from(
        [
            b"",
            b'{"x": 1}',
            b'{"x": 1.0, "y": ["a"]}',
            b'{"x": true, "y": [[]]}',
            b'{"x": null, "y": [null]}',
            b'{"x": {"x": 1}, "y": "a"}',
            b'{"x": "a", "y": [1]}',
        ]
    ),
)


@given(st.lists(tight, min_size=6, max_size=60), sparse)
@settings(max_examples=150, deadline=None)
def test_routes_that_demand_equal_values_are_found_as_the_plain_loop_finds_them(
    texts: list[str], event: Event
) -> None:
    routes = routes_of(texts)

    assert Matcher(routes)(event) == match(routes, event)


class Asked(list[str]):
    """Routes whose filters note that they were asked."""

    def routes(self, *texts: str) -> list[Route]:
        return [self._route(text) for text in texts]

    def _route(self, text: str) -> Route:
        known = compile_filter(text)

        def noting(view: Any) -> bool:
            self.append(text)
            return known(view)

        noting.demands = known.demands  # type: ignore[attr-defined]
        noting.holds = noting  # type: ignore[attr-defined]
        return Route(text, noting, a_route().destination)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shape",
    [
        "subject = 'pump-{}'",
        UPDATE + " AND subject = 'pump-{}'",
        "subject = 'pump-{}' AND $body.rpm > 3",
        "$body.rpm = {}",
        "$body.rpm IN ({0}, 9999{0})",
        "(" + UPDATE + " AND subject = 'pump-{0}') OR subject IN ('pump-{0}', 'x-{0}')",
        "source = 'plant-a.api.weu.digitaltwins.azure.net' AND $body.rpm = {}",
    ],
)
def test_of_a_thousand_routes_only_those_whose_demands_are_met_are_asked(shape: str) -> None:
    asked = Asked()
    matcher = Matcher(asked.routes(*(shape.format(number) for number in range(1000))))

    found = matcher(an_event(subject="pump-7", data=b'{"rpm": 7}'))

    assert [route.name for route in found] == asked == [shape.format(7)]


def test_a_body_is_left_alone_where_attributes_already_decide() -> None:
    shapes = [f"type = 't{number}' AND $body.rpm = {number}" for number in range(100)]

    class Unread(bytes):
        def decode(self, *_: Any) -> str:
            raise AssertionError

    assert Matcher(routes_of(shapes))(an_event(data=Unread(b"{}"))) == []


def test_as_many_fields_as_routes_can_demand_do_no_harm() -> None:
    wide = [
        " AND ".join(f"$body.f{field} = {number}" for field in range(60)) for number in range(6)
    ]
    apart = [f"$body.g{number // 6} = 1" for number in range(1200)]
    routes = routes_of([*wide, *apart])
    matcher = Matcher(routes)
    event = an_event(data=b'{"g3": 1, "g199": 1}')

    assert matcher(event) == match(routes, event)
    assert len(matcher(event)) == 12
