"""Which ways in there are: none that has no setting, and none by halves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relay.clouds import CLOUDS, PUBLIC
from relay.routing import Kind
from relay.settings.values import Access, HttpIngress, Ingress, ServiceBusIngress, WaysIn

if TYPE_CHECKING:
    from relay.settings.reader import Reader

CONNECTION: Final = "INGRESS"
SERVICE_BUS_CONNECTION: Final = "INGRESS_SERVICE_BUS"
AUTHORITY: Final = PUBLIC.authority
LARGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes; Event Grid delivers no more than 1 MiB, and drops what is said to be too large."""

_HUB: Final = ("INGRESS_EVENT_HUB", "INGRESS_CONSUMER_GROUP")
_SERVICE_BUS: Final = (
    "INGRESS_QUEUE",
    "INGRESS_TOPIC",
    "INGRESS_SUBSCRIPTION",
    "INGRESS_SESSIONS",
    "INGRESS_BATCHES",
)
_EVENT_GRID: Final = ("INGRESS_EVENT_GRID", "INGRESS_EVENT_GRID_SOURCE")
_HTTP: Final = (
    "INGRESS_HTTP_ROLE",
    "INGRESS_HTTP_APPLICATIONS",
    "INGRESS_HTTP_ORIGINS",
    "INGRESS_HTTP_MALFORMED",
    "INGRESS_HTTP_LARGEST_BODY",
)
_ACCESS: Final = ("ACCESS_TENANT", "ACCESS_AUDIENCE", "ACCESS_AUTHORITY")
INGRESS_SETTINGS: Final = (
    *_HUB,
    *_SERVICE_BUS,
    *_EVENT_GRID,
    "INGRESS_HTTP",
    *_HTTP,
    *_ACCESS,
)

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORIGIN: Final = re.compile(r"\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_ADDRESS: Final = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?")
_LOOPBACK: Final = re.compile(r"http://(127(\.\d+){3}|localhost)(:\d+)?")
_PLATFORM: Final = 100 * 1024 * 1024
"""Bytes that a request to a function app may have."""


def read_ingress(reader: Reader, *, is_needed: bool) -> WaysIn:
    """Read every way in that has a setting, and note what others of it are missing."""
    ways_in = WaysIn(
        event_hub=_event_hub(reader) if _any(reader, _HUB) else None,
        service_bus=_service_bus(reader) if _any(reader, _SERVICE_BUS) else None,
        event_grid=reader.is_true("INGRESS_EVENT_GRID") and _event_grid(reader),
        http=_http(reader) if _is_tried(reader) else None,
    )
    is_tried = _any(reader, (*_HUB, *_SERVICE_BUS)) or ways_in.event_grid or _is_tried(reader)
    if is_needed and not is_tried:
        reader.note(
            "INGRESS_EVENT_HUB",
            "there is no way in",
            "Set it and INGRESS_CONSUMER_GROUP, or the settings of another way in: see the "
            "README",
        )
    return ways_in


def _is_tried(reader: Reader) -> bool:
    """Whether somebody wants the webhook, though perhaps by halves."""
    return _any(reader, ("INGRESS_HTTP", *_HTTP)) and reader.optional("INGRESS_HTTP") != "false"


def _any(reader: Reader, names: tuple[str, ...]) -> bool:
    return any(reader.optional(name) for name in names)


def _event_hub(reader: Reader) -> Ingress:
    """Check what the host reads by itself."""
    hub = reader.required("INGRESS_EVENT_HUB", "twin-events")
    group = reader.required("INGRESS_CONSUMER_GROUP", "$Default")
    return Ingress(reader.host_connection(CONNECTION), Kind.EVENT_HUB, hub, group)


def _service_bus(reader: Reader) -> ServiceBusIngress:
    queue = reader.optional("INGRESS_QUEUE")
    topic = reader.optional("INGRESS_TOPIC")
    subscription = reader.optional("INGRESS_SUBSCRIPTION")
    if queue and (topic or subscription):
        reader.note("INGRESS_QUEUE", "a topic's subscription is set too", "Keep one of the two")
    elif topic or subscription:
        reader.required("INGRESS_TOPIC", "twin-events")
        reader.required("INGRESS_SUBSCRIPTION", "relay")
    elif not queue:
        reader.required(
            "INGRESS_QUEUE", "twin-events, or set INGRESS_TOPIC and INGRESS_SUBSCRIPTION"
        )
    connection = reader.host_connection(SERVICE_BUS_CONNECTION)
    kind = Kind.QUEUE if queue else Kind.TOPIC
    return ServiceBusIngress(
        Ingress(connection, kind, queue or topic, "" if queue else subscription),
        session=reader.is_true("INGRESS_SESSIONS"),
        batches=reader.is_true("INGRESS_BATCHES"),
    )


def _event_grid(reader: Reader) -> bool:
    reader.required("INGRESS_EVENT_GRID_SOURCE", "the host name of the instance")
    return True


def _http(reader: Reader) -> HttpIngress | None:
    if not reader.required("INGRESS_HTTP", "true") or not reader.is_true("INGRESS_HTTP"):
        return None
    role = reader.optional("INGRESS_HTTP_ROLE")
    applications = _list(reader, "INGRESS_HTTP_APPLICATIONS", _GUID, "client ids")
    if not role and not applications:
        reader.note(
            "INGRESS_HTTP_ROLE",
            "nobody may send: neither an app role nor an application is named",
            "Set it, for example to AzureEventGridSecureWebhookSubscriber, or set "
            "INGRESS_HTTP_APPLICATIONS",
        )
    return HttpIngress(
        access=read_access(reader),
        role=role,
        applications=frozenset(applications),
        origins=frozenset(_list(reader, "INGRESS_HTTP_ORIGINS", _ORIGIN, "host names or *")),
        keeps_malformed=reader.one_of("INGRESS_HTTP_MALFORMED", ("keep", "refuse"), "keep")
        == "keep",
        largest_body=_largest_body(reader),
    )


def read_access(reader: Reader) -> Access:
    """Read whose tokens are believed."""
    tenant = reader.required("ACCESS_TENANT", "the GUID of the Entra tenant").lower()
    if tenant and not _GUID.fullmatch(tenant):
        reader.note("ACCESS_TENANT", "it is no tenant's GUID", "See 'az account show'")
    audiences = reader.required("ACCESS_AUDIENCE", "api://<client id of the Entra application>")
    return Access(tenant, tuple(_split(audiences)), _authority(reader))


def _authority(reader: Reader) -> str:
    cloud = CLOUDS.get(reader.optional("RELAY_CLOUD"), PUBLIC)
    value = (reader.optional("ACCESS_AUTHORITY") or cloud.authority).rstrip("/")
    is_local = _LOOPBACK.fullmatch(value) and not reader.in_azure
    if not is_local and not _ADDRESS.fullmatch(value):
        reader.note(
            "ACCESS_AUTHORITY",
            "it is not the https address of an authority",
            f"Give the address alone, for example {AUTHORITY}",
        )
        return AUTHORITY
    return value


def _largest_body(reader: Reader) -> int:
    name = "INGRESS_HTTP_LARGEST_BODY"
    value = reader.optional(name) or str(LARGEST_BODY)
    is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(_PLATFORM))
    if not is_number or not 0 < int(value) <= _PLATFORM:
        reader.note(name, "it is no number of bytes", f"Give 1 to {_PLATFORM}")
        return LARGEST_BODY
    return int(value)


def _list(reader: Reader, name: str, pattern: re.Pattern[str], what: str) -> list[str]:
    values = [value.lower() for value in _split(reader.optional(name))]
    if not all(pattern.fullmatch(value) for value in values):
        reader.note(name, f"it is no list of {what}", "Separate them by commas")
        return []
    return values


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
