"""The weekly look: whether the list that the rules were made of is still the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.failures import DeliveryError
from relay.observer import ServiceTagsLooked, ServiceTagsRefused
from relay.operations.service_tags.comparing import Side, compare
from relay.operations.service_tags.discovery import DiscoveryError
from relay.operations.service_tags.tags import DIGITAL_TWINS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.observer import Observer
    from relay.operations.service_tags.tags import TagList


class Watch:
    """Compares the list of today with the one that the rules were made of.

    Regions are not told apart: the Discovery API knows the whole only.

    Args:
        known: the list that was deployed with the app.
        discover: asks for the list of today.
        observe: hears what was found.
    """

    def __init__(
        self,
        known: TagList,
        discover: Callable[[], Awaitable[TagList]],
        observe: Observer,
    ) -> None:
        self._known = known
        self._discover = discover
        self._observe = observe

    async def look(self) -> None:
        """Look once, and tell.

        Raises:
            DiscoveryError: there is no list of today.
        """
        old, new = _side(self._known), _side(await self._list_of_today())
        found = compare(old, new)
        self._observe(
            ServiceTagsLooked(
                DIGITAL_TWINS,
                tuple(map(str, found.added)),
                tuple(map(str, found.removed)),
            )
        )

    async def _list_of_today(self) -> TagList:
        try:
            return await self._discover()
        except DiscoveryError as error:
            if error.reason.is_refusal:
                self._observe(ServiceTagsRefused(DeliveryError(error.reason, str(error))))
            raise


def _side(tags: TagList) -> Side:
    selection = tags.select()
    return Side(frozenset(selection.networks), selection.change_number, selection.cloud)
