"""What an event recipient MUST do by Knative Eventing's data plane contract.

https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md
"""

from __future__ import annotations

import pytest

from relay.dead_letters import Fate
from relay.failures import Reason
from tests.conformance.recipient import Recipient, is_retriable
from tests.fakes import MemoryDeadLetters, MemorySink, always, an_event, failing
from tests.relay.http_requests import STRUCTURED, in_binary_mode, structured
from tests.virtual_time import in_virtual_time

MODES = pytest.mark.parametrize("write", [in_binary_mode, structured])


@MODES
async def test_all_recipients_must_support_the_binary_and_structured_content_modes(
    write: object,
) -> None:
    recipient = Recipient()
    answer = await recipient.post(*write(an_event()))  # type: ignore[operator]

    assert 202 == answer.status
    assert [an_event()] == recipient.delivered


async def test_a_recipient_must_indicate_support_for_post_where_options_is_implemented() -> (
    None
):
    answer = await Recipient().request("OPTIONS", {})

    assert "POST" in answer.headers["Allow"]
    assert answer.status < 300


async def test_recipients_must_use_the_response_code_to_indicate_acceptance() -> None:
    recipient = Recipient()

    assert 202 == (await recipient.post(*structured(an_event()))).status
    assert [an_event()] == recipient.delivered


@pytest.mark.parametrize("reason", [r for r in Reason if not r.traits.isolates_event])
@in_virtual_time
async def test_no_event_is_accepted_until_it_was_handled_or_stored(reason: Reason) -> None:
    """Neither the destination nor Blob takes it: it is not accepted, and may be sent again."""
    gone = always(reason)
    recipient = Recipient(MemorySink(faults=gone), MemoryDeadLetters(faults=gone))
    answer = await recipient.post(*structured(an_event()))

    assert is_retriable(answer)
    assert not recipient.delivered


@in_virtual_time
async def test_an_event_that_is_stored_is_accepted() -> None:
    recipient = Recipient(MemorySink(faults=always(Reason.FORBIDDEN)))

    assert 202 == (await recipient.post(*structured(an_event()))).status
    assert 1 == len(recipient.dead_letters.letters(Fate.WAITING))


async def test_400_says_that_an_event_cannot_be_parsed() -> None:
    answer = await Recipient(keeps_malformed=False).post(STRUCTURED, b"{")

    assert 400 == answer.status


async def test_recipients_must_accept_duplicate_delivery() -> None:
    recipient = Recipient()
    answers = [await recipient.post(*structured(an_event())) for _ in range(3)]

    assert [202, 202, 202] == [answer.status for answer in answers]
    assert [an_event()] * 3 == recipient.delivered


@in_virtual_time
async def test_an_event_that_is_sent_again_after_trouble_is_not_kept_twice() -> None:
    recipient = Recipient(MemorySink(faults=always(Reason.FORBIDDEN)))
    for _ in range(3):
        await recipient.post(*structured(an_event()))

    assert 1 == len(recipient.dead_letters.letters(Fate.WAITING))


async def test_attributes_may_differ_on_each_attempt() -> None:
    recipient = Recipient()
    for number in range(2):
        event = an_event(traceparent=f"00-{number}")
        assert 202 == (await recipient.post(*structured(event))).status

    assert ["00-0", "00-1"] == [event.text("traceparent") for event in recipient.delivered]


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "reply"}], ids=str)
async def test_a_recipient_that_never_replies_may_answer_202_without_a_payload(
    prefer: dict[str, str],
) -> None:
    headers, body = structured(an_event())
    answer = await Recipient().post({**headers, **prefer}, body)

    assert (202, b"") == (answer.status, answer.body)


async def test_unrecognised_negotiation_is_ignored() -> None:
    headers, body = structured(an_event())
    asking = {"Upgrade": "h2c", "Connection": "Upgrade", "Expect": "100-continue"}

    assert 202 == (await Recipient().post({**headers, **asking}, body)).status


@in_virtual_time
async def test_a_short_trouble_is_mended_here_and_the_event_accepted() -> None:
    recipient = Recipient(MemorySink(faults=failing(Reason.UNAVAILABLE)))

    assert 202 == (await recipient.post(*structured(an_event()))).status
    assert [an_event()] == recipient.delivered
