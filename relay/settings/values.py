"""What the relay was told, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.routing import Route


class Transport(StrEnum):
    """How AMQP travels; the value is the setting's."""

    AMQP = "amqp"
    WEB_SOCKETS = "amqpWebSockets"


@dataclass(frozen=True, slots=True)
class Connection:
    """A namespace and the identity to use for it.

    Attributes:
        name: the settings' prefix.
        namespace: its fully qualified host name.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        transport: AMQP on port 5671, or over WebSockets on port 443.
        resource_id: the namespace's resource id, so that refusals name exact scopes; or `""`.
    """

    name: str
    namespace: str
    client_id: str = ""
    transport: Transport = Transport.AMQP
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """Where dead letters go.

    Attributes:
        service_uri: of the storage account's Blob service.
        name: of the container.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        resource_id: the storage account's resource id, or `""`.
    """

    service_uri: str
    name: str
    client_id: str = ""
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the relay was told.

    Attributes:
        routes: in their declared order.
        connections: by name; each that a route uses.
        dead_letters: where dead letters go.
        event_grid_source: the `source` of events in Event Grid's schema, which has none.
        ca_file: a CA to trust instead of the public ones; the AMQP clients ask no environment.
        budget: seconds for settling one batch, well within what the host grants.
    """

    routes: tuple[Route, ...]
    connections: Mapping[str, Connection]
    dead_letters: Container
    event_grid_source: str | None = None
    ca_file: str | None = None
    budget: float = 120.0
