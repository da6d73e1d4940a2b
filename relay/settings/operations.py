"""What operators may call, and what watches over addresses: each is off unless set."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from relay.permissions import BUILT_IN, Action, UnknownActionError, matching
from relay.settings.ingress import read_access
from relay.settings.values import Api, ServiceTags, TwinsInstance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from relay.settings.reader import Reader

_API: Final = ("RELAY_HTTP_API", "ACCESS_ROLES", "ACCESS_CONTACT", "ACCESS_APP_SERVICE")
_TWINS: Final = ("TWINS_URL", "TWINS_ORIGINS")
STREAMS: Final = "TWINS_PROXY_STREAMS"
"""Of the whole app, whatever its relays' prefixes: a worker has one programming model."""
_SERVICE_TAGS: Final = (
    "SERVICE_TAGS_FILE",
    "SERVICE_TAGS_SUBSCRIPTION",
    "SERVICE_TAGS_LOCATION",
    "INGRESS_HTTP_SERVICE_TAG",
    "INGRESS_HTTP_PROXIES",
)
OPERATIONS_SETTINGS: Final = (*_API, *_TWINS, STREAMS, *_SERVICE_TAGS)

_INSTANCE: Final = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.digitaltwins\.azure\.(net|us|cn)"
)
_LOOPBACK: Final = re.compile(r"https://(127(\.\d+){3}|localhost)(:\d+)?")
_ORIGIN: Final = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?")
_LOCAL_ORIGIN: Final = re.compile(r"http://(127(\.\d+){3}|localhost)(:\d+)?")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROLE: Final = re.compile(r"[A-Za-z0-9._-]{1,120}")
_MOST_PROXIES: Final = 9


def read_api(reader: Reader) -> Api | None:
    """Read who may operate the relay over HTTP."""
    if not reader.is_true("RELAY_HTTP_API"):
        return None
    return Api(
        read_access(reader),
        _roles(reader),
        reader.optional("ACCESS_CONTACT"),
        trusts_app_service=_trusts_app_service(reader),
    )


def _trusts_app_service(reader: Reader) -> bool:
    """Only where App Service authenticates does it drop what callers say of themselves."""
    name = "ACCESS_APP_SERVICE"
    if not reader.is_true(name):
        return False
    if not reader.has_app_service_authentication:
        reader.note(
            name,
            "App Service Authentication is off, so that any caller could name himself",
            "Turn it on, which sets WEBSITE_AUTH_ENABLED, or unset this",
        )
    return True


def _roles(reader: Reader) -> dict[str, frozenset[Action]]:
    """Read custom roles: `{"Relay.Shift": ["routes/read", "deadLetters/*"]}`."""
    name = "ACCESS_ROLES"
    try:
        written = json.loads(reader.optional(name) or "{}")
        given = {value: list(map(str, patterns)) for value, patterns in written.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        remedy = 'Write {"Relay.Shift": ["routes/read", "deadLetters/*"]}'
        reader.note(name, "it is no object of roles, each with a list of actions", remedy)
        return {}
    known = {role.value for role in BUILT_IN}
    for value in given:
        if value in known or not _ROLE.fullmatch(value):
            what = "it stands for itself" if value in known else "it is no role's value"
            reader.note(f"{name}[{value!r}]", what, "Choose another, such as Relay.Shift")
    return {value: _actions(reader, value, patterns) for value, patterns in given.items()}


def _actions(reader: Reader, value: str, patterns: list[str]) -> frozenset[Action]:
    try:
        return matching(patterns)
    except UnknownActionError as error:
        remedy = f"The actions are: {', '.join(Action)}; deadLetters/* means several"
        reader.note(f"ACCESS_ROLES[{value!r}]", f"no action is called {str(error)!r}", remedy)
        return frozenset()


def read_twins(reader: Reader) -> TwinsInstance | None:
    """Read where the CORS proxy leads: both settings, or neither."""
    if not any(reader.optional(name) for name in _TWINS):
        return None
    url = reader.required("TWINS_URL", "https://<instance>.api.weu.digitaltwins.azure.net")
    origins = reader.required("TWINS_ORIGINS", "https://<the page's host>")
    url = url.rstrip("/").lower()
    if url and not is_twins_address(url, is_local=not reader.in_azure):
        reader.note(
            "TWINS_URL",
            "it is no instance of Azure Digital Twins",
            "Give the address alone: https:// and the instance's host name",
        )
    listed = [each.strip().lower() for each in origins.split(",") if each.strip()]
    if not all(_is_origin(reader, each) for each in listed):
        reader.note(
            "TWINS_ORIGINS",
            "it is no list of origins",
            "Write each as https://<host>, separated by commas; * is not taken, since pages "
            "send tokens",
        )
    return TwinsInstance(url, frozenset(listed))


def read_streams(reader: Reader, route_prefix: Callable[[], str]) -> bool:
    """Read whether bodies pass the proxy as they come.

    Args:
        reader: reads the settings.
        route_prefix: says how paths begin, where that matters.
    """
    app = reader.of_the_app
    if reader.called(STREAMS) != STREAMS and reader.optional(STREAMS):
        remedy = f"Set {STREAMS}, and give all HTTP functions of the app the same model"
        reader.note(STREAMS, "it concerns the whole app, not one of its relays", remedy)
    if not app.is_true(STREAMS):
        return False
    if not route_prefix():
        app.note(
            STREAMS,
            "host.json has an empty extensions.http.routePrefix, so that a page of the "
            "streaming package stands in the place of /openapi.json",
            "Give a routePrefix, or unset this",
        )
    if reader.optional("INGRESS_HTTP_SERVICE_TAG"):
        app.note(
            STREAMS,
            "the Functions host then writes X-Forwarded-For anew, by which "
            f"{reader.called('INGRESS_HTTP_SERVICE_TAG')} tells whence the webhook is called",
            "Unset one of them; the app's access restrictions take service tags too",
        )
    return True


def is_twins_address(url: str, *, is_local: bool) -> bool:
    """Whether a URL in lower case is an instance's address and nothing more.

    Args:
        url: what may be one.
        is_local: whether this machine may be one too: outside Azure, for the local Azure.
    """
    return bool(_INSTANCE.fullmatch(url) or (is_local and _LOOPBACK.fullmatch(url)))


def _is_origin(reader: Reader, text: str) -> bool:
    is_local = _LOCAL_ORIGIN.fullmatch(text) and not reader.in_azure
    return bool(is_local or _ORIGIN.fullmatch(text))


def read_service_tags(reader: Reader, directory: Path) -> ServiceTags | None:
    """Read which list of addresses there is, and what it is for."""
    if not any(reader.optional(name) for name in _SERVICE_TAGS):
        return None
    file = reader.required("SERVICE_TAGS_FILE", "ServiceTags_Public.json")
    if file and not (directory / file).is_file():
        remedy = f"Put it into {directory}, or unset it"
        reader.note("SERVICE_TAGS_FILE", "there is no such file", remedy)
    subscription = reader.optional("SERVICE_TAGS_SUBSCRIPTION").lower()
    location = reader.optional("SERVICE_TAGS_LOCATION")
    if subscription or location:
        reader.required("SERVICE_TAGS_SUBSCRIPTION", "the GUID of a subscription")
        reader.required("SERVICE_TAGS_LOCATION", "westeurope")
    if subscription and not _GUID.fullmatch(subscription):
        remedy = "See 'az account show'"
        reader.note("SERVICE_TAGS_SUBSCRIPTION", "it is no subscription's GUID", remedy)
    if location and not re.fullmatch(r"[a-z0-9]+", location):
        remedy = "Write it as 'az account list-locations' does, such as westeurope"
        reader.note("SERVICE_TAGS_LOCATION", "it is no region", remedy)
    return ServiceTags(
        directory / file,
        subscription,
        location,
        reader.client_id("SERVICE_TAGS"),
        reader.optional("INGRESS_HTTP_SERVICE_TAG"),
        _proxies(reader),
    )


def _proxies(reader: Reader) -> int:
    name = "INGRESS_HTTP_PROXIES"
    value = reader.optional(name) or "1"
    if not re.fullmatch(r"[1-9]", value):
        reader.note(name, "it is no number of proxies", f"Give 1 to {_MOST_PROXIES}")
        return 1
    return int(value)
