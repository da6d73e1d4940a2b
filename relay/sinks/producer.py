"""An azure-eventhub client whose links to a hub's partitions are opened before they are needed.

The SDK opens the link to a partition when there is something to send over it, and asks for the
hub's partitions before, over a connection of its own, although the relay knows them. Either
takes it about half a second, which it mostly sleeps away
([why](../../docs/decisions/0021-links-ahead-of-events.md)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.eventhub.aio import EventHubProducerClient

if TYPE_CHECKING:
    from collections.abc import Sequence


class Producer(EventHubProducerClient):
    """The SDK's client, told what it would ask for."""

    def know(self, partitions: Sequence[str]) -> None:
        """Know a hub's partitions, those that were added included."""
        self._partition_ids = list(partitions)  # type: ignore[assignment] # the SDK's own says so
        for partition in partitions:
            self._producers.setdefault(partition, None)

    async def link(self, partition: str) -> None:
        """Open the link to a partition that is known, unless it is open.

        Raises:
            azure.eventhub.exceptions.EventHubError: the hub did not let it.
        """
        await self._start_producer(partition, None)
        producer = self._producers[partition]
        assert producer is not None
        async with producer._lock:  # noqa: SLF001 - who sends meanwhile waits for this link
            await producer._open_with_retry()  # noqa: SLF001 - as the SDK opens its first link


def links_are_known() -> bool:
    """Whether the SDK's client has what this one uses."""
    nobody: Any = None
    try:
        client: Any = EventHubProducerClient("any.invalid", "any", nobody)
        [first] = client._producers.values()  # noqa: SLF001 - see above
    except Exception:  # noqa: BLE001 - whatever it is, the SDK opens its links itself
        return False
    used = (
        (client, ("_partition_ids", "_start_producer")),
        (first, ("_lock", "_open_with_retry")),
    )
    return all(hasattr(owner, name) for owner, names in used for name in names)
