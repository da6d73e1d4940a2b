"""One link of a session: credit, deliveries, and the intake or outlet behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Final

from lab.messaging.codec import Symbol
from lab.messaging.frames import Attach, Detach, symbols
from lab.messaging.node import Answer, Error, LinkRequest, Refusal
from lab.messaging.refusals import INTERNAL
from lab.messaging.terminus import described, link_request, with_filters

if TYPE_CHECKING:
    from lab.messaging.connection import Connection
    from lab.messaging.node import Intake, Outlet
    from lab.messaging.session import Session

CBS: Final = "$cbs"
MANAGEMENT: Final = "$management"

_log = logging.getLogger(__name__)


class Stage(Enum):
    """How far a link is."""

    OPENING = "opening"
    OPEN = "open"
    ENDED = "ended"


class BaseLink[End: Intake | Outlet](ABC):
    """What both directions share: attaching, ending, and being refused."""

    def __init__(self, session: Session, attach: Attach) -> None:
        self.session = session
        self.attach = attach
        self.handle = attach.handle or 0
        self.request = LinkRequest(attach.name or "", "")
        self.stage = Stage.OPENING
        self.last_used = time.monotonic()
        self.end: End | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def peer(self) -> Connection:
        """Who is at the other end."""
        return self.session.connection

    @property
    def path(self) -> str:
        """The address of the entity."""
        return self.request.path

    @property
    def is_internal(self) -> bool:
        """Whether the link talks to the engine or a manager and not to an entity."""
        return self.path.rpartition("/")[2].lower() in {CBS, MANAGEMENT}

    def begin(self) -> None:
        """Find out whether the link may be; what needs no waiting is done on return."""
        loop = asyncio.get_running_loop()
        self._opening = asyncio.Task(self._open(), loop=loop, eager_start=True)

    async def _open(self) -> None:
        try:
            self.request = link_request(self.attach)
            self._admit()
            self.end = self._find()
            self.peer.rights.require(self.end.claims)
            answer = await self._prepared(self.end)
        except Refusal as refusal:
            self._refuse(refusal.error)
        except Exception:  # noqa: BLE001 - a defect ends the link, not the lab
            _log.exception("the link to %r could not be opened", self.path)
            self._refuse(Error(INTERNAL, "The lab could not open the link; its log says why."))
        else:
            self.stage = Stage.OPEN
            self._attached(answer)

    def _admit(self) -> None:
        if not self.is_internal:
            self.peer.site.admit(self.peer.host, self.path)

    @abstractmethod
    def _find(self) -> End:
        """Ask the service for the end of this link."""

    @abstractmethod
    async def _prepared(self, end: End) -> Answer:
        """Let the end get ready."""

    @abstractmethod
    def _attached(self, answer: Answer) -> None:
        """Answer the attach, and let through what waited for it."""

    def _reply(self, answer: Answer, initial_delivery_count: int | None) -> None:
        """Answer the attach: everything echoed, the role inverted."""
        asked = self.attach
        self.session.send(
            Attach(
                asked.name,
                self.handle,
                not asked.role,
                asked.snd_settle_mode,
                asked.rcv_settle_mode,
                with_filters(asked.source, answer.filters),
                asked.target,
                initial_delivery_count=initial_delivery_count,
                max_message_size=self._limit(answer),
                offered_capabilities=symbols(*answer.capabilities)
                if answer.capabilities
                else None,
                properties={Symbol(key): item for key, item in answer.properties.items()},
            )
        )

    def _limit(self, answer: Answer) -> int:
        """Return the smaller of both sides' sizes; 0 is no limit."""
        theirs = self.attach.max_message_size or answer.max_message_size
        return min(theirs, answer.max_message_size)

    def _refuse(self, error: Error) -> None:
        """Refuse as Azure does: an attach without source and target, then a detach."""
        asked = self.attach
        count = 0 if asked.role else None
        refused = Attach(asked.name, self.handle, not asked.role, initial_delivery_count=count)
        self.session.send(refused)
        self.session.drop(self.handle)
        self.stage = Stage.ENDED
        self.session.send(Detach(self.handle, closed=True, error=described(error)))

    def detach(self, error: Error) -> None:
        """End the link from this side."""
        if self.stage is Stage.ENDED:
            return
        if self.stage is Stage.OPENING:
            self._cancel_opening()
            self._refuse(error)
            return
        self.session.drop(self.handle)
        self.session.send(Detach(self.handle, closed=True, error=described(error)))
        self.ended()

    def ended(self) -> None:
        """Tell the end behind it that the link is no more."""
        if self.stage is Stage.OPENING:
            self._cancel_opening()
        elif self.stage is Stage.OPEN and self.end is not None:
            self.stage = Stage.ENDED
            self._closed(self.end)
        self.stage = Stage.ENDED

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()

    def _closed(self, end: End) -> None:
        try:
            end.closed()
        except Exception:  # noqa: BLE001 - a defect ends the link, not the lab
            _log.exception("the end of the link to %r did not close", self.path)
