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

from lab.faults.case import EVERYWHERE, ONCE, Case, Flow, always, behind
from lab.faults.entrance import Ingress
from lab.faults.plan import DESTINATIONS, Kind
from lab.faults.steps import access, blob, destination, events, identity, way, worker
from lab.functions.mishaps import EXIT, SEGFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUB: Final = (Kind.EVENT_HUB,)
_QUEUE: Final = (Kind.QUEUE,)
_WAYS: Final = tuple(DESTINATIONS)
_SINGLY: Final = (Ingress.SUBSCRIPTION,)
"""Event Grid refuses poison itself, and batches take no mixture (docs/ingress.md)."""
_THIRTY_HOURS: Final = 30 * 3600
"""Longer than any token lives."""

_way: Final = partial(Case, end=way.clear)
_identity: Final = partial(Case, end=identity.well, sign=identity.struck)
_blob: Final = partial(Case, end=blob.well, sign=blob.struck, applies_to=ONCE)
_writing: Final = partial(_blob, end=blob.all_well, lasts=2)


def _family(name: str, *cases: Case) -> Iterator[Case]:
    return (replace(case, family=name) for case in cases)


CASES: Final = (
    *_family("nothing goes wrong", Case("nothing, for comparison", sign=always, ways=_WAYS)),
    *_family(
        "the worker is killed or crashes",
        Case("worker killed before it sends", worker.kill_before_send, quick=_HUB),
        Case(
            "worker killed before an acknowledgement",
            worker.kill_while_sending,
            quick=_QUEUE,
            ways=_WAYS,
            quick_ways=(Ingress.SESSIONS,),
        ),
        Case(
            "worker killed after a dead letter",
            worker.kill_after_dead_letter,
            access.grant,
            ways=_WAYS,
        ),
        Case("worker killed during a redrive", worker.kill_during_redrive),
        Case("worker exits while it sends", worker.crash_while_sending(EXIT)),
        Case("worker crashes while it sends", worker.crash_while_sending(SEGFAULT), quick=_HUB),
    ),
    *_family(
        "its clock leaps",
        Case("clock 30 hours ahead, and right", worker.leap(_THIRTY_HOURS), worker.right_clock),
        Case(
            "clock 30 hours behind, and right",
            worker.leap(-_THIRTY_HOURS),
            worker.right_clock,
            quick=_HUB,
        ),
    ),
    *_family(
        "the connection",
        Case("connections cut", destination.cut, ways=_WAYS),
        _way("connections reset", way.reset_connections, lasts=2, quick=_QUEUE),
        _way("nobody listens", way.nobody_listens, lasts=3),
        _way("half-open, what is sent vanishes", way.swallow("up"), lasts=12),
        _way("half-open, answers vanish", way.swallow("down"), lasts=8, quick=_HUB),
        _way("slow: 0.2 s each way, 200 kB a second", way.slow, lasts=2),
        _way("sliced", way.slice_up),
        _way(
            "every packet lost for 10 s of every 30 s",
            way.lose_packets,
            lasts=1,
            flow=Flow(640, 20.0),
        ),
        Case(
            "frozen for 8 seconds",
            destination.freeze,
            destination.heal,
            lasts=8,
            sign=behind,
            quick=_HUB,
        ),
        Case("network denied", destination.deny_network, destination.heal, quick=_QUEUE),
    ),
    *_family(
        "links and acknowledgements",
        Case("links detached", destination.detach),
        Case("links detached as idle", destination.expire_idle),
        Case("acknowledgement lost, once", destination.lose_acknowledgements(1)),
        Case("acknowledgement lost, twice", destination.lose_acknowledgements(2)),
        Case(
            "cut in an acknowledgement's place",
            destination.cut_acknowledgements(3),
            quick=_QUEUE,
        ),
    ),
    *_family(
        "tokens and roles",
        Case("identity endpoint down", identity.down, identity.well),
        _identity("identity endpoint slow", identity.slow),
        _identity(
            "identity endpoint silent",
            identity.silent,
            end=identity.answers,
            lasts=3,
        ),
        _identity("identity endpoint answers 429", identity.refuses(429)),
        _identity("identity endpoint answers 500", identity.refuses(500), quick=_HUB),
        _identity("identity endpoint answers garbage", identity.garbled),
        Case("tokens ended ahead of their time", access.expire_tokens),
        _way("tokens ended in the middle of a send", access.expire_while_sending),
        Case(
            "tokens that live for 3 seconds", access.short_tokens, access.long_tokens, lasts=7
        ),
        Case(
            "role revoked and granted, three times",
            access.revoke_and_grant,
            access.grant,
            flow=Flow(400, 50),
            quick=_QUEUE,
            ways=_WAYS,
        ),
        Case(
            "role revoked in the middle of a send",
            access.revoke_while_sending,
            access.clear_and_grant,
        ),
    ),
    *_family(
        "the destination",
        Case("destination disabled", destination.disable, destination.restore),
        Case(
            "destination deleted and restored",
            destination.delete,
            destination.restore,
            quick=_HUB,
        ),
        Case(
            "hub re-created with 2 partitions for 4", destination.recreate(2), applies_to=_HUB
        ),
        Case(
            "hub re-created with 9 partitions for 4", destination.recreate(9), applies_to=_HUB
        ),
        Case("4 partitions added", destination.add_partitions(4), applies_to=_HUB, sign=always),
        Case("throttled 5 times", destination.throttle(5)),
        Case(
            "throttled for 5 seconds",
            destination.throttle(),
            destination.heal,
            lasts=5,
            quick=_QUEUE,
        ),
        Case(
            "quota exceeded",
            destination.reject("amqp:resource-limit-exceeded"),
            destination.heal,
        ),
        Case(
            "internal errors",
            destination.reject("amqp:internal-error"),
            destination.heal,
            lasts=3,
        ),
    ),
    *_family(
        "the events themselves",
        Case("events too large", events.send_too_large, keeps=events.TOO_LARGE, quick=_QUEUE),
        Case(
            "poison of every kind",
            events.send_poison,
            keeps=events.POISONED,
            quick=_HUB,
            ways=_SINGLY,
        ),
    ),
    *_family(
        "Blob, when a worker starts",
        _blob("Blob refuses a new worker (403)", blob.refuses(403, "AuthorizationFailure")),
        _blob("Blob busy for a new worker (503)", blob.refuses(503, "ServerBusy")),
        _blob("Blob slow for a new worker", blob.slow),
        _blob("Blob silent for a new worker", blob.silent),
    ),
    *_family(
        "Blob, while dead letters are written",
        Case(
            "destination and Blob down",
            blob.all_down,
            blob.all_well,
            lasts=2,
            sign=blob.struck,
            quick=_QUEUE,
            ways=_WAYS,
            quick_ways=(Ingress.WEBHOOK,),
        ),
        _writing(
            "403 while writing", blob.writing_refused(403, "AuthorizationPermissionMismatch")
        ),
        _writing("409 while writing", blob.writing_refused(409, "ContainerBeingDeleted")),
        _writing(
            "503 while writing",
            blob.writing_refused(503, "ServerBusy"),
            applies_to=EVERYWHERE,
            quick=_HUB,
        ),
        _writing("full", blob.writing_refused(403, "InsufficientAccountPermissions")),
        _writing("beyond its limits", blob.writing_refused(500, "OperationTimedOut")),
        _writing(
            "connections reset while writing",
            blob.writing_reset,
            end=blob.storage_well,
            lasts=3,
        ),
        _writing("slow while writing", blob.writing_slow),
        _writing("silent while writing", blob.writing_silent),
    ),
    *_family(
        "Blob, in the middle of a redrive",
        _blob(
            "leased by somebody else (409)",
            blob.redrive_refused("lease", 409, "LeaseAlreadyPresent"),
        ),
        _blob(
            "lease lost before the removal (412)",
            blob.redrive_refused("delete", 412, "LeaseLost"),
            applies_to=EVERYWHERE,
            quick=_QUEUE,
        ),
        _blob("busy when it removes (503)", blob.redrive_refused("delete", 503, "ServerBusy")),
    ),
)
