from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.audit import Expectation, Observed, Received, Report, RouteReport, audit
from lab.twins import Notification, Plant

EVERYTHING = Expectation("all", lambda _: True)


def sent(notification: Notification, lane: str = "0") -> Received:
    message = notification.as_amqp()
    return Received(lane, message.properties, message.body, message.content_type)


def delivered(notification: Notification, stream: str | None = None) -> Received:
    """A message as it should arrive: its stream is its twin's, its message id the event's."""
    event_id = notification.attributes["id"]
    return replace(
        sent(notification, stream or notification.twin_id),
        message_id=event_id
        if len(event_id) <= 128
        else f"sha256-{sha256(event_id.encode()).hexdigest()}",
    )


def update(twin: str, number: int) -> Notification:
    attributes = {
        "id": f"{twin}/{number}",
        "source": "plant-a.api.weu.digitaltwins.azure.net",
        "specversion": "1.0",
        "type": "Microsoft.DigitalTwins.Twin.Update",
        "subject": twin,
    }
    return Notification(attributes, b'{"n":%d}' % number, "application/json")


FIRST, SECOND, THIRD = (update("pump", number) for number in (1, 2, 3))
INGRESS = [sent(FIRST), sent(SECOND), sent(THIRD)]


def key(notification: Notification) -> tuple[str, str]:
    return notification.key


def one_route(arrived: list[Received], ingress: list[Received] | None = None) -> RouteReport:
    (route,) = audit(ingress or INGRESS, {"all": arrived}, [EVERYTHING]).routes
    return route


def test_what_arrives_as_it_was_sent_is_clean() -> None:
    route = one_route([delivered(FIRST), delivered(SECOND), delivered(THIRD)])
    assert route.is_clean
    assert (route.expected, route.delivered) == (3, 3)


def test_a_whole_plant_that_arrives_is_clean() -> None:
    plant = list(islice(Plant(5, datetime(2026, 1, 5, tzinfo=UTC)), 500))
    report = audit(
        [sent(n, str(i % 4)) for i, n in enumerate(plant)],
        {"all": [delivered(n) for n in plant]},
        [EVERYTHING],
    )
    assert report.is_clean
    assert report.delivered == {"all": 500}


def test_a_lost_event_is_found() -> None:
    route = one_route([delivered(FIRST), delivered(THIRD)])
    assert (key(SECOND),) == route.lost
    assert not route.is_clean


def test_an_event_that_is_kept_as_a_dead_letter_is_not_lost() -> None:
    report = audit(
        INGRESS,
        {"all": [delivered(FIRST), delivered(THIRD)]},
        [EVERYTHING],
        {"all": {key(SECOND)}},
    )
    assert (report.lost, report.routes[0].dead_lettered) == (0, 1)


def test_a_route_of_which_nothing_was_read_has_lost_everything() -> None:
    assert audit(INGRESS, {}, [EVERYTHING]).lost == 3


def test_a_duplicate_is_found_and_forgiven() -> None:
    route = one_route([delivered(n) for n in (FIRST, SECOND, FIRST, SECOND, THIRD)])
    assert (key(FIRST), key(SECOND)) == route.duplicated
    assert route.out_of_order == ()
    assert route.is_clean


def test_what_was_sent_twice_may_arrive_twice() -> None:
    route = one_route([delivered(FIRST), delivered(FIRST)], [sent(FIRST), sent(FIRST)])
    assert route.duplicated == ()


def test_a_swap_is_found() -> None:
    route = one_route([delivered(FIRST), delivered(THIRD), delivered(SECOND)])
    assert (key(SECOND),) == route.out_of_order
    assert not route.is_clean


def test_a_swap_behind_a_duplicate_is_found() -> None:
    route = one_route([delivered(n) for n in (FIRST, THIRD, FIRST, SECOND)])
    assert (key(SECOND),) == route.out_of_order


def test_a_twin_that_strays_into_another_stream_is_out_of_order() -> None:
    route = one_route([delivered(FIRST), delivered(SECOND, "elsewhere"), delivered(THIRD)])
    assert (key(SECOND),) == route.out_of_order


def test_two_twins_have_no_order_between_them() -> None:
    other = update("tank", 1)
    ingress = [sent(FIRST), sent(other), sent(SECOND)]
    assert one_route([delivered(n) for n in (other, FIRST, SECOND)], ingress).is_clean


def test_two_lanes_have_no_order_between_them() -> None:
    ingress = [sent(FIRST, "0"), sent(SECOND, "1")]
    assert one_route([delivered(SECOND), delivered(FIRST)], ingress).is_clean


def test_a_route_without_order_is_not_asked_for_it() -> None:
    unordered = replace(EVERYTHING, ordered=False)
    report = audit(
        INGRESS, {"all": [delivered(n) for n in (THIRD, FIRST, SECOND)]}, [unordered]
    )
    assert report.is_clean


def test_an_event_that_the_route_does_not_want_is_unexpected() -> None:
    wants = Expectation("firsts", lambda event: event.body.get("n") == 1)
    report = audit(INGRESS, {"firsts": [delivered(FIRST), delivered(SECOND)]}, [wants])
    assert (key(SECOND),) == report.routes[0].unexpected
    assert not report.is_clean


def test_an_event_that_nobody_sent_is_unexpected() -> None:
    route = one_route([*map(delivered, (FIRST, SECOND, THIRD)), delivered(update("ghost", 1))])
    assert (key(update("ghost", 1)),) == route.unexpected


def test_an_arrival_that_is_no_event_is_unexpected() -> None:
    route = one_route([*map(delivered, (FIRST, SECOND, THIRD)), Received("0", {}, b"?")])
    assert len(route.unexpected) == 1


ALTERATIONS = {
    "a byte of the data": {"body": b'{"n":9}'},
    "a blank in the data": {"body": b'{"n": 1}'},
    "the content type": {"content_type": "application/json; charset=utf-8"},
    "a missing content type": {"content_type": None},
    "the message id": {"message_id": "another"},
    "a missing message id": {"message_id": None},
}


@pytest.mark.parametrize("change", ALTERATIONS.values(), ids=ALTERATIONS)
def test_a_change_is_found(change: dict[str, object]) -> None:
    changed = replace(delivered(FIRST), **change)
    route = one_route([changed, delivered(SECOND), delivered(THIRD)])
    assert [key(FIRST)] == [found.event for found in route.altered]
    assert not route.is_clean


@pytest.mark.parametrize(
    "properties",
    [
        {"cloudEvents:subject": "pump "},
        {"cloudEvents:subject": b"pump"},
        {"cloudEvents:time": "2026-01-05T08:00:00Z"},
        {"cloudEvents:relayroute": "all"},
    ],
)
def test_a_changed_or_invented_attribute_is_found(properties: dict[str, object]) -> None:
    message = delivered(FIRST)
    changed = replace(message, properties={**message.properties, **properties})
    route = one_route([changed, delivered(SECOND), delivered(THIRD)])
    assert [key(FIRST)] == [found.event for found in route.altered]


def test_a_lost_attribute_is_found() -> None:
    message = delivered(FIRST)
    properties = {k: v for k, v in message.properties.items() if k != "cloudEvents:subject"}
    route = one_route([replace(message, properties=properties)], [sent(FIRST)])
    assert route.altered[0].differences == ("subject: 'pump' became None",)


def test_properties_that_are_not_the_events_own_do_not_matter() -> None:
    message = delivered(FIRST)
    extended = replace(message, properties={**message.properties, "Diagnostic-Id": "00-1-2-01"})
    assert one_route([extended], [sent(FIRST)]).is_clean


def test_an_id_that_is_too_long_for_a_message_id_stands_there_as_its_digest() -> None:
    long = Notification({**FIRST.attributes, "id": "x" * 129}, FIRST.data, FIRST.content_type)
    digest = f"sha256-{sha256(b'x' * 129).hexdigest()}"
    arrivals = (
        replace(delivered(long), message_id=message_id)
        for message_id in (digest, "x" * 129, None, "x" * 128)
    )
    assert [one_route([arrived], [sent(long)]).is_clean for arrived in arrivals] == [
        True,
        False,
        False,
        False,
    ]


def structured(data: str) -> Received:
    body = (
        '{ "specversion" : "1.0", "id":"1", "source":"plant-a", "type":"t",'
        f' "datacontenttype":"application/json", "data" : {data} ,"extension": 3 }}'
    )
    return Received("0", {}, body.encode(), "application/cloudevents+json; charset=utf-8")


def binary(data: str) -> Received:
    attributes = {"specversion": "1.0", "id": "1", "source": "plant-a", "type": "t"}
    properties = {f"cloudEvents:{name}": value for name, value in attributes.items()}
    return Received(
        "s", {**properties, "cloudEvents:extension": 3}, data.encode(), "application/json", "1"
    )


@pytest.mark.parametrize("data", ["1.50", '{"b": 1e2, "a":"ü\\u00fc", "}":"]"}', "[1 , 2]"])
def test_a_structured_event_is_due_in_binary_mode_with_its_bytes_as_they_stood(
    data: str,
) -> None:
    assert one_route([binary(data)], [structured(data)]).is_clean


def test_a_structured_event_whose_number_is_written_anew_is_altered() -> None:
    route = one_route([binary("1.5")], [structured("1.50")])
    assert route.altered[0].differences == ("data: 4 bytes became 3 other bytes",)


def test_an_event_that_arrives_structured_is_altered() -> None:
    route = one_route([replace(structured("1"), message_id="1")], [structured("1")])
    assert route.altered[0].differences == ("not a CloudEvent in AMQP binary mode",)


def test_malformed_messages_are_counted_and_expected_nowhere() -> None:
    ingress = [*INGRESS, Received("0", {}, b"hello"), structured("oops")]
    report = audit(
        ingress, {"all": [delivered(n) for n in (FIRST, SECOND, THIRD)]}, [EVERYTHING]
    )
    assert (report.sent, report.malformed) == (5, 2)
    assert report.is_clean


def test_a_report_is_json() -> None:
    arrived = [replace(delivered(SECOND), body=b""), delivered(FIRST), delivered(FIRST)]
    report = audit(INGRESS, {"all": arrived}, [EVERYTHING])
    source = FIRST.attributes["source"]
    assert {
        "sent": 3,
        "malformed": 0,
        "lost": 1,
        "unexpected": 0,
        "duplicated": 1,
        "out_of_order": 1,
        "altered": 1,
        "routes": [
            {
                "route": "all",
                "expected": 3,
                "delivered": 2,
                "dead_lettered": 0,
                "lost": [[source, "pump/3"]],
                "unexpected": [],
                "duplicated": [[source, "pump/1"]],
                "out_of_order": [[source, "pump/1"]],
                "altered": [
                    {
                        "event": [source, "pump/2"],
                        "differences": ["data: 7 bytes became 0 other bytes"],
                    }
                ],
            }
        ],
    } == json.loads(json.dumps(report.as_json()))


@pytest.mark.parametrize(
    ("event", "twin"),
    [
        ({"type": "t", "subject": "pump/relationships/feeds"}, "pump"),
        ({"type": "t", "subject": "pump"}, "pump"),
        ({"type": "t"}, ""),
        ({"type": "microsoft.iot.telemetry", "source": "h/digitaltwins/pump"}, "pump"),
        ({"type": "microsoft.iot.telemetry", "source": "h/pump", "subject": "motor"}, "pump"),
    ],
)
def test_the_twin_of_an_event(event: dict[str, object], twin: str) -> None:
    assert twin == Observed(event, b"").twin


def test_data_that_is_no_object_has_no_members() -> None:
    assert [Observed({}, data).body for data in (b"[1]", b"\xff", b'{"n":1}')] == [
        {},
        {},
        {"n": 1},
    ]


MUTATIONS = st.sampled_from(["lose", "swap", "alter"])


@given(st.integers(2, 12), MUTATIONS, st.data())
def test_any_single_fault_among_many_is_found(
    count: int, fault: str, data: st.DataObject
) -> None:
    events = [update("pump", number) for number in range(count)]
    arrived = [delivered(event) for event in events]
    at = data.draw(st.integers(0, count - 2))
    if fault == "lose":
        del arrived[at]
    elif fault == "swap":
        arrived[at], arrived[at + 1] = arrived[at + 1], arrived[at]
    else:
        arrived[at] = replace(arrived[at], body=arrived[at].body + b" ")
    report: Report = audit([sent(event) for event in events], {"all": arrived}, [EVERYTHING])
    found = {"lose": report.lost, "swap": report.out_of_order, "alter": report.altered}
    assert {"lose": 0, "swap": 0, "alter": 0} | {fault: 1} == found


# A destination whose partitions changed

MOVES = Expectation("all", lambda _: True, moves=True)


def at(notification: Notification, stream: str, moment: float) -> Received:
    return replace(delivered(notification, stream), enqueued=moment)


def moved(*arrived: Received) -> RouteReport:
    (route,) = audit(INGRESS, {"all": arrived}, [MOVES]).routes
    return route


def test_a_twin_may_go_on_elsewhere_where_partitions_changed_and_nowhere_else() -> None:
    arrived = [at(FIRST, "old/1", 1.0), at(SECOND, "new/4", 2.0), at(THIRD, "new/4", 2.0)]

    assert () == moved(*arrived).out_of_order
    assert (key(SECOND), key(THIRD)) == one_route(arrived).out_of_order


def test_what_came_later_on_another_partition_and_was_sent_before_is_out_of_order() -> None:
    route = moved(at(FIRST, "old/1", 1.0), at(THIRD, "new/0", 2.0), at(SECOND, "old/1", 3.0))

    assert (key(SECOND),) == route.out_of_order


def test_on_one_partition_the_place_tells_though_the_time_does_not() -> None:
    assert (key(FIRST),) == moved(at(SECOND, "1", 1.0), at(FIRST, "1", 1.0)).out_of_order
    assert () == moved(at(SECOND, "1", 1.0), at(FIRST, "2", 1.0)).out_of_order


def test_a_copy_on_another_partition_changes_no_order() -> None:
    route = moved(at(FIRST, "1", 1.0), at(SECOND, "1", 2.0), at(FIRST, "2", 3.0))

    assert ((), (key(FIRST),)) == (route.out_of_order, route.duplicated)
