"""One namespace as its connections see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lab.messaging.node import Refusal
from lab.messaging.refusals import disabled, network_denied, not_found
from lab.messaging.switches import Limits, Switches
from lab.messaging.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.identity import Directory
    from lab.messaging.connection import Connection
    from lab.messaging.model import Namespace
    from lab.messaging.node import Service
    from lab.messaging.session import Link

_AUDIENCES: Final = {
    "eventhubs": ("https://eventhubs.azure.net",),
    "servicebus": ("https://servicebus.azure.net",),
}


@dataclass(slots=True)
class Site:
    """A namespace: what it holds, what is wrong with it, who is connected.

    Attributes:
        namespace: what it is.
        service: its nodes.
        directory: who may do what.
        switches: behaviour that may be chosen.
        limits: sizes and times.
        trouble: what is wrong just now.
        connections: those that are open.
    """

    namespace: Namespace
    service: Service
    directory: Directory
    switches: Switches = field(default_factory=Switches)
    limits: Limits = field(default_factory=Limits)
    trouble: Trouble = field(default_factory=Trouble)
    connections: set[Connection] = field(default_factory=set)

    @property
    def audiences(self) -> Sequence[str]:
        """For which services a token must be."""
        return _AUDIENCES[self.namespace.service]

    @property
    def link_idle(self) -> float:
        """How long a link may carry nothing, seconds."""
        if self.namespace.service == "eventhubs":
            return self.limits.event_hubs_link_idle
        return self.limits.service_bus_link_idle

    def links(self) -> Iterator[Link]:
        """Yield every link to an entity; the caller may end them."""
        for connection in tuple(self.connections):
            for link in connection.links():
                if not link.is_internal:
                    yield link

    def admit(self, host: str, path: str) -> None:
        """Raise `Refusal` if no link to `path` may attach just now, whoever asks."""
        if self.trouble.network_denied:
            raise Refusal(network_denied())
        if self.trouble.is_deleted(path):
            raise Refusal(not_found(host, path, self.namespace.service))
        if self.trouble.is_disabled(path):
            raise Refusal(disabled(host, path))
        error = self.trouble.on_attach(path)
        if error is not None:
            raise Refusal(error)
