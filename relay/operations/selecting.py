"""What commands understand by their arguments: times, and a container of Blob storage."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from relay.settings import Container
from relay.settings.secrets import holds_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

_AGO: Final = re.compile(r"(\d+)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CONTAINER: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_PATH_STYLE: Final = re.compile(r"localhost|[\d.]+|\[[\da-f:]+\]")
"""Hosts that have the account in the path, as Azurite does; Azure has it in the name."""


def read_time(text: str, now: datetime) -> datetime:
    """Read a time: `2h`, `30m`, `7d` ago, or ISO 8601, in UTC unless it says otherwise.

    Raises:
        ValueError: it is none.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no time: write 2h, 30m or 7d for so long ago, or ISO 8601 such as "
            "2026-03-05T12:00Z"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_container(text: str, own: Container) -> tuple[Container, str]:
    """Read the address of a container, with the beginning of names in it behind, if any.

    Args:
        text: `https://<account>.blob.core.windows.net/<container>[/<prefix>]`, or
            `<container>[/<prefix>]` in the account of the relay's own dead letters.
        own: that of the relay's own; its identity is used.

    Raises:
        ValueError: it is none; a secret in it is not shown.
    """
    if holds_secret(text) or "?" in text or "#" in text:
        raise ValueError(
            "--adt takes the address alone, without a query: the relay reads it by its managed "
            "identity, never by a SAS"
        )
    service, path = own.service_uri.rstrip("/"), text
    if "://" in text:
        service, path = _split(text, service)
    name, _, prefix = unquote(path).partition("/")
    if not _CONTAINER.fullmatch(name):
        raise ValueError(
            f"{text!r} names no container: write https://<account>.blob.core.windows.net/"
            "<container>, with /<prefix> behind it at will"
        )
    is_own = service == own.service_uri.rstrip("/")
    resource_id = own.resource_id if is_own else ""
    return Container(service, name, own.client_id, resource_id), prefix


def _split(text: str, own: str) -> tuple[str, str]:
    """Split an address into the service's and the path in it."""
    if text.startswith(f"{own}/"):
        return own, text.removeprefix(f"{own}/")
    address = urlsplit(text)
    if address.scheme != "https" or not address.hostname:
        raise ValueError(f"{text!r} is no https address")
    segments = address.path.lstrip("/").split("/")
    count = 1 if _PATH_STYLE.fullmatch(address.hostname) else 0
    return "/".join([f"https://{address.netloc}", *segments[:count]]), "/".join(
        segments[count:]
    )


def among[Value](what: str, names: Sequence[str], known: Sequence[Value]) -> frozenset[Value]:
    """Return the members of an enumeration by their values.

    Raises:
        ValueError: one is none.
    """
    members = {str(member): member for member in known}
    for name in names:
        if name not in members:
            raise ValueError(f"{name!r} is no {what}: there are {', '.join(members)}")
    return frozenset(members[name] for name in names)
