"""What the Azure SDK's AMQP decoder yields, as plain values.

It gives texts, symbols and binaries alike as bytes, and times as a number of milliseconds: what
is UTF-8 is taken for a text, an application property that is a time stays a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def texts(found: Mapping[Any, object]) -> dict[str, object]:
    """Return a map with its names, and what is in it, as plain values."""
    return {str(plain(name)): plain(value) for name, value in found.items()}


def plain(value: object) -> object:
    """Return a value with texts for bytes, at any depth."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
        case dict():
            return texts(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value
