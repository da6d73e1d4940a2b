"""From which address a request came, and whether it may.

`X-Forwarded-For` is a list to which every proxy adds whom it saw, at the end. Only what the
proxies in front of the app added is to be believed: whatever stands before, the caller wrote.
App Service's front end adds one entry, with a port.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from relay.operations.service_tags import Network

_HEADER: Final = "x-forwarded-for"
_WITH_PORT: Final = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[0-9.]+))(?::\d{1,5})?")


class Gate:
    """Lets in who calls from certain addresses.

    Args:
        networks: whence one may call.
        proxies: how many in front of the app add an entry; 1 for App Service alone.
    """

    def __init__(self, networks: Collection[Network], proxies: int = 1) -> None:
        self._networks = networks
        self._proxies = proxies

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may come in; one whose address can't be told may not.

        Args:
            headers: by name in lower case, several of one name joined by commas.
        """
        address = caller_address(headers, self._proxies)
        return address is not None and any(address in network for network in self._networks)

    def seen(self, headers: Mapping[str, str]) -> str:
        """Say whence a request came, for whoever looks into a refusal."""
        address = caller_address(headers, self._proxies)
        return f"address {address}" if address else "an address that can't be told"


def caller_address(
    headers: Mapping[str, str], proxies: int = 1
) -> IPv4Address | IPv6Address | None:
    """Return whom the outermost of our proxies saw; `None` if there is no telling."""
    entries = [entry.strip() for entry in headers.get(_HEADER, "").split(",")]
    if len(entries) < proxies:
        return None
    written = entries[-proxies]
    found = _WITH_PORT.fullmatch(written)
    try:
        address = ip_address((found["v6"] or found["v4"]) if found else written)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
