"""The faults, one after the other: what goes wrong, how it begins, how it ends.

Blob's answers are those that its documentation lists (rest/api/storageservices, common and
Blob error codes). It lists none for an account that is full: `InsufficientAccountPermissions`,
"write operations are not allowed", stands in for it, and `OperationTimedOut` for one beyond its
scalability targets.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from lab.faults import steps
from lab.faults.case import EVERYWHERE, ONCE, Case, Flow, always, behind
from lab.faults.plan import Kind
from lab.functions.mishaps import EXIT, SEGFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUB: Final = (Kind.EVENT_HUB,)
_QUEUE: Final = (Kind.QUEUE,)
_THIRTY_HOURS: Final = 30 * 3600
"""Longer than any token lives."""

_way: Final = partial(Case, end=steps.clear)
_identity: Final = partial(Case, end=steps.identity_well, sign=steps.identity_struck)
_blob: Final = partial(Case, end=steps.blob_well, sign=steps.blob_struck, applies_to=ONCE)
_writing: Final = partial(_blob, end=steps.all_well, lasts=2)


def _family(name: str, *cases: Case) -> Iterator[Case]:
    return (replace(case, family=name) for case in cases)


CASES: Final = (
    *_family("nothing goes wrong", Case("nothing, for comparison", sign=always)),
    *_family(
        "the worker is killed or crashes",
        Case("worker killed before it sends", steps.kill_before_send, quick=_HUB),
        Case("worker killed before an acknowledgement", steps.kill_while_sending, quick=_QUEUE),
        Case("worker killed after a dead letter", steps.kill_after_dead_letter, steps.grant),
        Case("worker killed during a redrive", steps.kill_during_redrive),
        Case("worker exits while it sends", steps.crash_while_sending(EXIT)),
        Case("worker crashes while it sends", steps.crash_while_sending(SEGFAULT), quick=_HUB),
    ),
    *_family(
        "its clock leaps",
        Case("clock 30 hours ahead, and right", steps.leap(_THIRTY_HOURS), steps.right_clock),
        Case(
            "clock 30 hours behind, and right",
            steps.leap(-_THIRTY_HOURS),
            steps.right_clock,
            quick=_HUB,
        ),
    ),
    *_family(
        "the connection",
        Case("connections cut", steps.cut),
        _way("connections reset", steps.reset_connections, lasts=2, quick=_QUEUE),
        _way("nobody listens", steps.nobody_listens, lasts=3),
        _way("half-open, what is sent vanishes", steps.swallow("up"), lasts=12),
        _way("half-open, answers vanish", steps.swallow("down"), lasts=8, quick=_HUB),
        _way("slow: 0.2 s each way, 200 kB a second", steps.slow, lasts=2),
        _way("sliced", steps.slice_up),
        _way(
            "every packet lost for 10 s of every 30 s",
            steps.lose_packets,
            lasts=1,
            flow=Flow(640, 20.0),
        ),
        Case(
            "frozen for 8 seconds", steps.freeze, steps.heal, lasts=8, sign=behind, quick=_HUB
        ),
        Case("network denied", steps.deny_network, steps.heal, quick=_QUEUE),
    ),
    *_family(
        "links and acknowledgements",
        Case("links detached", steps.detach),
        Case("links detached as idle", steps.expire_idle),
        Case("acknowledgement lost, once", steps.lose_acknowledgements(1)),
        Case("acknowledgement lost, twice", steps.lose_acknowledgements(2)),
        Case("cut in an acknowledgement's place", steps.cut_acknowledgements(3), quick=_QUEUE),
    ),
    *_family(
        "tokens and roles",
        Case("identity endpoint down", steps.identity_down, steps.identity_well),
        _identity("identity endpoint slow", steps.identity_slow),
        _identity(
            "identity endpoint silent",
            steps.identity_silent,
            end=steps.identity_answers,
            lasts=3,
        ),
        _identity("identity endpoint answers 429", steps.identity_refuses(429)),
        _identity("identity endpoint answers 500", steps.identity_refuses(500), quick=_HUB),
        _identity("identity endpoint answers garbage", steps.identity_garbled),
        Case("tokens ended ahead of their time", steps.expire_tokens),
        _way("tokens ended in the middle of a send", steps.expire_while_sending),
        Case("tokens that live for 3 seconds", steps.short_tokens, steps.long_tokens, lasts=7),
        Case("role revoked and granted, three times", steps.revoke_and_grant, quick=_QUEUE),
        Case(
            "role revoked in the middle of a send",
            steps.revoke_while_sending,
            steps.clear_and_grant,
        ),
    ),
    *_family(
        "the destination",
        Case("destination disabled", steps.disable, steps.restore),
        Case("destination deleted and restored", steps.delete, steps.restore, quick=_HUB),
        Case("hub re-created with 2 partitions for 4", steps.recreate(2), applies_to=_HUB),
        Case("hub re-created with 9 partitions for 4", steps.recreate(9), applies_to=_HUB),
        Case("4 partitions added", steps.add_partitions(4), applies_to=_HUB, sign=always),
        Case("throttled 5 times", steps.throttle(5)),
        Case("throttled for 5 seconds", steps.throttle(), steps.heal, lasts=5, quick=_QUEUE),
        Case("quota exceeded", steps.reject("amqp:resource-limit-exceeded"), steps.heal),
        Case("internal errors", steps.reject("amqp:internal-error"), steps.heal, lasts=3),
    ),
    *_family(
        "the events themselves",
        Case("events too large", steps.send_too_large, keeps=steps.TOO_LARGE, quick=_QUEUE),
        Case("poison of every kind", steps.send_poison, keeps=steps.POISONED, quick=_HUB),
    ),
    *_family(
        "Blob, when a worker starts",
        _blob(
            "Blob refuses a new worker (403)", steps.blob_refuses(403, "AuthorizationFailure")
        ),
        _blob("Blob busy for a new worker (503)", steps.blob_refuses(503, "ServerBusy")),
        _blob("Blob slow for a new worker", steps.blob_slow),
        _blob("Blob silent for a new worker", steps.blob_silent),
    ),
    *_family(
        "Blob, while dead letters are written",
        Case(
            "destination and Blob down", steps.all_down, steps.all_well, lasts=2, quick=_QUEUE
        ),
        _writing(
            "403 while writing", steps.writing_refused(403, "AuthorizationPermissionMismatch")
        ),
        _writing("409 while writing", steps.writing_refused(409, "ContainerBeingDeleted")),
        _writing(
            "503 while writing",
            steps.writing_refused(503, "ServerBusy"),
            applies_to=EVERYWHERE,
            quick=_HUB,
        ),
        _writing("full", steps.writing_refused(403, "InsufficientAccountPermissions")),
        _writing("beyond its limits", steps.writing_refused(500, "OperationTimedOut")),
        _writing(
            "connections reset while writing",
            steps.writing_reset,
            end=steps.storage_well,
            lasts=3,
        ),
        _writing("slow while writing", steps.writing_slow),
        _writing("silent while writing", steps.writing_silent),
    ),
    *_family(
        "Blob, in the middle of a redrive",
        _blob(
            "leased by somebody else (409)",
            steps.redrive_refused("lease", 409, "LeaseAlreadyPresent"),
        ),
        _blob(
            "lease lost before the removal (412)",
            steps.redrive_refused("delete", 412, "LeaseLost"),
            applies_to=EVERYWHERE,
            quick=_QUEUE,
        ),
        _blob("busy when it removes (503)", steps.redrive_refused("delete", 503, "ServerBusy")),
    ),
)
