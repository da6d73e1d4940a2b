"""How commands read their settings and say what they found: for people, or as JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from relay import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.settings import Settings

TROUBLE: Final = 1
UNUSABLE: Final = 2

_OF_THE_IDENTITY: Final = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
"""What azure-identity looks for in the process's own environment, and nowhere else."""

APP: Final = Path(__file__).resolve().parents[2]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="Read app settings from a local.settings.json; else from the environment.",
    ),
]


def silence_sdks() -> None:
    """Leave out what the SDKs log of faults: the command says it in its own words."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)


def out() -> Console:
    """Return where results go."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Return where progress and trouble go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object, whole in a line, at once: somebody may wait for it."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def give_up(message: str, *, as_json: bool, code: int = UNUSABLE) -> NoReturn:
    """Say why the command can't go on, and end it.

    Raises:
        typer.Exit: always.
    """
    if as_json:
        say_json({"error": message})
    else:
        err().print(message, markup=False, style="red")
    raise typer.Exit(code)


def environment(file: Path | None, *, as_json: bool) -> Mapping[str, str]:
    """Return the app settings by name.

    Raises:
        typer.Exit: the file is no `local.settings.json`.
    """
    if file is None:
        return os.environ
    try:
        values = json.loads(file.read_text("utf-8-sig"))["Values"]
        told = {str(name): str(value) for name, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or "it holds no object 'Values' of settings"
        give_up(f"can't read settings from {file}: {why}", as_json=as_json)
    os.environ.update({name: told[name] for name in _OF_THE_IDENTITY if name in told})
    return os.environ | told


def read_settings(file: Path | None, *, as_json: bool) -> Settings:
    """Read the relay's settings, files beside `function_app.py` included.

    Raises:
        typer.Exit: they are of no use; every reason was said.
    """
    try:
        return settings.read(environment(file, as_json=as_json), APP)
    except settings.SettingsError as error:
        give_up(str(error), as_json=as_json)
