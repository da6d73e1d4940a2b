"""The causes of a cold start are told apart."""

from __future__ import annotations

import asyncio

import pytest

from bench import cold_start, sampling

SITE = "/venv/lib/python3.13/site-packages"
TOKEN = f"{SITE}/azure/identity/aio/_credentials/managed_identity.py:get_token"
LINK = f"{SITE}/azure/eventhub/aio/_producer_async.py:_open"
FIRST_LINK = f"{SITE}/azure/eventhub/aio/_producer_client_async.py:create_batch"
IMPORT = "/app/relay/dead_letters/blobs.py:load"
SEND = f"{SITE}/azure/eventhub/aio/_producer_async.py:send"
MANAGEMENT = f"{SITE}/azure/eventhub/aio/_producer_client_async.py:get_partition_ids"
LOOK = f"{SITE}/azure/storage/blob/aio/_list_blobs_helper.py:get_next"


@pytest.mark.parametrize(
    ("awaited", "cause"),
    [
        ([sampling.WORKS], cold_start.WORK),
        ([TOKEN, LINK], cold_start.TOKENS),
        ([FIRST_LINK, LOOK, MANAGEMENT], cold_start.FIRST_LINK),
        ([IMPORT, LOOK], cold_start.IMPORTS),
        ([LINK, SEND], cold_start.LINKS),
        ([SEND], cold_start.ANSWERS),
        ([LINK, MANAGEMENT], cold_start.PARTITIONS),
        ([SEND, LOOK], cold_start.BLOB),
        (["/somewhere/else.py:wait"], cold_start.OTHER),
        ([], cold_start.OTHER),
    ],
)
def test_seconds_belong_to_what_was_awaited_in_them(awaited: list[str], cause: str) -> None:
    found = cold_start.by_cause([(awaited, 0.25), (awaited, 0.5)])

    assert {cause: 0.75} == {name: seconds for name, seconds in found.items() if seconds}


def test_imports_are_summed_by_package_the_dearest_first() -> None:
    lines = [
        "import time: self [us] | cumulative | imported package",
        "import time:       300 |        300 |     azure.eventhub._common",
        "import time:       200 |        900 |   azure.eventhub",
        "import time:        50 |         50 | json.decoder",
        "import time:       700 |        700 | aiohttp.client",
    ]

    found = cold_start.by_package(lines)

    assert {"aiohttp": 700e-6, "azure.eventhub": 500e-6, "Python's own library": 50e-6} == found
    assert "aiohttp" == next(iter(found))


async def test_what_a_task_awaits_is_told_from_the_inside_out() -> None:
    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    names = [each.rpartition(":")[2] for each in sampling.awaits(task)]
    task.cancel()

    assert ["wait", "inner", "outer"] == names
