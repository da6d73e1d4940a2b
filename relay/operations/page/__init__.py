"""The page that shows how the routes fare: one document, with nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE: Final = Path(__file__).with_name("routes.html")


def page() -> tuple[bytes, Mapping[str, str]]:
    """Return the page, and the headers that let it run its own script and load nothing.

    There is nothing secret in it: what it shows it asks for, as whoever is signed in.
    """
    text = _FILE.read_text("utf-8")
    policy = (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; script-src {_hash(text, 'script')}; "
        f"style-src {_hash(text, 'style')}"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
    }
    return text.encode(), headers


def _hash(text: str, tag: str) -> str:
    """Return the hash by which a policy knows what stands in the page itself."""
    inside = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    assert inside is not None, f"the page has a <{tag}>"
    digest = hashlib.sha256(inside[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
