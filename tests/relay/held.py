"""What the lab's entities hold, read in them: quicker than through a consumer, and as often as
one likes. That consumers get the same is asked of the lab elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from lab.local_azure import LocalAzure
from lab.messaging.event_hubs import EventHubs
from lab.messaging.message import decode_message
from lab.messaging.service_bus import ServedQueue, ServiceBus

_ALL = 10**6


def in_hub(azure: LocalAzure, namespace: str, hub: str) -> list[str]:
    """Return the ids of the events of a hub, partition after partition."""
    service = azure.broker._sites[namespace].service
    assert isinstance(service, EventHubs)
    log = service.log(hub)
    assert log is not None
    return _ids(
        record.payload for partition in log.partitions for _, record in partition.read(0, _ALL)
    )


def in_queue(azure: LocalAzure, namespace: str, queue: str) -> list[str]:
    """Return the ids of the events of a queue, in the order in which they came."""
    service = azure.broker._sites[namespace].service
    assert isinstance(service, ServiceBus)
    served = service._served[queue]
    assert isinstance(served, ServedQueue)
    return _ids(message.incoming.sections for message in served.dispatcher.queue.peek(0, _ALL))


def _ids(payloads: Iterable[bytes]) -> list[str]:
    messages = map(decode_message, payloads)
    return [str(message.application_properties["cloudEvents:id"]) for message in messages]
