from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.functions.newtonsoft import MOST_LEVELS, date_time_offset, dumps, loads

BERLIN = timezone(timedelta(hours=1))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, True, None, "Zürich"]}, '{"a":[1,true,null,"Zürich"]}'),
        (b"\x00\xff", '"AP8="'),  # byte[]
        (b"", '""'),
        (1.0, "1.0"),
        (float("nan"), '"NaN"'),
        ([float("inf"), float("-inf")], '["Infinity","-Infinity"]'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (datetime(2026, 11, 21, 20, 0, 0, tzinfo=BERLIN), '"2026-11-21T19:00:00Z"'),
        (datetime(2026, 11, 21, 19, 0, 0, 120000, UTC), '"2026-11-21T19:00:00.12Z"'),
        (datetime(2026, 11, 21, 19, 0), '"2026-11-21T19:00:00"'),  # noqa: DTZ001 - no kind
    ],
)
def test_a_value_is_written_as_dotnet_writes_it(value: object, text: str) -> None:
    assert text == dumps(value)


def test_a_date_time_offset_keeps_its_offset() -> None:
    moment = datetime(2026, 11, 21, 20, 0, tzinfo=BERLIN)

    assert date_time_offset(moment) == "2026-11-21T19:00:00+00:00"


def test_what_dotnet_has_nothing_like_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no \.NET value is like object"):
        dumps([object()])


@given(PLAIN)
def test_what_json_can_say_comes_back(value: object) -> None:
    assert value == json.loads(dumps(value))


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("1.10", "1.1"),
        ("1e3", "1000.0"),
        ("100000000000000.0", "100000000000000.0"),
        ("1000000000000000.0", "1E+15"),
        ("123456789012345678.0", "1.2345678901234568E+17"),
        ("1e16", "1E+16"),
        ("0.0001", "0.0001"),
        ("0.00001", "1E-05"),
        ("-0.0", "-0.0"),
        ("-0", "0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ('"2026-11-21T21:00:00.1000000+02:00"', '"2026-11-21T21:00:00.1000000+02:00"'),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),
        (r'"\u00fc\/"', '"ü/"'),
    ],
)
def test_a_text_that_is_read_and_written_again_is_dot_nets(text: str, again: str) -> None:
    assert again == dumps(loads(text))


@given(PLAIN)
def test_reading_and_writing_again_changes_no_value(value: object) -> None:
    text = dumps(value)

    assert loads(dumps(loads(text))) == loads(text)


@pytest.mark.parametrize("opening", ["[", '{"[":'])
def test_what_nests_deeper_than_dot_net_reads_is_refused(opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")
    levels = MOST_LEVELS

    assert loads(opening * levels + "1" + closing * levels)
    with pytest.raises(ValueError, match="MaxDepth of 64 has been exceeded"):
        loads(opening * (levels + 1) + "1" + closing * (levels + 1))
