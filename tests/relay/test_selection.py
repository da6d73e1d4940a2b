from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.dead_letters import DeadLetter, Fate, Listed, Parcel, Shelf, blob_name
from relay.dead_letters.lots import Mark, lots
from relay.dead_letters.portions import Limits, portioned
from relay.dead_letters.selection import Selection
from relay.failures import Reason
from relay.ingress import Arrival
from relay.operations.selecting import among, read_container, read_time
from relay.pace import Pace
from relay.settings import Container
from tests.fakes import NOON, an_arrival, an_event

OWN = Container("https://plant.blob.core.windows.net", "dead-letters", "id", "/subscriptions/x")


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(0, 200))
def test_a_blob_that_may_hold_what_is_meant_is_never_passed_over(
    enqueued: int, since: int, longer: int
) -> None:
    times = [NOON + timedelta(minutes=minutes) for minutes in (enqueued, enqueued + longer)]
    batch = [Arrival("l", n, 0, time, an_event()) for n, time in enumerate(times)]
    selection = Selection(since=NOON + timedelta(minutes=since))
    letters = [DeadLetter(each, Reason.TIMEOUT, "", 1, NOON) for each in batch]

    if any(selection.wants(letter) for letter in letters):
        assert selection.may_have(blob_name("r", batch, Fate.WAITING))


def test_what_was_enqueued_hours_before_is_passed_over_unread() -> None:
    name = blob_name("r", [an_arrival()], Fate.WAITING)

    assert not Selection(since=NOON + timedelta(hours=1)).may_have(name)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_looked_for_only_where_it_may_be_kept(reason: Reason) -> None:
    fate = DeadLetter(an_arrival(), reason, "", 1, NOON).fate
    selection = Selection(reasons=frozenset({reason}))

    assert [fate] == [each for each in Fate if selection.has(Shelf("r", each))]


PARCELS = st.lists(st.integers(0, 7), max_size=6)


@given(PARCELS, st.none() | st.integers(1, 9), st.sets(st.integers(0, 50)), st.integers(-1, 20))
def test_lots_hold_what_is_meant_once_in_order_and_never_too_much(
    sizes: Sequence[int], most: int | None, unwanted: set[int], after: int
) -> None:
    parcels, number = list[Parcel](), 0
    for index, size in enumerate(sizes):
        arrivals = [an_arrival(sequence=n) for n in range(number, number + size)]
        letters = [DeadLetter(each, Reason.TIMEOUT, "", 1, NOON) for each in arrivals]
        parcels.append(Parcel(f"{index}", "1", letters))
        number += size
    marks = [Mark.of(parcel, x) for parcel in parcels for x in parcel.letters]
    start = marks[after] if 0 <= after < len(marks) else Mark()

    made = list(lots(parcels, lambda x: x.arrival.sequence not in unwanted, start, most))

    meant = [mark for mark in marks if mark.sequence not in unwanted and mark > start]
    found = [mark for lot in made for mark in sorted(lot.marks)]
    is_cut = bool(made) and made[-1].is_cut
    assert found == meant[: len(found)]
    assert is_cut or found == meant
    assert not any(lot.is_cut for lot in made[:-1])
    assert all(1 <= len(lot.marks) <= (most or 1000) for lot in made)
    for lot in made:
        has = [x for each in lot.parcels for x in each.letters if lot.has(each, x)]
        assert len(has) == len(lot.marks)


@given(st.text(), st.integers(0, 2**63), st.integers(0, 2**20))
def test_a_mark_is_read_as_it_was_written(name: str, sequence: int, part: int) -> None:
    mark = Mark(name, sequence, part)

    assert Mark.read(str(mark)) == mark


@pytest.mark.parametrize("text", ["x", "x@", "x@1", "x@1.y", "@.1"])
def test_a_text_that_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Mark.read(text)


@given(st.lists(st.integers(0, 100), max_size=40), st.integers(1, 9), st.integers(1, 150))
async def test_portions_hold_everything_in_order_and_never_too_much(
    sizes: Sequence[int], most: int, size: int
) -> None:
    async def listed():  # noqa: ANN202 - an asynchronous generator
        for number, each in enumerate(sizes):
            yield Listed(str(number), each, NOON)

    portions = [each async for each in portioned(listed(), Limits(most, size))]

    assert [blob.name for each in portions for blob in each] == list(
        map(str, range(len(sizes)))
    )
    assert all(len(each) <= min(2**n, most) for n, each in enumerate(portions))
    for each in portions:
        assert len(each) == 1 or sum(blob.size for blob in each) <= size


@given(st.floats(0.01, 1000), st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), min_size=1))
def test_no_second_sees_more_than_the_rate(
    rate: float, moments: Sequence[tuple[float, float]]
) -> None:
    pace, now, gone = Pace(rate), 0.0, list[tuple[float, int]]()
    for pause, share in moments:
        count = max(1, int(share * (pace.most or 1)))
        now += pause
        now += pace.delay(now, count)
        gone.append((now, count))

    first, last = gone[0][0], gone[-1][0]
    before_last = sum(count for _, count in gone[:-1])
    assert before_last <= rate * (last - first) + 1e-6 * before_last + 1e-9


def test_without_a_rate_nothing_waits() -> None:
    assert (Pace().most, Pace().delay(3.0, 1000)) == (None, 0.0)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2h", NOON - timedelta(hours=2)),
        ("30m", NOON - timedelta(minutes=30)),
        ("7d", NOON - timedelta(days=7)),
        ("90s", NOON - timedelta(seconds=90)),
        ("1W", NOON - timedelta(weeks=1)),
        ("2026-03-05", datetime(2026, 3, 5, tzinfo=UTC)),
        ("2026-03-05T12:00", NOON),
        ("2026-03-05T12:00Z", NOON),
        ("2026-03-05T13:00+01:00", NOON),
    ],
)
def test_times_are_read_as_so_long_ago_or_iso(text: str, time: datetime) -> None:
    assert read_time(text, NOON) == time


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2 hours", "h", "-2h", "9999999999w", "2026-13-01"]
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time: write 2h.*2026-03-05T12:00Z"):
        read_time(text, NOON)


@pytest.mark.parametrize(
    ("text", "service", "name", "prefix"),
    [
        (
            "https://other.blob.core.windows.net/adt",
            "https://other.blob.core.windows.net",
            "adt",
            "",
        ),
        (
            "https://other.blob.core.windows.net/adt/landing/2026/",
            "https://other.blob.core.windows.net",
            "adt",
            "landing/2026/",
        ),
        ("https://plant.blob.core.windows.net/adt/landing", OWN.service_uri, "adt", "landing"),
        ("adt", OWN.service_uri, "adt", ""),
        ("adt/landing/2026", OWN.service_uri, "adt", "landing/2026"),
        (
            "https://127.0.0.1:10000/account/adt/x",
            "https://127.0.0.1:10000/account",
            "adt",
            "x",
        ),
        ("https://localhost:1/account/adt", "https://localhost:1/account", "adt", ""),
    ],
)
def test_a_container_is_read_with_what_names_begin_with(
    text: str, service: str, name: str, prefix: str
) -> None:
    container, start = read_container(text, OWN)

    assert (container.service_uri, container.name, start) == (service, name, prefix)
    assert container.client_id == OWN.client_id
    assert container.resource_id == (OWN.resource_id if service == OWN.service_uri else "")


@pytest.mark.parametrize(
    "text",
    [
        "https://other.blob.core.windows.net/adt?sv=1&sig=Zm9vYmFy%2B",
        "https://other.blob.core.windows.net/adt#Zm9vYmFy",
        "AccountKey=Zm9vYmFy",
    ],
)
def test_a_secret_in_a_containers_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="never by a SAS") as refused:
        read_container(text, OWN)

    assert "Zm9vYmFy" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "A", "http://x/adt", "https:///adt", "https://x.net", "/adt"]
)
def test_what_is_no_containers_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no container|no https address"):
        read_container(text, OWN)


def test_a_reason_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'forbiden' is no reason: there are malformed, too_"):
        among("reason", ["forbiden"], tuple(Reason))
