"""A plant of twins: commissioned once, then lived in without end.

A site holds buildings, a building floors, a floor machines and a gateway, a machine sensors.
Everything (ids, times, values, trace contexts) follows from the seed and the start.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from lab.twins.instance import Clock, Component, Instance, Operation, Relationship, Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from lab.twins.instance import Json
    from lab.twins.notification import Notification

HOST: Final = "plant-a.api.weu.digitaltwins.azure.net"
SITE: Final = "dtmi:com:example:Site;1"
BUILDING: Final = "dtmi:com:example:Building;1"
FLOOR: Final = "dtmi:com:example:Floor;1"
MACHINE: Final = "dtmi:com:example:Machine;1"
MACHINE_2: Final = "dtmi:com:example:Machine;2"
MOTOR: Final = "dtmi:com:example:Motor;1"
SENSOR: Final = "dtmi:com:example:Sensor;1"
GATEWAY: Final = "dtmi:org:supplier:Gateway;1"
"""The gateways are a supplier's: a filter on `dtmi:com:example:` leaves them out."""

_NOMINAL: Final = 60.0
_STEPS: Final = (66.0, 70.0, 76.0, 84.0)
"""The temperatures at which severity rises by one."""
_EVERY_SECONDS: Final = 0.05
_LONG_ID: Final = "reading-of-a-gateway-that-names-its-whole-path/" * 3
"""Longer than the 128 characters that a message id may have."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How large the plant is: of each, how many the one above it holds; at least one."""

    buildings: int = 2
    floors: int = 2
    machines: int = 4
    sensors: int = 2


@dataclass(frozen=True, slots=True)
class Plant:
    """A repeatable plant: every iteration begins anew and gives the same notifications.

    Attributes:
        seed: what everything random follows from.
        start: the simulated time of the first event, in UTC.
        host: the instance's host, the events' `source`.
        layout: how large it is.
    """

    seed: int
    start: datetime
    host: str = HOST
    layout: Layout = Layout()

    def __iter__(self) -> Iterator[Notification]:
        """Commission the plant, then let it live; the iteration never ends."""
        life = _Life(self)
        yield from life.commission()
        while True:
            yield from life.happen()


@dataclass(slots=True)
class _Sensor:
    """What a sensor measures: it drifts until somebody looks after it."""

    twin: Twin
    drift: float
    value: float = _NOMINAL


@dataclass(slots=True)
class _Machine:
    twin: Twin
    floor: Twin
    sensors: list[_Sensor] = field(default_factory=list)


class _Life:
    """The plant's state and all that can happen to it; each happening yields its events."""

    def __init__(self, plant: Plant) -> None:
        self._layout = plant.layout
        self._random = Random(plant.seed)  # noqa: S311 - repeatable, not secret
        self._clock = Clock(plant.start)
        self._adt = Instance(plant.host, self._clock, self._random)
        self._numbers: defaultdict[str, int] = defaultdict(int)
        self._machines: list[_Machine] = []
        self._gateways: list[Twin] = []
        self._edges: dict[str, Relationship] = {}
        self._happenings: dict[Callable[[], Iterator[Notification]], int] = {
            self._reading: 480,
            self._motor_reading: 60,
            self._heartbeat: 60,
            self._setting: 220,
            self._motor_setting: 80,
            self._gateway_setting: 30,
            self._weighing: 40,
            self._rewiring: 15,
            self._upgrade: 5,
            self._replacement: 10,
        }

    def commission(self) -> Iterator[Notification]:
        """Create the site, top down."""
        site = self._twin("site", SITE, {"name": "Werk Süd"})
        yield self._create(site)
        for _ in range(self._layout.buildings):
            yield from self._building(site)

    def happen(self) -> Iterator[Notification]:
        """Let one thing happen."""
        happenings = list(self._happenings)
        weights = list(self._happenings.values())
        (happening,) = self._random.choices(happenings, weights)
        return happening()

    # commissioning

    def _building(self, site: Twin) -> Iterator[Notification]:
        building = self._twin("building", BUILDING, {"name": "Halle", "open": True})
        yield self._create(building)
        yield self._relate("contains", site, building)
        for level in range(self._layout.floors):
            yield from self._floor(building, level)

    def _floor(self, building: Twin, level: int) -> Iterator[Notification]:
        floor = self._twin("floor", FLOOR, {"level": level})
        yield self._create(floor)
        yield self._relate("contains", building, floor)
        gateway = self._twin("gateway", GATEWAY, {"firmware": "4.2.0"})
        self._gateways.append(gateway)
        yield self._create(gateway)
        for _ in range(self._layout.machines):
            yield from self._machine(floor)

    def _machine(self, floor: Twin) -> Iterator[Notification]:
        twin = self._twin("machine", MACHINE, {"rpm": 0, "state": "idle"})
        twin.component = Component("motor", MOTOR, {"temperature": 21.0})
        machine = _Machine(twin, floor)
        yield self._create(twin)
        yield self._relate("contains", floor, twin)
        for _ in range(self._layout.sensors):
            yield from self._sensor(machine)
        if self._machines:
            yield self._relate("feeds", self._machines[-1].twin, twin, weight=12)
        self._machines.append(machine)

    def _sensor(self, machine: _Machine) -> Iterator[Notification]:
        twin = self._twin("sensor", SENSOR, {"unit": "°C", "serviced": 0})
        machine.sensors.append(_Sensor(twin, drift=self._random.uniform(0.1, 1.2)))
        yield self._create(twin)
        yield self._relate("monitors", twin, machine.twin)

    # telemetry

    def _reading(self) -> Iterator[Notification]:
        sensor = self._any_sensor()
        sensor.value += sensor.drift + self._random.gauss(0, 1.5)
        temperature: Json = round(sensor.value, 2)
        severity = _severity(sensor.value, self._random.randrange(50))
        yield self._telemetry(sensor.twin, {"temperature": temperature, **severity})
        if sensor.value > _STEPS[-1] + 6:
            yield from self._service(sensor)

    def _motor_reading(self) -> Iterator[Notification]:
        twin = self._random.choice(self._machines).twin
        vibration = round(self._random.expovariate(2.0), 3)
        yield self._telemetry(
            twin,
            {"vibration": vibration, "severity": int(vibration * 2)},
            component=twin.component,
        )

    def _heartbeat(self) -> Iterator[Notification]:
        """A gateway's telemetry follows no model, and its ids may be very long."""
        gateway = self._random.choice(self._gateways)
        prefix = _LONG_ID if self._random.random() < 0.1 else "beat-"
        yield self._telemetry(gateway, {"alive": True, "queue": {"depth": 3}}, prefix=prefix)

    # changes

    def _setting(self) -> Iterator[Notification]:
        twin = self._random.choice(self._machines).twin
        rpm = self._random.randrange(800, 3000)
        state = self._random.choice(("running", "idle", "fault"))
        yield self._patch(twin, rpm=rpm, state=state)

    def _service(self, sensor: _Sensor) -> Iterator[Notification]:
        """Somebody looks after a sensor that has drifted too far."""
        sensor.value = _NOMINAL
        yield self._patch(sensor.twin, serviced=sensor.twin.readings)

    def _motor_setting(self) -> Iterator[Notification]:
        twin = self._random.choice(self._machines).twin
        assert twin.component is not None
        temperature = round(self._random.uniform(20, 95), 1)
        twin.component.properties["temperature"] = temperature
        operation = Operation("/motor/temperature", temperature, "add")
        yield self._update(twin, operation)

    def _gateway_setting(self) -> Iterator[Notification]:
        """A gateway's note is pinned to it, and taken off again."""
        gateway = self._random.choice(self._gateways)
        if gateway.properties.pop("note", None) is not None:
            yield self._update(gateway, Operation("/note", None, "remove"))
            return
        gateway.properties["note"] = note = f"firmware 4.2.{self._random.randrange(100)}"
        yield self._update(gateway, Operation("/note", note, "add"))

    def _upgrade(self) -> Iterator[Notification]:
        """A change of model is a patch of the metadata."""
        twin = self._random.choice(self._machines).twin
        twin.model = MACHINE if twin.model == MACHINE_2 else MACHINE_2
        yield self._update(twin, Operation("/$metadata/$model", twin.model))

    def _weighing(self) -> Iterator[Notification]:
        edge = self._any_edge()
        weight = self._random.randrange(1, 40)
        self._happened(edge.source)
        edge.properties |= {"weight": weight, "sequence": edge.source.sequence}
        patch = [Operation(f"/{name}", value) for name, value in edge.properties.items()]
        yield self._adt.relationship_updated(edge, patch)

    def _rewiring(self) -> Iterator[Notification]:
        """A relationship is taken away and made again."""
        edge = self._any_edge()
        yield self._unrelate(edge)
        yield self._relate(edge.name, edge.source, edge.target)

    def _replacement(self) -> Iterator[Notification]:
        """A machine is retired with all that hangs on it, and a new one takes its place."""
        machine = self._machines.pop(self._random.randrange(len(self._machines)))
        doomed = [*(sensor.twin for sensor in machine.sensors), machine.twin]
        ids = {twin.id for twin in doomed}
        for edge in [e for e in self._edges.values() if {e.source.id, e.target.id} & ids]:
            yield self._unrelate(edge)
        for twin in doomed:
            yield self._delete(twin)
        yield from self._machine(machine.floor)

    # what each of them is made of

    def _twin(self, kind: str, model: str, properties: dict[str, Json]) -> Twin:
        self._numbers[kind] += 1
        return Twin(f"{kind}-{self._numbers[kind]}", model, properties)

    def _create(self, twin: Twin) -> Notification:
        self._happened(twin)
        return self._adt.twin_created(twin)

    def _delete(self, twin: Twin) -> Notification:
        self._happened(twin)
        twin.written["sequence"] = self._clock.text()
        return self._adt.twin_deleted(twin)

    def _patch(self, twin: Twin, **properties: Json) -> Notification:
        twin.properties |= properties
        return self._update(
            twin, *(Operation(f"/{name}", properties[name]) for name in properties)
        )

    def _update(self, twin: Twin, *operations: Operation) -> Notification:
        self._happened(twin)
        return self._adt.twin_updated(
            twin, (*operations, Operation("/sequence", twin.sequence))
        )

    def _relate(
        self, name: str, source: Twin, target: Twin, **properties: Json
    ) -> Notification:
        self._numbers[name] += 1
        edge = Relationship(f"{name}-{self._numbers[name]}", name, source, target, properties)
        self._edges[edge.id] = edge
        self._happened(source)
        edge.properties["sequence"] = source.sequence
        return self._adt.relationship_created(edge)

    def _unrelate(self, edge: Relationship) -> Notification:
        del self._edges[edge.id]
        self._happened(edge.source)
        edge.properties["sequence"] = edge.source.sequence
        return self._adt.relationship_deleted(edge)

    def _telemetry(
        self,
        twin: Twin,
        payload: dict[str, Json],
        *,
        component: Component | None = None,
        prefix: str = "reading-",
    ) -> Notification:
        self._happened(twin)
        twin.readings += 1
        return self._adt.telemetry(
            twin,
            {**payload, "sequence": twin.sequence},
            message_id=f"{prefix}{twin.readings}",
            component=component,
        )

    def _happened(self, twin: Twin) -> None:
        """Count the twin's event; time passes between two events."""
        self._clock.advance(self._random.expovariate(1 / _EVERY_SECONDS))
        twin.sequence += 1
        twin.properties["sequence"] = twin.sequence

    def _any_sensor(self) -> _Sensor:
        return self._random.choice(self._random.choice(self._machines).sensors)

    def _any_edge(self) -> Relationship:
        return self._random.choice(list(self._edges.values()))


def _severity(value: float, oddity: int) -> dict[str, Json]:
    """Return how bad a temperature is, 0 to 4; some devices say it oddly or not at all."""
    severity = sum(value >= step for step in _STEPS)
    odd: dict[int, dict[str, Json]] = {
        0: {},
        1: {"severity": None},
        2: {"severity": str(severity)},
        3: {"severity": float(severity)},
    }
    return odd.get(oddity, {"severity": severity})
