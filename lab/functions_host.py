"""The lab's Functions host, for whoever runs an app in it."""

from __future__ import annotations

from lab.functions.failures import AppFailed, SourceFailed, WorkerDied
from lab.functions.host import BANNER, FunctionsHost
from lab.functions.messages import Answer, HttpResponse, LogRecord
from lab.functions.metadata import Function, RetryPolicy
from lab.functions.process import CONSOLE

__all__ = [
    "BANNER",
    "CONSOLE",
    "Answer",
    "AppFailed",
    "Function",
    "FunctionsHost",
    "HttpResponse",
    "LogRecord",
    "RetryPolicy",
    "SourceFailed",
    "WorkerDied",
]
