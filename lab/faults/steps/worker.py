"""What befalls the worker: from outside, from inside, and its clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lab.faults.steps import access, destination
from lab.plan import DEAD_LETTERS

if TYPE_CHECKING:
    from lab.faults.case import Scene, Step


def crash_while_sending(how: str) -> Step:
    """Let the worker end itself between what it sent and the acknowledgement."""

    async def step(scene: Scene) -> None:
        deaths, arrived = scene.host.counts["died"], scene.arrived()
        scene.control.drop_acknowledgements(scene.target.namespace, scene.target.entity)
        await scene.until("something arrives unacknowledged", lambda: scene.arrived() > arrived)
        scene.host.crash(how)
        destination.heal(scene)
        await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)

    return step


def leap(seconds: float) -> Step:
    """Set the worker's wall clock while sends are refused, and every token ends meanwhile.

    So there are pauses before retries, letters that wait, and tokens to be judged.
    """

    async def step(scene: Scene) -> None:
        scene.control.throttle(scene.target.namespace, scene.target.entity)
        scene.host.set_clock(seconds)
        access.expire_tokens(scene)
        await access.until_dead_lettered(scene)
        destination.heal(scene)

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
    destination.heal(scene)
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)


async def kill_after_dead_letter(scene: Scene) -> None:
    """Kill the worker as soon as it has written a dead letter."""
    deaths = scene.host.counts["died"]
    access.revoke(scene)
    await access.until_dead_lettered(scene)
    scene.host.kill()
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)


async def kill_during_redrive(scene: Scene) -> None:
    """Kill the worker between what it redrove and the removal of the dead letter."""
    deaths = scene.host.counts["died"]
    access.revoke(scene)
    await access.until_dead_lettered(scene)
    arrived = scene.arrived()
    scene.control.drop_acknowledgements(scene.target.namespace, scene.target.entity)
    access.grant(scene)
    redrive = asyncio.create_task(scene.host.invoke_timer("redrive"))
    await scene.until("a dead letter arrives", lambda: scene.arrived() > arrived)
    scene.host.kill()
    destination.heal(scene)
    await scene.until("the worker died", lambda: scene.host.counts["died"] > deaths)
    await redrive
