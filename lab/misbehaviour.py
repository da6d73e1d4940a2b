"""What an HTTP server of the lab does wrong on purpose, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class HttpFault:
    """One way to fail.

    Attributes:
        status: answer with this status instead of the truth.
        code: the error code that goes with it.
        body: answer 200 with this body instead of the truth.
        seconds: wait so long before answering.
        silent: take the request and never answer.
        times: how often, before all is well again; None for ever.
        below: the path that it concerns, with all below; `""` is every path.
        acts: what kinds of requests it concerns; none is all of them.
    """

    status: int | None = None
    code: str = ""
    body: str | None = None
    seconds: float = 0
    silent: bool = False
    times: int | None = None
    below: str = ""
    acts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what can't be done.

        Raises:
            ValueError: no status that says no, or less than once.
        """
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"a refusal's status is between 400 and 599, not {self.status}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"a fault happens at least once, not {self.times} times")

    def concerns(self, path: str, act: str = "") -> bool:
        """Tell whether a request of this kind for this path runs into it."""
        if self.acts and act not in self.acts:
            return False
        return not self.below or path == self.below or path.startswith(f"{self.below}/")


class Misbehaviour:
    """The fault in force, if there is one.

    Attributes:
        fault: what goes wrong; None when all is well.
        felt: set when a request has run into a fault.
        struck: how many requests have.
    """

    def __init__(self) -> None:
        self.fault: HttpFault | None = None
        self.felt = asyncio.Event()
        self.struck = 0

    async def endure(self, path: str = "", act: str = "") -> HttpFault:
        """Take the fault's delay upon one request and return how it is to be answered."""
        fault = self._take(path, act)
        await asyncio.sleep(fault.seconds)
        if fault.silent:
            await asyncio.Event().wait()
        return fault

    def _take(self, path: str, act: str) -> HttpFault:
        fault = self.fault
        if fault is None or not fault.concerns(path, act):
            return HttpFault()
        self.felt.set()
        self.struck += 1
        if fault.times is not None:
            left = fault.times - 1
            self.fault = replace(fault, times=left) if left > 0 else None
        return fault
