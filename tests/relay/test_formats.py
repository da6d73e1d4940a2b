"""The formats alone: what is written comes back, what is read keeps the text of its writer."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.formats import amqp_binding, event_grid_schema, json_format, verbatim_json
from tests.fakes import an_event
from tests.relay.event_texts import array, content_types, events, json_texts, object_, spaces

if TYPE_CHECKING:
    from collections.abc import Callable

quickly = settings(max_examples=150, deadline=None)

# The AMQP binding


@given(events())
@quickly
def test_an_event_comes_back_from_amqp(event: Event) -> None:
    content_type = event.attributes.get("datacontenttype")

    assert event == amqp_binding.decode(
        amqp_binding.encode(event),
        None if content_type is None else str(content_type),
        event.data,
    )


@given(events(), st.sampled_from(["cloudEvents:", "cloudEvents_"]))
@quickly
def test_names_and_values_in_bytes_are_read_as_text(event: Event, prefix: str) -> None:
    properties: dict[str | bytes, object] = {
        f"{prefix}{name}".encode(): value.encode() if isinstance(value, str) else value
        for name, value in event.attributes.items()
    }

    assert event == amqp_binding.decode(properties, None, event.data)


odd_names = st.sampled_from(
    [
        "n",
        "cloudEvents_id",
        "cloudEvents:data",
        "cloudEvents:é",
        "cloudEvents:",
        b"cloudEvents:b",
    ]
)
odd_values = st.sampled_from(["", "é", b"b", None, 7, 2**40, True, 1.5])


@given(events(), st.dictionaries(odd_names, odd_values), st.sampled_from([None, "a/b", "é"]))
@quickly
def test_the_shorter_way_to_read_what_is_usual_reads_the_same(
    event: Event, odd: dict[str | bytes, object], content_type: str | None
) -> None:
    properties: dict[str | bytes, object] = {**amqp_binding.encode(event), **odd}
    usual = amqp_binding.decode_usual(properties, content_type, event.data)

    if usual is not None:
        closely = amqp_binding.decode(properties, content_type, event.data)
        assert usual == closely
        assert usual.is_plain == closely.is_plain


def test_what_azure_digital_twins_writes_is_usual() -> None:
    properties = amqp_binding.encode(an_event())

    assert an_event() == amqp_binding.decode_usual(
        properties, "application/json", an_event().data
    )


def test_the_prefix_is_written_as_azure_digital_twins_writes_it() -> None:
    written = amqp_binding.encode(an_event(id="1"))

    assert written["cloudEvents:id"] == "1"
    assert all(str(name).startswith("cloudEvents:") for name in written)


def test_the_content_type_is_no_property() -> None:
    assert "cloudEvents:datacontenttype" not in amqp_binding.encode(an_event())


def test_properties_without_the_prefix_are_not_the_events() -> None:
    properties = amqp_binding.encode(an_event()) | {"aeg-event-type": "x", b"\xff": b"\xfe"}

    assert an_event() == amqp_binding.decode(properties, "application/json", an_event().data)


def test_a_property_that_is_null_is_no_attribute() -> None:
    properties: amqp_binding.Properties = {"cloudEvents:id": "1", "cloudEvents:subject": None}

    assert dict(amqp_binding.decode(properties, None, b"").attributes) == {"id": "1"}


@pytest.mark.parametrize(
    "properties",
    [
        {"cloudEvents:id": "1", "cloudEvents_id": "2"},
        {"cloudEvents:id": "1", b"cloudEvents:id": "1"},
        {"cloudEvents:data": "x"},
        {"cloudEvents:data_base64": "eA=="},
        {"cloudEvents:id": 1.5},
        {"cloudEvents:id": float("nan")},
        {"cloudEvents:id": ["1"]},
        {"cloudEvents:id": {"a": 1}},
        {"cloudEvents:id": b"\xff"},
        {b"cloudEvents:\xff": "1"},
    ],
    ids=str,
)
def test_a_property_that_can_be_no_attribute_is_refused(
    properties: amqp_binding.Properties,
) -> None:
    assert amqp_binding.is_binary_mode(properties)
    with pytest.raises(ValueError, match=r"attribute|codec"):
        amqp_binding.decode(properties, None, b"")


@pytest.mark.parametrize(
    "properties",
    [{}, {"id": "1"}, {"cloudevents:id": "1"}, {"ce-id": "1"}, {b"\xff": 1}, {b"\xffloudE": 1}],
    ids=str,
)
def test_a_message_without_the_prefix_is_not_in_binary_mode(
    properties: amqp_binding.Properties,
) -> None:
    assert not amqp_binding.is_binary_mode(properties)


# The JSON format


@given(events())
@quickly
def test_an_event_comes_back_from_json(event: Event) -> None:
    written = json_format.encode(event)

    assert event == json_format.decode(written)
    json.loads(written.encode())


@given(st.lists(events(), max_size=4))
@quickly
def test_events_come_back_from_a_batch(batch: list[Event]) -> None:
    assert batch == json_format.decode_batch(
        json_format.encode_batch(map(json_format.encode, batch))
    )


@given(events())
@quickly
def test_an_extension_is_written_beside_the_attributes(event: Event) -> None:
    read = json_format.decode(json_format.encode(event, {"relayx": "y"}))

    assert {**event.attributes, "relayx": "y"} == dict(read.attributes)
    assert event.data == read.data


@given(json_texts, content_types | st.none())
@quickly
def test_json_data_is_the_text_of_its_writer(text: str, content_type: str | None) -> None:
    is_json = content_type is None or json_format.is_json(content_type)
    assume(is_json or not text.startswith('"'))
    said = "" if content_type is None else f'"datacontenttype": {json.dumps(content_type)},'

    event = json_format.decode(f'{{{said} "id": "1", "data" :\n {text}\t}}')

    assert text.encode() == event.data


def test_text_that_is_said_to_be_no_json_is_unwrapped() -> None:
    event = json_format.decode(r'{"datacontenttype": "text/plain", "data": "\u00fc\n"}')

    assert "ü\n".encode() == event.data


@given(st.binary(max_size=40))
@quickly
def test_base64_is_unwrapped(content: bytes) -> None:
    written = json.dumps({"id": "1", "data_base64": base64.b64encode(content).decode()})

    assert content == json_format.decode(written).data


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"id": "1"}', b""),
        ('{"id": "1", "data": null}', b"null"),
        ('{"id": "1", "data": ""}', b'""'),
        ('{"id": "1", "data_base64": ""}', b""),
        ('{"id": "1", "data_base64": null}', b""),
        ('{"id": "1", "data_base64": null, "data": 1.0}', b"1.0"),
    ],
)
def test_absent_empty_and_null_data_are_told_apart(text: str, content: bytes) -> None:
    assert content == json_format.decode(text).data


@pytest.mark.parametrize(
    "text",
    [
        '{"data": 1, "data_base64": "eA=="}',
        '{"data_base64": "e"}',
        '{"data_base64": "not base64"}',
        '{"data_base64": "ü"}',
        '{"data_base64": 1234}',
        '{"data_base64": true}',
        '{"data_base64": ["eA=="]}',
        r'{"datacontenttype": "text/plain", "data": "\ud800"}',
        '{"x": 1.5}',
        '{"x": {}}',
        '{"x": []}',
        '{"x": 1e2}',
        '{"x": ' + "9" * 5000 + "}",
        '{"id": "1", "id": "1"}',
        r'{"id": "1", "i\u0064": "2"}',
        '{"x": NaN}',
        '{"x": -Infinity}',
        '{"data": NaN}',
        '{"data": [1,]}',
        '{"data": "\n"}',
        '{"data": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"id": "1"} {}',
        '{"id": "1",}',
        '{"id" "1"}',
        "{id: 1}",
        "{",
        "[]",
        "",
        "\x00",
    ],
    ids=lambda text: str(text)[:40],
)
def test_what_is_no_event_in_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_format.decode(text)


def test_an_attribute_that_is_null_is_unset() -> None:
    assert dict(json_format.decode('{"id": "1", "subject": null}').attributes) == {"id": "1"}


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("", True),
        ("application/json", True),
        ("APPLICATION/JSON;charset=utf-8", True),
        ("application/json-patch+json; charset=utf-8", True),
        ("text/json", True),
        ("application/jsonlines", False),
        ("application/xml; note=+json", False),
        ("json", False),
    ],
)
def test_a_content_type_says_whether_data_is_json(content_type: str, *, is_json: bool) -> None:
    assert is_json is json_format.is_json(content_type)


# JSON kept verbatim


@given(st.lists(st.tuples(spaces, json_texts), max_size=5))
@quickly
def test_an_object_falls_into_members_as_they_were_written(
    parts: list[tuple[str, str]],
) -> None:
    members = verbatim_json.members(object_(parts))

    assert [text for _, text in parts] == list(members.values())


@given(st.lists(st.tuples(spaces, json_texts), max_size=5), spaces)
@quickly
def test_an_array_falls_into_elements_as_they_were_written(
    parts: list[tuple[str, str]], around: str
) -> None:
    text = around + array(parts) + around

    assert [text for _, text in parts] == verbatim_json.elements(text)


# Texts that are almost JSON, and now and then are.
almost_json = st.lists(
    st.sampled_from(
        [
            *('"a"', '"b"', '"a\\u0062"', '"\\\\"', '""', '"\n"', '"', "\\"),
            *(":", ",", "{", "}", "[", "]", " ", "\t", "\r\n", "\u00a0", "\x0b"),
            *("0", "-0", "7", "-", "01", "1.5", "1e2", "true", "false", "null", "tru", "NaN"),
            *('"a": 1', '"b":"c"', '"a" : true,', ',"c":null', '"d":[1,{"e":2}]'),
        ]
    ),
    max_size=9,
).map("".join)


@given(almost_json)
@example('"a":01,"b":1')
@example('"a":1,"\\u0061":2,"b":3')
@example('"a":NaN,"b":1')
@example('"a":"\n","b":1')
@example('"a":1,"b":tru')
@example('"a":1,')
@settings(max_examples=300, deadline=None)
def test_an_object_is_one_to_us_where_it_is_one_to_the_decoder(inner: str) -> None:
    text = f"{{{inner}}}"

    expected = _or_refused(partial(_members_to_the_decoder, text))
    found = _or_refused(partial(verbatim_json.members, text))

    assert expected == (found and {name: _decoded(value) for name, value in found.items()})


def _members_to_the_decoder(text: str) -> dict[str, object]:
    pairs = _decoded(text)
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _decoded(text: str) -> Any:
    return json.loads(text, object_pairs_hook=list, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@given(almost_json)
@settings(max_examples=300, deadline=None)
def test_elements_end_where_they_do_behind_one_that_is_no_json(inner: str) -> None:
    assume(inner.strip(" \t\r\n"))

    found = _or_refused(partial(verbatim_json.elements, f"[{inner}]"))
    behind = _or_refused(partial(verbatim_json.elements, f"[NaN,{inner}]"))

    assert found == (behind and behind[1:])


def _or_refused[Read](read: Callable[[], Read]) -> Read | None:
    try:
        return read()
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("array", "elements"),
    [
        ("[]", []),
        (" [ \n] ", []),
        ("[NaN, {}]", ["NaN", "{}"]),
        ('[{"a": NaN}, 1]', ['{"a": NaN}', "1"]),
        ('["[{,", "\\"]"]', ['"[{,"', '"\\"]"']),
        ("[1 2, 3]", ["1 2", "3"]),
        ("[,1]", ["", "1"]),
        ("[1,]", ["1", ""]),
        ("[" + "[" * 50_000 + "]" * 50_000 + ", 1]", ["[" * 50_000 + "]" * 50_000, "1"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_element_that_is_no_json_does_not_hide_its_neighbours(
    array: str, elements: list[str]
) -> None:
    assert elements == verbatim_json.elements(array)


@pytest.mark.parametrize(
    "text", ["", "1", "{}", "[", "[1", "[[1]", '["]', "[1]]", "[1] 2", "[{]"]
)
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        verbatim_json.elements(text)


def test_a_text_that_never_ends_takes_no_quadratic_time_to_refuse() -> None:
    """Four million characters in well under the test's time-out, not in hours."""
    with pytest.raises(ValueError, match="end"):
        verbatim_json.elements("[" + r"\"" * 2_000_000)


@given(json_texts)
@quickly
def test_one_value_with_nothing_around_it_is_whole(text: str) -> None:
    assert verbatim_json.is_whole(text)
    assert not any(
        verbatim_json.is_whole(other)
        for other in (text + " ", " " + text, "\ufeff" + text, text + ",", text[:-1] + "\x00")
    )


# Event Grid's schema


def members_of(grid_data: str, **changes: str) -> dict[str, str]:
    return {
        "id": '"1"',
        "eventType": '"t"',
        "subject": '"s"',
        "eventTime": '"0001-01-01T00:00:00Z"',
        "dataVersion": '"1.0"',
        "data": grid_data,
        **changes,
    }


@given(json_texts, spaces)
@quickly
def test_the_nested_data_of_azure_digital_twins_is_unwrapped_verbatim(
    text: str, space: str
) -> None:
    nested = f'{{"data":{space}{text},"contenttype":"application/json","traceparent":"00-1"}}'
    event = event_grid_schema.decode(members_of(nested), "host")

    assert text.encode() == event.data
    assert dict(event.attributes) == {
        "specversion": "1.0",
        "source": "host",
        "id": "1",
        "type": "t",
        "subject": "s",
        "time": "0001-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "traceparent": "00-1",
    }


@pytest.mark.parametrize(
    "other",
    [
        '{"temperature": 1.0}',
        '{"data": {"x": 1.0}}',
        '{"contenttype": "a/b"}',
        "[1.0]",
        "null",
        '"{"',
        '{"data": 1, "contenttype": "a/b", "id": "another"}',
        '{"data": 1, "contenttype": "a/b", "source": "another"}',
        '{"data": 1, "contenttype": "a/b", "time": "another"}',
        '{"data": 1, "contenttype": "a/b", "data_base64": "eA=="}',
        '{"data": 1, "contenttype": "a/b", "datacontenttype": "c/d"}',
    ],
)
def test_data_that_is_not_wrapped_as_azure_digital_twins_wraps_is_left_whole(
    other: str,
) -> None:
    event = event_grid_schema.decode(members_of(other), "host")

    assert other.encode() == event.data
    assert (event.id, event.source) == ("1", "host")


@given(json_texts)
@quickly
def test_an_event_from_event_grid_can_be_written_down_again(text: str) -> None:
    nested = f'{{"data":{text},"contenttype":"application/json"}}'
    event = event_grid_schema.decode(members_of(nested), "host")

    assert event == json_format.decode(json_format.encode(event))
