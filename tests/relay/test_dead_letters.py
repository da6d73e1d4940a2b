from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.dead_letters import (
    MALFORMED_ROUTE,
    DeadLetter,
    Fate,
    Shelf,
    blob_name,
    held_name,
)
from relay.dead_letters.letters import LONGEST_DETAIL, decode, encode, unpack
from relay.dead_letters.names import BlobName, parse, shelf_of
from relay.event import Event
from relay.failures import Reason
from relay.ingress import Arrival, Malformed
from tests.fakes import NOON, an_arrival, an_event

TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJodHRwczovL2V2ZW50aHVicyJ9.c2lnbmF0dXJl"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.one_of(
    TEXT.filter(lambda name: name not in {"data", "data_base64"}),
    st.sampled_from(["relayroute", "relaydetail", "relaypart", "relayown", "traceparent"]),
)
VALUES = st.one_of(TEXT, st.booleans(), st.integers(-(2**31), 2**31 - 1))
REQUIRED = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": TEXT,
        "source": TEXT,
        "type": st.one_of(TEXT, st.just("twinrelay.malformed")),
    },
    optional={
        "datacontenttype": st.sampled_from(["application/json", "text/plain", "a/b+json", ""])
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
EVENTS = st.builds(
    lambda required, others, data: Event({**others, **required}, data),
    REQUIRED,
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.one_of(st.binary(max_size=40), JSON),
)
MALFORMED = st.builds(
    Malformed, st.binary(max_size=40), st.dictionaries(st.text(), st.text()), TEXT
)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
ARRIVALS = st.builds(
    Arrival,
    lane=TEXT,
    sequence=st.integers(0, 2**63 - 1),
    part=st.integers(0, 10_000),
    enqueued=TIMES,
    content=EVENTS,
)
LETTERS = st.builds(
    DeadLetter,
    arrival=ARRIVALS,
    reason=st.sampled_from(Reason),
    detail=TEXT,
    attempts=st.integers(0, 1000),
    time=TIMES,
)


@given(st.lists(LETTERS, max_size=4))
@example([])
def test_letters_come_back_as_they_were_written(letters: list[DeadLetter]) -> None:
    read = decode(encode(letters, "alarms"))

    assert letters == read
    assert types(letters) == types(read)


@given(MALFORMED)
def test_a_message_that_is_no_event_comes_back_with_its_bytes(malformed: Malformed) -> None:
    letter = DeadLetter(
        an_arrival(malformed, sequence=7), Reason.MALFORMED, malformed.detail, 0, NOON
    )

    assert [letter] == decode(encode([letter], MALFORMED_ROUTE))


def test_an_event_is_written_whole_with_its_reason_in_extensions() -> None:
    letter = a_letter(Reason.FORBIDDEN, detail="the role is missing")

    (written,) = json.loads(encode([letter], "alarms"))

    assert {**an_event(id="3").attributes, "data": {"rpm": 1450}}.items() <= written.items()
    assert {
        "relayroute": "alarms",
        "relayreason": "forbidden",
        "relaydetail": "the role is missing",
        "relayattempts": 1,
        "relaytime": "2026-03-05T12:00:00+00:00",
        "relaylane": "twin-events/0",
        "relaysequence": "3",
        "relaypart": 0,
        "relayenqueued": "2026-03-05T12:00:00+00:00",
    }.items() <= written.items()


def test_the_bytes_of_json_data_are_left_as_they_were_written() -> None:
    data = b'{"a":1.0,  "b":1e400,\n"c":"\\u00e9"}'
    letter = DeadLetter(an_arrival(an_event(data=data)), Reason.TIMEOUT, "", 1, NOON)

    assert data.decode() in encode([letter], "alarms")


def test_a_detail_is_cut_to_what_a_dead_letter_keeps() -> None:
    (read,) = decode(encode([a_letter(detail="x" * (LONGEST_DETAIL + 1))], "alarms"))

    assert read.detail == "x" * 1024


def test_letters_of_one_blob_keep_each_its_own_detail_and_no_secret() -> None:
    details = ["no role", f"it said Bearer {TOKEN}", "no role", f"it said {TOKEN}, twice", ""]

    read = decode(encode([a_letter(detail=detail) for detail in details], "alarms"))

    assert [letter.detail for letter in read] == [
        "no role",
        "it said Bearer (…)",
        "no role",
        "it said (…), twice",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected"),
        ("{}", "expected"),
        ("[{}]", "relayroute"),
        ('[{"relayroute":"a"}]', "relayreason"),
        ("[1]", "expected"),
    ],
)
def test_what_is_no_batch_of_dead_letters_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decode(text)


@pytest.mark.parametrize("name", ["relayreason", "relaysequence", "relaytime", "relaypart"])
def test_a_letter_with_a_senseless_extension_is_refused(name: str) -> None:
    (written,) = json.loads(encode([a_letter()], "alarms"))
    written[name] = "nonsense"

    with pytest.raises(ValueError, match="nonsense"):
        decode(json.dumps([written]))


@pytest.mark.parametrize("reason", Reason)
def test_only_what_is_the_events_own_fault_is_held(reason: Reason) -> None:
    held = reason in {Reason.MALFORMED, Reason.TOO_LARGE, Reason.REJECTED}

    assert (Fate.HELD if held else Fate.WAITING) is a_letter(reason).fate


def test_a_blob_is_named_by_route_hour_lane_and_what_arrived_together() -> None:
    batch = [an_arrival(lane="twin-events/3", sequence=n) for n in (41, 42, 57)]

    assert blob_name("alarms", batch, Fate.WAITING) == (
        "alarms~twin-events=2F3/2026/03/05/12/00000000000000000057-00000000000000000041.json"
    )


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(1, 99)), min_size=2), TIMES)
def test_names_of_a_lane_sort_in_the_order_of_arrival(
    batches: list[tuple[int, int]], start: datetime
) -> None:
    names, number = [], 0
    for gap, length in batches:
        hours = timedelta(hours=min(number, 2**16))
        enqueued = start + hours
        first, number = number + gap, number + gap + length
        batch = [Arrival("hub/0", n, 0, enqueued, an_event()) for n in (first, number)]
        names.append(blob_name("alarms", batch, Fate.WAITING))

    assert names == sorted(set(names))


@given(TEXT, TEXT, st.integers(0, 10**6))
@example("a", "a~", 5)
@example("a", "a/", 5)
@example("a=2F", "a/", 5)
def test_no_lane_takes_anothers_letters_for_its_own(
    lane: str, other: str, sequence: int
) -> None:
    name = blob_name("r", [an_arrival(lane=other, sequence=sequence)], Fate.WAITING)
    is_taken = name.startswith(Shelf("r").lane_prefix(lane))

    assert (lane == other) is is_taken


def test_batches_cut_differently_have_different_names() -> None:
    arrivals = [an_arrival(sequence=n) for n in range(3)]

    assert blob_name("r", arrivals, Fate.WAITING) != blob_name("r", arrivals[:2], Fate.WAITING)


def test_what_a_redrive_holds_overwrites_nothing_that_is_held_already() -> None:
    batch = [an_arrival(sequence=n) for n in (1, 2)]
    waiting = blob_name("r", batch, Fate.WAITING)
    names = {held_name(waiting, arrival) for arrival in batch}

    assert len(names) == 2
    assert blob_name("r", batch, Fate.HELD) not in names
    assert all(shelf_of(name) == Shelf("r", Fate.HELD) for name in names)
    assert all(parse(name) is not None for name in names)


@given(TEXT, st.lists(st.integers(0, 2**63 - 1), min_size=1), TIMES, st.sampled_from(Fate))
@example("..", [0], NOON, Fate.HELD)
def test_a_name_tells_what_it_was_made_of(
    lane: str, numbers: list[int], enqueued: datetime, fate: Fate
) -> None:
    batch = [Arrival(lane, n, 0, enqueued, an_event()) for n in sorted(numbers)]

    name = blob_name("r", batch, fate)

    hour = enqueued.replace(minute=0, second=0, microsecond=0)
    shelf = Shelf("r", fate)
    assert parse(name) == BlobName(shelf, lane, hour, min(numbers), max(numbers))
    assert shelf.lane(shelf.lane_prefix(lane)) == lane
    assert name.startswith(shelf.prefix)
    assert not any(folder.endswith(".") for folder in name.split("/"))


@pytest.mark.parametrize(
    "name",
    ["", "x", "alarms/2026/03/05/12/x.json", "r~l/2026/13/05/12/{0}-{0}.json", "r~l/x.json"],
)
def test_a_name_that_is_none_of_ours_tells_nothing(name: str) -> None:
    assert parse(name.format("0" * 20)) is None


def test_what_comes_again_cut_differently_stands_behind_what_was_settled_before() -> None:
    """Of such a batch, what was not settled before lies behind everything that was."""
    settled = [[1, 2, 3], [4], [5, 6]]
    again = [2, 3, 4, 5, 6, 7]
    names = [
        blob_name("r", [an_arrival(sequence=n) for n in batch], Fate.WAITING)
        for batch in [*settled, again]
    ]

    assert names == sorted(names)


def a_letter(reason: Reason = Reason.TIMEOUT, *, detail: str = "no answer") -> DeadLetter:
    return DeadLetter(an_arrival(sequence=3), reason, detail, 1, NOON)


def types(letters: list[DeadLetter]) -> list[dict[str, type]]:
    """Tell `True` from `1`, which Python calls equal."""
    return [
        {name: type(value) for name, value in letter.arrival.content.attributes.items()}
        for letter in letters
        if isinstance(letter.arrival.content, Event)
    ]


@pytest.mark.parametrize(
    "stored",
    [b"\xff", b"", b"[", b"[{}]", b"{}", b"[" * 100_000, b'[{"relayown": [1]}]', b"null"],
    ids=["no text", "nothing", "cut", "no event", "no batch", "deep", "odd", "null"],
)
def test_a_blob_that_is_no_batch_of_ours_has_no_letters(stored: bytes) -> None:
    assert () == unpack("x", "1", stored).letters


@pytest.mark.parametrize("own", ["[1]", "null", "7"])
def test_a_letter_whose_own_attributes_are_no_object_is_not_ours(own: str) -> None:
    letter = encode([a_letter()], "route").replace(
        '"relaypart"', f'"relayown": {json.dumps(own)}, "relaypart"'
    )

    assert () == unpack("x", "1", letter.encode()).letters
