from __future__ import annotations

import asyncio

from relay.circuit import FIRST_PAUSE, LONGEST_PAUSE, Circuit
from relay.failures import DeliveryError, Reason
from tests.virtual_time import in_virtual_time

ERROR = DeliveryError(Reason.UNAVAILABLE, "it is away")


async def until_it_may_probe(circuit: Circuit) -> float:
    """Return after how many virtual seconds a probe is allowed, to the half."""
    for halves in range(200):
        if circuit.may_probe():
            return halves / 2
        await asyncio.sleep(0.5)
    raise AssertionError("it never may")


@in_virtual_time
async def test_many_lanes_that_fail_at_once_are_one_outage_with_one_pause() -> None:
    circuit = Circuit()
    for _ in range(32):
        circuit.open(ERROR)

    assert not circuit.may_probe()
    await asyncio.sleep(FIRST_PAUSE)
    assert circuit.may_probe()


@in_virtual_time
async def test_the_pause_doubles_with_every_probe_that_fails_up_to_a_limit() -> None:
    circuit = Circuit()
    circuit.open(ERROR)
    pauses = []
    for _ in range(8):
        circuit.stay_open(ERROR)
        pauses.append(await until_it_may_probe(circuit))

    assert [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE] == pauses


@in_virtual_time
async def test_a_closed_circuit_begins_with_a_short_pause_again() -> None:
    circuit = Circuit()
    for _ in range(5):
        circuit.stay_open(ERROR)
    circuit.close()
    circuit.open(ERROR)

    await asyncio.sleep(FIRST_PAUSE)
    assert circuit.may_probe()
