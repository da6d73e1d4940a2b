"""Changes that nobody thought of: each line, word, number and condition of the templates.

Sabotages are chosen by who wrote the policies; these are not. Which go unnoticed tells what no
policy looks at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.infra.policies.all import POLICIES
from tests.infra.project import Project

SLOW = {"queries", "expressions", "workflows", "hooks"}
"""Policies that no change of a Bicep file concerns."""


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        kind: what was done.
        path: to which file.
        line: where.
        was: the line as it was.
        text: the file as it is.
    """

    kind: str
    path: str
    line: int
    was: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.was.strip()}"

    def is_noticed(self, project: Project) -> bool:
        """Whether any policy breaks by it."""
        changed = Project({**project.files, self.path: self.text})
        return any(
            policy.is_broken(changed) for name, policy in POLICIES.items() if name not in SLOW
        )


def mutants(project: Project) -> Iterator[Mutant]:
    """Yield every change there is."""
    for path, text in project.files.items():
        if path.endswith(".bicep"):
            lines = text.splitlines(keepends=True)
            for number, line in enumerate(lines):
                for kind, changed in _changes(line):
                    new = "".join((*lines[:number], changed, *lines[number + 1 :]))
                    yield Mutant(kind, path, number + 1, line, new)


_SKIPPED = re.compile(r"\s*(//|@description|$)")
_MEMBER = re.compile(r"\s+[\w']+: [^{\[(]*[^{\[(,]\n")
_ITEM = re.compile(r"    \w+\n")
_LITERAL = re.compile(r"'((?:[^'\\$]|\\.)+)'")


def _changes(line: str) -> Iterator[tuple[str, str]]:
    if _SKIPPED.match(line):
        return
    if _MEMBER.fullmatch(line) or _ITEM.fullmatch(line):
        yield "left out", ""
    for found in re.finditer(r"\b(true|false)\b", line):
        other = "false" if found[1] == "true" else "true"
        yield "turned round", line[: found.start()] + other + line[found.end() :]
    for found in re.finditer(r"\bif \(", line):
        yield "turned round", f"{line[: found.end()]}!({_closed(line[found.end() :])}"
    for found in _LITERAL.finditer(line):
        yield "misspelt", f"{line[: found.end() - 1]}x{line[found.end() - 1 :]}"
    for found in re.finditer(r"(?<![\w'.@-])(\d+)(?![\w'.-])", line):
        yield "one more", line[: found.start()] + str(int(found[1]) + 1) + line[found.end() :]


def _closed(rest: str) -> str:
    """Close the parenthesis that was opened, where that of the condition closes."""
    depth = 1
    for place, sign in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return f"{rest[:place]}){rest[place:]}"
    return rest
