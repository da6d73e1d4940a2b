"""Any filter on any event: never an exception, and what a slow and obvious reading says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.filters import FilterError, View, compile, lint  # noqa: A004 - as in `re.compile`
from relay.filters.parsing import parse
from relay.filters.reach import reach

# What the reference knows of a filter: nested tuples, written out to text for the real thing.
# ("attribute", name) · ("body", steps) are fields; conditions begin with their operator.

INSTANTS = {
    "2024-03-05T08:14:22.1234567Z": Decimal("22.1234567"),
    "2024-03-05T08:14:22.123456Z": Decimal("22.123456"),
    "2024-03-05T09:14:22.12345670+01:00": Decimal("22.1234567"),
    "2024-03-05T08:14:22Z": Decimal(22),
    "2024-03-05T08:14:00.0Z": Decimal(0),
}
TEXTS = ["", "t", "pump-17", "pump", "it's", "a\\b", "a\nb", "5", "ü"]
NAMES = ["x", "y", "patch", "path", "$m", "and", "0"]
ODD_NAMES = ["a b", "it's", "c.d", ""]
POINTERS = ["", "/", "/a", "/a/b", "/a~1b", "/a~0b", "/b"]

numbers = st.sampled_from(
    [0, 1, -1, 5, 2**53, 2**53 + 1, 10**300, 1.0, 0.5, -0.0, 2.0**53, 1e300]
)
texts = st.sampled_from(TEXTS)
values = st.one_of(numbers, texts, st.booleans(), st.none())

attributes = st.sampled_from(
    [("attribute", name) for name in ("type", "subject", "id", "$attributes.line")]
)
steps = st.lists(
    st.one_of(st.sampled_from(NAMES + ODD_NAMES), st.integers(0, 2)), max_size=3
).map(tuple)
fields = st.one_of(attributes, steps.map(lambda each: ("body", each)))
orders = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
instants = st.sampled_from(list(INSTANTS))

conditions = st.one_of(
    st.tuples(st.just("compare"), orders, fields, values),
    st.tuples(st.just("time"), orders, instants),
    st.tuples(st.just("in"), fields, st.lists(values, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["STARTS_WITH", "ENDS_WITH", "CONTAINS"]), fields, texts),
    st.tuples(st.just("touches"), st.sampled_from(POINTERS)),
    st.tuples(st.just("constant"), st.booleans()),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)

bodies = st.recursive(
    values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES + ODD_NAMES), inner, max_size=4),
    ),
    max_leaves=12,
)
patches = st.lists(
    st.one_of(
        values, st.fixed_dictionaries({"path": st.sampled_from([*POINTERS, "a", "/~", 5])})
    )
).map(lambda patch: {"patch": patch})
data = st.one_of(
    st.one_of(bodies, patches).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"", b"{", b"\xff", b'{"x": NaN}', b"[" * 100_000, b'{"x": 1e999}']),
)
events = st.builds(
    Event,
    st.fixed_dictionaries(
        {"type": texts},
        optional={
            "subject": texts,
            "id": texts,
            "time": st.one_of(instants, st.just("never")),
            "line": st.one_of(st.integers(-1, 5), st.booleans(), texts),
        },
    ),
    data,
)


def written(tree: Any) -> str:  # noqa: PLR0911 - one for each kind of condition
    """Write the filter out, with a pair of parentheses around every part that has parts."""
    match tree:
        case "compare", order, field, value:
            return f"{written_field(field)} {order} {written_value(value)}"
        case "time", order, value:
            return f"time {order} '{value}'"
        case "in", field, many:
            return f"{written_field(field)} IN ({', '.join(map(written_value, many))})"
        case "touches", pointer:
            return f"PATCH_TOUCHES('{pointer}')"
        case "constant", value:
            return written_value(value)
        case "not", inner:
            return f"NOT ({written(inner)})"
        case ("and" | "or") as word, parts:
            return f" {word.upper()} ".join(f"({written(part)})" for part in parts)
        case function, field, value:
            return f"{function}({written_field(field)}, {written_value(value)})"
    raise AssertionError(tree)


def written_field(field: Any) -> str:
    kind, name = field
    if kind == "attribute":
        return str(name)
    return "$body" + "".join(
        f"[{each}]" if isinstance(each, int) else f"[{written_value(each)}]"
        if each in ODD_NAMES else f".{each}"
        for each in name
    )  # fmt: skip


def written_value(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return json.dumps(value)


@dataclass(frozen=True)
class Reference:
    """The language once more, as plainly as it can be said."""

    event: Event

    def holds(self, tree: Any) -> bool:  # noqa: PLR0911 - one for each kind of condition
        match tree:
            case "compare", order, field, value:
                return self.compare(order, self.found(field), value)
            case "time", order, value:
                found = INSTANTS.get(str(self.event.attributes.get("time")))
                return self.compare(order, found, INSTANTS[value])
            case "in", field, many:
                return any(self.compare("=", self.found(field), value) for value in many)
            case "touches", pointer:
                return any(self.touches(path, pointer) for path in self.paths())
            case "constant", value:
                return bool(value)
            case "not", inner:
                return not self.holds(inner)
            case "and", parts:
                return all(self.holds(part) for part in parts)
            case "or", parts:
                return any(self.holds(part) for part in parts)
            case function, field, text:
                found = self.found(field)
                return (
                    isinstance(found, str)
                    and {
                        "STARTS_WITH": found[: len(text)] == text,
                        "ENDS_WITH": found[max(0, len(found) - len(text)) :] == text,
                        "CONTAINS": text in found,
                    }[function]
                )
        raise AssertionError(tree)

    def compare(self, order: str, left: Any, right: Any) -> bool:
        if order == "!=":
            return not self.compare("=", left, right)
        if self.kind(left) != self.kind(right) or self.kind(left) == "structure":
            return False
        if order == "=":
            return self.exact(left) == self.exact(right)
        if self.kind(left) not in {"number", "text"}:
            return False
        low, high = self.exact(left), self.exact(right)
        return {"<": low < high, "<=": low <= high, ">": low > high, ">=": low >= high}[order]

    def kind(self, value: Any) -> str:
        kinds = {type(None): "null", bool: "boolean", str: "text"}
        number = isinstance(value, int | float | Decimal)
        return kinds.get(type(value), "number" if number else "structure")

    def exact(self, value: Any) -> Any:
        return Decimal(value) if self.kind(value) == "number" else value

    def found(self, field: Any) -> Any:
        kind, name = field
        if kind == "attribute":
            return self.event.attributes.get(name.removeprefix("$attributes."))
        value = self.body()
        for step in name:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int):
                value = dict(enumerate(value)).get(step)
            else:
                return None
        return value

    def body(self) -> Any:
        try:
            value = json.loads(self.event.data.decode())
        except (ValueError, RecursionError):
            return None
        return None if b"NaN" in self.event.data else value

    def paths(self) -> list[str]:
        body = self.body()
        patch = body.get("patch") if isinstance(body, dict) else None
        operations = patch if isinstance(patch, list) else []
        paths = [each.get("path") for each in operations if isinstance(each, dict)]
        return [path for path in paths if isinstance(path, str)]

    def touches(self, path: str, pointer: str) -> bool:
        if not path.startswith("/") and path:
            return False
        one, other = path.split("/")[1:], pointer.split("/")[1:]
        return all(left == right for left, right in zip(one, other, strict=False))


@settings(max_examples=600, deadline=None)
@given(filters, events)
def test_a_filter_says_what_the_slow_reading_of_it_says(tree: Any, event: Event) -> None:
    compiled = compile(written(tree))

    assert Reference(event).holds(tree) is compiled(event)


@settings(max_examples=150, deadline=None)
@given(st.lists(filters, max_size=5), events)
def test_filters_that_share_a_view_say_what_each_says_alone(trees: Any, event: Event) -> None:
    compiled = [compile(written(tree)) for tree in trees]
    view = View(event)

    assert [each(event) for each in compiled] == [each(view) for each in compiled]


@settings(max_examples=200, deadline=None)
@given(
    filters, st.binary(max_size=200), st.dictionaries(texts, st.one_of(texts, st.integers()))
)
def test_no_event_makes_a_filter_raise(tree: Any, anything: bytes, named: Any) -> None:
    assert compile(written(tree))(Event(named, anything)) in {True, False}


words = st.lists(
    st.tuples(st.sampled_from(["", "NOT "]), st.booleans(), st.sampled_from([" AND ", " OR "])),
    min_size=1,
    max_size=8,
)


@given(words)
def test_words_bind_as_they_do_in_python(parts: list[tuple[str, bool, str]]) -> None:
    text = "".join(f"{negation}{value}{join}" for negation, value, join in parts) + "true"

    expected = eval(text.lower(), {"true": True, "false": False})

    assert expected is compile(text)(Event({}))


FRAGMENTS = r"""
    type subject $body . $body.x [ ] [0] ['a'] 'text' ' '' \ 5 -1 1.5 = == != < <= ( ) ,
    AND OR NOT IN true false null STARTS_WITH CONTAINS PATCH_TOUCHES '/a' time $attributes
    && || ! " ; @ é
"""
fragments = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS.split()), st.text(max_size=3)), max_size=12
)


def refusal(text: str) -> FilterError | None:
    try:
        compile(text)
    except FilterError as error:
        return error
    return None


@settings(max_examples=600, deadline=None)
@given(fragments, st.sampled_from(["", " ", "\n"]))
def test_any_text_is_a_filter_or_is_refused_with_its_place(parts: Any, space: str) -> None:
    text = space.join(parts)
    error = refusal(text)

    if error is None:
        assert compile(text)(Event({})) in {True, False}
        assert all(finding.remedy for finding in lint(text))
    else:
        assert 1 <= error.line <= text.count("\n") + 1
        assert str(error).startswith(
            f"line {error.line}, column {error.column}: {error.problem}"
        )
        assert "^" in str(error)


MODEL = "dtmi:example:com:pump;1"
PREFIX = "Microsoft.DigitalTwins."
LIFECYCLE = {"$dtId": "pump-17", "$etag": "W", "$metadata": {"$model": MODEL}, "x": 5, "y": "t"}
RELATION = {"$relationshipId": "r", "$relationshipName": "feeds", "$sourceId": "a", "x": 5}
CHANGE = {"modelId": MODEL, "patch": [{"path": "/a/b", "op": "add", "value": 5}]}
REAL = [
    Event(
        {"type": PREFIX + name, "specversion": "1.0", "id": "5", "time": next(iter(INSTANTS)),
         "subject": subject, "source": "host"},
        json.dumps(content).encode(),
    )
    for name, subject, content in [
        ("Twin.Create", "pump-17", LIFECYCLE),
        ("Twin.Delete", "t", LIFECYCLE),
        ("Twin.Update", "pump-17", CHANGE),
        ("Relationship.Create", "pump-17/relationships/t", RELATION),
        ("Relationship.Update", "pump-17/relationships/t", CHANGE),
        ("Relationship.Delete", "pump-17/relationships/t", RELATION),
    ]
] + [
    Event(
        {"type": "microsoft.iot.telemetry", "specversion": "1.0", "source": "host/pump-17",
         "dataschema": MODEL, "subject": "t"},
        json.dumps(content).encode(),
    )
    for content in (LIFECYCLE, CHANGE, {"x": 5})
]  # fmt: skip

real_fields = st.sampled_from(
    [
        ("attribute", "type"),
        ("attribute", "specversion"),
        ("attribute", "subject"),
        ("attribute", "dataschema"),
        *[("body", (name,)) for name in ("x", "y", "$dtId", "$relationshipId", "modelId")],
        ("body", ("$metadata", "$model")),
    ]
)
real_values = st.sampled_from(
    [*(each.type for each in REAL), "1.0", "pump-17", MODEL, "t", 5, True, None]
)
real_conditions = st.one_of(
    st.tuples(st.just("compare"), orders, real_fields, real_values),
    st.tuples(st.just("time"), orders, instants),
    st.tuples(st.just("in"), real_fields, st.lists(real_values, min_size=1, max_size=3)),
    st.tuples(st.just("STARTS_WITH"), real_fields, st.sampled_from([PREFIX, "dtmi:", "micro"])),
    st.tuples(st.just("touches"), st.sampled_from(POINTERS)),
)
real_filters = st.recursive(
    real_conditions,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(real_filters)
def test_what_lint_calls_impossible_is_impossible(tree: Any) -> None:
    text = written(tree)
    compiled = compile(text)

    taken = {event.type for event in REAL if compiled(event)}

    assert taken <= reach(parse(text).tree)
