"""What goes wrong at the destination itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.faults.case import Scene, Step


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
