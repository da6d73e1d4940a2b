"""A link on which the client receives: credit comes, messages go."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from lab.messaging.frames import SERIAL, Attach, Flow
from lab.messaging.link import BaseLink, Stage
from lab.messaging.node import Answer, Error, Outlet
from lab.messaging.refusals import INTERNAL
from lab.messaging.terminus import state

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.messaging.node import Outcome
    from lab.messaging.session import Session


_log = logging.getLogger(__name__)


class OutgoingLink(BaseLink[Outlet]):
    """A link on which the client receives.

    Attributes:
        unsettled: delivery numbers of what was sent unsettled, by tag.
    """

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self.unsettled: dict[bytes, int] = {}
        self._count = 0
        self._credit = 0
        self._drain = False

    @property
    def credit(self) -> int:
        """How many messages may be sent now."""
        if self.stage is not Stage.OPEN or self._is_held_up:
            return 0
        return self._credit

    @property
    def _is_held_up(self) -> bool:
        """Whether the client cannot take more just now, whatever it has granted."""
        return self.peer.is_choked or self.session.is_blocked

    def _find(self) -> Outlet:
        return self.session.outlet(self.request)

    async def _prepared(self, end: Outlet) -> Answer:
        return await end.open(self)

    def _attached(self, answer: Answer) -> None:
        self._reply(answer, 0)
        self.offer()

    def flow(self, frame: Flow) -> None:
        """Take the client's credit; its count tells how much of ours it has seen."""
        if frame.link_credit is not None:
            seen = frame.delivery_count or 0
            ahead = (self._count - seen) % SERIAL
            self._credit = max(0, frame.link_credit - ahead)
        self._drain = bool(frame.drain)
        self.last_used = time.monotonic()
        self.offer()
        if frame.echo and self.stage is Stage.OPEN:
            self._tell()

    def offer(self) -> None:
        """Let the outlet send, then take back what credit is to be drained."""
        if self.credit:
            self._call(lambda end: end.credit())
        if self._drain and self.stage is Stage.OPEN and not self._is_held_up:
            self._count = (self._count + self._credit) % SERIAL
            self._credit = 0
            self._tell()
            self._drain = False

    def _tell(self) -> None:
        self.session.flow(
            Flow(
                handle=self.handle,
                delivery_count=self._count,
                link_credit=self._credit,
                drain=self._drain,
            )
        )

    def send(self, payload: bytes, tag: bytes = b"", *, settled: bool = True) -> None:
        """Send one message, taking one credit."""
        if self.credit <= 0:
            raise RuntimeError(f"no credit to send on the link from {self.path!r}")
        self._credit -= 1
        self._count = (self._count + 1) % SERIAL
        self.last_used = time.monotonic()
        number = self.session.transfer(self, payload, tag, settled=settled)
        if not settled:
            self.unsettled[tag] = number

    def dispose(self, tag: bytes, outcome: Outcome) -> None:
        """Settle an unsettled message, telling the client."""
        number = self.unsettled.pop(tag, None)
        if number is not None:
            self.session.dispose(number, state(outcome))

    def settled(self, tag: bytes, outcome: Outcome, *, settled: bool) -> None:
        """Pass on what the client says became of a message."""
        self.last_used = time.monotonic()
        if settled:
            self.unsettled.pop(tag, None)
        self._call(lambda end: end.settled(tag, outcome, settled=settled))

    def ended(self) -> None:
        """Forget what is unsettled: it is the outlet's again."""
        self.session.forget(self.unsettled.values())
        self.unsettled.clear()
        super().ended()

    def _call(self, what: Callable[[Outlet], None]) -> None:
        if self.stage is not Stage.OPEN or self.end is None:
            return
        try:
            what(self.end)
        except Exception:  # noqa: BLE001 - a defect ends the link, not the lab
            _log.exception("the end of the link from %r failed", self.path)
            self.detach(Error(INTERNAL, "The lab could not go on; its log says why."))
