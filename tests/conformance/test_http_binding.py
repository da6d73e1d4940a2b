"""What a receiver MUST do by the HTTP protocol binding of CloudEvents (1.0.2, and its errata).

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import pytest

from relay.dead_letters import Fate
from relay.event import Event
from tests.conformance.recipient import Recipient
from tests.fakes import an_event
from tests.relay.http_requests import BATCHED, STRUCTURED, batched, in_binary_mode, structured


async def delivered(headers: dict[str, str], body: bytes) -> list[Event]:
    recipient = Recipient()
    await recipient.post(headers, body)
    return recipient.delivered


async def header(value: str) -> str:
    headers, body = in_binary_mode(an_event())
    (event,) = await delivered({**headers, "ce-example": value}, body)
    return event.text("example")


async def refused(changes: dict[str, str]) -> bool:
    """Whether a request in binary mode, so changed, is taken for no event."""
    headers, body = in_binary_mode(an_event())
    recipient = Recipient()
    await recipient.post(headers | changes, body)
    return not recipient.delivered and bool(recipient.dead_letters.letters(Fate.HELD))


async def test_all_implementations_of_structured_mode_must_support_the_json_format() -> None:
    assert [an_event()] == await delivered(*structured(an_event()))


async def test_a_receiver_tells_structured_mode_by_the_media_type_whatever_its_case() -> None:
    _, body = structured(an_event())

    assert [an_event()] == await delivered(
        {"Content-Type": "Application/CloudEvents+JSON"}, body
    )


async def test_a_receiver_tells_batched_mode_by_the_media_type() -> None:
    events = [an_event(id="1"), an_event(id="2")]

    assert events == await delivered(*batched(events))


async def test_without_the_media_type_it_defaults_to_binary_mode() -> None:
    assert [an_event()] == await delivered(*in_binary_mode(an_event()))


async def test_datacontenttype_must_be_populated_from_content_type() -> None:
    event = an_event(datacontenttype="text/plain; charset=koi8-r", data=b"\xc1")

    assert [event] == await delivered(*in_binary_mode(event))


async def test_a_ce_datacontenttype_header_must_not_be_present() -> None:
    assert await refused({"ce-datacontenttype": "application/json"})


async def test_the_data_is_the_body_as_it_is() -> None:
    event = an_event(data=bytes(range(256)), datacontenttype="application/octet-stream")

    assert [event] == await delivered(*in_binary_mode(event))


async def test_every_attribute_and_extension_must_be_mapped_from_a_header_of_its_own() -> None:
    event = an_event(
        time="2026-03-05T12:00:00Z", dataschema="dtmi:a;1", traceparent="00-a-b-01"
    )

    assert [event] == await delivered(*in_binary_mode(event))


async def test_header_names_are_case_insensitive() -> None:
    headers, body = in_binary_mode(an_event())
    shouted = {name.upper(): value for name, value in headers.items()}

    assert [an_event()] == await delivered(shouted, body)


@pytest.mark.parametrize(
    ("written", "meant"), [('"quoted"', "quoted"), ('"a \\"b\\" \\\\ c"', 'a "b" \\ c')]
)
async def test_a_header_must_first_be_unescaped_as_a_quoted_string(
    written: str, meant: str
) -> None:
    assert meant == await header(written)


async def test_a_single_round_of_percent_decoding_must_then_be_done() -> None:
    assert "%41" == await header("%2541")


async def test_decoding_must_accept_lower_case_values() -> None:
    assert "Euro € \U0001f600" == await header("Euro%20%e2%82%ac%20%f0%9f%98%80")


async def test_values_that_were_unnecessarily_encoded_must_be_accepted() -> None:
    assert "ABC" == await header("%41%42%43")


@pytest.mark.parametrize("sequence", ["%C0%A0", "%FF", "%ED%A0%80", "%F4%90%80%80"])
async def test_sequences_that_are_invalid_in_utf_8_must_be_rejected(sequence: str) -> None:
    assert await refused({"ce-example": sequence})


async def test_all_attributes_must_be_in_the_payload_of_a_structured_event() -> None:
    """Headers beside it are not the event's."""
    headers, body = structured(an_event())
    (event,) = await delivered({**headers, "ce-id": "other", "ce-extra": "x"}, body)

    assert an_event() == event


@pytest.mark.parametrize("name", ["id", "source", "specversion", "type"])
async def test_what_does_not_keep_to_the_specification_is_no_valid_event(name: str) -> None:
    assert await refused({f"ce-{name}": ""})


async def test_a_batch_may_be_empty() -> None:
    answer = await Recipient().post(BATCHED, b"[]")

    assert 202 == answer.status


async def test_a_structured_request_holds_one_event_and_no_batch() -> None:
    _, body = batched([an_event()])

    assert not await delivered(STRUCTURED, body)
