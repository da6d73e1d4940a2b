"""What a trigger may ask of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.functions.messages import Answer, Data, RetryState
    from lab.functions.metadata import Function


class Host(Protocol):
    """Runs functions, whichever process holds them at the moment."""

    @property
    def time_scale(self) -> float:
        """What every waiting time is multiplied by."""

    async def invoke(
        self,
        function: Function,
        value: Data,
        metadata: Mapping[str, Data],
        retry: RetryState | None = None,
        call_id: str = "",
    ) -> Answer:
        """Run a function with `value` as its trigger's input; `""` for a new id.

        Raises:
            WorkerDied: the process ended before it answered.
        """

    async def http_address(self) -> str:
        """Return where the worker serves HTTP itself; `""` where it does not."""

    def log(self, level: int, message: str) -> None:
        """Say something in the host's own name."""
