"""What an HTTP server of the lab does wrong on purpose, and how often."""

from __future__ import annotations

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
    """

    status: int | None = None
    code: str = ""
    body: str | None = None
    seconds: float = 0
    silent: bool = False
    times: int | None = None


class Misbehaviour:
    """The fault in force, if there is one."""

    def __init__(self) -> None:
        self.fault: HttpFault | None = None

    def take(self) -> HttpFault:
        """Return what to do with one request; a fault that does nothing when all is well."""
        fault = self.fault
        if fault is None:
            return HttpFault()
        if fault.times is not None:
            left = fault.times - 1
            self.fault = replace(fault, times=left) if left > 0 else None
        return fault
