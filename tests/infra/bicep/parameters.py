"""Whether a parameter takes a value."""

from __future__ import annotations

import re
from typing import Any

from tests.infra.bicep.evaluation import UNKNOWN, Unknown, evaluate
from tests.infra.bicep.nodes import Declaration, File, Place


def conforms(value: Any, declared: Declaration, file: File) -> str:
    """Say why a value is not what a parameter takes; `""` where it is."""
    if value is None:
        return "" if declared.nullable else "must not be null"
    if not _is_a(value, declared.type, file):
        return f"takes {declared.type}, not {value!r:.60}"
    limits = {
        name: evaluate(arguments[0], _Nowhere())
        for name, arguments in declared.decorators.items()
        if arguments
    }
    if value not in limits.get("allowed", [value]):
        return f"takes one of {limits['allowed']}, not {value!r}"
    size = len(value) if isinstance(value, str | list | dict) else value
    if isinstance(size, int):
        least = limits.get("minLength", limits.get("minValue", size))
        most = limits.get("maxLength", limits.get("maxValue", size))
        if not least <= size <= most:
            return f"takes {least} to {most}, not {size}"
    return ""


_PRIMITIVES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "bool": bool,
    "array": list,
    "object": dict,
}


def _is_a(value: Any, written: str, file: File) -> bool:
    written = written.strip()
    if written.endswith("?"):
        return value is None or _is_a(value, written[:-1], file)
    if written.endswith("[]"):
        inner = written[:-2].strip("()")
        return isinstance(value, list) and all(_is_a(each, inner, file) for each in value)
    if written in _PRIMITIVES:
        is_bool = isinstance(value, bool) and written == "int"
        return isinstance(value, _PRIMITIVES[written]) and not is_bool
    if written.startswith("{"):
        return isinstance(value, dict)
    if "'" in written:
        return value in re.findall(r"'([^']*)'", written)
    known = file.symbols.get(written)
    return known is None or known.kind != "type" or _is_a(value, known.type, file)


class _Nowhere:
    """The scope of a decorator's arguments, which are plain."""

    def value_of(self, name: str, at: Place) -> Any:
        del name, at
        return UNKNOWN

    def ask(self, function: str, arguments: tuple[Any, ...], at: Place) -> Any:
        del function, arguments, at
        return UNKNOWN

    def note(self, at: Place, what: str) -> Unknown:
        del at, what
        return UNKNOWN
