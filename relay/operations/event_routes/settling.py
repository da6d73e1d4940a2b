"""Makes an instance's event routes what they should be, and sees to it that they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.operations.event_routes.patience import TroubleError
from relay.operations.event_routes.plan import EventRoute, Part, differences

if TYPE_CHECKING:
    from relay.operations.event_routes.instance import Instance
    from relay.operations.event_routes.patience import Patience
    from relay.operations.event_routes.plan import Difference

_OWN: Final = frozenset({Part.MISSING, Part.ENDPOINT, Part.FILTER})


@dataclass(slots=True)
class Course:
    """How far it came; filled in on the way, so that a failure hides nothing.

    Attributes:
        found: the event routes that were there; `None` while that is not known.
        differs: in what they were otherwise than wanted.
        done: what was changed, in words.
    """

    found: list[EventRoute] | None = None
    differs: tuple[Difference, ...] = ()
    done: list[str] = field(default_factory=list)

    @property
    def extra(self) -> list[Difference]:
        """The others that lead to the endpoint."""
        return [each for each in self.differs if each.part is Part.EXTRA]


async def compare(
    instance: Instance, wanted: EventRoute, patience: Patience, course: Course
) -> None:
    """Find out what differs; nothing is changed.

    Raises:
        TroubleError: it can't be found out.
    """
    course.found = await patience.until(instance.event_routes)
    course.differs = differences(wanted, course.found)


async def settle(
    instance: Instance, wanted: EventRoute, patience: Patience, course: Course, *, prunes: bool
) -> None:
    """Change what differs; what is right already is not written again.

    The event route that is wanted comes first, so that there is never none.

    Args:
        instance: whose event routes.
        wanted: the one that the endpoint should have.
        patience: how long to try.
        course: notes what was found and done.
        prunes: whether others that lead to the same endpoint are deleted.

    Raises:
        TroubleError: something was refused, or doesn't show; `course` says how far it came.
    """
    await compare(instance, wanted, patience, course)
    parts = {each.part for each in course.differs}
    if parts & _OWN:
        await patience.until(lambda: instance.put(wanted))
        verb = "created" if Part.MISSING in parts else "changed"
        course.done.append(f"{verb} {wanted.id}")
    for extra in course.extra if prunes else ():
        await patience.until(lambda gone=extra.id: instance.delete(gone))  # type: ignore[misc] # mypy infers no type for the default
        course.done.append(f"deleted {extra.id}")
    if course.done:
        await patience.until(lambda: _shows(instance, wanted, prunes=prunes))


async def _shows(instance: Instance, wanted: EventRoute, *, prunes: bool) -> None:
    """Read again what was written: it may take a while until it shows."""
    left = differences(wanted, await instance.event_routes())
    late = [each.id for each in left if prunes or each.part in _OWN]
    if late:
        names = ", ".join(dict.fromkeys(late))
        raise TroubleError(f"what was changed does not show yet: {names}", passes=True)
