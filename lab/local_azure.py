"""A local Azure: identity, messaging and storage, started together from one plan."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from lab.certificates import kept
from lab.control import Control
from lab.event_grid import EventGrid
from lab.identity.directory import Directory, UnknownNameError, known_role
from lab.identity.endpoint import IdentityEndpoint
from lab.management import Management, postures_of
from lab.messaging.broker import AMQPS_PORT, Broker
from lab.proxy import Proxy
from lab.state_directory import StateDirectory
from lab.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lab.messaging.model import Namespace
    from lab.messaging.switches import Switches
    from lab.plan import App, BlobConnection, Connection, Plan
    from lab.serving import HttpServer

_BEHIND: Final = 15671
"""Where AMQP is served if a proxy stands on the port that clients know."""


class LocalAzure:
    """Everything that an app needs, for as long as the `async with` lasts.

    Args:
        plan: what it holds.
        state_dir: where it keeps what outlives it.
        identity_port: where the identity endpoint listens; 0 takes a free port.
        storage_port: likewise.
        websocket_port: where AMQP over WebSocket is served, if at all.
        switches: what is not known of Azure.
        proxied: whether a proxy stands before each namespace, storage and the identity
            endpoint, on the ports that clients know, to spoil their connections.

    Raises:
        StateInUseError: another lab works with `state_dir`.

    Attributes:
        plan: what it holds.
        directory: who exists and may do what.
        tls: the certificates of everything here.
        endpoint: where apps get their tokens.
        broker: Event Hubs and Service Bus.
        storage: the storage account.
        event_grid: its topics and their subscriptions.
        management: Azure Resource Manager over all of it.
        control: what sees into all of it and makes it misbehave.
        proxies: by the namespaces' names, `storage` and `identity`; none where not proxied.
    """

    def __init__(
        self,
        plan: Plan,
        state_dir: Path,
        *,
        identity_port: int = 0,
        storage_port: int = 0,
        websocket_port: int | None = None,
        event_grid_port: int = 0,
        event_grid_time_scale: float = 1.0,
        management_port: int = 0,
        switches: Switches | None = None,
        proxied: bool = False,
    ) -> None:
        self.plan = plan
        self.proxies: dict[str, Proxy] = {}
        self._state = StateDirectory(state_dir)
        self.directory = Directory(state_dir)
        self.tls = kept(state_dir, _names(plan.namespaces))
        self._ports = {"identity": identity_port, "storage": storage_port} if proxied else None
        self.endpoint = IdentityEndpoint(self.directory, port=0 if proxied else identity_port)
        self.broker = Broker(
            self.directory,
            plan.namespaces,
            self.tls,
            port=_BEHIND if proxied else AMQPS_PORT,
            websocket_port=websocket_port,
            switches=switches,
        )
        self.storage = Storage(
            self.directory,
            self.tls,
            state_dir=state_dir,
            port=0 if proxied else storage_port,
            account=plan.account,
        )
        self.event_grid = EventGrid(
            self.directory,
            plan.topics,
            self.tls,
            account_url=lambda: self.storage.url,
            port=event_grid_port,
            time_scale=event_grid_time_scale,
        )
        self.management = Management(
            self.directory,
            self.tls,
            postures_of(
                [each.resource_id for each in plan.namespaces],
                next((n.resource_id for n in plan.namespaces if n.name == "ingress"), ""),
                self.storage.resource_id,
            ),
            port=management_port,
        )
        self.control = Control(self)
        self._running = AsyncExitStack()
        _fill(self.directory, plan)

    async def __aenter__(self) -> Self:
        """Start all of it, or nothing.

        Raises:
            OSError: an address or a port is taken.
            AzuriteError: storage can't be had.
        """
        async with AsyncExitStack() as starting:
            starting.callback(self._state.release)
            parts = (
                self.endpoint,
                self.broker,
                self.storage,
                self.event_grid,
                self.management,
            )
            for part in parts:
                await part.start()
                starting.push_async_callback(part.stop)
            starting.push_async_callback(self._let_through)
            await self._stand_before()
            for container in self.plan.containers:
                await self.storage.create_container(container)
            self._running = starting.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop all of it."""
        await self._running.aclose()

    async def _stand_before(self) -> None:
        """Put a proxy before everything, if that is wanted."""
        if self._ports is None:
            return
        for namespace in self.plan.namespaces:
            upstream = namespace.address, self.broker.port
            await self._proxy(namespace.name, upstream, AMQPS_PORT)
        for name, server in (
            ("identity", self.endpoint.server),
            ("storage", self.storage.server),
        ):
            await self._proxy_http(name, server, self._ports[name])

    async def _proxy_http(self, name: str, server: HttpServer, port: int) -> None:
        await self._proxy(name, (server.address, server.port), port)
        server.front = self.proxies[name].port

    async def _proxy(self, name: str, upstream: tuple[str, int], port: int) -> None:
        self.proxies[name] = Proxy(f"the proxy before {name}", upstream, port=port)
        await self.proxies[name].start()

    async def _let_through(self) -> None:
        for proxy in self.proxies.values():
            await proxy.stop()

    def namespace(self, name: str) -> Namespace:
        """Find a namespace by name.

        Raises:
            UnknownNameError: there is none.
        """
        found = {each.name: each for each in self.plan.namespaces}
        if name not in found:
            raise UnknownNameError("namespace", name, found)
        return found[name]

    def settings(self, app: str) -> dict[str, str]:
        """Return the settings that `app` of the plan needs here, and would need in Azure.

        Raises:
            UnknownNameError: the plan has no such app.
        """
        found = {each.name: each for each in self.plan.apps}
        if app not in found:
            raise UnknownNameError("app", app, found)
        return self.access(app) | dict(self._connections(found[app]))

    def access(self, app: str) -> dict[str, str]:
        """Return what is only needed here: where this Azure is, and the CA to trust."""
        return self.endpoint.settings(app) | {
            "RELAY_CA_FILE": str(self.tls.ca_file),
            "RELAY_MANAGEMENT_URL": self.management.url,
        }

    def _connections(self, app: App) -> Iterable[tuple[str, str]]:
        for connection in app.connections:
            yield from self._connection(connection).items()
        for blobs in app.blobs:
            yield from self._blobs(blobs).items()
        for topic in app.topics:
            yield f"{topic.name}__topicEndpointUri", self.event_grid.endpoint(topic.topic)
            yield f"{topic.name}__credential", "managedidentity"
        yield from app.settings

    def _connection(self, connection: Connection) -> Mapping[str, str]:
        namespace = self.namespace(connection.namespace)
        settings = {
            "fullyQualifiedNamespace": namespace.address,
            "credential": "managedidentity",
            "resourceId": namespace.resource_id,
        }
        if connection.identity:
            settings["clientId"] = self.directory.principal(connection.identity).client_id
        return {f"{connection.name}__{name}": value for name, value in settings.items()}

    def _blobs(self, blobs: BlobConnection) -> Mapping[str, str]:
        settings = {
            f"{blobs.name}__blobServiceUri": self.storage.url,
            f"{blobs.name}__credential": "managedidentity",
        }
        if blobs.container:
            settings[f"{blobs.name}__resourceId"] = self.storage.resource_id
            settings[f"{blobs.name}_CONTAINER"] = blobs.container
        return settings


def _fill(directory: Directory, plan: Plan) -> None:
    for app in plan.apps:
        directory.register(app.name, app=app.name, system_assigned=True)
        for name in app.user_assigned:
            directory.register(name, app=app.name)
    for grant in plan.grants:
        identity = directory.principal(grant.identity).object_id
        directory.grant(identity, known_role(grant.role).id, grant.scope)


def _names(namespaces: Iterable[Namespace]) -> list[str]:
    return ["localhost", "127.0.0.1", *(each.address for each in namespaces)]
