"""Platform facts: what the worker's Service Bus converter does with what the host may send.

Sources: azure.functions.servicebus of the installed azure-functions, and what the extension
sends by lab.functions.service_bus_data. A test that fails here after an update says: look at
what the relay makes of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from lab.functions.messages import Answer, Data, Invocation
from lab.functions.metadata import Function
from lab.functions.process import WorkerProcess
from lab.functions.service_bus_data import batch, single
from lab.functions.trigger_data import TriggerData
from tests.lab.functions.hosting import APPS, Logs
from tests.lab.functions.test_service_bus_data import a_message

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(minutes=1)
SETTINGS = dict.fromkeys(("ONE", "TEXT", "RAW", "STR", "MANY", "TEXTS", "SESSION"), "q")


class Worker:
    """A worker with the app `bus`, and what its functions told."""

    def __init__(
        self, process: WorkerProcess, functions: Mapping[str, Function], logs: Logs
    ) -> None:
        self.process = process
        self.functions = functions
        self.logs = logs

    async def invoke(
        self, name: str, data: TriggerData
    ) -> tuple[Answer, Sequence[Mapping[str, object]]]:
        """Return the answer, and what the function said it was given."""
        function = self.functions[name]
        id_ = str(uuid4())
        call = Invocation(id_, function.id, {"messages": data.input}, data.metadata)
        answer = await self.process.invoke(call, MINUTE)
        told = [
            record.properties
            for record in self.logs.records
            if record.invocation_id == id_ and record.message != "done"
        ]
        return answer, [each for each in told if each]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    logs = Logs()
    process = await WorkerProcess.start(APPS / "bus", SETTINGS, logs)
    try:
        found = await process.index(APPS / "bus")
        yield Worker(process, {function.name: function for function in found}, logs)
    finally:
        process.kill()
        await process.ended()


async def test_a_message_object_holds_what_the_metadata_says(worker: Worker) -> None:
    message = a_message(b"\xff", message_id="m", session_id="s", properties={"a": 1})
    answer, (told,) = await worker.invoke("one", single(message, binary=True))
    (seen,) = told["messages"]

    assert Answer() == answer
    assert ("\\xff", "bytes", "m", "s", 7, 1, {"a": 1}, "token-7") == tuple(
        seen[name]
        for name in (
            *("body", "type", "id", "session", "number", "deliveries"),
            *("properties", "lock_token"),
        )
    )


async def test_times_have_no_zone_and_the_year_9999_is_read(worker: Worker) -> None:
    _, (told,) = await worker.invoke("one", single(a_message(), binary=True))
    (seen,) = told["messages"]

    assert "2026-11-21 12:00:00.123000" == seen["enqueued"]
    assert "9999-12-31 23:59:59.999999" == seen["expires"]


@pytest.mark.parametrize(
    ("function", "binary", "seen"),
    [("str", False, "'Zürich'"), ("str", True, "b'Z\\xc3\\xbcrich'"), ("raw", True, None)],
)
async def test_an_annotation_of_str_gets_whatever_was_sent(
    worker: Worker, function: str, binary: bool, seen: str | None
) -> None:
    name = {"str": "plain_str"}.get(function, function)
    message = a_message("Zürich".encode())
    answer, (told,) = await worker.invoke(name, single(message, binary=binary))

    assert Answer() == answer
    assert (seen or repr("Zürich".encode())) == told["body"]


async def test_a_batch_pairs_bodies_with_properties_by_position(worker: Worker) -> None:
    messages = [
        a_message(b"a", 1, properties={"n": 1}, message_id="m1"),
        a_message(b"", 2, properties={}, message_id="m2"),
    ]
    answer, (told,) = await worker.invoke("many", batch(messages, binary=True))

    assert Answer() == answer
    assert [("a", 1, {"n": 1}, "m1"), ("", 2, {}, "m2")] == [
        (each["body"], each["number"], each["properties"], each["id"])
        for each in told["messages"]
    ]


async def test_a_session_that_the_first_message_lacks_is_given_to_it_all_the_same(
    worker: Worker,
) -> None:
    messages = [a_message(number=1), a_message(number=2, content_type="text/plain")]
    _, (told,) = await worker.invoke("many", batch(messages, binary=True))

    assert ["text/plain", None] == [each["content_type"] for each in told["messages"]]


async def test_an_empty_body_in_a_batch_of_texts_fails_it_before_user_code(
    worker: Worker,
) -> None:
    messages = [a_message(b"a", 1), a_message(b"", 2)]
    answer, told = await worker.invoke("texts", batch(messages, binary=False))

    assert "IndexError: list index out of range" == answer.error
    assert not told


async def test_an_empty_single_body_is_fine(worker: Worker) -> None:
    for name, binary in (("one", True), ("text", False)):
        answer, (told,) = await worker.invoke(name, single(a_message(b""), binary=binary))

        assert Answer() == answer
        assert [""] == [each["body"] for each in told["messages"]]


async def test_a_message_without_user_properties_fails_before_user_code(
    worker: Worker,
) -> None:
    answer, told = await worker.invoke("one", TriggerData(Data("bytes", b""), {}))

    assert answer.error.startswith("TypeError: unable to decode incoming TypedData")
    assert not told
