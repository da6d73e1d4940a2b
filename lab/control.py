"""The local Azure's control surface: see into it, and make it misbehave.

One implementation for tests, the demo and whoever types: the names of things are those of the
plan, and a scope may be written short, as `analytics/twin-changes` or `dead-letters`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from lab.event_grid import HandshakeFailed, Subscription
from lab.event_grid.model import SCHEMAS
from lab.event_grid.tokens import SPOILT
from lab.identity.directory import UnknownNameError
from lab.messaging.model import Hub, Queue, Topic
from lab.misbehaviour import HttpFault
from lab.proxy import (
    BOTH,
    Bandwidth,
    Latency,
    Outage,
    Reset,
    Silence,
    Slicer,
    SlowClose,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.event_grid.model import Schema
    from lab.local_azure import LocalAzure
    from lab.messaging.model import Namespace
    from lab.proxy import Proxy, Toxic


class Control:
    """What can be seen and done."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    # Roles and tokens

    def grant(self, identity: str, role: str, scope: str) -> None:
        """Assign a role.

        Raises:
            UnknownNameError: no such identity, role or scope.
        """
        self._azure.directory.grant(identity, role, self.scope(scope))

    def revoke(self, identity: str, role: str, scope: str) -> None:
        """Take a role away; links that are open feel it at once.

        Raises:
            UnknownNameError: no such identity, role, scope or assignment.
        """
        self._azure.directory.revoke(identity, role, self.scope(scope))

    def set_token_lifetime(self, seconds: float) -> None:
        """Let tokens that are issued from now on be good for so long."""
        self._azure.directory.token_lifetime = timedelta(seconds=seconds)

    def expire_tokens(self, identity: str = "") -> None:
        """End every token issued so far, of one identity or of all."""
        self._azure.directory.expire_tokens(identity or None)

    def set_role_delay(self, seconds: float) -> None:
        """Let roles that are granted from now on take effect so much later."""
        self._azure.directory.role_delay = seconds

    def set_token_clock(self, seconds: float) -> None:
        """Let the issuer's clock be so far ahead, or behind if below zero."""
        self._azure.directory.clock_ahead = seconds

    def forge_claim(self, claim: str, value: str) -> None:
        """Let this stand in every token that is issued from now on."""
        self._azure.directory.forged[claim] = value

    def unforge_claims(self) -> None:
        """Let tokens tell the truth again."""
        self._azure.directory.forged.clear()
        self._azure.directory.clock_ahead = 0.0

    # What Azure Resource Manager says

    def allow_keys(self, scope: str) -> None:
        """Let keys open a namespace or the account too.

        Raises:
            UnknownNameError: no such scope.
        """
        self._azure.management.set_posture(self.scope(scope), local_auth=True)

    def forbid_keys(self, scope: str) -> None:
        """Let tokens alone open a namespace or the account."""
        self._azure.management.set_posture(self.scope(scope), local_auth=False)

    def except_trusted_services(self, namespace: str) -> None:
        """Let trusted services past a namespace's firewall."""
        self._azure.management.set_posture(self.scope(namespace), trusted_services=True)

    def stop_trusted_services(self, namespace: str) -> None:
        """Let a namespace's firewall stop trusted services too."""
        self._azure.management.set_posture(self.scope(namespace), trusted_services=False)

    # The identity endpoint

    def refuse_identity(self, status: int, times: int | None = None) -> None:
        """Let the identity endpoint answer with this status, so often or for ever."""
        self._azure.endpoint.faults.fault = HttpFault(status=status, times=times)

    def delay_identity(self, seconds: float) -> None:
        """Let the identity endpoint take its time."""
        self._azure.endpoint.faults.fault = HttpFault(seconds=seconds)

    def garble_identity(self) -> None:
        """Let the identity endpoint answer with what is no JSON."""
        self._azure.endpoint.faults.fault = HttpFault(body='{"access_token": ')

    async def stop_identity(self) -> None:
        """Let nobody listen where the identity endpoint was."""
        await self._azure.endpoint.stop()
        for proxy in self._proxies_of("identity"):
            await proxy.down()

    async def allow_identity(self) -> None:
        """Let the identity endpoint do everything right again."""
        self._azure.endpoint.faults.fault = None
        if not self._azure.endpoint.running:
            await self._azure.endpoint.start()
        for proxy in self._proxies_of("identity"):
            await proxy.up()

    # Messaging

    def deny_network(self, namespace: str) -> None:
        """Let the namespace's firewall refuse everybody."""
        self._azure.broker.faults.deny_network(self._namespace(namespace))

    def allow_network(self, namespace: str) -> None:
        """Let everybody in again."""
        self._azure.broker.faults.allow_network(self._namespace(namespace))

    def throttle(self, namespace: str, entity: str = "", times: int | None = None) -> None:
        """Let the next `times` sends, or all, be refused as too many."""
        self._azure.broker.faults.throttle(*self._place(namespace, entity), times)

    def reject(
        self, namespace: str, condition: str, entity: str = "", times: int | None = None
    ) -> None:
        """Let the next `times` sends, or all, be rejected with an AMQP condition."""
        self._azure.broker.faults.reject(*self._place(namespace, entity), condition, times)

    def refuse_links(
        self, namespace: str, condition: str, entity: str = "", times: int | None = None
    ) -> None:
        """Let the next `times` links, or all, be refused with an AMQP condition."""
        self._azure.broker.faults.refuse_links(
            *self._place(namespace, entity), condition, times
        )

    def drop_acknowledgements(
        self, namespace: str, entity: str = "", times: int | None = None
    ) -> None:
        """Let what is sent be taken and never be answered."""
        self._azure.broker.faults.drop_acknowledgements(*self._place(namespace, entity), times)

    def cut_acknowledgements(
        self, namespace: str, entity: str = "", times: int | None = None
    ) -> None:
        """Let what is sent be taken, and the connection be cut in the answer's place."""
        place = self._place(namespace, entity)
        self._azure.broker.faults.drop_acknowledgements(*place, times, then="cut")

    def disable(self, namespace: str, entity: str) -> None:
        """Switch an entity off."""
        self._azure.broker.faults.disable(*self._place(namespace, entity))

    def delete(self, namespace: str, entity: str) -> None:
        """Let an entity be gone, with its links."""
        self._azure.broker.faults.delete(*self._place(namespace, entity))

    def restore(self, namespace: str, entity: str) -> None:
        """Bring back an entity that was disabled or deleted."""
        self._azure.broker.faults.restore(*self._place(namespace, entity))

    def recreate(self, namespace: str, hub: str, partitions: int) -> str:
        """Replace a hub by an empty one of that name, with so many partitions.

        Returns the name under which the old one can still be read, to count what it got.

        Raises:
            UnknownNameError: no such hub.
            ValueError: a hub has at least one partition.
        """
        name, entity = self._hub(namespace, hub)
        return self._azure.broker.faults.recreate(name, entity, _some(partitions))

    def add_partitions(self, namespace: str, hub: str, count: int) -> None:
        """Add partitions to a hub while it is in use, as its dearer tiers allow.

        Raises:
            UnknownNameError: no such hub.
        """
        name, entity = self._hub(namespace, hub)
        self._azure.broker.faults.add_partitions(name, entity, _some(count))

    def freeze(self, namespace: str) -> None:
        """Let the namespace take bytes and answer nothing."""
        self._azure.broker.faults.freeze(self._namespace(namespace))

    def thaw(self, namespace: str) -> None:
        """Let a frozen namespace answer, beginning with what came meanwhile."""
        self._azure.broker.faults.thaw(self._namespace(namespace))

    def cut(self, namespace: str) -> None:
        """Cut every connection to the namespace."""
        self._azure.broker.faults.cut_connections(self._namespace(namespace))

    def detach(self, namespace: str, entity: str = "") -> None:
        """Force-detach every link to an entity, or to all of the namespace."""
        self._azure.broker.faults.detach_links(*self._place(namespace, entity))

    def expire_idle(self, namespace: str) -> None:
        """Force-detach every link of the namespace as one that was idle for too long."""
        self._azure.broker.faults.expire_idle_links(self._namespace(namespace))

    def heal(self, namespace: str) -> None:
        """Let the namespace do everything right again."""
        self._azure.broker.faults.heal(self._namespace(namespace))

    # Storage

    def refuse_storage(
        self,
        status: int,
        code: str,
        times: int | None = None,
        container: str = "",
        acts: str = "",
    ) -> None:
        """Let storage, or one container, answer with this status and error code.

        `acts` names the kinds of requests that it concerns, such as `write lease`: `read`,
        `write`, `delete`, `lease`; all where none is named.

        Raises:
            UnknownNameError: no such container.
            ValueError: no such kind of requests.
        """
        known = self._container(container)
        self._azure.storage.refuse(status, code, times, known, acts.split())

    def silence_storage(self, container: str = "", acts: str = "") -> None:
        """Let storage, or one container, take requests and answer none.

        Raises:
            UnknownNameError: no such container.
            ValueError: no such kind of requests.
        """
        self._azure.storage.stop_answering(self._container(container), acts.split())

    def delay_storage(self, seconds: float, container: str = "", acts: str = "") -> None:
        """Let storage, or one container, take its time.

        Raises:
            UnknownNameError: no such container.
            ValueError: no such kind of requests.
        """
        self._azure.storage.slow(seconds, self._container(container), acts.split())

    def allow_storage(self) -> None:
        """Let storage do everything right again."""
        self._azure.storage.allow()

    # Event Grid

    async def subscribe(
        self,
        topic: str,
        name: str,
        url: str,
        schema: str = "",
        dead_letters: str = "",
        audience: str = "",
        batch: int = 1,
    ) -> None:
        """Let a webhook have what is published to a topic, if it consents.

        Raises:
            UnknownNameError: no such topic or container.
            ValueError: the webhook did not consent, or something can't be had so.
        """
        own: Schema = self._azure.event_grid.schema(topic)
        known: dict[str, Schema] = {each: each for each in SCHEMAS}
        if schema and schema not in known:
            raise UnknownNameError("schema", schema, known)
        subscription = Subscription(
            name,
            url,
            known.get(schema, own),
            max_events_per_batch=batch,
            dead_letters=self._container(dead_letters),
            audience=audience,
        )
        try:
            await self._azure.event_grid.subscribe(topic, subscription)
        except HandshakeFailed as error:
            raise ValueError(str(error)) from error

    async def unsubscribe(self, topic: str, name: str) -> None:
        """End a subscription; what is on its way is forgotten."""
        await self._azure.event_grid.unsubscribe(topic, name)

    def refuse_publishing(self, topic: str, status: int, times: int | None = None) -> None:
        """Let a topic answer those who publish with this status."""
        faults = self._azure.event_grid.faults(topic)
        faults.publishing.fault = HttpFault(status=status, times=times)

    def hold_deliveries(self, topic: str) -> None:
        """Let a topic take events and deliver none."""
        self._azure.event_grid.faults(topic).hold()

    def release_deliveries(self, topic: str) -> None:
        """Let a topic deliver what was held."""
        self._azure.event_grid.faults(topic).release()

    def duplicate_deliveries(self, topic: str, times: int | None = None) -> None:
        """Let a topic deliver the next `times` requests, or all, twice."""
        self._azure.event_grid.faults(topic).duplicate(times)

    def disorder_deliveries(self, topic: str) -> None:
        """Let a topic deliver what waits in the order opposite to its publication."""
        self._azure.event_grid.faults(topic).disorder()

    def heal_topic(self, topic: str) -> None:
        """Let a topic do everything right again."""
        self._azure.event_grid.faults(topic).heal()

    def spoil_webhook_tokens(self, what: str) -> None:
        """Let webhooks be shown tokens in which something is wrong.

        Raises:
            UnknownNameError: no such thing can be wrong.
        """
        found = {each: each for each in SPOILT}
        if what not in found:
            raise UnknownNameError("way to spoil a token", what, found)
        self._azure.event_grid.tokens.spoilt = found[what]

    def mend_webhook_tokens(self) -> None:
        """Let webhooks be shown good tokens again."""
        self._azure.event_grid.tokens.spoilt = None

    # The way to a place: a namespace, `storage` or `identity`, where a proxy stands before it

    def delay_traffic(
        self, place: str, seconds: float, jitter: float = 0.0, way: str = ""
    ) -> None:
        """Let every byte take longer; `way` is `up`, `down` or both.

        Raises:
            UnknownNameError: no proxy stands before such a place.
            ValueError: there is no such way, or a number is none that can be.
        """
        self._spoil(place, Latency(_more(seconds), _more(jitter)), way)

    def limit_traffic(self, place: str, bytes_per_second: int, way: str = "") -> None:
        """Let no more bytes a second pass, on each connection."""
        self._spoil(place, Bandwidth(_some(bytes_per_second)), way)

    def slice_traffic(self, place: str, size: int, seconds: float = 0.0, way: str = "") -> None:
        """Let bytes come in small parts, with a pause between two."""
        self._spoil(place, Slicer(_some(size), _more(seconds)), way)

    def swallow_traffic(self, place: str, way: str = "") -> None:
        """Let bytes vanish; one way, that is a half-open connection."""
        self._spoil(place, Silence(), way)

    def lose_traffic(self, place: str, seconds: float, every: float) -> None:
        """Let all packets be lost for so many seconds, again and again, from now on."""
        if not 0 < seconds < every:
            raise ValueError(f"{seconds:g} seconds of every {every:g} can't be lost")
        now = asyncio.get_running_loop().time()
        self._spoil(place, Outage(seconds, every, now), "")

    def reset_traffic(self, place: str, after: float = 0.0) -> None:
        """Let connections be reset when they are so old, new ones too."""
        self._spoil(place, Reset(_more(after)), "")

    def close_slowly(self, place: str, seconds: float) -> None:
        """Let nobody hear at once that the other side has closed."""
        self._spoil(place, SlowClose(_more(seconds)), "")

    async def take_down(self, place: str) -> None:
        """Let nobody listen at a place."""
        await self._proxy(place).down()

    async def clear_traffic(self, place: str) -> None:
        """Let everything pass as it should, and somebody listen."""
        self._proxy(place).clear()
        await self._proxy(place).up()

    def _spoil(self, place: str, toxic: Toxic, way: str) -> None:
        self._proxy(place).add(toxic, (Way(way),) if way else BOTH)

    def _proxy(self, place: str) -> Proxy:
        if place not in self._azure.proxies:
            raise UnknownNameError("proxied place", place, self._azure.proxies)
        return self._azure.proxies[place]

    def _proxies_of(self, place: str) -> Iterable[Proxy]:
        return (proxy for name, proxy in self._azure.proxies.items() if name == place)

    # What is

    def struck(self) -> Mapping[str, int]:
        """Return how often faults have hit anybody so far: by namespace, and three more."""
        azure = self._azure
        found = {
            each.name: azure.broker.faults.struck(each.name) for each in azure.plan.namespaces
        }
        found |= {
            "identity endpoint": azure.endpoint.faults.struck,
            "storage": azure.storage.struck,
            "event grid": azure.event_grid.struck(),
        }
        for name, proxy in azure.proxies.items():
            found["identity endpoint" if name == "identity" else name] += proxy.struck
        return found

    def state(self) -> dict[str, object]:
        """Return everything that can be seen, fit for JSON; no token and no key."""
        azure = self._azure
        return {
            "identities": [self._identity(each.name) for each in azure.directory.principals()],
            "token_lifetime_seconds": azure.directory.token_lifetime.total_seconds(),
            "identity_endpoint": {
                "url": azure.endpoint.url,
                "running": azure.endpoint.running,
                "fault": _told(azure.endpoint.faults.fault),
            },
            "messaging": azure.broker.state(),
            "storage": {
                "url": azure.storage.url,
                "running": azure.storage.azurite.running,
                "fault": _told(azure.storage.fault),
            },
            "event_grid": azure.event_grid.state(),
            "struck": self.struck(),
            "scopes": sorted(self.scopes()),
        }

    def scope(self, wanted: str) -> str:
        """Return the resource id that a short name stands for; a resource id is itself.

        Raises:
            UnknownNameError: there is no such name.
        """
        if wanted.startswith("/"):
            return wanted
        known = self.scopes()
        if wanted not in known:
            raise UnknownNameError("scope", wanted, known)
        return known[wanted]

    def scopes(self) -> Mapping[str, str]:
        """Return every scope by its short name."""
        storage = self._azure.storage
        found = {storage.account: storage.resource_id}
        for container in self._azure.plan.containers:
            found[container] = storage.container_id(container)
        for topic in self._azure.plan.topics:
            found[topic.name] = topic.resource_id
        for namespace in self._azure.plan.namespaces:
            found[namespace.name] = namespace.resource_id
            for segments in _below(namespace):
                short = "/".join((namespace.name, *segments[1::2]))
                found[short] = namespace.scope(*segments)
        return found

    def _identity(self, name: str) -> dict[str, object]:
        directory = self._azure.directory
        principal = directory.principal(name)
        return {
            "name": principal.name,
            "client_id": principal.client_id,
            "object_id": principal.object_id,
            "system_assigned": principal.system_assigned,
            "roles": [
                {"role": each.role.name, "role_id": each.role.id, "scope": each.scope}
                for each in directory.assignments()
                if each.object_id == principal.object_id
            ],
        }

    def _namespace(self, name: str) -> str:
        return self._azure.namespace(name).name

    def _hub(self, namespace: str, hub: str) -> tuple[str, str]:
        found = self._azure.namespace(namespace)
        known = [each.name for each in found.entities if isinstance(each, Hub)]
        if hub not in known:
            raise UnknownNameError(f"hub of {namespace}", hub, known)
        return found.name, hub

    def _container(self, name: str) -> str:
        if name and name not in self._azure.plan.containers:
            raise UnknownNameError("container", name, self._azure.plan.containers)
        return name

    def _place(self, namespace: str, entity: str) -> tuple[str, str]:
        """Check an entity's path by its first part: partitions and the like are below."""
        found = self._azure.namespace(namespace)
        known = [each.name for each in found.entities]
        if entity and entity.partition("/")[0] not in known:
            raise UnknownNameError(f"entity of {namespace}", entity, known)
        return found.name, entity


def _below(namespace: Namespace) -> Iterable[tuple[str, ...]]:
    """Yield the end of every resource id in a namespace: kind and name, from the top."""
    for entity in namespace.entities:
        match entity:
            case Hub(name=name):
                yield "eventhubs", name
            case Queue(name=name):
                yield "queues", name
            case Topic(name=name, subscriptions=subscriptions):
                yield "topics", name
                for each in subscriptions:
                    yield "topics", name, "subscriptions", each.name


def _more(number: float) -> float:
    if number < 0:
        raise ValueError(f"it can't be less than nothing: {number:g}")
    return number


def _some(number: int) -> int:
    if number < 1:
        raise ValueError(f"it is at least one, not {number}")
    return number


def _told(fault: HttpFault | None) -> dict[str, object] | None:
    if fault is None:
        return None
    said = {
        "status": fault.status,
        "code": fault.code,
        "seconds": fault.seconds,
        "below": fault.below,
        "silent": fault.silent,
        "acts": sorted(fault.acts),
        "times": fault.times,
    }
    return {name: value for name, value in said.items() if value}
