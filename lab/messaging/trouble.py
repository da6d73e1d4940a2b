"""What is wrong with a namespace just now: faults as values that the engine asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.messaging.node import Error


class Acknowledgement(Enum):
    """What becomes of the answer to a message that was taken."""

    SENT = "sent"
    DROPPED = "dropped"
    CUT = "cut"


@dataclass(slots=True)
class Fault[T]:
    """One fault.

    Attributes:
        entity: the path it concerns and everything below; `""` is the whole namespace.
        what: what happens.
        left: how often still; `None` is for ever.
    """

    entity: str
    what: T
    left: int | None = None

    def strikes(self, path: str) -> bool:
        """Tell whether it happens now to `path`, counting if so."""
        if self.left == 0 or not lies_below(path, self.entity):
            return False
        if self.left is not None:
            self.left -= 1
        return True


def lies_below(path: str, entity: str) -> bool:
    """Tell whether `path` is `entity` or below it, without case; all is below `""`."""
    path, entity = path.lower(), entity.lower()
    return not entity or path == entity or path.startswith(entity + "/")


@dataclass(slots=True)
class Trouble:
    """All that is wrong with one namespace.

    Attributes:
        network_denied: whether the network rules let nobody in.
        frozen: whether it accepts bytes and answers nothing.
        disabled: entities that are switched off.
        deleted: entities that are gone.
        attaching: errors for links that attach.
        sending: errors for messages that are sent.
        acknowledging: what happens to the answers of messages that were taken.
        struck: how often a fault has hit somebody since the namespace was started.
    """

    network_denied: bool = False
    frozen: bool = False
    disabled: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    attaching: list[Fault[Callable[[], Error]]] = field(default_factory=list)
    sending: list[Fault[Callable[[], Error]]] = field(default_factory=list)
    acknowledging: list[Fault[Acknowledgement]] = field(default_factory=list)
    struck: int = 0

    def end(self) -> None:
        """Let nothing be wrong any more."""
        self.network_denied = self.frozen = False
        self.disabled.clear()
        self.deleted.clear()
        self.attaching.clear()
        self.sending.clear()
        self.acknowledging.clear()

    def on_attach(self, path: str) -> Error | None:
        """Return why a link to `path` may not attach just now."""
        return self._error(self.attaching, path)

    def on_send(self, path: str) -> Error | None:
        """Return why a message to `path` is not taken just now."""
        return self._error(self.sending, path)

    def on_acknowledge(self, path: str) -> Acknowledgement:
        """Return what becomes of the answer to a message to `path`."""
        for fault in self.acknowledging:
            if fault.strikes(path):
                self.struck += 1
                return fault.what
        return Acknowledgement.SENT

    def is_disabled(self, path: str) -> bool:
        """Tell whether what `path` belongs to is switched off."""
        return any(lies_below(path, entity) for entity in self.disabled)

    def is_deleted(self, path: str) -> bool:
        """Tell whether what `path` belongs to is gone."""
        return any(lies_below(path, entity) for entity in self.deleted)

    def _error(self, faults: list[Fault[Callable[[], Error]]], path: str) -> Error | None:
        for fault in faults:
            if fault.strikes(path):
                self.struck += 1
                return fault.what()
        return None
