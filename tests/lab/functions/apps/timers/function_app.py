"""Timers that say what they were told."""

from __future__ import annotations

import logging

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app.timers")
NEVER = "0 0 0 29 2 *"


def tell(name: str, timer: func.TimerRequest) -> None:
    log.info(
        "timer",
        extra={
            "function": name,
            "past_due": timer.past_due,
            "status": timer.schedule_status,
            "schedule": timer.schedule,
        },
    )


@app.timer_trigger("timer", schedule="* * * * * *")
async def every_second(timer: func.TimerRequest) -> None:
    tell("every_second", timer)


@app.timer_trigger("timer", schedule=NEVER, run_on_startup=True)
async def at_start(timer: func.TimerRequest) -> None:
    tell("at_start", timer)


@app.timer_trigger("timer", schedule="%SCHEDULE%")
@app.retry(strategy="fixed_delay", max_retry_count="1", delay_interval="00:00:10")
async def fails(timer: func.TimerRequest, context: func.Context) -> None:
    tell("fails", timer)
    raise ValueError(f"attempt {context.retry_context.retry_count}")
