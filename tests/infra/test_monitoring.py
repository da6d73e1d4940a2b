"""What ships for those who watch the relay: each name in it is one that the code emits."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import tree_sitter_bicep
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from tree_sitter import Language, Parser

from relay.dead_letters import Backlog
from relay.failures import DeliveryError, Reason
from relay.health import PlaceHealth, RouteHealth, State
from relay.observer import BlobFailed, Delivered, Failed, Sent, ServiceTagsLooked
from relay.telemetry import Pipeline, Telemetry
from relay.telemetry.losses import Loss, Losses
from relay.telemetry.names import METRICS, Log, Outcome, RefusedBy
from tests.fakes import NOON, a_route, an_arrival, an_event
from tests.infra.queries import problems

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "infra" / "monitoring"
QUERIES = {path.stem: path.read_text("utf-8") for path in MONITORING.glob("queries/*.kql")}
RULES = yaml.safe_load((MONITORING / "prometheus-rules.yaml").read_text("utf-8"))
GRAFANA = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
WORKBOOK = json.loads((MONITORING / "workbook.json").read_text("utf-8"))
BICEP = (MONITORING / "alerts.bicep").read_text("utf-8")
ALERTS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]
NAMES = {metric.name for metric in METRICS} | {log.value for log in Log}
ATTRIBUTES = {attribute for metric in METRICS for attribute in metric.attributes}
VALUES = {*State, *Outcome, *RefusedBy, "held", "waiting", "failed", "settled"}


def test_there_is_something_to_check() -> None:
    assert len(QUERIES) > 10
    assert len(ALERTS) == 10


def test_every_query_parses_and_asks_for_columns_that_there_are() -> None:
    wrong = problems(QUERIES | {"wrong": "AppMetrics | x"})

    assert wrong.keys() == {"wrong"}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_only_what_the_relay_emits(name: str) -> None:
    code = re.sub(r"//.*", "", QUERIES[name])
    named = re.findall(r'"((?:relay|messaging|error)\.[\w.]+) ?"', code)
    compared = re.findall(r'outcome (?:==|in) \(?("[^)\n]+")', code)

    assert set(named) <= NAMES | ATTRIBUTES
    assert {v for text in compared for v in re.findall(r'"(\w+)"', text)} <= VALUES


def items(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from items(child)


def test_the_workbook_shows_the_queries_as_they_stand() -> None:
    shown = {
        item["name"]: item["content"]["query"]
        for item in items(WORKBOOK)
        if item.get("type") == 3
    }

    assert shown
    assert shown == {name: QUERIES[name] for name in shown}


def test_bicep_and_prometheus_have_the_same_alerts_each_with_its_query() -> None:
    rules = re.findall(r"name: '([\w-]+)'\n    title", BICEP)

    assert sorted(rules) == sorted(ALERTS)
    assert re.findall(r"loadTextContent\('queries/([\w-]+)\.kql'\)", BICEP) == rules
    assert all(name in QUERIES for name in rules)


def test_the_bicep_parses() -> None:
    parser = Parser(Language(tree_sitter_bicep.language()))

    assert not parser.parse(BICEP.encode()).root_node.has_error
    assert parser.parse(b"resource x 'y' = {").root_node.has_error


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_explained(alert: str) -> None:
    text = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    _, heading, rest = text.partition(f"\n### {alert}\n")
    section = rest.partition("\n### ")[0]

    assert heading
    assert all(f"**{part}**" in section for part in ("Means", "Look first", "Do"))


# Prometheus


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """The names of all series, as the exporter writes them."""
    registry = CollectorRegistry()
    meters = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False)
    losses = Losses()
    losses.count_with(meters)
    telemetry = Telemetry(Pipeline(meters, losses=losses), now=lambda: NOON)
    backlog = Backlog(1, 1, NOON)
    health = RouteHealth("hub", State.HEALTHY, NOON, backlog=backlog, surveyed=NOON)
    door = PlaceHealth("ingress hub", State.HEALTHY, NOON, tried=NOON)
    telemetry.follow(lambda: [health], lambda: [door])
    hub, arrival = a_route("hub"), an_arrival(an_event(time=NOON.isoformat()))
    refused = DeliveryError(Reason.FORBIDDEN, "no role")
    for fact in (
        Delivered(hub, [arrival], 1),
        Sent(hub, [arrival], 0.1),
        Failed(hub, refused, [arrival], 0.1),
        BlobFailed(refused),
        ServiceTagsLooked("AzureDigitalTwins", ("20.0.0.0/30",), ()),
    ):
        telemetry(fact)
    losses.note(Loss("otlp", "spans", refused))
    asyncio.run(an_invocation(telemetry))
    text = generate_latest(registry).decode()
    meters.shutdown()
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}


async def an_invocation(telemetry: Telemetry) -> None:
    async with telemetry.batch("settle"):
        pass


EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]},
    **{
        f"{panel['title']} {target['refId']}": target["expr"].replace("$route", ".*")
        for panel in GRAFANA["panels"]
        for target in panel["targets"]
    },
}


def selectors(node: Any) -> Iterator[Any]:
    """Walk a parsed expression down to what it selects."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_selects_only_what_the_relay_emits(name: str, exposed: set[str]) -> None:
    found = list(selectors(promql_parser.parse(EXPRESSIONS[name])))
    labels = {attribute.replace(".", "_") for attribute in ATTRIBUTES}

    assert found
    assert {selector.name for selector in found} <= exposed
    assert {m.name for each in found for m in each.matchers.matchers} <= labels
    grouped = re.findall(r"by \(([^)]*)\)", EXPRESSIONS[name])
    assert {label for each in grouped for label in each.split(", ")} <= labels | {"le"}
