"""How Blob storage refuses: status, code and words, as XML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4
from xml.sax.saxutils import escape

from aiohttp import web


@dataclass(frozen=True, slots=True)
class BlobRefusal:
    """An answer other than the one hoped for.

    Attributes:
        status: the HTTP status.
        code: what `x-ms-error-code` says.
        message: the words for people.
        detail: what was wrong with the token, when it was the token.
    """

    status: int
    code: str
    message: str
    detail: str = ""


class RefusedError(Exception):
    """A request that may not be done; `refusal` is the answer to it."""

    def __init__(self, refusal: BlobRefusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


KEY_BASED: Final = BlobRefusal(
    403,
    "KeyBasedAuthenticationNotPermitted",
    "Key based authentication is not permitted on this storage account.",
)
NO_TOKEN: Final = BlobRefusal(
    401,
    "NoAuthenticationInformation",
    "Server failed to authenticate the request. Please refer to the information in the "
    "www-authenticate header.",
)
NO_ROLE: Final = BlobRefusal(
    403,
    "AuthorizationPermissionMismatch",
    "This request is not authorized to perform this operation using this permission.",
)
NO_ACCOUNT: Final = BlobRefusal(
    404, "ResourceNotFound", "The specified resource does not exist: no such storage account."
)


def bad_token(detail: str) -> BlobRefusal:
    """Return the refusal of a token."""
    return BlobRefusal(401, "InvalidAuthenticationInfo", NO_TOKEN.message, detail)


def busy(why: str) -> BlobRefusal:
    """Return the refusal of a server that can't answer just now."""
    return BlobRefusal(503, "ServerBusy", f"The server is busy: {why}")


def answer(refusal: BlobRefusal, authority: str) -> web.Response:
    """Put a refusal on the wire; `authority` is where a caller without a token gets one."""
    request_id = str(uuid4())
    headers = {"x-ms-error-code": refusal.code, "x-ms-request-id": request_id}
    if refusal.status == NO_TOKEN.status:
        headers["WWW-Authenticate"] = (
            f"Bearer authorization_uri={authority} resource_id=https://storage.azure.com"
        )
    return web.Response(
        status=refusal.status,
        headers=headers,
        body=_xml(refusal, request_id).encode(),
        content_type="application/xml",
    )


def _xml(refusal: BlobRefusal, request_id: str) -> str:
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    message = f"{refusal.message}\nRequestId:{request_id}\nTime:{time}"
    detail = (
        f"<AuthenticationErrorDetail>{escape(refusal.detail)}</AuthenticationErrorDetail>"
        if refusal.detail
        else ""
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(message)}</Message>"
        f"{detail}</Error>"
    )
