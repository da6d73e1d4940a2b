"""What cases are made of: the ways in which things go wrong, and right again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.eventhub import EventData, EventDataBatch

from lab.faults.plan import FAULTED, QUEUE_BYTES, Kind
from lab.plan import DEAD_LETTERS
from lab.twins import POISON, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.faults.case import Scene, Step

TOO_LARGE: Final = 3
"""How many events are sent that the destination does not take."""
POISON_ROUNDS: Final = 3
POISONED: Final = POISON_ROUNDS * len(POISON)
"""How many messages are sent that are no events."""

_LINK_BYTES: Final = 1024 * 1024
_LIFETIME: Final = 86_400.0
_BIG: Final = {
    "cloudEvents:specversion": "1.0",
    "cloudEvents:source": "plant-a.api.weu.digitaltwins.azure.net",
    "cloudEvents:type": "Microsoft.DigitalTwins.Twin.Update",
    "cloudEvents:subject": "a-twin-of-many-words",
}

# The destination


def heal(scene: Scene) -> None:
    """Let the destination do everything right again."""
    scene.control.heal(scene.target.namespace)


async def cut(scene: Scene) -> None:
    """Cut the destination's connections, several times."""
    await _often(lambda: scene.control.cut(scene.target.namespace))


async def detach(scene: Scene) -> None:
    """Detach the destination's links, several times."""
    await _often(lambda: scene.control.detach(scene.target.namespace, scene.target.entity))


async def _often(what: Callable[[], None]) -> None:
    """Do it four times: a single time an SDK may hide."""
    for _ in range(4):
        what()
        await asyncio.sleep(0.25)


def lose_acknowledgements(times: int) -> Step:
    """Let the destination take messages and not say so."""
    return lambda scene: scene.control.drop_acknowledgements(
        scene.target.namespace, scene.target.entity, times
    )


def cut_acknowledgements(times: int) -> Step:
    """Let the destination take messages, and cut the connection in the answer's place."""
    return lambda scene: scene.control.cut_acknowledgements(
        scene.target.namespace, scene.target.entity, times
    )


def freeze(scene: Scene) -> None:
    """Let the destination take bytes and answer nothing."""
    scene.control.freeze(scene.target.namespace)


def deny_network(scene: Scene) -> None:
    """Let the destination's firewall refuse everybody."""
    scene.control.deny_network(scene.target.namespace)


def disable(scene: Scene) -> None:
    """Switch the destination off."""
    scene.control.disable(scene.target.namespace, scene.target.entity)


def delete(scene: Scene) -> None:
    """Let the destination be gone."""
    scene.control.delete(scene.target.namespace, scene.target.entity)


def restore(scene: Scene) -> None:
    """Bring the destination back."""
    scene.control.restore(scene.target.namespace, scene.target.entity)


def throttle(times: int | None = None) -> Step:
    """Let the destination refuse sends as too many, so often or until it is healed."""
    return lambda scene: scene.control.throttle(
        scene.target.namespace, scene.target.entity, times
    )


def reject(condition: str, times: int | None = None) -> Step:
    """Let the destination reject sends with an AMQP condition."""
    return lambda scene: scene.control.reject(
        scene.target.namespace, condition, scene.target.entity, times
    )


async def expire_idle(scene: Scene) -> None:
    """Detach the destination's links as idle ones, several times."""
    await _often(lambda: scene.control.expire_idle(scene.target.namespace))


def recreate(partitions: int) -> Step:
    """Let an empty hub with so many partitions take the destination's place and name."""

    def step(scene: Scene) -> None:
        scene.control.recreate(scene.target.namespace, scene.target.entity, partitions)

    return step


def add_partitions(count: int) -> Step:
    """Add partitions to the destination."""
    return lambda scene: scene.control.add_partitions(
        scene.target.namespace, scene.target.entity, count
    )


# The way to the destination


def reset_connections(scene: Scene) -> None:
    """Let no connection live for longer than half a second."""
    scene.control.reset_traffic(scene.target.namespace, 0.5)


def swallow(way: str) -> Step:
    """Let all that goes one way vanish: the connections are half-open."""
    return lambda scene: scene.control.swallow_traffic(scene.target.namespace, way)


def slow(scene: Scene) -> None:
    """Let the way be long and narrow."""
    scene.control.delay_traffic(scene.target.namespace, 0.2, 0.1)
    scene.control.limit_traffic(scene.target.namespace, 200_000)


def slice_up(scene: Scene) -> None:
    """Let everything come in small parts."""
    scene.control.slice_traffic(scene.target.namespace, 400, 0.001)


def lose_packets(scene: Scene) -> None:
    """Let every packet be lost for 10 seconds of every 30."""
    scene.control.lose_traffic(scene.target.namespace, 10, 30)


async def nobody_listens(scene: Scene) -> None:
    """Let nobody listen at the destination."""
    await scene.control.take_down(scene.target.namespace)


async def clear(scene: Scene) -> None:
    """Let the way be good again."""
    await scene.control.clear_traffic(scene.target.namespace)


async def _under_way(scene: Scene) -> None:
    """Return in the middle of a send: the destination has it, the answer is on its way."""
    arrived = scene.arrived()
    scene.control.delay_traffic(scene.target.namespace, 1.5, way="down")
    await scene.until("something arrives, unanswered", lambda: scene.arrived() > arrived)


async def revoke_while_sending(scene: Scene) -> None:
    """Take the role away between what was sent and its acknowledgement."""
    await _under_way(scene)
    revoke(scene)


async def expire_while_sending(scene: Scene) -> None:
    """End every token between what was sent and its acknowledgement."""
    await _under_way(scene)
    expire_tokens(scene)


async def clear_and_grant(scene: Scene) -> None:
    """Let the way be good and give the role back."""
    await clear(scene)
    grant(scene)


# The worker


def crash_while_sending(how: str) -> Step:
    """Let the worker end itself between what it sent and the acknowledgement."""

    async def step(scene: Scene) -> None:
        deaths, arrived = scene.host.counts["died"], scene.arrived()
        scene.control.drop_acknowledgements(scene.target.namespace, scene.target.entity)
        await scene.until("something arrives unacknowledged", lambda: scene.arrived() > arrived)
        scene.host.crash(how)
        heal(scene)
        await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)

    return step


def leap(seconds: float) -> Step:
    """Set the worker's wall clock while sends are refused, and every token ends meanwhile.

    So there are pauses before retries, letters that wait, and tokens to be judged.
    """

    async def step(scene: Scene) -> None:
        scene.control.throttle(scene.target.namespace, scene.target.entity)
        scene.host.set_clock(seconds)
        expire_tokens(scene)
        await _until_dead_lettered(scene)
        heal(scene)

    return step


def right_clock(scene: Scene) -> None:
    """Set the worker's wall clock right, by another leap."""
    scene.host.set_clock(0)


async def kill_before_send(scene: Scene) -> None:
    """Kill a worker that has a batch and has sent nothing of it.

    The first worker that is killed leaves a successor that must look into Blob before it
    sends; Blob takes its time, and the successor dies waiting.
    """
    deaths = scene.host.counts["died"]
    scene.control.silence_storage(DEAD_LETTERS)
    struck = scene.control.struck()["storage"]
    scene.host.kill()
    await scene.until(
        "a new worker looks into Blob", lambda: scene.control.struck()["storage"] > struck
    )
    scene.host.kill()
    scene.control.allow_storage()
    await scene.until("two workers died", lambda: scene.host.counts["died"] >= deaths + 2)


async def kill_while_sending(scene: Scene) -> None:
    """Kill the worker between what it sent and the acknowledgement."""
    deaths, arrived = scene.host.counts["died"], scene.arrived()
    scene.control.drop_acknowledgements(scene.target.namespace, scene.target.entity)
    await scene.until("something arrives unacknowledged", lambda: scene.arrived() > arrived)
    scene.host.kill()
    heal(scene)
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)


async def kill_after_dead_letter(scene: Scene) -> None:
    """Kill the worker as soon as it has written a dead letter."""
    deaths = scene.host.counts["died"]
    revoke(scene)
    await _until_dead_lettered(scene)
    scene.host.kill()
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)


async def kill_during_redrive(scene: Scene) -> None:
    """Kill the worker between what it redrove and the removal of the dead letter."""
    deaths = scene.host.counts["died"]
    revoke(scene)
    await _until_dead_lettered(scene)
    arrived = scene.arrived()
    scene.control.drop_acknowledgements(scene.target.namespace, scene.target.entity)
    grant(scene)
    redrive = asyncio.create_task(scene.host.invoke_timer("redrive"))
    await scene.until("a dead letter arrives", lambda: scene.arrived() > arrived)
    scene.host.kill()
    heal(scene)
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)
    await redrive


async def _until_dead_lettered(scene: Scene) -> None:
    await scene.until(
        "dead letters are written",
        lambda: scene.journal.events("relay.dead_lettered", FAULTED) > 0,
    )


# Identity


def revoke(scene: Scene) -> None:
    """Take the relay's role on the destination away."""
    target = scene.target
    scene.control.revoke(target.identity, target.role, target.scope)


def grant(scene: Scene) -> None:
    """Give it back."""
    target = scene.target
    scene.control.grant(target.identity, target.role, target.scope)


async def revoke_and_grant(scene: Scene) -> None:
    """Take the role away and give it back, again and again, under load."""
    for _ in range(3):
        trouble = scene.trouble
        revoke(scene)
        await scene.until("the relay is refused", lambda before=trouble: scene.trouble > before)  # type: ignore[misc]
        grant(scene)
        await asyncio.sleep(0.5)


def expire_tokens(scene: Scene) -> None:
    """End every token of the destination's identity ahead of its time."""
    scene.control.expire_tokens(scene.target.identity)


def short_tokens(scene: Scene) -> None:
    """Let tokens live for three seconds only."""
    scene.control.set_token_lifetime(3)
    expire_tokens(scene)


def long_tokens(scene: Scene) -> None:
    """Let tokens live for a day, as they do."""
    scene.control.set_token_lifetime(_LIFETIME)


async def identity_down(scene: Scene) -> None:
    """Let nobody listen at the identity endpoint, when a token is needed."""
    await scene.control.stop_identity()
    expire_tokens(scene)


def identity_slow(scene: Scene) -> None:
    """Let the identity endpoint take three seconds, when a token is needed."""
    scene.control.delay_identity(3)
    expire_tokens(scene)


def identity_garbled(scene: Scene) -> None:
    """Let the identity endpoint answer what is no JSON, when a token is needed."""
    scene.control.garble_identity()
    expire_tokens(scene)


def identity_silent(scene: Scene) -> None:
    """Let nothing come back from the identity endpoint, when a token is needed."""
    scene.control.swallow_traffic("identity", "down")
    expire_tokens(scene)


async def identity_answers(scene: Scene) -> None:
    """Let the identity endpoint's answers come back."""
    await scene.control.clear_traffic("identity")


def identity_refuses(status: int) -> Step:
    """Let the identity endpoint answer with a status, when a token is needed."""

    def step(scene: Scene) -> None:
        scene.control.refuse_identity(status)
        expire_tokens(scene)

    return step


async def identity_well(scene: Scene) -> None:
    """Let the identity endpoint do everything right again."""
    await scene.control.allow_identity()


def identity_struck(scene: Scene) -> bool:
    """Tell whether anybody ran into the identity endpoint's fault."""
    return scene.control.struck()["identity endpoint"] > 0


# Blob


def blob_refuses(status: int, code: str) -> Step:
    """Let Blob refuse a new worker, which must look there before it sends."""

    def step(scene: Scene) -> None:
        scene.control.refuse_storage(status, code, container=DEAD_LETTERS)
        scene.host.kill()

    return step


def blob_slow(scene: Scene) -> None:
    """Let Blob take two seconds for every answer to a new worker."""
    scene.control.delay_storage(2, DEAD_LETTERS)
    scene.host.kill()


def blob_silent(scene: Scene) -> None:
    """Let Blob take a new worker's requests and answer none."""
    scene.control.silence_storage(DEAD_LETTERS)
    scene.host.kill()


def blob_well(scene: Scene) -> None:
    """Let Blob do everything right again."""
    scene.control.allow_storage()


def blob_struck(scene: Scene) -> bool:
    """Tell whether anybody ran into Blob's fault."""
    return scene.control.struck()["storage"] > 0


def writing_refused(status: int, code: str) -> Step:
    """Let Blob refuse to take dead letters, when there are some."""
    return _while_writing(
        lambda scene: scene.control.refuse_storage(
            status, code, container=DEAD_LETTERS, acts="write"
        )
    )


def _while_writing(fault: Callable[[Scene], None]) -> Step:
    async def step(scene: Scene) -> None:
        fault(scene)
        struck = scene.control.struck()["storage"]
        revoke(scene)
        await scene.until(
            "a dead letter is written", lambda: scene.control.struck()["storage"] > struck
        )

    return step


def writing_reset(scene: Scene) -> None:
    """Let no connection to Blob live long, when there are dead letters."""
    scene.control.reset_traffic("storage", 0.02)
    revoke(scene)


async def storage_well(scene: Scene) -> None:
    """Let the way to Blob be good, and the relay in at the destination."""
    await scene.control.clear_traffic("storage")
    grant(scene)


writing_slow: Final = _while_writing(
    lambda scene: scene.control.delay_storage(2, DEAD_LETTERS, "write")
)
writing_silent: Final = _while_writing(
    lambda scene: scene.control.silence_storage(DEAD_LETTERS, "write")
)


def redrive_refused(acts: str, status: int, code: str) -> Step:
    """Let Blob refuse what a redrive asks, when something waits that could be delivered."""

    async def step(scene: Scene) -> None:
        revoke(scene)
        await _until_dead_lettered(scene)
        scene.control.refuse_storage(status, code, container=DEAD_LETTERS, acts=acts)
        struck = scene.control.struck()["storage"]
        grant(scene)
        await scene.host.invoke_timer("redrive")
        await scene.until(
            "a redrive is refused", lambda: scene.control.struck()["storage"] > struck
        )

    return step


def all_down(scene: Scene) -> None:
    """Refuse the relay at the destination and at Blob."""
    scene.control.refuse_storage(503, "ServerBusy", container=DEAD_LETTERS)
    revoke(scene)


def all_well(scene: Scene) -> None:
    """Let it in again at both."""
    blob_well(scene)
    grant(scene)


# Events


async def send_poison(scene: Scene) -> None:
    """Put messages of every kind that are no events among those that flow."""
    for _ in range(POISON_ROUNDS):
        await scene.send(list(POISON.values()))
        await asyncio.sleep(0.2)


async def send_too_large(scene: Scene) -> None:
    """Put events that only the ingress takes among those that flow."""
    for number in range(TOO_LARGE):
        await scene.send([_too_large(scene.target.kind, number)])
        await asyncio.sleep(0.2)


def _too_large(kind: Kind, number: int) -> Message:
    """Make an event that fits the ingress and not the destination.

    A queue of the standard tier takes less; what just fits a hub no longer does with the
    message id that the relay gives it.
    """
    properties = _BIG | {"cloudEvents:id": f"an-event-without-end-{number:06}"}
    size = QUEUE_BYTES + 1 if kind is Kind.QUEUE else _largest(properties)
    return Message(properties, b'"' + b"x" * (size - 2) + b'"', "application/json")


def _largest(properties: dict[str, str]) -> int:
    """Return how many bytes of data just fit the largest message, with these properties."""
    fits, fails = 0, _LINK_BYTES
    while fails - fits > 1:
        size = (fits + fails) // 2
        data = EventData(b"x" * size)
        data.properties.update(properties)
        data.content_type = "application/json"
        try:
            EventDataBatch(_LINK_BYTES).add(data)
        except ValueError:
            fails = size
        else:
            fits = size
    return fits
