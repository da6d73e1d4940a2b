"""The faults, one after the other: what goes wrong, how it begins, how it ends."""

from __future__ import annotations

from functools import partial
from typing import Final

from lab.faults import steps
from lab.faults.case import ONCE, Case, always, behind
from lab.faults.plan import Kind

_HUB: Final = (Kind.EVENT_HUB,)
_QUEUE: Final = (Kind.QUEUE,)

_identity: Final = partial(Case, end=steps.identity_well, sign=steps.identity_struck)
_blob: Final = partial(Case, end=steps.blob_well, sign=steps.blob_struck, applies_to=ONCE)

CASES: Final = (
    Case("nothing, for comparison", sign=always),
    # The worker
    Case("worker killed before it sends", steps.kill_before_send, quick=_HUB),
    Case("worker killed before an acknowledgement", steps.kill_while_sending, quick=_QUEUE),
    Case("worker killed after a dead letter", steps.kill_after_dead_letter, steps.grant),
    Case("worker killed during a redrive", steps.kill_during_redrive),
    # The connection
    Case("connections cut", steps.cut),
    Case("links detached", steps.detach),
    Case("acknowledgement lost, once", steps.lose_acknowledgements(1)),
    Case("acknowledgement lost, twice", steps.lose_acknowledgements(2)),
    Case("cut in an acknowledgement's place", steps.cut_acknowledgements(3), quick=_QUEUE),
    Case("frozen for 8 seconds", steps.freeze, steps.heal, lasts=8, sign=behind, quick=_HUB),
    Case("network denied", steps.deny_network, steps.heal, quick=_QUEUE),
    # The identity
    Case("identity endpoint down", steps.identity_down, steps.identity_well),
    _identity("identity endpoint slow", steps.identity_slow),
    _identity("identity endpoint answers 429", steps.identity_refuses(429)),
    _identity("identity endpoint answers 500", steps.identity_refuses(500), quick=_HUB),
    _identity("identity endpoint answers garbage", steps.identity_garbled),
    Case("tokens ended ahead of their time", steps.expire_tokens),
    Case("tokens that live for 3 seconds", steps.short_tokens, steps.long_tokens, lasts=7),
    Case("role revoked and granted, three times", steps.revoke_and_grant, quick=_QUEUE),
    # The destination
    Case("destination disabled", steps.disable, steps.restore),
    Case("destination deleted and restored", steps.delete, steps.restore, quick=_HUB),
    Case("throttled 5 times", steps.throttle(5)),
    Case("throttled for 5 seconds", steps.throttle(), steps.heal, lasts=5, quick=_QUEUE),
    Case("quota exceeded", steps.reject("amqp:resource-limit-exceeded"), steps.heal),
    Case("internal errors", steps.reject("amqp:internal-error"), steps.heal, lasts=3),
    # The events
    Case("events too large", steps.send_too_large, keeps=steps.TOO_LARGE, quick=_QUEUE),
    Case("poison of every kind", steps.send_poison, keeps=steps.POISONED, quick=_HUB),
    # Blob
    _blob("Blob refuses a new worker (403)", steps.blob_refuses(403, "AuthorizationFailure")),
    _blob("Blob busy for a new worker (503)", steps.blob_refuses(503, "ServerBusy")),
    _blob("Blob slow for a new worker", steps.blob_slow),
    _blob("Blob silent for a new worker", steps.blob_silent),
    Case("destination and Blob down", steps.all_down, steps.all_well, lasts=2, quick=_QUEUE),
)
