"""The webhook: CloudEvents over HTTP, from whoever holds a token that lets him send.

Follows the HTTP 1.1 Web Hooks for Event Delivery of CloudEvents
(https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md) and Event Grid's
validation. What goes wrong here is told as "later" (503, 429), never as the sender's fault:
Event Grid drops what it is refused.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from relay.delivery import UnsettledError
from relay.failures import DeliveryError, Reason
from relay.formats import verbatim_json
from relay.ingress import Malformed
from relay.ingress.http import UNDERSTOOD, NotUnderstoodError, from_http, mode_of
from relay.observer import RequestRefused
from relay.operations.access import AccessError, permit
from relay.operations.answers import Answer, in_json, problem
from relay.permissions import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from relay.ingress import Arrival
    from relay.observer import Observer
    from relay.operations.access import Caller
    from relay.operations.addresses import Gate
    from relay.outcomes import Result
    from relay.settings import HttpIngress

_ALLOW: Final = "OPTIONS, POST"
_LATER: Final = 30
"""Seconds after which a sender may try again where nobody knows better."""
_ORIGIN: Final = re.compile(r"[a-z0-9._-]+")
_VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
_FAREWELLS: Final = frozenset({"subscriptiondeletion", "unsubscribe"})
"""The `aeg-event-type` by which Event Grid says that a subscription is gone."""


class Request(Protocol):
    """What the webhook asks of a request; the body last of all."""

    @property
    def method(self) -> str:
        """Such as `POST`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case."""

    def get_body(self) -> bytes:
        """Return the body."""


class _RefusedError(Exception):
    """A request that is not taken, and what it is answered."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Webhook:
    """Answers requests.

    Args:
        ingress: who may send, and what.
        source: the `source` of events in Event Grid's schema, which has none.
        caller: tells who calls by the header Authorization, or raises `AccessError`.
        settle: brings events to their end, or raises `UnsettledError`.
        observe: hears of requests that are refused.
        now: the time of day, in UTC.
        gate: from which addresses it may be called; `None` for all.
    """

    def __init__(
        self,
        ingress: HttpIngress,
        source: str | None,
        caller: Callable[[str | None], Awaitable[Caller]],
        settle: Callable[[Sequence[Arrival]], Awaitable[list[Result]]],
        observe: Observer,
        now: Callable[[], datetime],
        gate: Gate | None = None,
    ) -> None:
        self._ingress = ingress
        self._source = source
        self._caller = caller
        self._settle = settle
        self._observe = observe
        self._now = now
        self._gate = gate

    async def answer(self, request: Request) -> Answer:
        """Answer a request; what could not be taken is told as a problem (RFC 9457)."""
        try:
            return await self._answer(request)
        except _RefusedError as refused:
            return self._refuse(refused.status, refused.detail, refused.headers)
        except AccessError as error:
            return self._refuse(error.status, error.detail, error.headers, caller=error.caller)

    async def _answer(self, request: Request) -> Answer:
        if self._gate is not None and not self._gate.lets_in(request.headers):
            detail = "calls from this address are not taken"
            return self._refuse(403, detail, {}, caller=self._gate.seen(request.headers))
        match request.method.upper():
            case "OPTIONS":
                return self._consent(request.headers)
            case "POST":
                return await self._take(request)
            case method:
                raise _RefusedError(405, f"{method} is no way to send events", Allow=_ALLOW)

    def _consent(self, headers: Mapping[str, str]) -> Answer:
        """Agree to be sent events by an origin that may (abuse protection, no authentication).

        An origin that may not gets the same answer without consent. The callback that a sender
        offers is never called: it could be anywhere.
        """
        origin = headers.get("webhook-request-origin", "").strip().lower()
        granted = {"Allow": _ALLOW}
        if _ORIGIN.fullmatch(origin) and not self._ingress.origins.isdisjoint({origin, "*"}):
            granted |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Answer(200, granted)

    async def _take(self, request: Request) -> Answer:
        headers = request.headers
        caller = await self._caller(headers.get("authorization"))
        permit(caller, self._ingress.role, self._ingress.applications)
        self._check_headers(headers)
        body = request.get_body()
        self._check_size(len(body))
        if not body and "transfer-encoding" in headers:
            # The Functions host hands over a body only where it knows its length.
            raise _RefusedError(411, "chunked bodies don't get here: send a Content-Length")
        code = _validation_code(headers, body)
        if code is not None:
            return in_json({"validationResponse": code})
        if headers.get("aeg-event-type", "").lower() in _FAREWELLS:
            return Answer(200)
        return await self._settled(from_http(headers, body, self._now(), self._source))

    def _check_headers(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            detail = f"bodies in the encoding {encoding!r} are not read: send them plain"
            raise _RefusedError(415, detail, Accept_Encoding="identity")
        length = headers.get("content-length", "").strip()
        if length.isascii() and length.isdecimal():
            self._check_size(int(length) if len(length) < len("9" * 18) else 10**18)
        try:
            mode_of(headers)
        except NotUnderstoodError as error:
            raise _RefusedError(415, str(error), Accept=", ".join(UNDERSTOOD)) from error

    def _check_size(self, size: int) -> None:
        largest = self._ingress.largest_body
        if size > largest:
            raise _RefusedError(413, f"the body has more than {largest} bytes")

    async def _settled(self, arrivals: Sequence[Arrival]) -> Answer:
        self._check_malformed(arrivals)
        try:
            await self._settle(arrivals)
        except UnsettledError as error:
            status, wait = later(error)
            headers = {"Retry-After": str(wait)}
            detail = "the events are neither delivered nor kept: send them again"
            return self._refuse(status, f"{detail} ({error})", headers, public=detail)
        return Answer(202)

    def _check_malformed(self, arrivals: Sequence[Arrival]) -> None:
        """Refuse what holds no event at all, where told to; neighbours are never refused."""
        contents = [arrival.content for arrival in arrivals]
        malformed = [content for content in contents if isinstance(content, Malformed)]
        if malformed and len(malformed) == len(contents) and not self._ingress.keeps_malformed:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, malformed[0].detail)

    def _refuse(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str],
        public: str = "",
        caller: str = "",
    ) -> Answer:
        self._observe(RequestRefused(status, detail, Action.EVENTS_WRITE, caller))
        return problem(status, public or detail, headers)


def later(error: BaseException) -> tuple[int, int]:
    """Return the status and the seconds that tell a sender to try again.

    Whatever the reason: if nothing of it is durable, it is no fault of the sender's.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DeliveryError):
        cause = cause.__cause__
    if cause is None:
        return HTTPStatus.SERVICE_UNAVAILABLE, _LATER
    wait = max(1, round(cause.wait)) if cause.wait else _LATER
    if cause.reason is Reason.THROTTLED:
        return cause.reason.traits.http_status, wait
    return HTTPStatus.SERVICE_UNAVAILABLE, wait


def _validation_code(headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the code by which Event Grid asks whether the webhook wants a subscription.

    The URL that comes with it is never fetched: whoever is let in could name any.
    """
    if headers.get("aeg-event-type", "").lower() != "subscriptionvalidation":
        return None
    try:
        [event] = verbatim_json.elements(body.decode("utf-8-sig"))
        members = verbatim_json.members(event)
        if json.loads(members.get("eventType", "null")) != _VALIDATION:
            return None
        code = json.loads(verbatim_json.members(members["data"])["validationCode"])
    except (ValueError, KeyError, RecursionError):
        return None
    return code if isinstance(code, str) else None
