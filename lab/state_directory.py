"""The directory in which a lab keeps its keys: one lab at a time."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StateInUseError(OSError):
    """Another lab works with this state directory."""


class StateDirectory:
    """Holds a state directory until it is released, or the process ends in whatever way.

    Attributes:
        path: where it is; it is made when there is none, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._lock = (path / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise StateInUseError(
                f"another lab is running with the state directory {path}: end it, or name "
                "another directory"
            ) from error

    def release(self) -> None:
        """Let another lab have it."""
        self._lock.close()
