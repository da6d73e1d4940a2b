"""What a resource or a module waits for: all that its expressions name."""

from __future__ import annotations

from functools import cache

from tests.infra.bicep.nodes import Expression, File, Name, Nested, parts
from tests.infra.bicep.syntax import parse


@cache
def waits_of(path: str, text: str) -> list[tuple[str, set[str]]]:
    """Return what each resource or module waits for: all that its expressions name."""
    file = parse(path, text)
    found: list[tuple[str, set[str]]] = []
    for each in file.of("resource") + file.of("module"):
        found.append((each.name, _named(each.value, file, set()) - {each.name}))
        within = each.body.resources if each.body else ()
        found += [(one.name, {each.name} | _named(one.value, file, set())) for one in within]
    return found


def _named(expression: Expression | None, file: File, seen: set[str]) -> set[str]:
    """Return the resources and modules that an expression names, through variables too."""
    found: set[str] = set()
    for part in parts(expression):
        name = part.name if isinstance(part, Name) else ""
        if isinstance(part, Nested):
            found.add(part.name)
        known = file.symbols.get(name)
        if known is None or name in seen:
            continue
        seen.add(name)
        if known.kind in {"resource", "module"}:
            found.add(name)
        elif known.kind in {"var", "param", "func"}:
            found |= _named(known.value, file, seen)
    return found
