"""Remembers what a function makes of a few keys: a lookup where it does, and no call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 256


class Memo[Key, Value](dict[Key, Value]):
    """What a function returns, by its argument; for what is asked for event after event.

    Args:
        function: is called for a key that is not remembered; what it raises is raised.
        most: keys that are remembered: the first ones. Senders choose them, and memory is not
            theirs to fill.
    """

    def __init__(self, function: Callable[[Key], Value], most: int = _MOST) -> None:
        super().__init__()
        self._function = function
        self._most = most

    def __missing__(self, key: Key) -> Value:
        """Ask the function."""
        value = self._function(key)
        if len(self) < self._most:
            self[key] = value
        return value
