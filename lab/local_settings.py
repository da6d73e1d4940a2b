"""local.settings.json: where Core Tools finds an app's settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_ROUTES: Final = frozenset({"RELAY_ROUTES", "RELAY_ROUTES_FILE"})


class LocalSettingsError(Exception):
    """A local.settings.json that can't be written; the text says why."""


def write_local_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Put settings into a local.settings.json; whatever else it holds stays, and its routes.

    It is readable by its owner only: an IDENTITY_HEADER gives tokens to whoever knows it.

    Raises:
        LocalSettingsError: the file holds something else, or encrypted values.
        OSError: it can't be written.
    """
    held = _held(file)
    if held.get("IsEncrypted"):
        raise LocalSettingsError(
            f"{file} is encrypted: run `func settings decrypt`, or name another file"
        )
    before = held.get("Values", {})
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", **before, **_beside(before, settings)}
    if "AzureWebJobsStorage__blobServiceUri" in settings:
        values.pop("AzureWebJobsStorage", None)
    file.touch(mode=0o600)
    text = json.dumps({"IsEncrypted": False, **held, "Values": values}, indent=2)
    file.write_text(f"{text}\n", encoding="utf-8")


def _beside(held: Mapping[str, str], settings: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings without their routes where routes are held: both contradict."""
    if not _ROUTES & held.keys():
        return settings
    return {name: value for name, value in settings.items() if name not in _ROUTES}


def _held(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        held = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise LocalSettingsError(f"{file} is not JSON ({error}): mend or remove it") from error
    if not isinstance(held, dict) or not isinstance(held.get("Values", {}), dict):
        raise LocalSettingsError(f"{file} is no local.settings.json: name another file")
    return held
