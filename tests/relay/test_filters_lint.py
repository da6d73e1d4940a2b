"""Lint says where a filter misleads, and stays silent where it does not."""

from __future__ import annotations

import pytest

from relay.filters import Concern, FilterError, Finding, lint

UPDATE = "type = 'Microsoft.DigitalTwins.Twin.Update'"
CREATE = "type = 'Microsoft.DigitalTwins.Twin.Create'"
TELEMETRY = "type = 'microsoft.iot.telemetry'"


def concerns(text: str) -> list[tuple[int, Concern]]:
    return [(finding.column, finding.concern) for finding in lint(text)]


def only(text: str, concern: Concern) -> Finding:
    (finding,) = [each for each in lint(text) if each.concern is concern]
    return finding


@pytest.mark.parametrize(
    "text",
    [
        "true",
        UPDATE,
        f"{UPDATE} AND STARTS_WITH($body.modelId, 'dtmi:com:example:')",
        f"{TELEMETRY} AND $body.severity >= 3",
        f"({UPDATE} AND subject = 'pump-17') OR {TELEMETRY}",
        "STARTS_WITH($body.$metadata.$model, 'dtmi:example:com:floor')",
        "STARTS_WITH(source, 'plant.api.weu.digitaltwins.azure.net')",
        "type != 'microsoft.iot.telemetry' AND datacontenttype = 'application/json'",
        "type != 'microsoft.iot.telemetry'",
        "source != 'plant.api.weu.digitaltwins.azure.net'",
        "$body.prop != null",
        "$body.prop != 5 AND $body.prop != null",
        f"{TELEMETRY} AND (dataschema = 'dtmi:a;1' OR $body.modelId = 'dtmi:a;1')",
        "dataschema = 'dtmi:a;1' OR $body.modelId = 'dtmi:a;1'",
        "CONTAINS(subject, '/relationships/')",
        "subject = 'pump-17/relationships/feeds-1'",
    ],
)
def test_a_filter_without_surprises_has_no_findings(text: str) -> None:
    assert list(lint(text)) == []


@pytest.mark.parametrize(
    ("text", "column", "named"),
    [
        (f"NOT ({UPDATE})", 1, "NOT"),
        ("type IN ('Microsoft.DigitalTwins.Twin.Update')", 1, "IN"),
        ("type NOT IN ('Microsoft.DigitalTwins.Twin.Update')", 1, "IN"),
        ("id = '5'", 1, "id"),
        ("time > '2024-01-01T00:00:00Z'", 1, "time"),
        ("STARTS_WITH(traceparent, '00-')", 13, "traceparent"),
        ("$attributes.line = 7", 1, "$attributes.line"),
        ("$body.patch[0].path = '/rpm'", 1, "a position in an array"),
        ("$body['a b'] = 1", 1, "a name in brackets"),
        ("$body = 1", 1, "$body without a name"),
        ("PATCH_TOUCHES('/rpm')", 1, "PATCH_TOUCHES"),
    ],
)
def test_what_azure_digital_twins_refuses_is_said_once(
    text: str, column: int, named: str
) -> None:
    finding = only(text, Concern.EXTENSION)

    assert (1, column) == (finding.line, finding.column)
    assert f"Azure Digital Twins does not know {named}." == finding.text
    assert "The relay takes it" in finding.remedy


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        (f"{UPDATE} OR {TELEMETRY} AND $body.x = 1", 48, "parentheses"),
        (f"{UPDATE} and subject = 'x'", 45, "Write AND."),
        ("contains(source, 'x')", 1, "Write CONTAINS."),
        ("$body.x = TRUE", 11, "Write true."),
        (f"true AND {UPDATE}", 1, "Leave it out"),
        ("$body.x = 'it''s'", 11, "Test it there"),
        (r"$body.x = 'a\\b'", 11, "Test it there"),
        ("source = 'host/digitaltwins/pump-17'", 1, "ENDS_WITH(source, '/<twin>')"),
    ],
)
def test_what_is_undocumented_is_said(text: str, column: int, remedy: str) -> None:
    finding = only(text, Concern.UNVERIFIED)

    assert column == finding.column
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        ("false", 1, "take the route out"),
        ("type = 'Microsoft.DigitalTwins.Twin.Updated'", 1, "mean 'Microsoft.Digital"),
        ("type = 'Microsoft.IoT.Telemetry'", 1, "mean 'microsoft.iot.telemetry'"),
        ("type = 'x'", 1, "The types are"),
        ("STARTS_WITH(type, 'microsoft.digitaltwins')", 1, "Did you mean"),
        ("type = null", 1, "The types are"),
        ("specversion = '0.3'", 1, "Leave it out."),
        ("subject = 5", 1, "in single quotes"),
        ("$body.x < null", 1, "Use = or !=."),
        ("$body.x >= true", 1, "Use = or !=."),
        ("STARTS_WITH(source, 'https://')", 1, "Leave out https://."),
        (f"{UPDATE} AND dataschema = 'dtmi:a;1'", 49, "$body.modelId"),
        (f"{UPDATE} AND STARTS_WITH($body.$metadata.$model, 'dtmi:')", 49, "$body.modelId"),
        (f"{UPDATE} AND $body.temperature > 20", 49, "PATCH_TOUCHES"),
        (f"{CREATE} AND STARTS_WITH($body.modelId, 'dtmi:')", 49, "$body.$metadata.$model"),
        (f"{CREATE} AND PATCH_TOUCHES('/rpm')", 49, "by OR"),
        (f"{TELEMETRY} AND time > '2024-01-01T00:00:00Z'", 38, "carries no time"),
        (f"{UPDATE} AND {TELEMETRY}", 49, "by OR"),
        (f"dataschema = 'dtmi:a;1' AND {UPDATE}", 29, "by OR"),
        (f"NOT ({UPDATE} OR {TELEMETRY}) AND {UPDATE}", 91, "by OR"),
        (f"{UPDATE} AND (dataschema = 'dtmi:a;1' OR $body.modelId = 'dtmi:a;1')", 50, "of an"),
        (f"({UPDATE} OR {TELEMETRY}) AND NOT (dataschema = null) AND {UPDATE}", 115, "by OR"),
    ],
)  # fmt: skip
def test_what_can_never_hold_is_said(text: str, column: int, remedy: str) -> None:
    finding = only(text, Concern.NEVER)

    assert column == finding.column
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        ("datacontenttype = 'application/json'", 1, "STARTS_WITH(datacontenttype"),
        ("source = 'plant.api.weu.digitaltwins.azure.net'", 1, "STARTS_WITH(source"),
        ("subject = 'pump-17'", 1, "STARTS_WITH(subject, 'pump-17/relationships/')"),
        ("CONTAINS(subject, 'pump-1')", 1, "subject = 'pump-1'"),
        ("$body.severity != 3", 1, "AND $body.severity != null"),
        ("subject != 'pump-17'", 1, "AND subject != null"),
        ("dataschema != 'dtmi:a;1'", 1, "AND dataschema != null"),
        ("$body.severity NOT IN (1, 2)", 1, "AND $body.severity != null"),
        ("$body.items.0.name = 'x'", 1, "[0]"),
    ],
)
def test_what_means_something_else_than_it_seems_is_said(
    text: str, column: int, remedy: str
) -> None:
    finding = only(text, Concern.SURPRISE)

    assert column == finding.column
    assert remedy in finding.remedy


def test_findings_come_in_the_order_of_the_text() -> None:
    text = "$body.x != 5\n  AND id = '5'\n  OR source = 'host'"

    expected = [
        (1, 1, Concern.SURPRISE),
        (1, 1, Concern.UNVERIFIED),
        (2, 7, Concern.EXTENSION),
        (3, 6, Concern.SURPRISE),
    ]
    assert expected == [(each.line, each.column, each.concern) for each in lint(text)]


def test_a_finding_reads_as_one_line() -> None:
    (finding,) = lint("false")

    expected = (
        "line 1, column 1: never: This holds for no event. "
        "Write a condition, or take the route out."
    )
    assert expected == str(finding)


def test_what_does_not_parse_is_not_linted() -> None:
    with pytest.raises(FilterError):
        lint("type == 'x'")


def test_the_longest_filters_are_linted_in_a_blink() -> None:
    text = " AND ".join(f"$body.a{n} = {n}" for n in range(480))

    assert list(lint(text)) == []


def test_concerns_of_one_filter_are_all_told() -> None:
    found = {concern for _, concern in concerns(f"not ({UPDATE} AND id = 5 OR $body.x != 1)")}

    assert {Concern.EXTENSION, Concern.UNVERIFIED} <= found
