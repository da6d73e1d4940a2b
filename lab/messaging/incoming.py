"""A link on which the client sends: frames become deliveries, deliveries are answered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from lab.messaging.codec import CodecError
from lab.messaging.frames import SERIAL, Attach, Flow
from lab.messaging.link import BaseLink, Stage
from lab.messaging.node import Answer, Error, Intake, Refusal, Rejected
from lab.messaging.refusals import DECODE_ERROR, INTERNAL, too_large
from lab.messaging.terminus import ACCEPTED_STATE, state
from lab.messaging.trouble import Acknowledgement

if TYPE_CHECKING:
    from lab.messaging.codec import Described
    from lab.messaging.frames import Transfer
    from lab.messaging.session import Session

GRANTED: Final = 1000
"""How many deliveries a client may be ahead; the Azure SDKs take no notice."""


_log = logging.getLogger(__name__)


class Taken:
    """A delivery that came in whole; `size` is more than the payload's if it was too large."""

    __slots__ = ("_link", "_open", "message_format", "number", "payload", "size")

    def __init__(self, link: IncomingLink, first: Transfer, payload: bytes, size: int) -> None:
        self._link = link
        self._open = not first.settled
        self.number = first.delivery_id or 0
        self.message_format = first.message_format or 0
        self.payload = payload
        self.size = size

    def accept(self) -> None:
        """Tell the client that it is safe."""
        if self._open:
            self._open = False
            self._link.acknowledge(self.number)

    def reject(self, error: Error) -> None:
        """Tell the client that it was not taken, and why."""
        if self._open:
            self._open = False
            self._link.settle(self.number, state(Rejected(error)))


class Assembly:
    """The frames of the delivery that is coming in.

    Attributes:
        limit: bytes that a delivery may have; what goes beyond is counted, not kept.
    """

    def __init__(self) -> None:
        self.limit = 0
        self.size = 0
        self._first: Transfer | None = None
        self._parts: list[bytes] = []

    @property
    def is_oversized(self) -> bool:
        """Whether more has come than the limit allows."""
        return 0 < self.limit < self.size

    def add(self, link: IncomingLink, frame: Transfer, payload: bytes) -> Taken | None:
        """Add a frame; return the delivery when it is whole, `None` before and if aborted."""
        first = self._first = self._first or frame
        self.size += len(payload)
        if not self.is_oversized:
            self._parts.append(payload)
        if frame.more and not frame.aborted:
            return None
        taken = Taken(link, first, b"".join(self._parts), self.size)
        self._first, self._parts, self.size = None, [], 0
        return None if frame.aborted else taken


class IncomingLink(BaseLink[Intake]):
    """A link on which the client sends."""

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self._assembly = Assembly()
        self._count = attach.initial_delivery_count or 0
        self._credit = 0
        self._early: list[Taken] = []

    def _find(self) -> Intake:
        return self.session.intake(self.request)

    async def _prepared(self, end: Intake) -> Answer:
        return await end.open(self)

    def _attached(self, answer: Answer) -> None:
        self._assembly.limit = self._limit(answer)
        self._reply(answer, None)
        self._grant()
        early, self._early = self._early, []
        for delivery in early:
            self._deliver(delivery)

    def _grant(self) -> None:
        self._credit = GRANTED
        count = self._count % SERIAL
        self.session.flow(Flow(handle=self.handle, delivery_count=count, link_credit=GRANTED))

    def flow(self, frame: Flow) -> None:
        """Take no notice: a sender's flow says nothing that is not known."""

    def transfer(self, frame: Transfer, payload: bytes) -> None:
        """Take one frame."""
        delivery = self._assembly.add(self, frame, payload)
        if delivery is not None:
            self._deliver(delivery)
        elif self._assembly.is_oversized and self._detaches_oversized():
            size, limit = self._assembly.size, self._assembly.limit
            self.detach(too_large(frame.delivery_id or 0, size, limit))

    def _detaches_oversized(self) -> bool:
        return self.peer.site.switches.oversized == "detach"

    def _deliver(self, delivery: Taken) -> None:
        """Hand a delivery to the intake; one that came before the answer waits."""
        if self.stage is Stage.OPENING:
            self._early.append(delivery)
        elif self.stage is Stage.OPEN and self.end is not None:
            self._count += 1
            self._credit -= 1
            self.last_used = time.monotonic()
            self._give(self.end, delivery)
            if self._credit <= GRANTED // 2 and self.stage is Stage.OPEN:
                self._grant()

    def _give(self, end: Intake, delivery: Taken) -> None:
        try:
            self._check(delivery)
            end.take(delivery)
        except Refusal as refusal:
            delivery.reject(refusal.error)
        except CodecError as error:
            delivery.reject(Error(DECODE_ERROR, str(error)))
        except Exception:  # noqa: BLE001 - a defect ends the link, not the lab
            _log.exception("a message to %r could not be taken", self.path)
            self.detach(Error(INTERNAL, "The lab could not take a message; its log says why."))

    def _check(self, delivery: Taken) -> None:
        """Raise `Refusal` for what the link allows no one; detach where Azure would."""
        if self._assembly.limit and delivery.size > self._assembly.limit:
            error = too_large(delivery.number, delivery.size, self._assembly.limit)
            if self._detaches_oversized():
                self.detach(error)
            raise Refusal(error)
        fault = None if self.is_internal else self.peer.site.trouble.on_send(self.path)
        if fault is not None:
            raise Refusal(fault)

    def acknowledge(self, number: int) -> None:
        """Tell the client that a delivery is safe, unless a fault prevents it."""
        fate = Acknowledgement.SENT
        if not self.is_internal:
            fate = self.peer.site.trouble.on_acknowledge(self.path)
        if fate is Acknowledgement.CUT:
            self.peer.cut()
        elif fate is Acknowledgement.SENT:
            self.settle(number, ACCEPTED_STATE)

    def settle(self, number: int, outcome: Described) -> None:
        """Tell the client what became of a delivery; in vain if the link has ended."""
        if self.stage is Stage.OPEN:
            self.session.settle(number, outcome)
