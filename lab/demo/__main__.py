"""`python -m lab.demo`: play the demonstration; `make demo` calls it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from azure.eventhub.exceptions import EventHubError

from lab.azurite import AzuriteError
from lab.demo.play import Play, Script
from lab.demo.screen import choose
from lab.demo.stage import open_stage
from lab.functions_host import AppFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.demo.outcome import Outcome
    from lab.demo.screen import Screen

WHAT_IT_SHOWS: Final = (
    "Twin events travel from a plant through the relay to Event Hubs and Service Bus, by "
    "managed identity alone; a role is revoked and granted again; an audit counts."
)
_INTERRUPTED: Final = 130
_FEWEST_EVENTS: Final = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, and return the exit code: 0 only if every promise was kept."""
    given = _parser().parse_args(arguments)
    screen = choose(as_json=given.as_json)
    try:
        outcome = asyncio.run(_play(Script(given.events, given.seed, given.rate), screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.fail("Interrupted; everything that was started has ended")
        return _INTERRUPTED
    except (OSError, AzureError, EventHubError, AzuriteError, AppFailed) as error:
        screen.fail(f"The demo can't go on: {str(error) or type(error).__name__}")
        return 1
    return 0 if outcome.is_good else 1


async def _play(script: Script, screen: Screen) -> Outcome:
    playing = asyncio.current_task()
    assert playing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    async with open_stage(screen) as stage:
        outcome = await Play(script, stage, screen).run()
        screen.say("Ending the relay and the local Azure")
    screen.outcome(outcome)
    return outcome


def _parser() -> argparse.ArgumentParser:
    usual = Script()
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=WHAT_IT_SHOWS)
    parser.add_argument("--json", dest="as_json", action="store_true", help="JSON lines")
    parser.add_argument("--events", type=_events, default=usual.events, help="how many")
    parser.add_argument("--seed", type=int, default=usual.seed, help="the plant's seed")
    parser.add_argument("--rate", type=_positive, default=usual.rate, help="events a second")
    return parser


def _events(text: str) -> int:
    if int(text) < _FEWEST_EVENTS:
        raise argparse.ArgumentTypeError(
            f"{text} is too few to show a refusal; {_FEWEST_EVENTS} are enough"
        )
    return int(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
