"""How a reader reaches its place: by whom, and how errors are told."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.settings import Transport
from relay.sinks.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.identity import Identity
    from relay.operations.probing.places import Place

CALL: Final = 20.0
"""Seconds for one call, which else may wait for ever."""


@dataclass(frozen=True, slots=True)
class Access:
    """A place, and who reads it.

    Attributes:
        ca_file: a CA to trust instead of the public ones.
    """

    place: Place
    identity: Identity
    ca_file: str | None

    @property
    def over_web_sockets(self) -> bool:
        """Whether AMQP travels on port 443."""
        return self.place.connection.transport is Transport.WEB_SOCKETS

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn whatever the SDK raises into a `DeliveryError`.

        Raises:
            DeliveryError: in place of the SDK's error.
        """
        with translated(self.place.resource, self.identity):
            yield

    async def check_token(self) -> None:
        """Make sure of a token, since the SDKs hide why they got none.

        Raises:
            DeliveryError: there is none.
        """
        async with asyncio.timeout(CALL):
            await self.identity.check(self.place.resource.audience)
