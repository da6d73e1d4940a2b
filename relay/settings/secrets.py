"""What a secret looks like in a setting, so that none gets in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VALUES: Final = re.compile(
    r"(?:Access|Account)Key\\?\"?\s*[=:]"  # connection strings of a namespace or an account
    r"|SharedAccessSignature\s*="  # both, with a SAS
    r"|(?:(?<![.\w])|u0026)sig=[\w%+/]"  # a SAS in a URL; `.sig=` is a filter's field
    r"|://[^/@\s:]*:[^/@\s]+@"  # a password in a URL
    r"|\bEndpoint\s*=\s*sb://"  # any connection string of a namespace
    r"|;\s*(?:Password|Pwd|Secret)\s*=\s*[^;\s]"  # connection strings of others
    r"|-----BEGIN [A-Z ]*PRIVATE KEY",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"(?:client_?secret|password|(?:__|:)(?:sasToken|connectionString|(?:\w*access|account)key))$",
    re.IGNORECASE,
)


def find_secrets(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of settings that hold a key, a SAS, a password or a connection string."""
    for name, value in settings.items():
        if holds_secret(value) or (value and _NAMES.search(name)):
            yield name


def holds_secret(text: str) -> bool:
    """Whether a secret stands in a text, as it is or escaped for a URL."""
    return bool(_VALUES.search(text) or _VALUES.search(unquote(text)))
