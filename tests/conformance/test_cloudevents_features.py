"""The scenarios of cloudevents/conformance, `features/http-protocol-binding.feature`."""

from __future__ import annotations

import json
from email import message_from_string

import pytest

from relay.event import Event
from tests.conformance.recipient import Recipient

HELLO = {"message": "Hello World!"}
ATTRIBUTES = {
    "id": "1234-1234-1234",
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext/subcontext",
    "time": "2018-04-05T03:56:24Z",
}


async def parsed(request: str) -> Event:
    """Send an HTTP request as it stands, and return the event that the destination got."""
    head, _, body = request.partition("\n\n")
    line, _, fields = head.partition("\n")
    recipient = Recipient()
    headers = dict(message_from_string(fields))
    answer = await recipient.post(headers, body.encode())
    assert line == "POST /someresource HTTP/1.1"
    assert 202 == answer.status
    (event,) = recipient.delivered
    return event


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8"]
)
async def test_binary_content_mode(content_type: str) -> None:
    fields = "\n".join(f"ce-{name}: {value}" for name, value in ATTRIBUTES.items())
    body = json.dumps(HELLO, indent=4)
    event = await parsed(
        f"POST /someresource HTTP/1.1\nHost: example.com\n{fields}\n"
        f"Content-Type: {content_type}\nContent-Length: {len(body)}\n\n{body}"
    )

    assert ATTRIBUTES | {"datacontenttype": content_type} == dict(event.attributes)
    assert HELLO == json.loads(event.data)


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"],
)
async def test_structured_content_mode(content_type: str) -> None:
    told = ATTRIBUTES | {"datacontenttype": "application/json"}
    body = json.dumps(told | {"data": HELLO}, indent=4)
    event = await parsed(
        "POST /someresource HTTP/1.1\nHost: example.com\n"
        f"Content-Type: {content_type}\nContent-Length: {len(body)}\n\n{body}"
    )

    assert told == dict(event.attributes)
    assert HELLO == json.loads(event.data)
