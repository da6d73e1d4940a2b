"""What a policy is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.infra.bicep.nodes import Finding
from tests.infra.project import Project


@dataclass(frozen=True)
class Policy:
    """An invariant.

    Attributes:
        name: what sabotages call it by.
        says: the invariant, in a sentence.
        check: yields where it does not hold.
    """

    name: str
    says: str
    check: Callable[[Project], Iterator[Finding]]

    def is_broken(self, project: Project) -> bool:
        """Whether it does not hold somewhere."""
        return next(self.check(project), None) is not None

    def broken(self, project: Project) -> list[Finding]:
        """Return where it does not hold, each once."""
        return sorted(set(self.check(project)), key=lambda found: (found.at, found.what))


def policy(says: str) -> Callable[[Callable[[Project], Iterator[Finding]]], Policy]:
    """Make a policy of a check; its name is that of the function."""

    def made(check: Callable[[Project], Iterator[Finding]]) -> Policy:
        return Policy(check.__name__.strip("_").replace("_", "-"), says, check)

    return made
