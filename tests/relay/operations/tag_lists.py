"""Lists of service tags as Azure writes them: as many ranges as it has, and made-up ones."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from typing import Any

# How many ranges of each length the tag had on 2025-10-28, and how many belong to no region.
V4 = {27: 83, 28: 2, 29: 77, 31: 15, 32: 112}
V6 = 78
OUTSIDE = 29
REGIONS = {"WestEurope": "westeurope", "FranceCentral": "centralfrance", "EastUS": "eastus"}


def prefixes() -> list[str]:
    """Ranges that can't be merged: each stands alone in a /26 of its own."""
    blocks = IPv4Network("198.18.0.0/15").subnets(new_prefix=26)
    lengths = [length for length, count in V4.items() for _ in range(count)]
    v4 = [
        f"{block.network_address}/{length}"
        for block, length in zip(islice(blocks, len(lengths)), lengths, strict=True)
    ]
    v6 = islice(IPv6Network("2001:db8::/32").subnets(new_prefix=48), 0, 2 * V6, 2)
    return [*v4, *map(str, v6)]


def a_tag(
    name: str, addresses: list[str], region: str = "", change: int = 52
) -> dict[str, Any]:
    return {
        "name": name,
        "id": name,
        "properties": {
            "changeNumber": change,
            "region": region,
            "regionId": 0,
            "platform": "Azure",
            "systemService": "AzureDigitalTwins",
            "addressPrefixes": addresses,
            "networkFeatures": None if region else ["API", "NSG", "UDR", "FW"],
        },
    }


def a_list(
    addresses: list[str] | None = None, *, change: int = 52, regional: bool = True
) -> dict[str, Any]:
    """The whole tag, and regions that share its ranges but for the last ones."""
    whole = prefixes() if addresses is None else addresses
    shared = whole[: len(whole) - OUTSIDE] if addresses is None else whole
    regions = [
        a_tag(f"AzureDigitalTwins.{name}", shared[place :: len(REGIONS)], spelt)
        for place, (name, spelt) in enumerate(REGIONS.items())
    ]
    return {
        "changeNumber": 375,
        "cloud": "Public",
        "values": [
            a_tag("ActionGroup", ["203.0.113.0/24"]),
            a_tag("AzureDigitalTwins", whole, change=change),
            *(regions if regional else []),
        ],
    }
