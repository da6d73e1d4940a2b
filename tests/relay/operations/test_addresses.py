"""Whence a request came, by the one header that says so and that anybody may write."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.operations.addresses import Gate, caller_address

SERVICE = [ip_network("203.0.113.0/29"), ip_network("2001:db8::/47")]
FRIEND, STRANGER = "203.0.113.5", "198.51.100.7"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:51234", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("[::ffff:203.0.113.5]:9", "203.0.113.5"),
        (" 198.51.100.7 , 203.0.113.5:1 ", "203.0.113.5"),
    ],
)
def test_the_last_entry_is_the_caller(written: str, address: str) -> None:
    assert caller_address({"x-forwarded-for": written}) == ip_address(address)


@pytest.mark.parametrize(
    "written",
    ["", " ", ",", "localhost", "203.0.113.5,", "203.0.113.256", "1.2.3", "[]:1",
     "203.0.113.5:x", "203.0.113.5:1:2", "203.0.113.5 ; x", "unknown", "fe80::1%eth0/64"],
)  # fmt: skip
def test_where_there_is_no_telling_nobody_is_let_in(written: str) -> None:
    assert caller_address({"x-forwarded-for": written}) is None
    assert not Gate([ip_network("0.0.0.0/0"), ip_network("::/0")]).lets_in(
        {"x-forwarded-for": written}
    )


def test_without_the_header_nobody_is_let_in() -> None:
    assert not Gate(SERVICE).lets_in({"x-real-ip": FRIEND, "forwarded": f"for={FRIEND}"})


@given(st.lists(st.sampled_from([FRIEND, "2001:db8::1", "", "x", f"{FRIEND}:1"])))
def test_nothing_that_a_stranger_writes_lets_him_in(forged: list[str]) -> None:
    """The front end adds whom it saw behind whatever the caller wrote."""
    entries = ",".join([*forged, f"{STRANGER}:40000"])

    assert not Gate(SERVICE).lets_in({"x-forwarded-for": entries})


@given(st.lists(st.text(max_size=20).filter(lambda text: "," not in text)))
def test_nothing_that_a_friend_writes_locks_him_out(noise: list[str]) -> None:
    assert Gate(SERVICE).lets_in({"x-forwarded-for": ",".join([*noise, f"{FRIEND}:1"])})


def test_behind_a_second_proxy_the_entry_before_counts() -> None:
    header = {"x-forwarded-for": f"{FRIEND}, 10.0.0.4:5000"}

    assert Gate(SERVICE, proxies=2).lets_in(header)
    assert not Gate(SERVICE).lets_in(header)
    assert not Gate(SERVICE, proxies=3).lets_in(header)


def test_version_six_is_let_in_where_the_service_has_it() -> None:
    assert Gate(SERVICE).lets_in({"x-forwarded-for": "[2001:db8:1::5]:77"})
    assert not Gate(SERVICE).lets_in({"x-forwarded-for": "[2001:db8:2::5]:77"})
