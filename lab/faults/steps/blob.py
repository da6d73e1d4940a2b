"""What goes wrong at Blob: for a new worker, while dead letters are written, in a redrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.faults.steps import access
from lab.plan import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.faults.case import Scene, Step


def refuses(status: int, code: str) -> Step:
    """Let Blob refuse a new worker, which must look there before it sends."""

    def step(scene: Scene) -> None:
        scene.control.refuse_storage(status, code, container=DEAD_LETTERS)
        scene.host.kill()

    return step


def slow(scene: Scene) -> None:
    """Let Blob take two seconds for every answer to a new worker."""
    scene.control.delay_storage(2, DEAD_LETTERS)
    scene.host.kill()


def silent(scene: Scene) -> None:
    """Let Blob take a new worker's requests and answer none."""
    scene.control.silence_storage(DEAD_LETTERS)
    scene.host.kill()


def well(scene: Scene) -> None:
    """Let Blob do everything right again."""
    scene.control.allow_storage()


def struck(scene: Scene) -> bool:
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
        before = scene.control.struck()["storage"]
        access.revoke(scene)
        await scene.until(
            "a dead letter is written", lambda: scene.control.struck()["storage"] > before
        )

    return step


def writing_reset(scene: Scene) -> None:
    """Let no connection to Blob live long, when there are dead letters."""
    scene.control.reset_traffic("storage", 0.02)
    access.revoke(scene)


async def storage_well(scene: Scene) -> None:
    """Let the way to Blob be good, and the relay in at the destination."""
    await scene.control.clear_traffic("storage")
    access.grant(scene)


def redrive_refused(acts: str, status: int, code: str) -> Step:
    """Let Blob refuse what a redrive asks, when something waits that could be delivered."""

    async def step(scene: Scene) -> None:
        access.revoke(scene)
        await access.until_dead_lettered(scene)
        scene.control.refuse_storage(status, code, container=DEAD_LETTERS, acts=acts)
        before = scene.control.struck()["storage"]
        access.grant(scene)
        await scene.host.invoke_timer("redrive")
        await scene.until(
            "a redrive is refused", lambda: scene.control.struck()["storage"] > before
        )

    return step


def all_down(scene: Scene) -> None:
    """Refuse the relay at the destination and at Blob."""
    scene.control.refuse_storage(503, "ServerBusy", container=DEAD_LETTERS)
    access.revoke(scene)


def all_well(scene: Scene) -> None:
    """Let it in again at both."""
    well(scene)
    access.grant(scene)


writing_slow: Final = _while_writing(
    lambda scene: scene.control.delay_storage(2, DEAD_LETTERS, "write")
)
writing_silent: Final = _while_writing(
    lambda scene: scene.control.silence_storage(DEAD_LETTERS, "write")
)
