"""Alerts and the workbook ask for what the relay emits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import yaml

from relay.telemetry.names import METRICS, Log
from tests.infra.bicep.nodes import Finding, Place
from tests.infra.policies.policy import policy
from tests.infra.project import Project, line_of
from tests.infra.queries import problems

NAMES = {metric.name for metric in METRICS} | {log.value for log in Log}
ATTRIBUTES = {attribute for metric in METRICS for attribute in metric.attributes}
PLATFORM = {
    "ActiveMessages",
    "DeadletteredMessages",
    "IncomingMessages",
    "IncomingRequests",
    "OutgoingMessages",
    "QuotaExceededErrors",
    "Routing",
    "RoutingFailureRate",
    "RoutingLatency",
    "ServerErrors",
    "SuccessfulRequests",
    "ThrottledRequests",
    "UserErrors",
}
"""Metrics of Azure's own services, from their pages on monitoring data."""

_ALERT = {
    "kind": "LogAlert",
    "properties.enabled": "True",
    "properties.autoMitigate": "True",
    "properties.displayName": ".+",
    "properties.severity": "[0-4]",
    "properties.evaluationFrequency": "PT(1|5|10|15|30|45)M|PT[1-6]H|P1D",
    "properties.windowSize": "PT(1|5|10|15|30|45)M|PT([1-9]|1\\d|2[0-4])H|P[12]D",
}
"""What an alert says; the times are those that Azure Monitor takes."""
_RULES = "Microsoft.Insights/scheduledQueryRules"
_NAMED = re.compile(r'"((?:relay|messaging|error)\.[\w.]+) ?"')


@policy("Alerts, queries and the workbook name only what the relay emits")
def emitted(project: Project) -> Iterator[Finding]:
    for path, text in project.files.items():
        if not path.startswith("infra/monitoring/"):
            continue
        if path.endswith((".kql", "workbook.json")):
            plain = text.replace('\\"', '"')
            for number, line in enumerate(plain.splitlines(), 1):
                for name in _NAMED.findall(re.sub(r"//.*", "", line)):
                    if name not in NAMES | ATTRIBUTES:
                        yield Finding(Place(path, number), f"the relay emits no {name}")
    for _, each in project.each("Microsoft.Insights/metricAlerts"):
        for criterion in each.get("properties.criteria.allOf", []):
            if criterion.get("metricName") not in PLATFORM | NAMES:
                yield Finding(each.at, f"there is no metric {criterion.get('metricName')}")


@policy("Every alert asks a query that is there, has columns it measures, and is looked at")
def alerts(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(_RULES):
        for criterion in each.get("properties.criteria.allOf", []):
            for what in _wrong_with(criterion, project):
                yield Finding(each.at, f"{each.name}: {what}")
        for name, words in _ALERT.items():
            if not re.fullmatch(words, str(each.get(name))):
                yield Finding(each.at, f"{each.name}: {name} is {each.get(name)!r}")
        name = str(each.body["name"])
        if not any(name.endswith(f"-{alert}") for alert in _alerts(project)):
            yield Finding(each.at, f"Prometheus has no alert like {name}")
        is_told = each.get("properties.actions.actionGroups")
        if deployment.of("Microsoft.Insights/actionGroups") and not is_told:
            yield Finding(each.at, f"{each.name} tells nobody")


def _alerts(project: Project) -> list[str]:
    rules = yaml.safe_load(project.files["infra/monitoring/prometheus-rules.yaml"])
    return [str(rule["alert"]) for group in rules["groups"] for rule in group["rules"]]


def _wrong_with(criterion: dict[str, Any], project: Project) -> Iterator[str]:
    query = str(criterion.get("query"))
    measured = criterion.get("metricMeasureColumn")
    if query not in project.files.values():
        yield "its query stands in no file"
    if criterion.get("timeAggregation") != "Count" and not measured:
        yield "it adds up no column"
    if criterion.get("operator") not in {"GreaterThan", "LessThanOrEqual"}:
        yield f"it compares by {criterion.get('operator')}"
    periods = {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}
    if criterion.get("threshold") != 0 or criterion.get("failingPeriods") != periods:
        yield "it fires at another number, or later"
    for item in criterion.get("dimensions", []):
        if (item.get("operator"), item.get("values")) != ("Include", ["*"]):
            yield f"it leaves some out: {item}"
    if re.search(r"by (route|place)\b", query) and not criterion.get("dimensions"):
        yield "it does not tell them apart"
    for column in [item.get("name") for item in criterion.get("dimensions", [])] + [measured]:
        if column and not re.search(rf"\b{column}\b", query):
            yield f"its query has no {column}"


@policy("The workbook is found beside the workspace, and whoever is to be told is told")
def shown(project: Project) -> Iterator[Finding]:
    for _, each in project.each("Microsoft.Insights/workbooks"):
        told = each.get("kind"), each.get("properties.category")
        if told != ("shared", "workbook") or not each.get("properties.displayName"):
            yield Finding(each.at, f"nobody finds it: {told}")
        if "/workspaces/" not in str(each.get("properties.sourceId")):
            yield Finding(each.at, "it stands beside no workspace")
        if each.get("properties.serializedData") != project.files[_WORKBOOK]:
            yield Finding(each.at, f"it is not {_WORKBOOK}")
    for _, each in project.each("Microsoft.Insights/actionGroups"):
        short = str(each.get("properties.groupShortName"))
        if each.get("properties.enabled") is not True or not 1 <= len(short) <= _SHORT:
            yield Finding(each.at, f"{each.name} is off, or its short name is {short!r}")
        for receiver in each.get("properties.emailReceivers", [{}]):
            if receiver.get("useCommonAlertSchema") is not True:
                yield Finding(each.at, "its mails come in several forms")


_WORKBOOK = "infra/monitoring/workbook.json"
_SHORT = 12
"""Characters that an action group's short name may have."""


@policy("Every query parses, and asks for columns that its tables have")
def queries(project: Project) -> Iterator[Finding]:
    found = {path: text for path, text in project.files.items() if path.endswith(".kql")}
    for path, told in problems(found).items():
        for what in told:
            yield Finding(Place(path, 1), what)


@policy("Every expression of the Prometheus rules and of the Grafana board parses")
def expressions(project: Project) -> Iterator[Finding]:
    rules = yaml.safe_load(project.files["infra/monitoring/prometheus-rules.yaml"])
    board = json.loads(project.files["infra/monitoring/grafana.json"])
    written = [
        ("infra/monitoring/prometheus-rules.yaml", str(rule["expr"]))
        for group in rules["groups"]
        for rule in group["rules"]
    ] + [
        ("infra/monitoring/grafana.json", str(target["expr"]).replace("$route", ".*"))
        for panel in board["panels"]
        for target in panel["targets"]
    ]
    for path, text in written:
        try:
            promql_parser.parse(text)
        except ValueError as error:
            at = line_of(project, path, text.partition("\n")[0])
            yield Finding(at, f"{text!r:.60} does not parse: {error!s:.120}")
