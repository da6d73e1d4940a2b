"""The probe's gap-and-order check, its places and its events: pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.formats import amqp_binding
from relay.operations.probing.places import Kind, Place, PlaceError, parse
from relay.operations.probing.run import Run
from relay.operations.probing.tally import Number, Sent, Tally
from relay.routing import key
from relay.settings import Connection

RUN = Run("ab12", 3)
NUMBERS = st.builds(Number, st.integers(0, 3), st.integers(0, 6))


def sent(numbers: list[Number], *, accepted: list[Number] | None = None) -> Sent:
    return Sent(dict.fromkeys(numbers, 0.0), set(numbers if accepted is None else accepted))


def tally(*arrivals: Number) -> Tally:
    made = Tally()
    for at, number in enumerate(arrivals, 1):
        made.arrived(number, float(at))
    return made


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_every_event_is_received_or_lost_and_the_counts_are_those_of_the_arrivals(
    went_in: list[Number], arrived: list[Number]
) -> None:
    verdict = tally(*arrived).verdict(sent(went_in))

    assert verdict.sent == len(set(went_in)) == verdict.received + verdict.lost_count
    assert verdict.received == len(set(went_in) & set(arrived))
    assert verdict.duplicated == len({n for n in arrived if arrived.count(n) > 1})
    assert verdict.unconfirmed == 0


@given(st.lists(NUMBERS, unique=True))
def test_nothing_is_out_of_order_exactly_if_each_twins_first_arrivals_ascend(
    arrived: list[Number],
) -> None:
    verdict = tally(*arrived).verdict(sent(arrived))
    by_twin = [[n.place for n in arrived if n.twin == twin] for twin in range(4)]

    assert (verdict.out_of_order == 0) is all(sorted(one) == one for one in by_twin)


@given(st.lists(NUMBERS, unique=True), st.data())
def test_copies_that_come_later_change_no_order(
    arrived: list[Number], data: st.DataObject
) -> None:
    ordered = sorted(arrived)
    copies = data.draw(st.lists(st.sampled_from(ordered))) if ordered else []

    verdict = tally(*ordered, *copies).verdict(sent(ordered))

    assert (verdict.out_of_order, verdict.lost_count) == (0, 0)
    assert verdict.duplicated == len(set(copies))


def test_an_event_that_overtakes_makes_the_later_one_late() -> None:
    first, second, other = Number(0, 0), Number(0, 1), Number(1, 0)
    verdict = tally(second, other, first).verdict(sent([first, second, other]))

    assert (verdict.out_of_order, verdict.is_good) == (1, False)


def test_an_event_that_was_never_acknowledged_is_not_lost_but_may_have_arrived() -> None:
    doubtful, sure = Number(0, 1), Number(0, 0)

    absent = tally(sure).verdict(sent([sure, doubtful], accepted=[sure]))
    present = tally(sure, doubtful).verdict(sent([sure, doubtful], accepted=[sure]))

    assert (absent.lost_count, absent.unconfirmed, absent.is_good) == (0, 0, True)
    assert (present.unconfirmed, present.sent, present.received) == (1, 1, 1)


def test_what_is_lost_is_named_and_its_count_is_whole() -> None:
    numbers = [Number(0, place) for place in range(30)]
    verdict = tally().verdict(sent(numbers))

    assert (verdict.lost_count, len(verdict.lost), verdict.lost[0]) == (30, 20, "0-0")
    assert verdict.latency == {}


def test_the_delays_are_those_of_first_arrivals() -> None:
    numbers = [Number(0, place) for place in range(100)]
    verdict = tally(*numbers, numbers[0]).verdict(sent(numbers))

    assert verdict.latency == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


# Events


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_an_event_is_known_again_by_its_message_and_by_no_other_run(
    count: int, twins: int
) -> None:
    run = Run("ab12", twins)
    number = run.number(count)
    event = run.event(number)
    properties = amqp_binding.encode(event)
    as_bytes = {str(name).encode(): str(value).encode() for name, value in properties.items()}

    assert run.recognise(properties) == run.recognise(as_bytes) == number
    assert Run("ab13", twins).recognise(properties) is None
    assert key(event) in run.sessions
    assert key(event) == run.twin(number.twin)


def test_the_twins_take_turns_and_each_counts_for_itself() -> None:
    assert ["0-0", "1-0", "2-0", "0-1", "1-1"] == [str(RUN.number(n)) for n in range(5)]


@pytest.mark.parametrize(
    "properties",
    [None, {}, {"cloudEvents:id": "ab12"}, {"cloudEvents:id": "ab12.x.1"}, {1: b"\xff"}],
)
def test_what_is_no_event_of_a_probe_is_nobodys(properties: dict[object, object]) -> None:
    assert RUN.recognise(properties) is None


# Places


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hub:ANALYTICS/changes/probe", (Kind.HUB, "ANALYTICS", "changes", "probe")),
        ("queue:OPS/alarms", (Kind.QUEUE, "OPS", "alarms", "")),
        ("subscription:OPS/life/probe", (Kind.SUBSCRIPTION, "OPS", "life", "probe")),
    ],
)
def test_a_place_is_read_and_written_alike(
    text: str, found: tuple[Kind, str, str, str]
) -> None:
    kind, connection, entity, reader = parse(text)

    assert (kind, connection, entity, reader) == found
    assert text == str(Place(kind, Connection(connection, "ns"), entity, reader))


@pytest.mark.parametrize(
    "text",
    ["", "hub", "hub:", "hub:A/b", "queue:A", "queue:A/b/c", "queue:A//", "topic:A/b/c"],
)
def test_what_names_no_place_is_told_how_to(text: str) -> None:
    with pytest.raises(PlaceError, match="hub:CONNECTION/HUB/CONSUMER-GROUP"):
        parse(text)


def test_reading_asks_for_a_receivers_role_at_the_narrowest_scope() -> None:
    connection = Connection("OPS", "ops.servicebus.windows.net", resource_id="/x/ops")
    subscription = Place(Kind.SUBSCRIPTION, connection, "life", "probe").resource
    hub = Place(Kind.HUB, connection, "changes", "probe").resource

    assert subscription.scope == "/x/ops/topics/life/subscriptions/probe"
    assert subscription.role.name == "Azure Service Bus Data Receiver"
    assert hub.scope == "/x/ops/eventhubs/changes"
    assert hub.role.name == "Azure Event Hubs Data Receiver"
