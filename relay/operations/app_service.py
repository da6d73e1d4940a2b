"""Who calls, by the word of App Service Authentication, where the settings say to believe it.

It stands before the app, verifies tokens itself, and writes down whom they name. Anybody may
write the same header where it does not stand: hence it is believed only when told to.
Shape of the header: MicrosoftDocs/azure-docs, app-service, "Work with user identities in Azure
App Service authentication".
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from relay.operations.access import Caller, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.settings import Access

HEADER: Final = "x-ms-client-principal"

_SCHEMAS: Final = "http://schemas.microsoft.com/identity/claims/"
_OBJECT_ID: Final = ("oid", f"{_SCHEMAS}objectidentifier")
_TENANT: Final = ("tid", f"{_SCHEMAS}tenantid")
_SCOPES: Final = ("scp", f"{_SCHEMAS}scope")
_APPLICATION: Final = ("azp", "appid")
_ROLES: Final = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_LONGEST: Final = 64 * 1024


def principal(header: str, access: Access) -> Caller:
    """Return whom App Service let in.

    Raises:
        UnauthenticatedError: it is nobody of the tenant, or the header can't be read.
    """
    claims = _claims(header)
    if _one(claims, _TENANT) != access.tenant:
        raise UnauthenticatedError("the caller is of another tenant", "invalid_token")
    if _one(claims, ("aud",)) not in access.audiences:
        raise UnauthenticatedError("the caller's token is meant for another", "invalid_token")
    application = _one(claims, _APPLICATION).lower()
    if not application:
        detail = "it is no access token: it does not say which application asked for it"
        raise UnauthenticatedError(detail, "invalid_token")
    scopes = [scope for value in _all(claims, _SCOPES) for scope in value.split()]
    return Caller(
        application,
        _one(claims, _OBJECT_ID),
        frozenset(_all(claims, _ROLES)),
        is_application=not _all(claims, _SCOPES),
        scopes=frozenset(scopes),
    )


def _claims(header: str) -> list[tuple[str, str]]:
    try:
        if len(header) > _LONGEST:
            raise ValueError  # noqa: TRY301 - one answer to all that can't be read
        written: Mapping[str, Any] = json.loads(base64.b64decode(header, validate=True))
        return [(str(each["typ"]), str(each["val"])) for each in written["claims"]]
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        detail = "what App Service says of the caller can't be read"
        raise UnauthenticatedError(detail, "invalid_token") from error


def _all(claims: list[tuple[str, str]], names: tuple[str, ...]) -> list[str]:
    return [value for name, value in claims if name in names]


def _one(claims: list[tuple[str, str]], names: tuple[str, ...]) -> str:
    """Return the only value of a claim; two that differ are none."""
    found = set(_all(claims, names))
    return found.pop() if len(found) == 1 else ""
