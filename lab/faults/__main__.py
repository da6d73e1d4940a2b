"""`python -m lab.faults`: play the matrix of faults; `make faults` calls it."""

from __future__ import annotations

import argparse
import asyncio
import sys

from lab.faults.cases import CASES
from lab.faults.runner import Script, play
from lab.faults.stage import open_stage


async def one(case, kind, turn):
    async with turn, open_stage(kind) as stage:
        r = await play(case, kind, stage, Script())
        print(r.as_json(), flush=True)


async def main(words, n):
    turn = asyncio.Semaphore(n)
    await asyncio.gather(*(one(c, k, turn) for c in CASES for k in c.applies_to if any(w in c.name for w in words)))

if __name__ == "__main__":
    asyncio.run(main(sys.argv[2:], int(sys.argv[1])))
