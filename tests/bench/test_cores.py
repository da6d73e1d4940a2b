"""What a process has cost is read from outside as it would say itself."""

from __future__ import annotations

import os
import time

import pytest

from bench import cores


def test_processor_time_is_what_the_process_itself_says() -> None:
    before = time.process_time()
    found = cores.processor_seconds(os.getpid())

    assert before <= found <= time.process_time()


def test_memory_at_its_peak_is_no_less_than_now() -> None:
    assert 0 < cores.memory(os.getpid(), peak=False) <= cores.memory(os.getpid())


def test_a_process_that_is_gone_costs_nothing_that_could_be_told() -> None:
    gone = os.posix_spawnp("true", ["true"], os.environ)
    os.waitpid(gone, 0)

    with pytest.raises(OSError, match=r"argument|file|process"):
        cores.processor_seconds(gone)
    with pytest.raises(OSError, match=r"argument|file|process"):
        cores.memory(gone)


def test_only_what_is_started_inside_runs_on_the_measured_core() -> None:
    before = os.sched_getaffinity(0)

    with cores.measured():
        inside = os.sched_getaffinity(0)

    assert {max(before)} == inside
    assert before == os.sched_getaffinity(0)
