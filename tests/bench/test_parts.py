"""Samples are given to the parts that they belong to."""

from __future__ import annotations

import pytest

from bench import parts, sampling

SITE = "/venv/lib/python3.13/site-packages"
HUBS = f"{SITE}/azure/eventhub"
FUNCTIONS = f"{SITE}/azure/functions"
JSON = "/lib/python3.13/json/decoder.py"
BINDING = "/app/relay/formats/amqp_binding.py"
SINK = "/app/relay/sinks/event_hub.py"
LOOP = (
    "/lib/python3.13/asyncio/base_events.py",
    "/lib/python3.13/asyncio/runners.py",
    "/app/lab/functions/worker.py",
)


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ([f"{FUNCTIONS}/eventhub.py", f"{SITE}/azure_functions_runtime/x.py"], parts.WORKER),
        ([JSON, f"{FUNCTIONS}/meta.py"], parts.WORKER),
        ([JSON, "/app/relay/filters/view.py", "/app/relay/delivery.py"], parts.FILTERING),
        ([BINDING, "/app/relay/ingress/reading.py"], parts.READING),
        ([BINDING, SINK], parts.ENCODING),
        ([f"{HUBS}/_pyamqp/_encode.py", f"{HUBS}/_common.py", SINK], parts.ENCODING),
        ([f"{HUBS}/_pyamqp/_encode.py", f"{HUBS}/_pyamqp/aio/_link.py", SINK], parts.SENDING),
        (["/lib/python3.13/ssl.py", "/lib/python3.13/asyncio/sslproto.py"], parts.SENDING),
        (["/lib/python3.13/selectors.py", *LOOP], parts.REST),
        (["/app/relay/routing.py", "/app/relay/delivery.py"], parts.ROUTING),
        ([f"{SITE}/opentelemetry/sdk/metrics.py", "/app/relay/sending.py"], parts.TELEMETRY),
    ],
)
def test_a_sample_belongs_to_the_innermost_function_that_a_part_claims(
    files: list[str], part: str
) -> None:
    assert part == parts.part_of(files)


def test_shares_make_one_whole() -> None:
    samples = [(["/app/relay/routing.py"], 600), (["/nowhere.py"], 400)]

    found = parts.shares(samples)

    assert (0.6, 0.4) == (found[parts.ROUTING], found[parts.REST])
    assert list(parts.PARTS) == list(found)
    assert 1.0 == pytest.approx(sum(found.values()))


def test_few_samples_are_no_figure() -> None:
    with pytest.raises(ValueError, match="too few"):
        parts.shares([(["/app/relay/routing.py"], parts.FEW - 1)])


def test_a_stack_names_the_files_from_the_inside_out() -> None:
    import inspect

    found = sampling.stack(inspect.currentframe())

    assert __file__ == found[0]
    assert len(found) > 1
