"""Roles and tokens that come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lab.faults.plan import FAULTED
from lab.faults.steps import way

if TYPE_CHECKING:
    from lab.faults.case import Scene

_LIFETIME: Final = 86_400.0


def revoke(scene: Scene) -> None:
    """Take the relay's role on the destination away."""
    target = scene.target
    scene.control.revoke(target.identity, target.role, target.scope)


def grant(scene: Scene) -> None:
    """Give it back."""
    target = scene.target
    scene.control.grant(target.identity, target.role, target.scope)


async def revoke_and_grant(scene: Scene) -> None:
    """Take the role away and give it back, again and again, under load.

    What waits is tried by the timer too: between two events nobody else would meet a refusal.
    """
    for _ in range(3):
        trouble = scene.trouble
        revoke(scene)
        await scene.host.invoke_timer("redrive")
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


async def until_dead_lettered(scene: Scene) -> None:
    """Return when the relay has written a dead letter."""
    await scene.until(
        "dead letters are written",
        lambda: scene.journal.events("relay.dead_lettered", FAULTED) > 0,
    )


async def revoke_while_sending(scene: Scene) -> None:
    """Take the role away between what was sent and its acknowledgement."""
    await _under_way(scene)
    revoke(scene)


async def expire_while_sending(scene: Scene) -> None:
    """End every token between what was sent and its acknowledgement."""
    await _under_way(scene)
    expire_tokens(scene)


async def _under_way(scene: Scene) -> None:
    """Return in the middle of a send: the destination has it, the answer is on its way."""
    arrived = scene.arrived()
    scene.control.delay_traffic(scene.target.namespace, 1.5, way="down")
    await scene.until("something arrives, unanswered", lambda: scene.arrived() > arrived)


async def clear_and_grant(scene: Scene) -> None:
    """Let the way be good and give the role back."""
    await way.clear(scene)
    grant(scene)
