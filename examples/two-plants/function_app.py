"""One function app with two relays, and a function of its own that hands one of them events."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from uuid import uuid4

import azure.functions as func

from relay.app import answered, from_environment
from relay.event import Event
from relay.triggers import blueprint

log = logging.getLogger("two-plants")
app = func.FunctionApp()

plant_a = from_environment(prefix="PLANT_A_")
plant_b = from_environment(prefix="PLANT_B_")
app.register_functions(blueprint(plant_a))
app.register_functions(blueprint(plant_b))


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
@answered
async def heartbeat(timer: func.TimerRequest) -> None:
    """Say every hour, by the way of plant A's events, that this app is alive."""
    beat = Event(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "urn:example:two-plants",
            "type": "com.example.heartbeat",
            "time": datetime.now(UTC).isoformat(),
            "datacontenttype": "application/json",
        },
        json.dumps({"late": timer.past_due}).encode(),
    )
    for result in await plant_a.settle([beat]):
        for outcome in result.outcomes:
            log.info("heartbeat on %s: %s", outcome.route, outcome.ending.value)
