"""The entry points of Twin Relay: each hands over what its trigger brings."""

from __future__ import annotations

from typing import List

import azure.functions as func

from relay.app import answered, from_environment

app = func.FunctionApp()
relay = from_environment()


@app.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%INGRESS_EVENT_HUB%",
    consumer_group="%INGRESS_CONSUMER_GROUP%",
    connection="INGRESS",
    cardinality="many",
    data_type="binary",
)
@app.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:01",
    maximum_interval="00:01:00",
)
@answered
async def event_hub(events: List[func.EventHubEvent]) -> None:
    """Settle the events that a hub's partition brings."""
    await relay.from_event_hub(events)


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@answered
async def redrive(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host wants it
    """Send dead letters again whose destination may have come back."""
    await relay.redrive()
