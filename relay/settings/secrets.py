"""What a secret looks like in a setting, so that none gets in; and what takes its place."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
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
    r"|\"(?:client_?secret|password|sasToken|instrumentationKey)\\?\"\s*:\s*\\?\"[^\"]"  # JSON
    r"|UseDevelopmentStorage\s*=\s*true"  # Azurite's well-known key
    r"|-----BEGIN [A-Z ]*PRIVATE KEY",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"(?:client_?secret|password|(?:__|:)(?:sasToken|connectionString|(?:\w*access|account)key)"
    r"|^APPINSIGHTS_INSTRUMENTATIONKEY|^AZURE_CLIENT_CERTIFICATE_PATH)$",
    re.IGNORECASE,
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_ESCAPES: Final = re.compile(r"\\+u([0-9a-fA-F]{4})")
_QUOTED: Final = re.compile(r'\\+"')
_FIXED: Final = re.compile(
    r"UseDevelopmentStorage=true;?"
    r"|AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    r"K1SZFPTOtr/KBHBeksoGMGw==;?"
    r"|Endpoint=sb://(?:localhost|127\.0\.0\.1)(?::\d+)?/?;SharedAccessKeyName="
    r"RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;?",
    re.IGNORECASE,
)
"""The strings of Microsoft's emulators: public, and the same for everybody."""

_STORAGE: Final = re.compile(
    r"AccountKey|BlobEndpoint|DefaultEndpointsProtocol|\.blob\.|UseDevelopmentStorage",
    re.IGNORECASE,
)
_MESSAGING: Final = re.compile(r"sb://|SharedAccess|\.servicebus\.", re.IGNORECASE)
_INSTEAD: Final = {
    "APPINSIGHTS_INSTRUMENTATIONKEY": (
        "set APPLICATIONINSIGHTS_CONNECTION_STRING, and "
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING = Authorization=AAD"
    ),
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING": (
        "use the Flex Consumption plan, which needs none: functionAppConfig.deployment.storage"
    ),
    "WEBSITE_RUN_FROM_PACKAGE": (
        "give the URL without a SAS, and name the identity in "
        "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID"
    ),
    "AZUREWEBJOBSSTORAGE": (
        "set AzureWebJobsStorage__blobServiceUri and AzureWebJobsStorage__credential = "
        "managedidentity"
    ),
    "AZURE_CLIENT_SECRET": "set <CONNECTION>__credential = managedidentity and __clientId",
}

INSIGHTS: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
INSIGHTS_BY_IDENTITY: Final = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that was found; of its value nothing is kept.

    Attributes:
        setting: where.
        instead: the identity-based settings that take its place.
        is_emulators: whether it is nothing but the fixed string of an emulator.
    """

    setting: str
    instead: str
    is_emulators: bool = False


def find_secrets(settings: Mapping[str, str]) -> Iterator[Secret]:
    """Yield what holds a key, a SAS, a password or a connection string."""
    for name, value in settings.items():
        if holds_secret(value) or (value.strip() and _NAMES.search(name)):
            fixed = not holds_secret(_FIXED.sub("", value)) and not _NAMES.search(name)
            yield Secret(name, _instead(name, value), fixed)


def holds_secret(text: str) -> bool:
    """Whether a secret stands in a text: as it is, or escaped for a URL, JSON or base64."""
    return any(_VALUES.search(reading) for reading in _readings(text))


def _readings(text: str) -> Iterator[str]:
    plain = _QUOTED.sub('"', _ESCAPES.sub(lambda found: chr(int(found[1], 16)), text))
    yield from (text, plain, unquote(plain), unquote(unquote(plain)))
    for found in _BASE64.findall(plain):
        yield from _decoded(found)


def _decoded(found: str) -> Iterator[str]:
    """Yield what stands in base64, where it is text: a key by itself decodes to noise."""
    standard = found.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        yield base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return


def _instead(name: str, value: str) -> str:
    known = _INSTEAD.get(name.upper())
    if known is not None:
        return known
    connection = re.split(r"__|:", name.removeprefix("AzureWebJobs"))[0] or name
    said = unquote(value)
    if _MESSAGING.search(said) and not _STORAGE.search(said):
        return _identity_of(connection, "fullyQualifiedNamespace")
    if _STORAGE.search(said):
        return _identity_of(connection, "blobServiceUri")
    if "://" in said and "@" in said:
        return "give the URL without user and password"
    return f"set {connection}__credential = managedidentity, and no key beside it"


def _identity_of(connection: str, where: str) -> str:
    return f"set {connection}__{where} and {connection}__credential = managedidentity"
