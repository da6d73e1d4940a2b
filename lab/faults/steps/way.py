"""What goes wrong on the way to the destination: see `lab.proxy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.faults.case import Scene, Step


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
