"""The border: whatever an SDK raises becomes a `DeliveryError`, a refusal explained."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from relay.failures import DeliveryError, Reason
from relay.refusals import explain
from relay.sdk_errors import asked_to_wait, reason_of, said
from relay.sinks.calls import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.identity import Identity
    from relay.refusals import Resource


@contextmanager
def translated(
    resource: Resource, identity: Identity, *, accepted: int = 0, suspects: int = 1
) -> Iterator[None]:
    """Turn whatever an SDK raises into a `DeliveryError`, a refusal with its explanation.

    Raises:
        DeliveryError: in place of the SDK's error, which is its cause.
    """
    try:
        yield
    except Exception as error:
        reason, words = _told(error)
        if reason is Reason.UNAUTHENTICATED:
            identity.forget()
        raise DeliveryError(
            reason,
            f"{resource.label}: {words}",
            accepted=accepted,
            suspects=suspects,
            refusal=explain(reason, resource, identity.principal, words),
            wait=asked_to_wait(words),
        ) from error


def _told(error: Exception) -> tuple[Reason, str]:
    if isinstance(error, DeliveryError):
        return error.reason, error.detail
    if type(error) is TimeoutError and not str(error):
        return Reason.TIMEOUT, f"no answer within {CALL_SECONDS:g} seconds"
    return reason_of(error), " ".join(said(error).split()) or type(error).__name__
