"""What a secret looks like in a setting, so that none gets in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VALUES: Final = re.compile(
    r"SharedAccessKey\s*="  # Event Hubs and Service Bus connection strings
    r"|AccountKey\s*="  # storage connection strings
    r"|SharedAccessSignature\s*="  # both, with a SAS
    r"|\bsig=[A-Za-z0-9%+/]"  # a SAS in a URL
    r"|://[^/@\s:]+:[^/@\s]+@"  # a password in a URL
    r"|\bEndpoint\s*=\s*sb://",  # any connection string of a namespace
    re.IGNORECASE,
)
_NAMES: Final = re.compile(r"(client_?secret|__sasToken|__accountKey|password)$", re.IGNORECASE)


def find_secrets(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of settings that hold a key, a SAS, a password or a connection string."""
    for name, value in settings.items():
        if _VALUES.search(value) or (value and _NAMES.search(name)):
            yield name
