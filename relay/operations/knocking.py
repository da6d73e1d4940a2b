"""Tries whether an ingress lets the relay in: a receiver's link, and nothing is received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.operations.opening import open_link
from relay.sinks.errors import translated

if TYPE_CHECKING:
    from relay.identity import Identity
    from relay.needs import Need


async def knock(need: Need, identity: Identity, ca_file: str | None) -> None:
    """Open the link by which the Functions host receives, and close it again.

    By the identity of the host and from its network, but by a connection of its own.

    Raises:
        DeliveryError: it does not let the relay in, or can't be reached.
    """
    with translated(need.resource, identity):
        await identity.check(need.resource.audience)
        await open_link(need, identity, ca_file)
