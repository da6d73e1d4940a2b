"""The faults, one after the other: what goes wrong, how it begins, how it ends."""

from __future__ import annotations

from typing import Final

from lab.faults import steps
from lab.faults.case import ONCE, Case, always, behind, nothing, struck
from lab.faults.plan import Kind

_HUB: Final = (Kind.EVENT_HUB,)
_QUEUE: Final = (Kind.QUEUE,)

CASES: Final = (
    Case("nothing, for comparison", nothing, nothing, lasts=0, sign=always),
    # The worker
    Case(
        "worker killed before it sends",
        steps.kill_before_send,
        nothing,
        lasts=0,
        sign=steps.died,
        quick=_HUB,
    ),
    Case(
        "worker killed between send and acknowledgement",
        steps.kill_while_sending,
        steps.heal,
        lasts=0,
        sign=steps.died,
        quick=_QUEUE,
    ),
    Case(
        "worker killed when a dead letter is written",
        steps.kill_after_dead_letter,
        steps.grant,
        lasts=0,
        sign=steps.died,
    ),
    Case(
        "worker killed during a redrive",
        steps.kill_during_redrive,
        steps.heal,
        lasts=0,
        sign=steps.died,
        quick=_HUB,
    ),
    # The connection
    Case("connections cut", steps.cut, nothing, lasts=0, sign=struck),
    Case("links detached", steps.detach, nothing, lasts=0, sign=struck),
    Case(
        "acknowledgement lost, once",
        steps.lose_acknowledgements(1),
        nothing,
        lasts=0,
        sign=struck,
    ),
    Case(
        "acknowledgement lost, twice",
        steps.lose_acknowledgements(2),
        nothing,
        lasts=0,
        sign=struck,
    ),
    Case(
        "connection cut instead of an acknowledgement",
        steps.cut_acknowledgements(3),
        nothing,
        lasts=0,
        sign=struck,
        quick=_QUEUE,
    ),
    Case(
        "destination frozen for 8 seconds",
        steps.freeze,
        steps.heal,
        lasts=8,
        sign=behind,
        quick=_HUB,
    ),
    Case("network denied", steps.deny_network, steps.heal, quick=_QUEUE),
    # The identity
    Case("identity endpoint down", steps.identity_down, steps.identity_well),
    Case(
        "identity endpoint slow",
        steps.identity_slow,
        steps.identity_well,
        sign=steps.identity_struck,
    ),
    Case(
        "identity endpoint answers 429",
        steps.identity_refuses(429),
        steps.identity_well,
        sign=steps.identity_struck,
    ),
    Case(
        "identity endpoint answers 500",
        steps.identity_refuses(500),
        steps.identity_well,
        sign=steps.identity_struck,
        quick=_HUB,
    ),
    Case(
        "identity endpoint answers garbage",
        steps.identity_garbled,
        steps.identity_well,
        sign=steps.identity_struck,
    ),
    Case("tokens ended ahead of their time", steps.expire_tokens, nothing, lasts=0),
    Case("tokens that live for 3 seconds", steps.short_tokens, steps.long_tokens, lasts=7),
    Case(
        "role revoked and granted, three times",
        steps.revoke_and_grant,
        nothing,
        lasts=0,
        quick=_QUEUE,
    ),
    # The destination
    Case("destination disabled", steps.disable, steps.restore),
    Case("destination deleted and restored", steps.delete, steps.restore, quick=_HUB),
    Case("throttled 5 times", steps.throttle(5), nothing, lasts=0),
    Case("throttled for 5 seconds", steps.throttle(), steps.heal, lasts=5, quick=_QUEUE),
    Case("quota exceeded", steps.reject("amqp:resource-limit-exceeded"), steps.heal),
    Case("internal errors", steps.reject("amqp:internal-error"), steps.heal),
    # The events
    Case(
        "events too large among good ones", steps.send_too_large, nothing, lasts=0, quick=_QUEUE
    ),
    Case(
        "poison of every kind among good ones",
        steps.send_poison,
        nothing,
        lasts=0,
        sign=steps.malformed_kept,
        quick=_HUB,
    ),
    # Blob
    Case(
        "Blob refuses a new worker (403)",
        steps.blob_refuses(403, "AuthorizationPermissionMismatch"),
        steps.blob_well,
        applies_to=ONCE,
        sign=steps.blob_struck,
    ),
    Case(
        "Blob is busy for a new worker (503)",
        steps.blob_refuses(503, "ServerBusy"),
        steps.blob_well,
        applies_to=ONCE,
        sign=steps.blob_struck,
    ),
    Case(
        "Blob is slow for a new worker",
        steps.blob_slow,
        steps.blob_well,
        applies_to=ONCE,
        sign=steps.blob_struck,
    ),
    Case(
        "Blob is silent for a new worker",
        steps.blob_silent,
        steps.blob_well,
        applies_to=ONCE,
        sign=steps.blob_struck,
    ),
    Case(
        "destination and Blob both down",
        steps.nowhere_to_go,
        steps.somewhere_to_go,
        lasts=4,
        sign=steps.blob_struck,
        quick=_QUEUE,
    ),
)
