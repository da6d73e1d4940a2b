"""What can go wrong between the host and an app.

AppFailed           the app cannot be indexed or started: its own words, for its developer
WorkerDied          the process ended while something waited for it; nothing was answered
InvocationTimedOut  no answer within the function's time; the worker is of no more use
SourceFailed        a trigger's source cannot be read just now
LockLost            a message or a session is another receiver's by now
"""

from __future__ import annotations


class AppFailed(Exception):  # noqa: N818 - says what happened, as the others here
    """The app cannot run as it is; the message is for whoever wrote or configured it."""


class WorkerDied(Exception):  # noqa: N818 - the same
    """The worker process ended; whatever it was asked is without an answer."""


class InvocationTimedOut(Exception):  # noqa: N818 - the same
    """A function did not answer within its time."""


class SourceFailed(Exception):  # noqa: N818 - the same
    """Events cannot be read just now; the message says where and why."""


class LockLost(Exception):  # noqa: N818 - the same
    """The lock on a message or a session has run out; its messages come again."""
