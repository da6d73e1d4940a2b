from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from lab.audit import Received, observe
from lab.twins import POISON, TELEMETRY, Message, Notification, Plant

EVENTS = Path(__file__).parents[1] / "events"
NAMES = sorted(path.stem for path in (EVENTS / "amqp").glob("*.json"))


def from_example(name: str) -> Notification:
    """Build the notification that an example in AMQP binary mode shows."""
    example = json.loads((EVENTS / "amqp" / f"{name}.json").read_text())
    attributes = {
        prefixed.removeprefix("cloudEvents:"): value
        for prefixed, value in example["properties"].items()
    }
    return Notification(attributes, example["body"].encode(), example["contentType"])


@pytest.fixture(scope="module")
def notifications() -> list[Notification]:
    return list(islice(Plant(3, datetime(2026, 1, 5, 8, tzinfo=UTC)), 4000))


def of_type(notifications: list[Notification], ending: str) -> list[Notification]:
    return [n for n in notifications if n.type.endswith(ending)]


@pytest.mark.parametrize("name", NAMES)
def test_the_binary_form_is_that_of_the_example(name: str) -> None:
    example = json.loads((EVENTS / "amqp" / f"{name}.json").read_text())
    message = from_example(name).as_amqp()
    assert list(example["properties"].items()) == list(message.properties.items())
    assert example["body"].encode() == message.body
    assert example["contentType"] == message.content_type


@pytest.mark.parametrize("name", NAMES)
def test_the_structured_form_is_that_of_the_example(name: str) -> None:
    example = json.loads((EVENTS / "structured" / f"{name}.json").read_text())
    message = from_example(name).as_structured()
    assert example == json.loads(message.body)
    assert message.content_type == "application/cloudevents+json; charset=utf-8"


@pytest.mark.parametrize("name", NAMES)
def test_the_event_grid_form_is_that_of_the_example(name: str) -> None:
    example = json.loads((EVENTS / "event-grid" / f"{name}.json").read_text())
    message = from_example(name).as_event_grid()
    assert example == json.loads(message.body)
    assert message.content_type == "application/json; charset=utf-8"


def test_the_examples_cover_every_type_that_the_plant_emits(
    notifications: list[Notification],
) -> None:
    assert {n.type for n in notifications} == {from_example(name).type for name in NAMES}


def test_the_plant_writes_the_attributes_of_the_examples_in_their_order(
    notifications: list[Notification],
) -> None:
    shown = {(n.type, tuple(n.attributes), n.content_type) for n in map(from_example, NAMES)}
    emitted = {(n.type, tuple(n.attributes), n.content_type) for n in notifications}
    assert shown == emitted


@pytest.mark.parametrize("name", NAMES)
def test_the_data_keeps_its_bytes_in_every_shape(name: str) -> None:
    notification = from_example(name)
    assert notification.data in notification.as_structured().body
    assert notification.data in notification.as_event_grid().body


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_about_its_twin(name: str) -> None:
    assert from_example(name).twin_id == "pump-17"


def test_a_time_has_seven_fractional_digits(notifications: list[Notification]) -> None:
    pattern = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
    changes = [n for n in notifications if n.type != TELEMETRY]
    assert all(pattern.fullmatch(n.attributes["time"]) for n in changes)


def test_telemetry_has_no_time_and_names_its_twin_in_its_source(
    notifications: list[Notification],
) -> None:
    telemetry = of_type(notifications, TELEMETRY)
    assert not any("time" in n.attributes for n in telemetry)
    assert all(n.attributes["source"].endswith(f"/digitaltwins/{n.twin_id}") for n in telemetry)


def test_telemetry_of_a_component_has_the_components_model(
    notifications: list[Notification],
) -> None:
    schemas = {
        n.attributes.get("subject"): n.attributes["dataschema"]
        for n in of_type(notifications, TELEMETRY)
        if n.twin_id.startswith("machine-")
    }
    assert schemas == {"motor": "dtmi:com:example:Motor;1"}


def test_only_telemetry_has_the_twin_in_its_source(notifications: list[Notification]) -> None:
    sources = {n.attributes["source"] for n in notifications if n.type != TELEMETRY}
    assert {"plant-a.api.weu.digitaltwins.azure.net"} == sources


def test_a_patch_has_its_members_in_the_order_value_path_op(
    notifications: list[Notification],
) -> None:
    orders = {
        tuple(operation)
        for n in of_type(notifications, ".Update")
        for operation in json.loads(n.data)["patch"]
    }
    assert {("value", "path", "op"), ("path", "op")} == orders


@pytest.mark.parametrize("kind", ["Relationship.Create", "Relationship.Delete"])
def test_a_relationship_names_its_source_only_sometimes(
    notifications: list[Notification], kind: str
) -> None:
    named = {"$sourceId" in json.loads(n.data) for n in of_type(notifications, kind)}
    assert {True, False} == named


def test_a_property_was_written_a_little_before_the_event(
    notifications: list[Notification],
) -> None:
    created = of_type(notifications, "Twin.Create")[0]
    metadata = json.loads(created.data)["$metadata"]
    assert metadata["name"]["lastUpdateTime"] < created.attributes["time"]


def test_a_change_of_model_is_a_patch_of_the_metadata(
    notifications: list[Notification],
) -> None:
    assert any(b'"path":"/$metadata/$model"' in n.data for n in notifications)


def test_an_event_grid_event_does_not_say_where_it_comes_from(
    notifications: list[Notification],
) -> None:
    assert not any(b"digitaltwins.azure.net" in n.as_event_grid().body for n in notifications)


def received(message: Message) -> Received:
    return Received("0", message.properties, message.body, message.content_type)


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_no_event(kind: str) -> None:
    assert observe(received(POISON[kind])) is None


def test_what_the_plant_emits_is_no_poison(notifications: list[Notification]) -> None:
    for notification in notifications[:50]:
        event = observe(received(notification.as_amqp()))
        assert event is not None
        assert notification.key == event.key
