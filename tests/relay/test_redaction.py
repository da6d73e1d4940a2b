"""What others say loses its tokens and keys, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.app import answered
from relay.causes import TEXTS
from relay.failures import DeliveryError, Reason
from relay.redaction import RedactedRecord, redacted, tells_a_secret
from tests.relay.test_secrets import KEY, SAS, SECRETS

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL2V2ZW50aHVicyJ9.c2lnbmF0dXJl"
ECHOES = {
    "a token": f"the token {TOKEN} is not valid",
    "a token cut off": f"the token {TOKEN[:40]}",
    "a bearer": f"Authorization: Bearer {TOKEN}",
    "an opaque bearer": f"Authorization: bearer {KEY}",
    "a SAS in a URL": f"https://plant.blob.core.windows.net/x?{SAS}",
    "a connection string": SECRETS["an Event Hubs connection string"],
    "a storage connection string": SECRETS["a storage connection string"],
    "a key alone": f"the key {KEY}",
    "a long key alone": f"the key {KEY[:-2]}{KEY[:-2][:42]}==",
    "a password in a URL": SECRETS["a password in a URL"],
    "a token in JSON": f'{{"access_token": "{TOKEN}", "expires_on": "1"}}',
    "a password in JSON": '{"password": "hunter2"}',
    "an escaped signature": "https%3A%2F%2Fx%3Fsig%3Dhunter2",
}
MARKS = (TOKEN[:30], TOKEN[-12:], KEY[:20], "hunter2", "abc%2Bdef")


@pytest.mark.parametrize("text", ECHOES.values(), ids=ECHOES.keys())
def test_a_secret_that_is_echoed_is_taken_out(text: str) -> None:
    assert not [mark for mark in MARKS if mark in redacted(text)]


@pytest.mark.parametrize("text", [text.words for text in TEXTS if text.words])
def test_what_services_say_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "object id da02af3f-5bec-55d4-b5d2-354257d7f4f5",
        "az role assignment create --role 2b629674-e913-4c01-ae53-ef4638d8f975 --scope /a/b",
        "TrackingId:4f9e0fff-31c3-4c39-a735-1280ca63a0cc_G20, SystemTracker:gateway5",
        "amqps://plant.servicebus.windows.net/hub/ConsumerGroups/relay/Partitions/0",
        "https://plant.blob.core.windows.net/letters?restype=container&comp=list",
        "design=5;significance=6",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


@given(st.text(max_size=60), st.sampled_from(list(ECHOES.values())), st.text(max_size=20))
def test_wherever_it_stands_it_is_taken_out_and_nothing_is_raised(
    before: str, secret: str, after: str
) -> None:
    told = redacted(f"{before} {secret} {after}")

    assert not [mark for mark in MARKS if mark in told and mark not in before + after]


def echo(text: str) -> None:
    raise OSError(text)


def test_a_failure_never_carries_what_a_service_echoed() -> None:
    error = DeliveryError(Reason.UNKNOWN, ECHOES["a bearer"])

    assert TOKEN[:30] not in f"{error} {error.detail} {error.args}"


async def test_an_invocation_fails_without_the_secret_in_its_traceback() -> None:
    @answered
    async def function() -> None:
        try:
            echo(ECHOES["a token"])
        except OSError as error:
            raise DeliveryError(Reason.UNKNOWN, "storage") from error

    with pytest.raises(RuntimeError, match="DeliveryError: unknown: storage") as caught:
        await function()

    assert not tells_a_secret(caught.value)


@pytest.fixture
def redacting() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(RedactedRecord)
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.usefixtures("redacting")
def test_what_an_sdk_logs_loses_its_secrets_too(caplog: pytest.LogCaptureFixture) -> None:
    try:
        echo(ECHOES["a token"])
    except OSError:
        logging.getLogger("azure.anything").exception("failed: %s", ECHOES["a bearer"])

    assert "failed: Authorization" in caplog.text
    assert not [mark for mark in MARKS if mark in caplog.text]
