"""Service Bus functions that say what they were given; a message's body says what to do.

Each exists if the setting that names its entity does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Callable, List

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app.bus")
type Decorator = Callable[[Callable], Callable]


def queue(setting: str, **options: object) -> Decorator:
    if setting not in os.environ:
        return lambda function: function
    return app.service_bus_queue_trigger(
        arg_name="messages", queue_name=f"%{setting}%", connection="BUS", **options
    )


def tell(message: func.ServiceBusMessage) -> dict:
    body = message.get_body()
    return {
        "body": body.decode(errors="backslashreplace"),
        "type": type(body).__name__,
        "id": message.message_id,
        "session": message.session_id,
        "number": message.sequence_number,
        "deliveries": message.delivery_count,
        "content_type": message.content_type,
        "correlation_id": message.correlation_id,
        "subject": message.subject,
        "properties": message.application_properties,
        "enqueued": str(message.enqueued_time_utc),
        "expires": str(message.expires_at_utc),
        "lock_token": message.lock_token,
        "dead_letter_source": message.dead_letter_source,
    }


async def obey(function: str, messages: list[func.ServiceBusMessage]) -> None:
    # Asked before anybody hears of the message, or a test's answer could stop this very one.
    switch = Path(os.environ.get("WAIT_WHILE", "/nowhere"))
    waits = switch.exists()  # noqa: ASYNC240 - a test's switch
    told = {"function": function, "messages": [tell(each) for each in messages]}
    log.info("batch", extra={**told, "metadata": messages[0].metadata})
    for message in messages:
        match message.get_body().split():
            case [b"fail"]:
                raise ValueError("told to fail")
            case [b"fail", times] if message.delivery_count <= int(times):
                raise ValueError(f"failure {message.delivery_count}")
            case [b"exit"] if message.delivery_count == 1:
                sys.exit(3)
            case [b"hang"] if message.delivery_count == 1:
                raise asyncio.CancelledError
            case [b"sleep", seconds]:
                await asyncio.sleep(float(seconds))
    while waits and switch.exists():  # noqa: ASYNC110, ASYNC240 - the same
        await asyncio.sleep(0.01)
    log.info("done", extra=told)


@queue("ONE", data_type="binary")
async def one(messages: func.ServiceBusMessage) -> None:
    await obey("one", [messages])


@queue("TEXT")
async def text(messages: func.ServiceBusMessage) -> None:
    await obey("text", [messages])


@queue("RAW", data_type="binary")
async def raw(messages: bytes) -> None:
    log.info("raw", extra={"body": repr(messages)})


@queue("STR")
async def plain_str(messages: str) -> None:
    log.info("str", extra={"body": repr(messages)})


@queue("MANY", cardinality="many", data_type="binary")
async def many(messages: List[func.ServiceBusMessage]) -> None:
    await obey("many", messages)


@queue("TEXTS", cardinality="many")
async def texts(messages: List[func.ServiceBusMessage]) -> None:
    await obey("texts", messages)


@queue("SESSION", is_sessions_enabled=True, data_type="binary")
async def session(messages: func.ServiceBusMessage) -> None:
    await obey("session", [messages])


@queue("SESSIONS", is_sessions_enabled=True, cardinality="many", data_type="binary")
async def sessions(messages: List[func.ServiceBusMessage]) -> None:
    await obey("sessions", messages)


@queue("UNSETTLED", auto_complete_messages=False, data_type="binary")
async def unsettled(messages: func.ServiceBusMessage) -> None:
    await obey("unsettled", [messages])


if "RETRIED" in os.environ:

    @queue("RETRIED", data_type="binary")
    @app.retry(strategy="fixed_delay", max_retry_count="5", delay_interval="00:00:01")
    async def retried(messages: func.ServiceBusMessage) -> None:
        await obey("retried", [messages])


if "ORDERED_TOPIC" in os.environ:

    @app.service_bus_topic_trigger(
        arg_name="messages",
        topic_name="%ORDERED_TOPIC%",
        subscription_name="%SUBSCRIPTION%",
        connection="BUS",
        data_type="binary",
        is_sessions_enabled=True,
    )
    async def ordered_topic(messages: func.ServiceBusMessage) -> None:
        await obey("ordered_topic", [messages])


if "TOPIC" in os.environ:

    @app.service_bus_topic_trigger(
        arg_name="messages",
        topic_name="%TOPIC%",
        subscription_name="%SUBSCRIPTION%",
        connection="BUS",
        data_type="binary",
    )
    async def topic(messages: func.ServiceBusMessage) -> None:
        await obey("topic", [messages])
