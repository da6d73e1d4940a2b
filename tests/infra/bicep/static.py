"""What can be told of a file without calculating: wherever a condition leads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from tests.infra.bicep import functions
from tests.infra.bicep.nodes import (
    Call,
    Declaration,
    Expression,
    File,
    Finding,
    For,
    Lambda,
    Member,
    Name,
    parts,
)
from tests.infra.bicep.syntax import parse


def static_findings(file: File) -> tuple[Finding, ...]:
    """Return what is wrong wherever a condition leads: names, functions, what is not used."""
    return _static_findings(file.path, file.text)


@cache
def _static_findings(path: str, text: str) -> tuple[Finding, ...]:
    return tuple(_examined_file(parse(path, text)))


def _examined_file(file: File) -> Iterator[Finding]:
    used: set[str] = set()
    for each in file.declarations:
        found, names = _examined(each, file)
        yield from found
        used |= names
    for each in file.declarations:
        is_unused = each.kind in {"param", "var", "func", "type"} or each.existing
        types = " ".join(other.type for other in file.declarations)
        if is_unused and each.name not in used and not re.search(rf"\b{each.name}\b", types):
            yield Finding(each.at, f"{each.name} is not used")
    yield from _known_too_late(file)


def _examined(declaration: Declaration, file: File) -> tuple[list[Finding], set[str]]:
    found: list[Finding] = []
    used: set[str] = set()
    values = [declaration.value, *(a for args in declaration.decorators.values() for a in args)]
    inner = declaration.body.resources if declaration.body else ()
    locals_of_it = _locals(declaration)
    for value in [*values, *(each.value for each in inner)]:
        for part in parts(value):
            if isinstance(part, Name):
                used.add(part.name)
                if part.name not in locals_of_it and part.name not in file.symbols:
                    found.append(Finding(part.at, f"nothing is called {part.name}"))
            elif isinstance(part, Call):
                used.add(part.function)
                found += _call_findings(part, file, declaration)
    return found, used - ({declaration.name} if declaration.kind != "func" else set())


def _call_findings(call: Call, file: File, declaration: Declaration) -> list[Finding]:
    own = file.symbols.get(call.function)
    if own is not None and own.kind == "func":
        limits: tuple[int, int | None] | None = (len(own.parameters), len(own.parameters))
    else:
        limits = functions.arity(call.function)
    if limits is None:
        return [Finding(call.at, f"there is no function {call.function}")]
    least, most = limits
    count = len(call.arguments)
    if count < least or (most is not None and count > most):
        return [Finding(call.at, f"{call.function} does not take {count} arguments")]
    plain = functions.plain(call.function)
    if plain in functions.ONLY_IN_DEFAULTS and declaration.kind != "param":
        return [Finding(call.at, f"{plain} may stand in a parameter's default only")]
    return []


def _locals(declaration: Declaration) -> set[str]:
    names = set(declaration.parameters)
    inner = declaration.body.resources if declaration.body else ()
    for value in (declaration.value, *(each.value for each in inner)):
        for part in parts(value):
            if isinstance(part, Lambda):
                names |= set(part.parameters)
            elif isinstance(part, For):
                names |= {part.item, part.index}
    return names | {each.name for each in inner}


_AT_ONCE = ("name", "scope", "parent")
_PLAIN_MEMBERS = {"id", "name", "type", "apiVersion"}


def _known_too_late(file: File) -> Iterator[Finding]:
    """Yield names, conditions and loops that ask for what is known only when it is there.

    The compiler refuses them (BCP120, BCP177, BCP178).
    """
    for each in file.declarations:
        if each.kind not in {"resource", "module"}:
            continue
        body = each.body
        early = [body.get(name) for name in _AT_ONCE] if body else []
        early += [each.condition, each.loop.source if each.loop else None]
        for value in early:
            late = next(iter(_late(value, file, set())), "")
            if late:
                what = f"{each.name} must be known at the start, and {late} is not"
                yield Finding(each.at, what)


def _late(expression: Expression | None, file: File, seen: set[str]) -> Iterator[str]:
    for part in parts(expression):
        if isinstance(part, Member):
            of, name = part.of, part.name
            known = file.symbols.get(of.name) if isinstance(of, Name) else None
            is_late = known is not None and (
                (known.kind == "resource" and name not in _PLAIN_MEMBERS)
                or (known.kind == "module" and name != "name")
            )
            if is_late and isinstance(of, Name):
                yield f"{of.name}.{name}"
        if isinstance(part, Name) and part.name not in seen:
            seen.add(part.name)
            known = file.symbols.get(part.name)
            if known is not None and known.kind == "var":
                yield from _late(known.value, file, seen)
