"""Everything wrong with the settings, collected and said at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


_KEY: Final = re.compile(r"[A-Za-z0-9+/]{20,}={1,2}|[A-Za-z0-9+]{32,}")
"""What a key looks like that stands somewhere alone; no word of a filter ends so."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: where, what, and what to do. Never a value."""

    setting: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return _KEY.sub("(…)", f"{self.setting}: {self.what.rstrip('.')}. {self.remedy}")

    def concerns(self, setting: str) -> bool:
        """Whether it is about a setting, or about a place in it, such as `RELAY_ROUTES[0]`."""
        return self.setting.partition("[")[0] == setting


class SettingsError(Exception):
    """The relay can't start; `problems` holds every reason, and so does the message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {number}. {p}" for number, p in enumerate(self.problems, 1))
        super().__init__(f"Twin Relay can't start: its settings need mending.\n{lines}")


class Problems:
    """Collects problems while settings are read on, so that all are found in one go."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, setting: str, what: str, remedy: str) -> None:
        """Note one thing wrong."""
        self._found.append(Problem(setting, what, remedy))

    def add_secret(self, setting: str, instead: str) -> None:
        """Note a secret; nothing else is said of that setting, since it might quote it."""
        self._found = [problem for problem in self._found if not problem.concerns(setting)]
        self.add(setting, "it holds a secret", f"Remove it, and {instead}")

    def raise_if_any(self) -> None:
        """Stop here if anything is wrong.

        Raises:
            SettingsError: with all of it.
        """
        if self._found:
            raise SettingsError(self._found)
