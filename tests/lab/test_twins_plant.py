from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest

from lab.twins import TELEMETRY, Layout, Notification, Plant

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def emitted(count: int, seed: int = 7, layout: Layout | None = None) -> list[Notification]:
    return list(islice(Plant(seed, START, layout=layout or Layout()), count))


def sequence(notification: Notification) -> int:
    """The running number that every event of the plant carries somewhere in its data."""
    data = json.loads(notification.data)
    patch = {operation["path"]: operation.get("value") for operation in data.get("patch", ())}
    return int(data.get("sequence", patch.get("/sequence")))


@pytest.fixture(scope="module")
def notifications() -> list[Notification]:
    return emitted(6000)


def test_the_same_seed_gives_the_same_notifications() -> None:
    plant = Plant(7, START)
    assert list(islice(plant, 500)) == list(islice(plant, 500))


def test_a_longer_run_begins_as_a_shorter_one_did() -> None:
    assert emitted(200) == emitted(400)[:200]


def test_another_seed_gives_other_notifications() -> None:
    assert not {n.attributes["traceparent"] for n in emitted(200, seed=7)} & {
        n.attributes["traceparent"] for n in emitted(200, seed=8)
    }


def test_all_seven_types_occur(notifications: list[Notification]) -> None:
    assert {
        "Microsoft.DigitalTwins.Twin.Create",
        "Microsoft.DigitalTwins.Twin.Update",
        "Microsoft.DigitalTwins.Twin.Delete",
        "Microsoft.DigitalTwins.Relationship.Create",
        "Microsoft.DigitalTwins.Relationship.Update",
        "Microsoft.DigitalTwins.Relationship.Delete",
        TELEMETRY,
    } == {notification.type for notification in notifications}


def test_source_and_id_are_unique_but_the_id_alone_is_not(
    notifications: list[Notification],
) -> None:
    keys = Counter(notification.key for notification in notifications)
    ids = Counter(notification.attributes["id"] for notification in notifications)
    assert keys.most_common(1)[0][1] == 1
    assert ids.most_common(1)[0][1] > 1


def test_every_trace_context_is_its_own(notifications: list[Notification]) -> None:
    traces = {notification.attributes["traceparent"] for notification in notifications}
    assert len(notifications) == len(traces)


def test_the_events_of_a_twin_are_numbered_without_a_gap(
    notifications: list[Notification],
) -> None:
    numbers = defaultdict(list)
    for notification in notifications:
        numbers[notification.twin_id].append(sequence(notification))
    assert all(list(range(1, len(counted) + 1)) == counted for counted in numbers.values()), (
        numbers
    )


def test_times_rise_and_begin_at_the_start(notifications: list[Notification]) -> None:
    times = [n.attributes["time"] for n in notifications if "time" in n.attributes]
    assert times[0].startswith("2026-01-05T08:00:00.")
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_first_that_is_heard_of_a_twin_is_its_creation(
    notifications: list[Notification],
) -> None:
    first: dict[str, str] = {}
    for notification in notifications:
        first.setdefault(notification.twin_id, notification.type)
    assert {"Microsoft.DigitalTwins.Twin.Create"} == set(first.values())


def test_a_deleted_twin_says_nothing_more(notifications: list[Notification]) -> None:
    gone: set[str] = set()
    for notification in notifications:
        assert notification.twin_id not in gone
        if notification.type == "Microsoft.DigitalTwins.Twin.Delete":
            gone.add(notification.twin_id)
    assert gone


def test_a_relationship_is_deleted_before_its_twins(notifications: list[Notification]) -> None:
    open_edges: dict[str, set[str]] = {}
    for notification in notifications:
        data = json.loads(notification.data)
        if notification.type.endswith("Relationship.Create"):
            open_edges[data["$relationshipId"]] = {notification.twin_id, data["$targetId"]}
        elif notification.type.endswith("Relationship.Delete"):
            del open_edges[data["$relationshipId"]]
        elif notification.type.endswith("Twin.Delete"):
            assert not any(notification.twin_id in ends for ends in open_edges.values())


def test_severity_varies_and_is_sometimes_odd(notifications: list[Notification]) -> None:
    telemetry = [json.loads(n.data) for n in notifications if n.type == TELEMETRY]
    severities = Counter(repr(data.get("severity", "absent")) for data in telemetry)
    assert {"0", "1", "2", "3", "4", "None", "'0'", "0.0", "'absent'"} <= set(severities)
    assert severities["0"] > severities["4"]


def test_measurements_drift_upwards_until_somebody_looks_after_the_sensor(
    notifications: list[Notification],
) -> None:
    values = [
        data["temperature"]
        for data in (json.loads(n.data) for n in notifications if n.type == TELEMETRY)
        if "temperature" in data
    ]
    serviced = [n for n in notifications if b'"path":"/serviced"' in n.data]
    assert max(values) > 84
    assert serviced


def test_some_twins_are_of_a_model_that_is_not_ours(notifications: list[Notification]) -> None:
    models = {
        json.loads(n.data)["modelId"].rpartition(":")[0]
        for n in notifications
        if n.type.endswith("Twin.Update")
    }
    assert {"dtmi:com:example", "dtmi:org:supplier"} == models


def test_some_ids_are_longer_than_a_message_id_may_be(
    notifications: list[Notification],
) -> None:
    assert any(len(notification.attributes["id"]) > 128 for notification in notifications)


@pytest.mark.parametrize("layout", [Layout(1, 1, 1, 1), Layout(3, 1, 2, 5)])
def test_a_plant_of_any_size_lives(layout: Layout) -> None:
    twins = {n.twin_id for n in emitted(3000, layout=layout)}
    buildings = {twin for twin in twins if twin.startswith("building-")}
    assert layout.buildings == len(buildings)
