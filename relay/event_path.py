"""What an event passes, put together: from what a trigger brings to its end.

Apart from `relay/app.py`, so that the links that events need are being opened while this is
still imported ([why](../docs/decisions/0021-links-ahead-of-events.md)).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from relay import ingress, sinks, telemetry
from relay.dead_letters.blobs import Blobs
from relay.dead_letters.store import BlobDeadLetters
from relay.delivery import Delivery
from relay.filters import lint
from relay.health import Health
from relay.observer import Delivered, tell_all
from relay.outcomes import Outcomes
from relay.rates import Rates
from relay.redrive import Redrive
from relay.resending import Resender
from relay.sending import NO_PATIENCE, Sender
from relay.survey import Survey
from relay.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import azure.functions as func

    from relay.by_hand import ByHand
    from relay.dead_letters.twins import TwinsDeadLetters
    from relay.event import Event
    from relay.identity import Identity
    from relay.ingress import Arrival
    from relay.observer import Observer
    from relay.outcomes import Result
    from relay.sending import Sink
    from relay.settings import Container, ManagedIdentity, Settings
    from relay.survey import Knock
    from relay.twins_redrive import TwinsRedrive


class EventPath:
    """All that events pass, and whoever listens.

    Args:
        settings: what the relay was told.
        to: the sink of each route, by its name.
        identity: gives an identity to whoever acts by it.
        knocks: how to try each ingress, by what people call it.
        listen: hears of everything too.

    Attributes:
        pipeline: where telemetry goes.
        health: how each route fares.
        rates: how many events each route delivers.
        observe: tells all that listen.
        dead_letters: what could not be delivered.
        survey: looks for what is in Blob, and tries each ingress.
    """

    def __init__(
        self,
        settings: Settings,
        to: Mapping[str, Sink],
        identity: Callable[[ManagedIdentity], Identity],
        knocks: Mapping[str, Knock],
        listen: Observer | None,
    ) -> None:
        self._settings, self._sinks, self._identity = settings, to, identity
        self._source = settings.event_grid_source
        servers = {name: each.namespace for name, each in settings.connections.items()}
        self.pipeline = telemetry.build(settings.telemetry, settings.ca_file)
        self._telemetry = Telemetry(self.pipeline, servers, now, settings.name)
        routes = settings.routes
        names = [route.name for route in routes]
        self.health = Health(
            names, now, self._telemetry.route_state, knocks, self._telemetry.place_state
        )
        self._telemetry.follow(self.health.routes.values, self.health.places.values)
        self._outcomes = Outcomes()
        self.rates = Rates(now)
        heard: list[Observer] = [self._telemetry, self.health, self._outcomes, self.rates]
        observe = tell_all(*heard, *([listen] if listen else []))
        self.observe = observe
        self.dead_letters = letters = BlobDeadLetters(self._blobs(settings.dead_letters))
        probing = Sender(to, _but_deliveries(observe), NO_PATIENCE)
        redrive = Redrive(Resender(probing, letters, now), letters, observe)
        self.survey = Survey(routes, letters, observe, knocks)
        self._twins: list[TwinsDeadLetters] = []
        sender = Sender(to, observe)
        self._delivery = Delivery(
            routes, sender, letters, redrive, observe, now, settings.budget
        )
        self._warn()

    def _warn(self) -> None:
        """Say what is well-formed, and perhaps not what was meant."""
        for warning in (*self._settings.warnings, *sinks.warnings(self._settings)):
            self._telemetry.setting_warning(warning)
        for route in self._settings.routes:
            for finding in lint(route.filter.text):
                self._telemetry.filter_finding(route.name, finding)

    @cached_property
    def by_hand(self) -> ByHand:
        """What an operator may do with dead letters."""
        from relay.by_hand import ByHand

        patient = Sender(self._sinks, _but_deliveries(self.observe))
        resender = Resender(patient, self.dead_letters, now)
        return ByHand(self._settings.routes, resender, self.dead_letters, self.observe)

    def _blobs(self, container: Container) -> Blobs:
        identity = self._identity(container.identity)
        return Blobs(container, identity, self._settings.ca_file, self.observe)

    async def from_event_hub(self, events: Sequence[func.EventHubEvent], trace: str) -> None:
        """Settle a batch of the Event Hubs trigger."""
        async with self._telemetry.batch("settle", trace):
            await self._delivery.settle(ingress.from_event_hub(events, self._source))

    async def from_service_bus(
        self, messages: Sequence[func.ServiceBusMessage], trace: str
    ) -> None:
        """Settle what the Service Bus trigger brings."""
        bus = self._settings.ways_in.service_bus
        if bus is None:
            raise LookupError("neither INGRESS_QUEUE nor INGRESS_TOPIC is set")
        entity = ingress.Entity(bus.name, bus.session)
        async with self._telemetry.batch("settle", trace):
            arrivals = ingress.from_service_bus(messages, entity, self._source)
            await self._delivery.settle(arrivals)

    async def from_event_grid(self, event: str, trace: str) -> None:
        """Settle an event of the Event Grid trigger."""
        async with self._telemetry.batch("settle", trace):
            await self._delivery.settle(ingress.from_event_grid(event, now(), self._source))

    async def from_caller(self, events: Sequence[Event | bytes | str]) -> list[Result]:
        """Settle events that another part of the app has."""
        return await self.settle(ingress.from_caller(events, now(), self._source))

    async def settle(self, arrivals: Sequence[Arrival]) -> list[Result]:
        """Settle what arrived, and say what became of each."""
        with self._outcomes.of(arrivals) as results:
            async with self._telemetry.batch("settle"):
                await self._delivery.settle(arrivals)
            return results()

    def twins_redrive(self, container: Container, prefix: str) -> TwinsRedrive:
        """Return what brings dead letters of Azure Digital Twins itself to the routes."""
        from relay.dead_letters.twins import TwinsDeadLetters
        from relay.twins_redrive import TwinsRedrive

        blobs = self._blobs(container)
        letters = TwinsDeadLetters(blobs, container.name, prefix, self._source)
        self._twins.append(letters)
        return TwinsRedrive(self._settings.routes, self._delivery, letters)

    async def redrive(self, trace: str) -> None:
        """Redrive every dead letter that waits for its destination, and look around."""
        async with self._telemetry.batch("redrive", trace):
            try:
                await self._delivery.redrive()
            finally:
                await self.survey.look()

    async def stop(self) -> None:
        """End what goes on in the background."""
        await self.survey.close()
        await self._delivery.close()

    async def close(self) -> None:
        """Let go of connections to Blob."""
        await self.dead_letters.close()
        for letters in self._twins:
            await letters.close()


def now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def _but_deliveries(observe: Observer) -> Observer:
    """Leave out deliveries: a redrive tells of its own as `Redriven`, and none counts twice."""
    return lambda fact: None if isinstance(fact, Delivered) else observe(fact)
