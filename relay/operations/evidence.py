"""From whatever went wrong to its cause: what an error says is looked up, never guessed."""

from __future__ import annotations

import ssl
from typing import Final

from azure.core.exceptions import (
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.eventhub.exceptions import OperationTimeoutError as HubTimeoutError
from azure.servicebus.exceptions import OperationTimeoutError as BusTimeoutError

from relay.causes import Cause, Service, recognise
from relay.sdk_errors import code_of, condition_of, said

_SILENT: Final = (
    TimeoutError,
    HubTimeoutError,
    BusTimeoutError,
    ServiceRequestTimeoutError,
    ServiceResponseTimeoutError,
)
_AT_THE_TOKEN: Final = frozenset(
    {
        Cause.TOKEN_NOT_ACCEPTED,
        Cause.TOKEN_EXPIRED,
        Cause.TOKEN_MALFORMED,
        Cause.WRONG_AUDIENCE,
        Cause.WRONG_TENANT,
        Cause.CLOCK_SKEW,
        Cause.KEY_REFUSED,
    }
)
"""What a service refuses when it is shown the token, before a link is asked for."""


def words_of(error: BaseException) -> str:
    """Return all that an error says, in one line."""
    return " ".join(said(error).split()) or type(error).__name__


def cause_of(service: Service, error: BaseException) -> Cause:
    """Return why a call of an SDK to a service failed."""
    words = words_of(error)
    if isinstance(error, _SILENT):
        return Cause.NO_ANSWER
    if isinstance(error, HttpResponseError):
        return recognise(service, code_of(error) or str(error.status_code or ""), words)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return Cause.UNAVAILABLE
    return recognise(service, condition_of(error), words)


def is_about_the_token(cause: Cause, error: BaseException) -> bool:
    """Whether the token was refused, not the link that it was shown for."""
    return cause in _AT_THE_TOKEN or type(error).__name__ in {
        "TokenAuthFailure",
        "AuthenticationError",
        "ServiceBusAuthenticationError",
    }


def cause_of_tls(error: BaseException) -> Cause:
    """Return why no TLS came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause.TLS_NOT_TRUSTED
    return Cause.NO_ANSWER if isinstance(error, TimeoutError) else Cause.TLS_FAILED
