"""Strategies: events as anybody may send them, and JSON as other writers write it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from relay.event import Event

SCALARS = [
    "null",
    "true",
    "1e400",
    "-1E-400",
    "1.0",
    "1.10",
    "-0",
    "-0.0",
    "123456789012345678901234567890",
    '""',
    r'"\u00fc \ud83d\ude00 \/ \" \\ \ud800"',
    '"ü \U0001f600 \x7f"',
    '"2024-03-05T08:14:22.1234567Z"',
]
SPACES = ["", " ", "\n\t", "\r\n  "]

spaces = st.sampled_from(SPACES)


def array(parts: list[tuple[str, str]]) -> str:
    """Write values, each with its space around, as an array."""
    return "[" + ",".join(space + text + space for space, text in parts) + "]"


def object_(parts: list[tuple[str, str]]) -> str:
    """Write values, each with its space around, as an object."""
    return (
        "{"
        + ",".join(
            f'{space}"m\\u006{n % 10}{n}"{space}:{space}{text}{space}'
            for n, (space, text) in enumerate(parts)
        )
        + "}"
    )


json_texts: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(st.tuples(spaces, inner), max_size=4).flatmap(
        lambda parts: st.sampled_from([array(parts), object_(parts)])
    ),
    max_leaves=12,
)
"""JSON as other writers write it: numbers, escapes and spaces that ours would not keep."""

attribute_names = st.text(
    "abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12
).filter(lambda name: name not in {"data", "datacontenttype"})
attribute_values = st.one_of(
    st.text(max_size=20), st.booleans(), st.integers(-(2**31), 2**31 - 1)
)
content_types = st.sampled_from(
    [
        "application/json",
        "application/json-patch+json; charset=utf-8",
        "Application/JSON",
        "text/plain",
        "application/octet-stream",
        "text/json",
        " application/json ;x=y",
        "jsonx",
    ]
)
data = st.one_of(
    st.binary(max_size=40),
    json_texts.map(str.encode),
    json_texts.map(lambda text: text.encode("utf-8-sig")),
    json_texts.map(lambda text: text.encode("utf-16")),
    st.text(max_size=20).map(str.encode),
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that ingress would let through."""
    attributes: dict[str, Any] = draw(
        st.dictionaries(attribute_names, attribute_values, max_size=4)
    )
    attributes |= {
        name: draw(st.text(min_size=1, max_size=12)) for name in ("id", "source", "type")
    }
    attributes["specversion"] = "1.0"
    if draw(st.booleans()):
        attributes["datacontenttype"] = draw(content_types)
    return Event(attributes, draw(data))
