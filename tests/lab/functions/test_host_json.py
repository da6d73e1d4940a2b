"""host.json, as far as the lab heeds it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lab.functions import host_json
from lab.functions.failures import AppFailed
from lab.functions.host_json import ServiceBusOptions


def read(directory: Path, service_bus: object) -> ServiceBusOptions:
    content = {"version": "2.0", "extensions": {"serviceBus": service_bus}}
    (directory / "host.json").write_text(json.dumps(content), "utf-8")
    return host_json.read(directory).service_bus


def test_service_bus_has_the_extensions_defaults(tmp_path: Path) -> None:
    options = read(tmp_path, {})

    assert options.auto_complete_messages
    assert timedelta(minutes=5) == options.max_auto_lock_renewal_duration
    assert 0 == options.max_concurrent_calls % 16
    assert (8, 1000, 0) == (
        options.max_concurrent_sessions,
        options.max_message_batch_size,
        options.prefetch_count,
    )


def test_service_bus_options_are_read_by_their_names(tmp_path: Path) -> None:
    given = {
        "autoCompleteMessages": False,
        "maxAutoLockRenewalDuration": "00:10:00",
        "maxConcurrentCalls": 4,
        "maxConcurrentSessions": 5,
        "maxMessageBatchSize": 6,
        "prefetchCount": 7,
        "sessionIdleTimeout": "00:00:08",
        "clientRetryOptions": {"maximumRetries": 3},
    }

    assert read(tmp_path, given) == ServiceBusOptions(
        auto_complete_messages=False,
        max_auto_lock_renewal_duration=timedelta(minutes=10),
        max_concurrent_calls=4,
        max_concurrent_sessions=5,
        max_message_batch_size=6,
        prefetch_count=7,
        session_idle_timeout=timedelta(seconds=8),
    )


@pytest.mark.parametrize("name", ["minMessageBatchSize", "maxConcurrentCallsPerSession"])
def test_what_the_lab_cannot_do_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(AppFailed, match=f"serviceBus.{name} other than 1 is not known"):
        read(tmp_path, {name: 2})
