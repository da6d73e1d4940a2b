"""Carries out what a remedy says, so that the printed command is known to be right."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from typing import Final, NoReturn

_COMMAND: Final = ("az", "role", "assignment", "create")


class RemedyError(ValueError):
    """A remedy that cannot be carried out as it stands."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The role assignment that a remedy creates."""

    object_id: str
    role_id: str
    scope: str


def read_remedy(command: str) -> Assignment:
    """Read an `az role assignment create` as a shell and `az` would.

    Raises:
        RemedyError: it is another command, an argument is missing, or a placeholder is left.
    """
    words = _words(command)
    if tuple(words[: len(_COMMAND)]) != _COMMAND:
        raise RemedyError(f"not {' '.join(_COMMAND)}: {command}")
    parsed = _arguments().parse_args(words[len(_COMMAND) :])
    assignment = Assignment(parsed.assignee_object_id, parsed.role, parsed.scope)
    for value in (assignment.object_id, assignment.role_id, assignment.scope):
        if any(mark in value for mark in "<>$"):
            raise RemedyError(f"{value!r} is left to be filled in")
    return assignment


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise RemedyError(f"not a command: {error}: {command}") from error


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RemedyError(message)


def _arguments() -> _Arguments:
    arguments = _Arguments(add_help=False, allow_abbrev=False)
    for name in ("assignee-object-id", "assignee-principal-type", "role", "scope"):
        arguments.add_argument(f"--{name}", required=name != "assignee-principal-type")
    return arguments
