"""What is fuzzed: each decoder with what must hold for whatever bytes it is given.

A target takes bytes and returns nothing; it fails by an exception. Lines before the first empty
one are headers or properties, `name: value`; the rest is the body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from relay.dead_letters import DeadLetter
from relay.dead_letters.letters import decode, encode, unpack
from relay.event import Event
from relay.failures import Reason
from relay.filters import compile as compile_filter
from relay.formats import json_format
from relay.ingress import (
    Arrival,
    Malformed,
    Message,
    from_caller,
    from_event_grid,
    from_http,
    read,
)
from relay.ingress.http import NotUnderstoodError
from relay.operations.access import AccessError, Authenticator
from relay.operations.webhook import Webhook
from relay.outcomes import Result
from relay.routing import Destination, Kind, Route, match
from relay.settings import Access, HttpIngress
from relay.sinks import event_hub, service_bus
from tests.fakes import NOON
from tests.relay.http_requests import HttpRequest

SOURCE = "plant-a.api.weu.digitaltwins.azure.net"
ACCESS = Access("t", ("a",), "https://login.microsoftonline.com")
GOOD = '{"specversion":"1.0","id":"good","source":"s","type":"t","data":1.0}'
FILTERS = (
    "$body.rpm >= 1000 AND subject != 'x'",
    "STARTS_WITH($body.modelId, 'dtmi:') OR $body.patch = 'x'",
    "type IN ('a', 'b') AND NOT $body.a.b.c = true",
)
ROUTES = [
    Route(f"route-{n}", compile_filter(text), Destination("C", Kind.EVENT_HUB, "h"))
    for n, text in enumerate(FILTERS)
]
LOOP = asyncio.new_event_loop()

type Target = Callable[[bytes], None]


def properties_and_body(given: bytes) -> tuple[dict[str | bytes, object], bytes]:
    """Take bytes apart: properties with bytes, text and numbers for names and values."""
    head, _, body = given.partition(b"\n\n")
    found: dict[str | bytes, object] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b": ")
        text = name.decode("utf-8", "surrogateescape")
        found[name if name[:1] == b"\xff" else text] = _value(value)
    return found, body


def _value(written: bytes) -> object:
    match written[:1]:
        case b"#":
            return len(written) << (8 * len(written))
        case b"\xff":
            return written[1:]
        case b"!":
            return [None, True, 1.5][len(written) % 3]
        case _:
            return written.decode("utf-8", "surrogateescape")


def headers_and_body(given: bytes) -> tuple[dict[str, str], bytes]:
    """Take bytes apart as a server does: names in lower case, values as text."""
    head, _, body = given.partition(b"\n\n")
    pairs = (line.partition(b": ") for line in head.split(b"\n"))
    return {
        name.decode("latin-1").lower(): value.decode("utf-8", "surrogateescape")
        for name, _, value in pairs
    }, body


def check(arrivals: Iterable[Arrival], whole: bytes | None = None) -> list[Event | Malformed]:
    """Make sure that every room behind ingress can do with what it lets through."""
    found = list(arrivals)
    assert [arrival.part for arrival in found] == list(range(len(found)))
    for arrival in found:
        _written_down_and_back(arrival)
        if isinstance(arrival.content, Event):
            match(ROUTES, arrival.content)
            event_hub.message(arrival.content)
            service_bus.message(arrival.content, session=True)
        else:
            assert arrival.content.detail
            assert whole is None or arrival.content.body in whole
    return [arrival.content for arrival in found]


def _written_down_and_back(arrival: Arrival) -> None:
    letter = DeadLetter(arrival, Reason.REJECTED, "x", 1, NOON)
    route = "_malformed" if isinstance(arrival.content, Malformed) else "r"
    (again,) = decode(encode([letter], route).encode().decode())
    if isinstance(arrival.content, Event):
        assert again.arrival.content == arrival.content
    else:
        assert isinstance(again.arrival.content, Malformed)
        assert again.arrival.content.body == arrival.content.body


def of_a_hub(given: bytes) -> None:
    """A message of a hub or of Service Bus: properties, content type, body."""
    properties, body = properties_and_body(given)
    content_type = properties.pop("content-type", None)
    told = content_type if isinstance(content_type, str) else None
    for source in (None, SOURCE):
        message = Message("h/0", 1, NOON, body, properties, told)
        assert check(read(message, source), body)


def of_event_grid(given: bytes) -> None:
    """An event of the Event Grid trigger, as text."""
    text = given.decode("utf-8", "replace")
    assert check(from_event_grid(text, NOON, SOURCE), text.encode())


def of_http(given: bytes) -> None:
    """A request: headers and body."""
    headers, body = headers_and_body(given)
    with suppress(NotUnderstoodError):
        check(from_http(headers, body, NOON, SOURCE), body)


def of_a_caller(given: bytes) -> None:
    """What another part of the app hands over, as text, beside what is good."""
    found = check(from_caller([given.decode("latin-1"), GOOD], NOON, SOURCE))
    assert found[-1] == json_format.decode(GOOD)


def of_the_webhook(given: bytes) -> None:
    """A request with everything that the webhook does with it."""
    headers, body = headers_and_body(given)
    method = headers.pop("method", "POST")
    settled: list[Arrival] = []

    async def settle(arrivals: Iterable[Arrival]) -> list[Result]:
        settled.extend(arrivals)
        return []

    async def caller(_: str | None) -> object:
        return _Anybody()

    ingress = HttpIngress(ACCESS, role="r", origins=frozenset({"*"}), largest_body=1 << 16)
    webhook = Webhook(ingress, SOURCE, caller, settle, lambda _: None, lambda: NOON)  # type: ignore[arg-type]
    answer = LOOP.run_until_complete(webhook.answer(HttpRequest(method, headers, body)))
    assert answer.status in {200, 202, 405, 411, 413, 415}
    assert "\n" not in "".join((*answer.headers.keys(), *answer.headers.values()))
    assert answer.status in {200, 202} or json.loads(answer.body)["detail"]
    check(settled, body)


class _Anybody:
    application, roles, is_application = "a", frozenset({"r"}), True


def beside_neighbours(given: bytes) -> None:
    """Whatever stands between two good events: they come through, or all is kept as it was."""
    body = f"[{GOOD},".encode() + given + f",{GOOD}]".encode()
    found = check(read(Message("h/0", 1, NOON, body, {}), SOURCE), body)
    if len(found) > 1:
        good = json_format.decode(GOOD)
        assert found[0] == found[-1] == good
    else:
        assert isinstance(found[0], Malformed)


def of_blob(given: bytes) -> None:
    """A blob among the dead letters, whoever wrote it."""
    unpack("r/x~1-1.waiting.json", "1", given)


def of_a_token(given: bytes) -> None:
    """A header Authorization, and the tenant's keys."""
    header, _, keys = given.partition(b"\n\n")

    async def fetch() -> bytes:
        return keys

    text = header.decode("utf-8", "surrogateescape")
    with pytest.raises(AccessError) as caught:
        LOOP.run_until_complete(Authenticator(ACCESS, fetch).caller(text))
    assert caught.value.detail.encode()
    assert all("\n" not in value for value in caught.value.headers.values())


TARGETS: Mapping[str, Target] = {
    "hub": of_a_hub,
    "event-grid": of_event_grid,
    "http": of_http,
    "caller": of_a_caller,
    "webhook": of_the_webhook,
    "neighbours": beside_neighbours,
    "blob": of_blob,
    "token": of_a_token,
}


def seeds(target: str) -> list[bytes]:
    """Return good inputs of a target, to begin with."""
    events = Path(__file__).parents[1] / "events"
    structured = [path.read_bytes() for path in sorted(events.glob("structured/*.json"))]
    grid = [path.read_bytes() for path in sorted(events.glob("event-grid/*.json"))]
    texts = [*structured, *grid, GOOD.encode(), b'{"data_base64":"eA=="}', b"[" * 3000]
    binary = b"ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t%20t\n\n{}"
    match target:
        case "hub":
            amqp = binary.replace(b"ce-", b"cloudEvents:").replace(b"1\n", b"#9\n", 1)
            return [amqp, *(b"\n\n" + text for text in texts)]
        case "http" | "webhook":
            types = ("application/cloudevents+json", "application/cloudevents-batch+json")
            heads = [f"content-type: {each}; charset=utf-8\n\n" for each in types]
            asks = b"method: OPTIONS\nwebhook-request-origin: a.example\n\n"
            checks = (
                b"content-type: application/json\naeg-event-type: SubscriptionValidation\n\n"
            )
            told = b'[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",'
            told += b'"data":{"validationCode":"x"}}]'
            bodies = [heads[0].encode() + texts[0], f"{heads[1]}[{GOOD},{GOOD}]".encode()]
            return [binary, *bodies, asks, checks + told, checks + grid[0]]
        case "blob":
            arrival = Arrival("h/0", 1, 0, NOON, json_format.decode(GOOD))
            return [encode([DeadLetter(arrival, Reason.TIMEOUT, "x", 1, NOON)], "r").encode()]
        case "token":
            key = b'{"keys":[{"kty":"RSA","kid":"a","use":"sig","e":"AQAB","n":"AQAB"}]}'
            return [b"Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AA\n\n" + key]
        case _:
            return texts
