"""Event Hubs functions that say what they were given; an event's body says what to do."""

from __future__ import annotations

import asyncio
import logging
import sys

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app.hubs")
HUB = {"event_hub_name": "%HUB%", "connection": "INGRESS"}


def tell(event: func.EventHubEvent) -> dict:
    enqueued = event.enqueued_time
    return {
        "body": event.get_body().decode(errors="backslashreplace"),
        "type": type(event.get_body()).__name__,
        "sequence_number": event.sequence_number,
        "offset": event.offset,
        "enqueued_time": enqueued and enqueued.isoformat(),
        "partition_key": event.partition_key,
    }


async def obey(function: str, events: list, context: func.Context) -> None:
    retry = context.retry_context
    log.info(
        "batch",
        extra={
            "function": function,
            "events": [tell(event) for event in events],
            "metadata": events[0].metadata,
            "retry": [retry.retry_count, retry.max_retry_count, retry.rpc_exception.message],
        },
    )
    for event in events:
        match event.get_body().split():
            case [b"fail"]:
                raise ValueError("told to fail")
            case [b"fail", times] if retry.retry_count < int(times):
                raise ValueError(f"failure {retry.retry_count}")
            case [b"exit"]:
                sys.exit(3)
            case [b"hang"]:
                await asyncio.Event().wait()


@app.event_hub_message_trigger(
    "events", cardinality="many", data_type="binary", consumer_group="%GROUP%", **HUB
)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:10")
async def twice(events: list[func.EventHubEvent], context: func.Context) -> None:
    await obey("twice", events, context)


@app.event_hub_message_trigger("events", cardinality="many", data_type="binary", **HUB)
@app.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:01",
    maximum_interval="00:01:00",
)
async def forever(events: list[func.EventHubEvent], context: func.Context) -> None:
    await obey("forever", events, context)


@app.event_hub_message_trigger("events", cardinality="many", data_type="binary", **HUB)
async def plain(events: list[func.EventHubEvent], context: func.Context) -> None:
    await obey("plain", events, context)


@app.event_hub_message_trigger("events", cardinality="many", **HUB)
async def texts(events: list[func.EventHubEvent], context: func.Context) -> None:
    await obey("texts", events, context)


@app.event_hub_message_trigger("event", cardinality="one", data_type="binary", **HUB)
async def one(event: func.EventHubEvent, context: func.Context) -> None:
    await obey("one", [event], context)


@app.event_hub_message_trigger("event", cardinality="one", data_type="binary", **HUB)
async def raw(event: bytes) -> None:
    log.info("raw", extra={"body": repr(event)})


@app.event_hub_message_trigger("events", cardinality="many", data_type="binary", **HUB)
async def answers(events: list[func.EventHubEvent]) -> str:
    return "something"
