"""What grows in the measurements of growth is what they say."""

from __future__ import annotations

import json

import pytest

from bench.events import lanes
from bench.growth import MOST_IN_A_BATCH, USUAL, Case, cases, many_routes
from relay import filters, ingress
from relay.event import Event
from relay.filters import View

EVERY = cases(whole=True)


def an_update() -> Event:
    [arrival] = ingress.from_event_hub(lanes()[0].batch(1), None)
    assert isinstance(arrival.content, Event)
    return arrival.content


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
def test_of_many_routes_one_matches(count: int) -> None:
    view = View(an_update())
    wanting = [text for text, _ in many_routes(count) if filters.compile(text)(view)]

    assert count == len(many_routes(count))
    assert [USUAL[0][0]] == wanting


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.what} {case.value}")
def test_each_destination_of_a_case_gets_every_event(case: Case) -> None:
    view = View(an_update())
    wanting = [to for text, to in case.routes or USUAL if filters.compile(text)(view)]

    assert case.deliveries == len(wanting) == len({json.dumps(to) for to in wanting})


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.what} {case.value}")
def test_a_batch_is_no_larger_than_a_host_hands_over(case: Case) -> None:
    assert 1 <= case.batch <= 500
    assert case.batch * case.data_bytes <= MOST_IN_A_BATCH


def test_a_quick_run_measures_the_ends_of_what_a_usual_one_does() -> None:
    def told(found: list[Case]) -> set[tuple[str, int]]:
        return {(case.what, case.value) for case in found}

    assert told(cases(whole=False, quick=True)) < told(cases(whole=False)) < told(EVERY)
