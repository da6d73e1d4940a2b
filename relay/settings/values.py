"""What the relay was told, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from relay.clouds import PUBLIC, Cloud
from relay.settings.telemetry import NO_TELEMETRY, TelemetrySettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from relay.permissions import Action
    from relay.routing import Kind, Route
    from relay.settings.problems import Problem


class Transport(StrEnum):
    """How AMQP travels; the value is the setting's."""

    AMQP = "amqp"
    WEB_SOCKETS = "amqpWebSockets"


class Network(StrEnum):
    """From where a name is to be reached; the value is the setting's."""

    PRIVATE = "private"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """Which of the app's identities; the system-assigned one where nothing is said.

    Attributes:
        client_id: of a user-assigned identity.
        resource_id: of a user-assigned identity; only one of the two is set.
    """

    client_id: str = ""
    resource_id: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return (
            f"user-assigned identity {self.selector}"
            if self.selector
            else "system-assigned identity"
        )

    @property
    def selector(self) -> str:
        """What tells it from the app's others; `""` for the system-assigned one."""
        return self.client_id or self.resource_id


SYSTEM_ASSIGNED: Final = ManagedIdentity()


@dataclass(frozen=True, slots=True)
class Connection:
    """A namespace and the identity to use for it.

    Attributes:
        name: the settings' prefix.
        namespace: its fully qualified host name.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        transport: AMQP on port 5671, or over WebSockets on port 443.
        resource_id: the namespace's resource id, so that refusals name exact scopes; or `""`.
        identity_id: the resource id of a user-assigned identity, in place of the client id.
        network: whether its name must resolve to a private address.
    """

    name: str
    namespace: str
    client_id: str = ""
    transport: Transport = Transport.AMQP
    resource_id: str = ""
    identity_id: str = ""
    network: Network = Network.PRIVATE

    @property
    def identity(self) -> ManagedIdentity:
        """Who uses it."""
        return ManagedIdentity(self.client_id, self.identity_id)


@dataclass(frozen=True, slots=True)
class Ingress:
    """Where events come in.

    Attributes:
        connection: the namespace, and by whom it is read.
        kind: what the entity is.
        entity: the hub, queue or topic.
        group: the hub's consumer group or the topic's subscription; `""` for a queue.
    """

    connection: Connection
    kind: Kind
    entity: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """Where dead letters go.

    Attributes:
        service_uri: of the storage account's Blob service.
        name: of the container.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        resource_id: the storage account's resource id, or `""`.
        identity_id: the resource id of a user-assigned identity, in place of the client id.
        network: whether its name must resolve to a private address.
        encryption_scope: the account's scope to encrypt what is written with, or `""`.
    """

    service_uri: str
    name: str
    client_id: str = ""
    resource_id: str = ""
    identity_id: str = ""
    network: Network = Network.PRIVATE
    encryption_scope: str = ""

    @property
    def identity(self) -> ManagedIdentity:
        """Who uses it."""
        return ManagedIdentity(self.client_id, self.identity_id)


@dataclass(frozen=True, slots=True)
class ServiceBusIngress:
    """The queue, or the topic's subscription, that events come in by.

    Attributes:
        session: whether the entity demands sessions.
        batches: whether the host hands over many messages at once, or one by one.
    """

    ingress: Ingress
    session: bool = False
    batches: bool = False

    @property
    def name(self) -> str:
        """The entity's name in its namespace."""
        group = self.ingress.group
        return f"{self.ingress.entity}/{group}" if group else self.ingress.entity


@dataclass(frozen=True, slots=True)
class Access:
    """Whose tokens are believed.

    Attributes:
        tenant: the Entra tenant's GUID.
        audiences: what a token may be meant for, each a client id or an `api://` address.
        authority: where the tenant publishes its keys.
    """

    tenant: str
    audiences: tuple[str, ...]
    authority: str


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP surface for operators.

    Attributes:
        access: whose tokens are believed.
        roles: the custom roles, and what each allows.
        contact: whom to ask for a role, `""` if nobody is named.
        trusts_app_service: whether App Service Authentication stands in front and is believed.
    """

    access: Access
    roles: Mapping[str, frozenset[Action]]
    contact: str = ""
    trusts_app_service: bool = False


@dataclass(frozen=True, slots=True)
class TwinsInstance:
    """Where the CORS proxy leads, and for whose pages.

    Attributes:
        address: of the instance, such as `https://plant.api.weu.digitaltwins.azure.net`.
        origins: of the pages that may use it, such as `https://explorer.example.com`.
    """

    address: str
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServiceTags:
    """The list of service tags that the rules were made of, and who looks for a newer one.

    Attributes:
        file: the list.
        subscription: any that the identity may read; `""` if nobody looks.
        location: an Azure region, which chooses the version of the list.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        gate: the tag from whose addresses the webhook may be called; `""` for everywhere.
        proxies: how many in front of the app add to `X-Forwarded-For`.
    """

    file: Path
    subscription: str = ""
    location: str = ""
    client_id: str = ""
    gate: str = ""
    proxies: int = 1

    @property
    def identity(self) -> ManagedIdentity:
        """Who looks."""
        return ManagedIdentity(self.client_id)


@dataclass(frozen=True, slots=True)
class HttpIngress:
    """The webhook that events come in by.

    Attributes:
        role: the app role that a caller must have; `""` if none is asked for.
        applications: the client ids of which the caller must have one; none if all will do.
        origins: who may ask to send, by the names that they give themselves; `*` for all.
        keeps_malformed: whether what is no event becomes a dead letter, or is refused.
        largest_body: bytes that a request may have.
    """

    access: Access
    role: str = ""
    applications: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    keeps_malformed: bool = True
    largest_body: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WaysIn:
    """Which ways in there are.

    Attributes:
        event_grid: whether a topic's subscription calls the Event Grid trigger.
    """

    event_hub: Ingress | None = None
    service_bus: ServiceBusIngress | None = None
    event_grid: bool = False
    http: HttpIngress | None = None

    @property
    def entities(self) -> tuple[Ingress, ...]:
        """Those that the host reads by an identity."""
        bus = self.service_bus and self.service_bus.ingress
        return tuple(each for each in (self.event_hub, bus) if each)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the relay was told.

    Attributes:
        routes: in their declared order.
        connections: by name; each that a route uses.
        dead_letters: where dead letters go.
        event_grid_source: the `source` of events in Event Grid's schema, which has none.
        ca_file: a CA to trust instead of the public ones; the AMQP clients ask no environment.
        shortcuts: whether faster ways past the code of others are taken, where they are known
            to end alike.
        telemetry: where telemetry goes.
        budget: seconds for settling one batch, well within what the host grants.
        ways_in: which ways in there are.
        prefix: how the names of this relay's settings begin, where an app holds several.
        host_storage: where the Functions host keeps its own, whole account; if it says.
        cloud: which of Azure's clouds all of it is in.
        management: the endpoint of Azure Resource Manager, where it is not the cloud's.
        warnings: what is let through though it should not stay.
        api: the HTTP surface for operators; `None` if it is off.
        twins: where the CORS proxy leads; `None` if it is off.
        service_tags: the list of addresses, if one is deployed.
        streams: whether the HTTP functions of the whole app take and give bodies as they come.
    """

    routes: tuple[Route, ...]
    connections: Mapping[str, Connection]
    dead_letters: Container
    event_grid_source: str | None = None
    ca_file: str | None = None
    shortcuts: bool = True
    budget: float = 120.0
    telemetry: TelemetrySettings = NO_TELEMETRY
    ways_in: WaysIn = WaysIn()
    prefix: str = ""
    host_storage: Container | None = None
    cloud: Cloud = PUBLIC
    management: str = ""
    warnings: tuple[Problem, ...] = ()
    api: Api | None = None
    twins: TwinsInstance | None = None
    service_tags: ServiceTags | None = None
    streams: bool = False

    @property
    def name(self) -> str:
        """The relay's name, where an app holds several: the prefix in lower case; else `""`."""
        return self.prefix.rstrip("_").lower()

    @property
    def management_url(self) -> str:
        """Where Azure Resource Manager is asked."""
        return self.management or self.cloud.management

    @property
    def path(self) -> str:
        """How the paths of its HTTP functions begin, where an app holds several; else `""`."""
        return f"{self.name.replace('_', '-')}/" if self.name else ""
