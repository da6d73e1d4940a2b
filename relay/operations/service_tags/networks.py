"""Ranges of addresses, of both versions, in one order."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

type Network = IPv4Network | IPv6Network

PRIVATE: Final = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
"""RFC 1918."""


def in_order(networks: Iterable[Network]) -> list[Network]:
    """Return networks, each once: IPv4 first, then by address."""
    return sorted(set(networks), key=_place)


def only_v4(networks: Iterable[Network]) -> list[IPv4Network]:
    """Return the IPv4 networks among them."""
    return [each for each in networks if isinstance(each, IPv4Network)]


def merged(networks: Iterable[Network]) -> frozenset[Network]:
    """Return the same addresses in as few networks as can be."""
    given = list(networks)
    v6 = [each for each in given if isinstance(each, IPv6Network)]
    return frozenset([*collapse_addresses(only_v4(given)), *collapse_addresses(v6)])


def _place(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
