"""A case: one fault, where it applies, how it begins and ends. And what it may lay hands on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.faults.plan import FAULTED, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.control import Control
    from lab.faults.entrance import Ingress
    from lab.faults.journal import Journal
    from lab.faults.plan import Target
    from lab.functions_host import FunctionsHost
    from lab.twins import Message

EVERYWHERE: Final = tuple(Kind)
ONCE: Final = (Kind.EVENT_HUB,)

_LONGEST_WAIT: Final = 40.0


class NeverHappenedError(Exception):
    """A fault could not be brought about as it was meant: its case proves nothing."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may lay hands on.

    Attributes:
        control: the local Azure's control surface.
        host: the Functions host with the relay in it.
        journal: what the relay says.
        target: the destination to be faulted.
        sent: returns how many messages were sent to the ingress.
        arrived: returns how many messages the target holds.
        send: puts messages into the ingress beside those that flow.
    """

    control: Control
    host: FunctionsHost
    journal: Journal
    target: Target
    sent: Callable[[], int]
    arrived: Callable[[], int]
    send: Callable[[Sequence[Message]], Awaitable[None]]

    @property
    def trouble(self) -> int:
        """How often the relay spoke of trouble on the faulted route, or of what is no event."""
        return self.journal.trouble(FAULTED) + self.journal.records("relay.malformed")

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition.

        Raises:
            NeverHappenedError: it did not come about.
        """
        if not await self.journal.until(condition, _LONGEST_WAIT):
            raise NeverHappenedError(f"waited in vain: {what}")


type Step = Callable[[Scene], Awaitable[None] | None]
type Sign = Callable[[Scene], bool]


def nothing(_: Scene) -> None:
    """Do nothing: the fault ends by itself."""


def shows(scene: Scene) -> bool:
    """Tell whether the relay or the lab felt a fault of the destination, or a worker died."""
    struck = scene.control.struck()[scene.target.namespace]
    return scene.trouble > 0 or struck > 0 or scene.host.counts["died"] > 0


def behind(scene: Scene) -> bool:
    """Tell whether the destination lacks something that was sent."""
    return scene.arrived() < scene.sent()


def always(_: Scene) -> bool:
    """Tell that there is nothing to show."""
    return True


@dataclass(frozen=True, slots=True)
class Flow:
    """How many events flow while a fault lasts, and at how many a second."""

    count: int
    rate: float


@dataclass(frozen=True, slots=True)
class Case:
    """One fault.

    Attributes:
        name: what goes wrong, in words.
        family: what it is about, with its likes.
        inject: begins it, while events flow.
        end: ends it, while events flow; it lasts at least as long as those between.
        applies_to: for which kinds of destinations it is played, from an Event Hub.
        lasts: seconds that it lasts longer.
        sign: how it shows that the fault was real; waited for before the end.
        keeps: how many events are at fault themselves, and left in Blob for a person.
        quick: for which kinds it belongs to the representative fifth.
        flow: what flows meanwhile, where that is not what always does.
        ways: by which other ways in it is played too, each to one kind of destination.
        quick_ways: which of them belong to the representative fifth.
    """

    name: str
    inject: Step = nothing
    end: Step = nothing
    applies_to: tuple[Kind, ...] = EVERYWHERE
    lasts: float = 0.0
    sign: Sign = shows
    keeps: int = 0
    quick: tuple[Kind, ...] = ()
    flow: Flow | None = None
    family: str = ""
    ways: tuple[Ingress, ...] = ()
    quick_ways: tuple[Ingress, ...] = ()
