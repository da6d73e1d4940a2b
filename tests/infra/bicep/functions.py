"""The functions of Bicep that can be calculated without Azure.

Names and numbers of arguments: MicrosoftDocs/azure-docs, azure-resource-manager/bicep/
bicep-functions*.md. What Azure makes up (`uniqueString`, `guid`) is another value of the same
form here.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any


@dataclass(frozen=True)
class Function:
    """One function: what it does, and how many arguments it takes."""

    call: Callable[..., Any]
    least: int
    most: int | None


def unique_string(*parts: str) -> str:
    """Thirteen letters and digits that follow from the parts."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def guid(*parts: str) -> str:
    """A GUID that follows from the parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(map(str, parts))))


def text(value: Any) -> str:
    """A value as text: JSON for all that is no text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)(?::[^}]*)?\}", lambda found: text(values[int(found[1])]), pattern)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, dict):
        return part in whole
    return part in whole if isinstance(whole, list) else str(part) in whole


def _union(*values: Any) -> Any:
    if all(isinstance(value, list) for value in values):
        return list({text(each): each for each in chain(*values)}.values())
    nothing: dict[str, Any] = {}
    return reduce(_merged, values, nothing)


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(left[name], value)
        for name, value in right.items()
        if isinstance(value, dict) and isinstance(left.get(name), dict)
    }
    return left | right | both


def _intersection(*values: Any) -> Any:
    first, *rest = values
    if isinstance(first, list):
        return [each for each in first if all(each in other for other in rest)]
    return {n: v for n, v in first.items() if all(o.get(n) == v for o in rest)}


def _to_object(
    items: Sequence[Any], key: Callable[..., Any], value: Callable[..., Any] | None = None
) -> dict[str, Any]:
    return {key(each): value(each) if value else each for each in items}


def _group_by(items: Sequence[Any], key: Callable[..., Any]) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for each in items:
        groups.setdefault(key(each), []).append(each)
    return groups


def _reduce(items: Sequence[Any], first: Any, join: Callable[..., Any]) -> Any:
    return reduce(join, items, first)


def _sort(items: Sequence[Any], before: Callable[..., bool]) -> list[Any]:
    done: list[Any] = []
    for each in items:
        place = next((n for n, other in enumerate(done) if before(each, other)), len(done))
        done.insert(place, each)
    return done


def _range(start: int, count: int) -> list[int]:
    return list(range(start, start + count))


def _items(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value[name]} for name in sorted(value)]


def _subnet(network: str, prefix: int, number: int) -> str:
    parent = ipaddress.ip_network(network)
    size = 2 ** (parent.max_prefixlen - prefix)
    first = int(parent.network_address) + number * size
    subnet = ipaddress.ip_network((first, prefix))
    if not subnet.subnet_of(parent):  # type: ignore[arg-type]
        raise ValueError(f"{subnet} lies outside of {network}")
    return str(subnet)


def _host(network: str, number: int) -> str:
    return str(ipaddress.ip_network(network).network_address + number + 1)


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def resource_id(*parts: str) -> str:
    """From a scope's id, a type and names."""
    scope, kind, *names = parts
    provider, *types = kind.split("/")
    if len(types) != len(names):
        raise ValueError(f"{kind} takes {len(types)} names, not {len(names)}")
    below = "".join(f"/{kind}/{name}" for kind, name in zip(types, names, strict=True))
    return f"{scope.rstrip('/')}/providers/{provider}{below}"


FUNCTIONS = {
    "any": Function(lambda value: value, 1, 1),
    "array": Function(lambda value: value if isinstance(value, list) else [value], 1, 1),
    "base64": Function(lambda value: base64.b64encode(value.encode()).decode(), 1, 1),
    "bool": Function(lambda value: value in (True, "true", "True", 1), 1, 1),
    "cidrHost": Function(_host, 2, 2),
    "cidrSubnet": Function(_subnet, 3, 3),
    "coalesce": Function(
        lambda *values: next((each for each in values if each is not None), None), 1, None
    ),
    "concat": Function(
        lambda *values: (
            list(chain(*values)) if isinstance(values[0], list) else "".join(map(text, values))
        ),
        1,
        None,
    ),
    "contains": Function(_contains, 2, 2),
    "empty": Function(_empty, 1, 1),
    "endsWith": Function(lambda a, b: a.lower().endswith(b.lower()), 2, 2),
    "extensionResourceId": Function(resource_id, 3, None),
    "filter": Function(lambda items, wanted: [each for each in items if wanted(each)], 2, 2),
    "first": Function(lambda value: value[0] if value else None, 1, 1),
    "flatten": Function(lambda value: list(chain(*value)), 1, 1),
    "format": Function(_format, 2, None),
    "groupBy": Function(_group_by, 2, 2),
    "guid": Function(guid, 1, None),
    "indexOf": Function(
        lambda a, b: (
            a.index(b)
            if isinstance(a, list) and b in a
            else -1
            if isinstance(a, list)
            else a.lower().find(b.lower())
        ),
        2,
        2,
    ),
    "int": Function(int, 1, 1),
    "intersection": Function(_intersection, 2, None),
    "items": Function(_items, 1, 1),
    "join": Function(lambda items, by: by.join(map(text, items)), 2, 2),
    "json": Function(json.loads, 1, 1),
    "last": Function(lambda value: value[-1] if value else None, 1, 1),
    "length": Function(len, 1, 1),
    "map": Function(lambda items, each: [each(item) for item in items], 2, 2),
    "mapValues": Function(lambda v, each: {n: each(x) for n, x in v.items()}, 2, 2),
    "max": Function(lambda *v: max(v[0] if isinstance(v[0], list) else v), 1, None),
    "min": Function(lambda *v: min(v[0] if isinstance(v[0], list) else v), 1, None),
    "objectKeys": Function(sorted, 1, 1),
    "padLeft": Function(lambda value, n, fill=" ": text(value).rjust(n, fill), 2, 3),
    "range": Function(_range, 2, 2),
    "reduce": Function(_reduce, 3, 3),
    "replace": Function(lambda value, old, new: value.replace(old, new), 3, 3),
    "shallowMerge": Function(lambda items: reduce(lambda a, b: a | b, items, {}), 1, 1),
    "skip": Function(lambda value, n: value[n:], 2, 2),
    "sort": Function(_sort, 2, 2),
    "split": Function(
        lambda value, by: re.split(
            "|".join(map(re.escape, by if isinstance(by, list) else [by])), value
        ),
        2,
        2,
    ),
    "startsWith": Function(lambda a, b: a.lower().startswith(b.lower()), 2, 2),
    "string": Function(text, 1, 1),
    "substring": Function(
        lambda value, at, n=None: value[at:] if n is None else value[at : at + n], 2, 3
    ),
    "take": Function(lambda value, n: value[:n], 2, 2),
    "toLower": Function(str.lower, 1, 1),
    "toObject": Function(_to_object, 2, 3),
    "toUpper": Function(str.upper, 1, 1),
    "trim": Function(str.strip, 1, 1),
    "tryGet": Function(
        lambda value, name: value.get(name) if isinstance(value, dict) else None, 2, 2
    ),
    "union": Function(_union, 1, None),
    "uniqueString": Function(unique_string, 1, None),
    "uriComponent": Function(lambda value: value, 1, 1),
}

OF_THE_SCOPE = {
    "deployer": (0, 0),
    "deployment": (0, 0),
    "environment": (0, 0),
    "fail": (1, 1),
    "loadFileAsBase64": (1, 1),
    "loadJsonContent": (1, 3),
    "loadTextContent": (1, 2),
    "loadYamlContent": (1, 3),
    "managementGroup": (0, 1),
    "newGuid": (0, 0),
    "reference": (1, 3),
    "resourceGroup": (0, 2),
    "resourceId": (2, None),
    "subscription": (0, 1),
    "subscriptionResourceId": (2, None),
    "tenant": (0, 0),
    "tenantResourceId": (2, None),
    "utcNow": (0, 1),
}
"""Functions that ask where they stand; `asking` answers them."""

ONLY_IN_DEFAULTS = {"newGuid", "utcNow"}


def plain(function: str) -> str:
    """Return a function's name without its namespace."""
    return re.sub(r"^(sys|az)\.", "", function)


def arity(function: str) -> tuple[int, int | None] | None:
    """Return the least and the largest number of arguments; `None` for no function."""
    name = plain(function)
    known = FUNCTIONS.get(name)
    return (known.least, known.most) if known else OF_THE_SCOPE.get(name)
