"""How to make the broker misbehave: what tests, the demo and the control surface call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from lab.messaging.event_hubs import EventHubs
from lab.messaging.node import Error
from lab.messaging.refusals import (
    DETACH_FORCED,
    disabled,
    network_denied,
    not_found,
    throttled,
    tracking,
)
from lab.messaging.trouble import Acknowledgement, Fault, lies_below

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.messaging.session import Link
    from lab.messaging.site import Site


class Faults:
    """Faults by namespace (its name) and entity (its path; `""` is the whole namespace).

    `times` says how often a fault happens, `None` is until `heal`. azure-eventhub sends once
    more by itself when a send fails: a fault that it shall notice must happen twice. An unknown
    namespace raises `KeyError`.
    """

    def __init__(self, sites: Mapping[str, Site]) -> None:
        self._sites = sites

    def struck(self, namespace: str) -> int:
        """Return how often something here has hit a link, a message or an answer so far."""
        return self._sites[namespace].trouble.struck

    # The network

    def deny_network(self, namespace: str) -> None:
        """Let nobody in, as a namespace with network rules does; open links are detached."""
        site = self._sites[namespace]
        site.trouble.network_denied = True
        _detach(site, "", lambda _: network_denied())

    def allow_network(self, namespace: str) -> None:
        """Let everybody in again."""
        self._sites[namespace].trouble.network_denied = False

    def cut_connections(self, namespace: str) -> None:
        """Abort every connection, as a gateway that is replaced does."""
        site = self._sites[namespace]
        for connection in tuple(site.connections):
            site.trouble.struck += 1
            connection.cut()

    def freeze(self, namespace: str) -> None:
        """Accept bytes and answer nothing."""
        self._sites[namespace].trouble.frozen = True

    def thaw(self, namespace: str) -> None:
        """Answer again, beginning with what came meanwhile."""
        site = self._sites[namespace]
        site.trouble.frozen = False
        for connection in tuple(site.connections):
            connection.thaw()

    # Sending

    def throttle(self, namespace: str, entity: str = "", times: int | None = None) -> None:
        """Reject sends because there are too many."""
        site = self._sites[namespace]
        error = lambda: throttled(site.namespace.service)  # noqa: E731 - made anew each time
        site.trouble.sending.append(Fault(entity, error, times))

    def reject(
        self,
        namespace: str,
        entity: str,
        condition: str,
        times: int | None = None,
        text: str = "The lab was told to reject this.",
    ) -> None:
        """Reject sends with a condition."""
        error = Error(condition, f"{text} {tracking('lab')}")
        self._sites[namespace].trouble.sending.append(Fault(entity, lambda: error, times))

    def drop_acknowledgements(
        self,
        namespace: str,
        entity: str = "",
        times: int | None = None,
        then: Literal["silence", "cut"] = "silence",
    ) -> None:
        """Take what is sent and do not say so: never answer, or cut the connection."""
        fate = Acknowledgement.CUT if then == "cut" else Acknowledgement.DROPPED
        self._sites[namespace].trouble.acknowledging.append(Fault(entity, fate, times))

    # Links and entities

    def refuse_links(
        self,
        namespace: str,
        entity: str,
        condition: str,
        times: int | None = None,
        text: str = "The lab was told to refuse this.",
    ) -> None:
        """Refuse links that attach with a condition."""
        error = Error(condition, f"{text} {tracking('lab')}")
        self._sites[namespace].trouble.attaching.append(Fault(entity, lambda: error, times))

    def detach_links(
        self, namespace: str, entity: str = "", condition: str = DETACH_FORCED
    ) -> None:
        """Detach the links that are open now."""
        _detach(
            self._sites[namespace],
            entity,
            lambda link: Error(
                condition,
                f"The link '{link.request.name}' is force detached. Code: ServerError. "
                f"{tracking('lab')}",
            ),
        )

    def expire_idle_links(self, namespace: str) -> None:
        """Detach the links that are open now as if they had carried nothing for too long."""
        site = self._sites[namespace]
        site.trouble.struck += sum(1 for _ in site.links())
        for connection in tuple(site.connections):
            connection.expire_links(math.inf)

    def disable(self, namespace: str, entity: str) -> None:
        """Switch an entity off; its links are detached."""
        site = self._sites[namespace]
        site.trouble.disabled.add(entity.lower())
        _detach(site, entity, lambda link: disabled(link.peer.host, link.path))

    def delete(self, namespace: str, entity: str) -> None:
        """Let an entity be gone; its links are detached, its messages stay for `restore`."""
        site = self._sites[namespace]
        site.trouble.deleted.add(entity.lower())
        service = site.namespace.service
        _detach(site, entity, lambda link: not_found(link.peer.host, link.path, service))

    def restore(self, namespace: str, entity: str) -> None:
        """Bring an entity back that was disabled or deleted."""
        trouble = self._sites[namespace].trouble
        trouble.disabled.discard(entity.lower())
        trouble.deleted.discard(entity.lower())

    def recreate(self, namespace: str, hub: str, partitions: int) -> str:
        """Replace a hub by an empty one with so many partitions; its links are detached.

        Returns the name under which the old one can be read.
        """
        site, hubs = self._sites[namespace], self._hubs(namespace)
        _detach(site, hub, lambda link: not_found(link.peer.host, link.path, "eventhubs"))
        return hubs.recreate(hub, partitions)

    def add_partitions(self, namespace: str, hub: str, count: int) -> None:
        """Add partitions to a hub; links stay open."""
        self._hubs(namespace).add_partitions(hub, count)

    def _hubs(self, namespace: str) -> EventHubs:
        service = self._sites[namespace].service
        assert isinstance(service, EventHubs), f"{namespace} holds no hubs"
        return service

    def heal(self, namespace: str) -> None:
        """End every fault."""
        self._sites[namespace].trouble.end()
        self.thaw(namespace)


def _detach(site: Site, entity: str, error: Callable[[Link], Error]) -> None:
    for link in site.links():
        if lies_below(link.path, entity):
            site.trouble.struck += 1
            link.detach(error(link))
