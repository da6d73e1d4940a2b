"""How fast filters are asked, against the two simpler ways of doing it.

- `compiled`: one `View` an event, the filters of all routes asked of it; what the relay does.
- `walked`: the same parse tree, walked anew for each event; the body shared as above.
- `reparsed`: compiled filters, but each parses the body for itself.

    python bench/filters.py [--json] [--seconds 1]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from relay.event import Event
from relay.filters import View, compile  # noqa: A004 - as in `re.compile`
from relay.filters.parsing import parse
from relay.filters.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Constant,
    Group,
    Membership,
    Node,
    Not,
    Operand,
    PatchTouches,
    TextTest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UPDATE = "type = 'Microsoft.DigitalTwins.Twin.Update'"
TELEMETRY = "type = 'microsoft.iot.telemetry'"
ROUTES = {
    "every event": ["true"],
    "one type": [UPDATE],
    "a type and a model": [f"{UPDATE} AND STARTS_WITH($body.modelId, 'dtmi:com:example:')"],
    "telemetry above a limit": [f"{TELEMETRY} AND $body.severity >= 3"],
    "a property that changed": [f"{UPDATE} AND PATCH_TOUCHES('/motor/temperature')"],
    "six routes": [
        "true",
        f"{TELEMETRY} AND $body.severity >= 3",
        f"{UPDATE} AND STARTS_WITH($body.modelId, 'dtmi:com:example:')",
        f"{UPDATE} AND PATCH_TOUCHES('/motor/temperature')",
        "$body.modelId = 'dtmi:com:example:Pump;1' OR dataschema = 'dtmi:com:example:Pump;1'",
        "STARTS_WITH(subject, 'pump-') AND type != 'microsoft.iot.telemetry'",
    ],
    "twenty routes that look into the body": [f"$body.severity = {n}" for n in range(20)],
}


def plant(count: int) -> list[Event]:
    """Return updates and telemetry by turns, of the size that a plant sends."""
    host = "plant-a.api.weu.digitaltwins.azure.net"
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    events = []
    for n in range(count):
        common = {"specversion": "1.0", "id": f"7b0c9d3e-{n}", "traceparent": trace}
        update = {
            "modelId": "dtmi:com:example:Pump;1",
            "patch": [
                {"value": 1450 + n, "path": "/rpm", "op": "replace"},
                {"value": 61.5, "path": "/motor/temperature", "op": "add"},
            ],
        }
        telemetry = {"vibration": 0.7, "severity": n % 5, "unit": "mm/s"}
        events += [
            Event(
                {**common, "type": "Microsoft.DigitalTwins.Twin.Update", "source": host,
                 "subject": f"pump-{n}", "time": "2024-03-05T08:14:22.1234567Z"},
                json.dumps(update).encode(),
            ),
            Event(
                {**common, "type": "microsoft.iot.telemetry",
                 "source": f"{host}/digitaltwins/pump-{n}",
                 "dataschema": "dtmi:com:example:Pump;1"},
                json.dumps(telemetry).encode(),
            ),
        ]  # fmt: skip
    return events


def walk(node: Node, view: View) -> bool:  # noqa: PLR0911 - one for each kind of condition
    """Answer as the relay would, by reading the parse tree for each event."""
    match node:
        case Constant(value):
            return value
        case Group(inner):
            return walk(inner, view)
        case Not(inner):
            return not walk(inner, view)
        case AllOf(nodes):
            return all(walk(each, view) for each in nodes)
        case AnyOf(nodes):
            return any(walk(each, view) for each in nodes)
        case Comparison(operand, operator, value):
            return compare(find(operand, view), operator, value.value)
        case Membership(operand, values):
            found = find(operand, view)
            return any(compare(found, "=", each.value) for each in values)
        case TextTest(function, operand, text):
            found = find(operand, view)
            tests = {"STARTS_WITH": str.startswith, "ENDS_WITH": str.endswith}
            return isinstance(found, str) and tests.get(function, str.__contains__)(found, text)
        case PatchTouches(pointer):
            body: Any = view.body
            segments = pointer.split("/")
            return isinstance(body, dict) and any(
                all(a == b for a, b in zip(each["path"].split("/"), segments, strict=False))
                for each in body.get("patch", [])
            )


def find(operand: Operand, view: View) -> Any:
    if isinstance(operand, Attribute):
        return view.attributes.get(operand.name)
    value: Any = view.body
    for step in operand.steps:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def compare(found: Any, operator: str, value: Any) -> bool:
    same = isinstance(found, bool) == isinstance(value, bool) and found == value
    if operator in {"=", "!="}:
        return same == (operator == "=")
    if type(found) not in {int, float}:
        return False
    return bool({"<": found < value, "<=": found <= value, ">": found > value}.get(
        operator, found >= value))  # fmt: skip


def ways(routes: Sequence[str]) -> dict[str, Callable[[Event], list[bool]]]:
    compiled = [compile(each) for each in routes]
    trees = [parse(each).tree for each in routes]

    def shared(event: Event) -> list[bool]:
        view = View(event)
        return [each(view) for each in compiled]

    def walked(event: Event) -> list[bool]:
        view = View(event)
        return [walk(each, view) for each in trees]

    def reparsed(event: Event) -> list[bool]:
        return [each(event) for each in compiled]

    return {"compiled": shared, "walked": walked, "reparsed": reparsed}


def events_per_second(
    asked: dict[str, Callable[[Event], list[bool]]], events: Sequence[Event], seconds: float
) -> dict[str, float]:
    """Return each way's best round: they take turns, since others use the machine too."""
    best = dict.fromkeys(asked, 0.0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for way, ask in asked.items():
            start = time.perf_counter()
            for event in events:
                ask(event)
            best[way] = max(best[way], len(events) / (time.perf_counter() - start))
    return best


def measure(seconds: float) -> list[dict[str, Any]]:
    events = plant(250)
    rows = []
    for name, routes in ROUTES.items():
        asked = ways(routes)
        answers = [[ask(event) for event in events] for ask in asked.values()]
        assert answers[0] == answers[1] == answers[2], name
        rates = events_per_second(asked, events, seconds)
        ratios = {f"to_{way}": rates["compiled"] / rates[way] for way in ("walked", "reparsed")}
        rows.append({"routes": name, "filters": len(routes), **rates, **ratios})
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description="How fast filters are asked.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--seconds", type=float, default=1.0, help="for each row")
    chosen = options.parse_args()
    rows = measure(chosen.seconds)
    if chosen.json:
        print(json.dumps(rows))
        return
    print("events a second, best round")
    print(f"{'':40}{'compiled':>14}{'walked':>12}{'reparsed':>12}   compiled is faster by")
    for row in rows:
        print(
            f"{row['routes']:40}{row['compiled']:>12,.0f}/s{row['walked']:>10,.0f}/s"
            f"{row['reparsed']:>10,.0f}/s"
            f"   {row['to_walked']:.1f} and {row['to_reparsed']:.1f} times"
        )


if __name__ == "__main__":
    main()
