"""One of the functions that users would write instead of a relay: which, `BENCH_WAY` says."""

from __future__ import annotations

import importlib
import os

app = importlib.import_module(os.environ["BENCH_WAY"]).app
