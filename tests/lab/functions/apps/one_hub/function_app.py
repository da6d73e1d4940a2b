"""One Event Hubs function that says what it was given, and waits while a file exists."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app.hub")


@app.event_hub_message_trigger(
    "events",
    event_hub_name="%HUB%",
    connection="INGRESS",
    consumer_group="%GROUP%",
    cardinality="many",
    data_type="binary",
)
@app.retry(strategy="fixed_delay", max_retry_count="-1", delay_interval="00:00:01")
async def hub(events: list[func.EventHubEvent]) -> None:
    # Asked before anybody hears of the batch, or a test's answer could stop this very one.
    switch = Path(os.environ["WAIT_WHILE"])
    waits = switch.exists()  # noqa: ASYNC240 - a test's switch
    metadata = events[0].metadata
    log.info(
        "batch",
        extra={
            "partition": metadata["PartitionContext"]["PartitionId"],
            "bodies": [event.get_body().decode() for event in events],
            "properties": metadata["PropertiesArray"],
            "system": metadata["SystemPropertiesArray"],
        },
    )
    while waits and switch.exists():  # noqa: ASYNC110, ASYNC240 - the same
        await asyncio.sleep(0.01)
