"""Planted tokens and keys are in no output: not on the fakes, not on the real path."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from lab.plan import DEAD_LETTERS
from relay.dead_letters import DeadLetter
from relay.dead_letters.letters import encode
from relay.failures import DeliveryError, Reason
from relay.health import Health
from relay.ingress import Malformed
from relay.observer import DeadLettered, Failed, MalformedKept
from relay.telemetry import Telemetry
from tests.fakes import NOON, a_route, an_arrival, an_event
from tests.relay.test_redaction import ECHOES, MARKS, TOKEN
from tests.relay.test_secrets import KEY
from tests.test_end_to_end import ONE_ROUTE, World, a_world, some_events

ECHO = f"refused: Bearer {TOKEN} and SharedAccessKey={KEY};EntityPath=x"


def planted(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


@pytest.mark.parametrize("text", ECHOES.values(), ids=ECHOES.keys())
def test_on_the_fakes_no_log_metric_health_or_annotation_shows_what_was_echoed(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    route = a_route()
    error = DeliveryError(Reason.UNKNOWN, text)
    letter = DeadLetter(an_arrival(), error.reason, error.detail, 1, NOON)
    health = Health([route.name], lambda: NOON, Telemetry().route_state)
    for fact in (
        Failed(route, error),
        DeadLettered(route, [letter]),
        MalformedKept(
            [DeadLetter(an_arrival(Malformed(b"x", {}, text)), Reason.MALFORMED, text, 0, NOON)]
        ),
    ):
        Telemetry()(fact)
        health(fact)
    records = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)

    assert records
    assert not planted(records)
    assert not planted(str(health.routes))
    assert not planted(encode([letter], route.name))


def test_the_event_itself_is_left_as_it_came() -> None:
    """A secret in an event is its sender's: the relay changes no byte and prints none."""
    event = an_event(data=json.dumps({"note": ECHO}).encode(), note=f"Bearer {TOKEN}")
    letter = DeadLetter(an_arrival(event), Reason.UNKNOWN, "why", 1, NOON)

    assert TOKEN in encode([letter], "a-route")


async def test_on_the_real_path_no_record_and_no_annotation_shows_a_token_or_a_key(
    tmp_path: Path,
) -> None:
    """Destination and storage both refuse in words that echo a token and a key."""
    events = list(some_events(40))
    async with a_world(tmp_path, ONE_ROUTE) as world:
        tokens = _noting_tokens(world)
        world.azure.broker.faults.refuse_links(
            "analytics", "telemetry", "com.microsoft:auth-failed", text=ECHO
        )
        await world.send(events)
        await world.until(lambda: world.count("relay.dead_lettered", "everything") >= 40)
        code = f"AuthorizationFailure {ECHO}".replace(" ", "-")
        world.azure.storage.refuse(403, code, 3, DEAD_LETTERS)  # the host's own stay well
        await world.host.invoke_timer("redrive")
        world.azure.storage.allow()
        blobs = await world.blobs("everything/")
        header = world.azure.directory.header("relay")
    told = "".join(f"{each.message} {each.properties}" for each in world.records)
    stored = "".join(blobs.values())

    assert world.told("relay.attempt_failed") or world.told("relay.refused")
    assert tokens
    for output in (told, stored):
        assert not planted(output)
        assert header not in output
        assert not [one for one in tokens if one in output or one.split(".")[2] in output]


def _noting_tokens(world: World) -> list[str]:
    directory = world.azure.directory
    issue, noted = directory.issue, list[str]()

    def noting(*args: object) -> str:
        noted.append(issue(*args))  # type: ignore[arg-type]
        return noted[-1]

    directory.issue = noting  # type: ignore[method-assign,assignment]
    return noted
