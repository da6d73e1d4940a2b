"""What goes wrong at the identity endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.faults.steps import access

if TYPE_CHECKING:
    from lab.faults.case import Scene, Step


async def down(scene: Scene) -> None:
    """Let nobody listen at the identity endpoint, when a token is needed."""
    await scene.control.stop_identity()
    access.expire_tokens(scene)


def slow(scene: Scene) -> None:
    """Let the identity endpoint take three seconds, when a token is needed."""
    scene.control.delay_identity(3)
    access.expire_tokens(scene)


def garbled(scene: Scene) -> None:
    """Let the identity endpoint answer what is no JSON, when a token is needed."""
    scene.control.garble_identity()
    access.expire_tokens(scene)


def silent(scene: Scene) -> None:
    """Let nothing come back from the identity endpoint, when a token is needed."""
    scene.control.swallow_traffic("identity", "down")
    access.expire_tokens(scene)


async def answers(scene: Scene) -> None:
    """Let the identity endpoint's answers come back."""
    await scene.control.clear_traffic("identity")


def refuses(status: int) -> Step:
    """Let the identity endpoint answer with a status, when a token is needed."""

    def step(scene: Scene) -> None:
        scene.control.refuse_identity(status)
        access.expire_tokens(scene)

    return step


async def well(scene: Scene) -> None:
    """Let the identity endpoint do everything right again."""
    await scene.control.allow_identity()


def struck(scene: Scene) -> bool:
    """Tell whether anybody ran into the identity endpoint's fault."""
    return scene.control.struck()["identity endpoint"] > 0
