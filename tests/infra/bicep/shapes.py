"""What Azure's resources may hold: names, kinds and words, out of the azure-mgmt packages.

A package knows one version of an API, mostly a newer one than the templates use, so this tells
a misspelt name, a wrong kind and an unknown word; it does not tell that a name is too new.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.infra.bicep.evaluation import UNKNOWN

_READ = json.loads(Path(__file__).with_name("shapes.json").read_text("utf-8"))
PACKAGES: dict[str, str] = _READ["from"]
_TYPES: dict[str, str] = {kind.lower(): name for kind, name in _READ["types"].items()}
_SHAPES: dict[str, Any] = _READ["shapes"]
TYPES = frozenset(kind for kind in _READ["types"] if " " not in kind) | {
    kind.partition(" ")[0] for kind in _READ["types"]
}
_SENT = {"name", "location", "tags", "kind", "sku", "identity", "zones", "properties"}
"""Members that are at the top of any resource."""
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "bool": bool,
    "int": int,
    "number": (int, float),
}


def _shape_of(kind: str, name: str = "") -> dict[str, Any] | None:
    called = _TYPES.get(f"{kind} {name}".lower()) or _TYPES.get(kind.lower())
    found: dict[str, Any] | None = _SHAPES.get(called or "")
    return found


def wrong(kind: str, name: str, body: dict[str, Any]) -> Iterator[str]:
    """Yield what of a resource Azure would not know, each with its path."""
    shape = _shape_of(kind, name)
    if shape is None:
        yield f"no shape of {kind} is known: add it to extract.py"
        return
    sent = {key: value for key, value in body.items() if key != "name"}
    for key in set(sent) - set(shape["members"]) - _SENT:
        yield f"{key}: {kind} has no such member{_like(key, shape['members'])}"
    known = {key: value for key, value in sent.items() if key in shape["members"]}
    yield from _of_shape(shape, known, "")
    for key in _SENT & set(sent) - set(shape["members"]) - {"tags", "location"}:
        yield f"{key}: {kind} has no such member"


def _of_shape(shape: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: takes an object, not {value!r:.60}"
        return
    if "variants" in shape:
        word = value.get(shape["by"])
        chosen = shape["variants"].get(word)
        if chosen is None:
            yield f"{path}.{shape['by']}: takes one of {sorted(shape['variants'])}"
            return
        shape = _SHAPES[chosen]
    members = shape["members"]
    read_only = set(shape.get("readOnly", ()))
    for key, each in value.items():
        where = f"{path}.{key}".strip(".")
        if key not in members:
            yield f"{where}: no such member{_like(key, members)}"
        elif key in read_only and key not in {"id", "name"}:
            yield f"{where}: only Azure sets it"
        else:
            yield from _of_kind(members[key], each, where)
    for key in shape.get("required", ()):
        if key not in value and key not in {"id", "name"}:
            yield f"{path}.{key}: it is missing".strip(".")


def _of_kind(kind: Any, value: Any, path: str) -> Iterator[str]:
    if value is None or value is UNKNOWN or kind == "any":
        return
    if isinstance(kind, str):
        yield from _plain(kind, value, path)
    elif "enum" in kind:
        if value not in kind["enum"]:
            yield f"{path}: takes one of {kind['enum']}, not {value!r}"
    elif "list" in kind or "map" in kind:
        yield from _many(kind, value, path)
    else:
        yield from _of_shape(_SHAPES[kind["of"]] if "of" in kind else kind, value, path)


def _plain(kind: str, value: Any, path: str) -> Iterator[str]:
    is_bool = isinstance(value, bool) and kind != "bool"
    if not isinstance(value, _KINDS[kind]) or is_bool:
        yield f"{path}: takes {kind}, not {value!r:.60}"


def _many(kind: Any, value: Any, path: str) -> Iterator[str]:
    if "list" in kind and isinstance(value, list):
        for number, each in enumerate(value):
            yield from _of_kind(kind["list"], each, f"{path}[{number}]")
    elif "map" in kind and isinstance(value, dict):
        for name, each in value.items():
            yield from _of_kind(kind["map"], each, f"{path}.{name}")
    else:
        yield f"{path}: takes a {'list' if 'list' in kind else 'map'}, not {value!r:.60}"


def _like(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; {close[0]} there is" if close else ""


def at(kind: str, path: Sequence[str]) -> Any:
    """Return the kind of what a resource holds at a path; `None` where it holds nothing."""
    shape: Any = _shape_of(kind, "read")
    for name in path:
        while isinstance(shape, dict) and "of" in shape:
            shape = _SHAPES[shape["of"]]
        if isinstance(shape, dict) and "map" in shape:
            shape = shape["map"]
        elif isinstance(shape, dict) and name in shape.get("members", {}):
            shape = shape["members"][name]
        else:
            return None
    return shape
