"""What a token says of itself: read to be shown and compared, never to be trusted."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

from relay.causes import Cause

SKEW: Final = 300
"""Seconds by which clocks may differ before it matters; Entra leaves as many."""


_END_OF_TIME: Final = 1e11
"""No token is good for thousands of years."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token that explain a refusal; the token itself is not among them.

    Attributes:
        object_id: whom roles are assigned to.
        client_id: the identity's application.
        audience: for which service it is.
        issued: when, in seconds since 1970; 0 where it does not say.
        not_before: from when on it counts.
        expires: until when.
        tenant: whose directory.
    """

    object_id: str = ""
    client_id: str = ""
    audience: str = ""
    issued: int = 0
    not_before: int = 0
    expires: int = 0
    tenant: str = ""


NOBODY: Final = Claims()


def claims_of(token: str) -> Claims:
    """Return a token's claims; `NOBODY` where it can't be read."""
    claims = _body(token)
    return Claims(
        object_id=_text(claims, "oid"),
        client_id=_text(claims, "appid") or _text(claims, "azp"),
        audience=_text(claims, "aud"),
        issued=_time(claims, "iat"),
        not_before=_time(claims, "nbf"),
        expires=_time(claims, "exp"),
        tenant=_text(claims, "tid"),
    )


def judge(claims: Claims, audience: str, client_id: str, now: float) -> Cause | None:
    """Return what is wrong with a fresh token by its own words; `None` if nothing is.

    Args:
        claims: of a token that the identity endpoint gave just now.
        audience: for which service it was asked.
        client_id: of the identity that was asked for; `""` for the system-assigned one.
        now: this machine's clock.
    """
    if claims == NOBODY or not claims.object_id:
        return Cause.TOKEN_MALFORMED
    if claims.audience.rstrip("/") != audience.rstrip("/"):
        return Cause.WRONG_AUDIENCE
    if client_id and claims.client_id.lower() != client_id.lower():
        return Cause.WRONG_IDENTITY
    if max(claims.issued, claims.not_before) > now + SKEW:
        return Cause.CLOCK_SKEW
    return Cause.TOKEN_EXPIRED if claims.expires <= now else None


def refine(cause: Cause, claims: Claims, now: float) -> Cause:
    """Return what a service's refusal of a token means, given the token's own times.

    A token that has run out for the service and not for this machine, or the other way round,
    tells that their clocks differ.
    """
    if cause is Cause.TOKEN_EXPIRED and claims.expires > now:
        return Cause.CLOCK_SKEW
    return cause


def _body(token: str) -> dict[str, Any]:
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, RecursionError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:
        return 0
    return int(value)
