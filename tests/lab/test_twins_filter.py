"""The lab's event routes take what Azure Digital Twins documents, and nothing that is ours."""

from __future__ import annotations

import pytest

from lab.twins_filter import is_filter


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "false",
        "type = 'Microsoft.DigitalTwins.Twin.Update'",
        "STARTS_WITH($body.$metadata.$model, 'dtmi:example:com:floor')",
        "ENDS_WITH($body.$metadata.$model, 'floor;1')",
        "CONTAINS(subject, 'pump-17')",
        "$body.errorCode > 200",
        "$body.temperature <= 5.5",
        "$body.poweredOn = true",
        "$body.prop != null",
        "(type != 'microsoft.iot.telemetry' OR subject = 'a') OR (specversion != '1.0')",
    ],
)
def test_what_is_documented_is_taken(text: str) -> None:
    assert is_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "type",
        "true AND type = 'a'",
        "NOT (type = 'a')",
        "type IN ('a', 'b')",
        "PATCH_TOUCHES('/rpm')",
        "id = '5'",
        "time > '2024-01-01T00:00:00Z'",
        "$attributes.line = 7",
        "$body.patch[0].path = '/rpm'",
        "$body = 1",
        "$body['a b'] = 1",
        "type = 'it''s'",
        "$body.x = 1e3",
        "type = 'a' and subject = 'b'",
        "(type = 'a'",
    ],
)
def test_what_is_not_documented_is_refused(text: str) -> None:
    assert not is_filter(text)
