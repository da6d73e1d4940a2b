"""Takes tokens and keys out of others' words: a service may echo what it was shown."""

from __future__ import annotations

import logging
import re
import traceback
from typing import Final

_HIDDEN: Final = "(…)"
_SECRETS: Final = (
    # A JSON Web Token, whole or cut off.
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), _HIDDEN),
    (re.compile(r"(\bBearer\s+)[\w.~+/-]{8,}=*", re.IGNORECASE), rf"\1{_HIDDEN}"),
    # A key, signature or password behind its name, as it is or escaped for a URL or JSON.
    (
        re.compile(
            r"((?:AccountKey|SharedAccessKey|AccessKey|ClientSecret|client_secret|Password|Pwd"
            r"|access_token|refresh_token|security_token|(?:(?<![A-Za-z])|(?<=%3F)|(?<=%26))sig)"
            r"\\*[\"']?\s*(?:=|:|%3D)\s*\\*[\"']?)[^\s;&\"'<>\\]+",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(://[^/@\s:]*:)[^/@\s]+@"), rf"\1{_HIDDEN}@"),
    # A key that stands alone: those of Azure have 256 or 512 bits.
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{42,}={1,2}(?!=)"), _HIDDEN),
)


def redacted(text: str) -> str:
    """Return a text without the tokens, keys and passwords in it."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def described(error: BaseException) -> str:
    """Return an error's traceback with those of its causes, as logging would write it."""
    return "".join(traceback.format_exception(error)).rstrip()


def tells_a_secret(error: BaseException) -> bool:
    """Whether an error's traceback, or that of a cause, would show a token or a key."""
    told = described(error)
    return redacted(told) != told


class RedactedRecord(logging.LogRecord):
    """A log record of anybody's in this process, without tokens and keys.

    `logging.setLogRecordFactory` takes it; the SDKs log what services answer.
    """

    def getMessage(self) -> str:  # noqa: N802 - its name is logging's
        """Return what is logged."""
        if self.exc_info and not self.exc_text and isinstance(self.exc_info[1], Exception):
            self.exc_text = redacted(described(self.exc_info[1]))
        return redacted(super().getMessage())
