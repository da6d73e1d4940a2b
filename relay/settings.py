"""App settings, read once into one frozen value; everything wrong with them said at once."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay import filters
from relay.routing import Destination, Kind, Route
from relay.secrets import find_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INGRESS: Final = "INGRESS"
DEAD_LETTERS: Final = "DEAD_LETTERS"

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ROUTE_NAME: Final = re.compile(r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{1,49}[a-zA-Z0-9]")
_CONNECTION_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ENTITY_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")

_IDENTITY: Final = frozenset({"credential", "clientId", "resourceId"})
_NAMESPACE: Final = _IDENTITY | {"fullyQualifiedNamespace", "transport"}
_STORAGE: Final = _IDENTITY | {"blobServiceUri"}
_RELAY: Final = frozenset({"RELAY_ROUTES", "RELAY_ROUTES_FILE", "RELAY_CA_FILE"})
_ROUTE: Final = frozenset({"name", "filter", "destination", "ordered"})
_DESTINATION: Final = frozenset({"connection", "session", *Kind})


class Transport(StrEnum):
    """How AMQP travels; the value is the setting's."""

    AMQP = "amqp"
    WEB_SOCKETS = "amqpWebSockets"


@dataclass(frozen=True, slots=True)
class Connection:
    """A namespace and the identity to use for it.

    Attributes:
        name: the settings' prefix.
        namespace: its fully qualified host name.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        transport: AMQP on port 5671, or over WebSockets on port 443.
        resource_id: the namespace's resource id, so that refusals name exact scopes; or `""`.
    """

    name: str
    namespace: str
    client_id: str = ""
    transport: Transport = Transport.AMQP
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """Where dead letters go.

    Attributes:
        service_uri: of the storage account's Blob service.
        name: of the container.
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        resource_id: the storage account's resource id, or `""`.
    """

    service_uri: str
    name: str
    client_id: str = ""
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the relay was told.

    Attributes:
        routes: in their declared order.
        connections: by name; each that a route uses.
        dead_letters: where dead letters go.
        event_grid_source: the `source` of events in Event Grid's schema, which has none.
        ca_file: a CA to trust instead of the public ones; the AMQP clients ask no environment.
    """

    routes: tuple[Route, ...]
    connections: Mapping[str, Connection]
    dead_letters: Container
    event_grid_source: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: where, what, and what to do. Never a value."""

    setting: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.what}. {self.remedy}"


class SettingsError(Exception):
    """The relay can't start; `problems` holds every reason, and so does the message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {number}. {p}" for number, p in enumerate(self.problems, 1))
        super().__init__(f"Twin Relay can't start: its settings need mending.\n{lines}")


def read(environment: Mapping[str, str], directory: Path) -> Settings:
    """Read the app settings.

    Args:
        environment: the settings by name, as the process environment holds them.
        directory: where `function_app.py` stands, for `RELAY_ROUTES_FILE`.

    Raises:
        SettingsError: with everything that is missing, misspelt, secret or contradictory.
    """
    reader = _Reader(environment)
    routes = reader.routes(directory)
    names = dict.fromkeys(route.destination.connection for route in routes)
    settings = Settings(
        routes=tuple(routes),
        connections={name: reader.connection(name) for name in names},
        dead_letters=reader.container(),
        event_grid_source=reader.optional("INGRESS_EVENT_GRID_SOURCE") or None,
        ca_file=reader.ca_file(),
    )
    reader.ingress()
    reader.unknown("RELAY_", _RELAY)
    for name in find_secrets(environment):
        reader.problem(name, "it holds a secret", "Remove it: the relay uses managed identity")
    if reader.problems:
        raise SettingsError(reader.problems)
    return settings


class _Reader:
    """Reads settings one by one and collects what is wrong; a broken one reads as empty."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[Problem] = []

    def problem(self, setting: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(setting, what, remedy))

    def optional(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def required(self, name: str, example: str) -> str:
        value = self.optional(name)
        if not value:
            self.problem(name, "it is missing", f"Set it, for example to {example}")
        return value

    def unknown(self, prefix: str, known: Iterable[str]) -> None:
        """Find misspelt settings: those under a prefix of ours that nobody reads."""
        known = list(known)
        for name in self._environment:
            if name.startswith(prefix) and name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
                self.problem(name, "no such setting", f"Did you mean {close[0]}?")

    def ca_file(self) -> str | None:
        path = self.optional("RELAY_CA_FILE")
        if path and not Path(path).is_file():
            self.problem(
                "RELAY_CA_FILE", "there is no such file", "Name a PEM file, or unset it"
            )
        return path or None

    def ingress(self) -> None:
        """Check what the host reads by itself, so that it is all said in one message."""
        self.required("INGRESS_EVENT_HUB", "twin-events")
        self.required("INGRESS_CONSUMER_GROUP", "$Default")
        self.connection(INGRESS)
        if self.optional(f"{INGRESS}__credential") != "managedidentity":
            self.problem(
                f"{INGRESS}__credential",
                "the Functions host takes a managed identity only when told to",
                "Set it to managedidentity",
            )

    def connection(self, name: str) -> Connection:
        self._identity(name, _NAMESPACE)
        return Connection(
            name=name,
            namespace=self._namespace(f"{name}__fullyQualifiedNamespace"),
            client_id=self.optional(f"{name}__clientId"),
            transport=self._transport(f"{name}__transport"),
            resource_id=self._resource_id(f"{name}__resourceId"),
        )

    def container(self) -> Container:
        self._identity(DEAD_LETTERS, _STORAGE)
        uri_name = f"{DEAD_LETTERS}__blobServiceUri"
        uri = self.required(uri_name, "https://<account>.blob.core.windows.net")
        if uri and not re.fullmatch(r"https://[^?#@\s]+", uri):
            self.problem(
                uri_name,
                "it is not the plain https address of a Blob service",
                "Give the address alone, without a query, a user or a SAS",
            )
        return Container(
            service_uri=uri,
            name=self.required("DEAD_LETTERS_CONTAINER", "dead-letters"),
            client_id=self.optional(f"{DEAD_LETTERS}__clientId"),
            resource_id=self._resource_id(f"{DEAD_LETTERS}__resourceId"),
        )

    def _identity(self, name: str, known: Iterable[str]) -> None:
        self.unknown(f"{name}__", [f"{name}__{suffix}" for suffix in known])
        credential = self.optional(f"{name}__credential")
        if credential not in {"", "managedidentity"}:
            self.problem(
                f"{name}__credential", "it is no managed identity", "Set it to managedidentity"
            )
        if self.optional(f"{name}__clientId") and not credential:
            self.problem(
                f"{name}__credential",
                f"{name}__clientId names an identity that nobody uses without it",
                "Set it to managedidentity",
            )

    def _namespace(self, name: str) -> str:
        value = self.required(name, "<namespace>.servicebus.windows.net")
        if value and not _HOST.fullmatch(value):
            self.problem(
                name,
                "it is not a host name",
                "Give the name alone: no sb://, port, path or connection string",
            )
        return value

    def _transport(self, name: str) -> Transport:
        value = self.optional(name) or Transport.AMQP
        if value not in set(Transport):
            self.problem(name, "no such transport", f"Use {' or '.join(Transport)}")
            return Transport.AMQP
        return Transport(value)

    def _resource_id(self, name: str) -> str:
        value = self.optional(name).rstrip("/")
        if value and not re.fullmatch(r"/subscriptions/[\w./()-]+", value):
            self.problem(name, "it is no resource id", "It begins with /subscriptions/")
        return value

    def routes(self, directory: Path) -> list[Route]:
        name, text = self._routes_text(directory)
        if not text:
            return []
        try:
            entries = json.loads(text)
        except ValueError as error:
            self.problem(name, f"it is not JSON: {error}", "Mend it there")
            return []
        if not isinstance(entries, list) or not entries:
            self.problem(name, "it is no list of routes", "See the README for an example")
            return []
        read = [self._route(f"{name}[{index}]", entry) for index, entry in enumerate(entries)]
        routes = [route for route in read if route is not None]
        self._duplicates(name, routes)
        return routes

    def _routes_text(self, directory: Path) -> tuple[str, str]:
        inline, file = self.optional("RELAY_ROUTES"), self.optional("RELAY_ROUTES_FILE")
        if inline and file:
            self.problem(
                "RELAY_ROUTES", "RELAY_ROUTES_FILE is set too", "Remove one of the two"
            )
        if not file:
            return "RELAY_ROUTES", inline or self._no_routes()
        try:
            return "RELAY_ROUTES_FILE", (directory / file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            self.problem("RELAY_ROUTES_FILE", f"it can't be read: {reason}", f"In {directory}")
            return "RELAY_ROUTES_FILE", ""

    def _no_routes(self) -> str:
        return self.required("RELAY_ROUTES", "the routes in JSON, or set RELAY_ROUTES_FILE")

    def _route(self, where: str, entry: Any) -> Route | None:
        if not self._is_object(where, entry, _ROUTE):
            return None
        name = entry.get("name")
        if not isinstance(name, str) or not _ROUTE_NAME.fullmatch(name):
            self.problem(
                f"{where}.name",
                "a route needs a name of 2 to 50 letters, digits and hyphens",
                "Give it one; it must not begin or end with a hyphen, nor be only digits",
            )
            return None
        where = f"{where} ({name})"
        route_filter = self._filter(f"{where}.filter", entry.get("filter"))
        destination = self._destination(f"{where}.destination", entry.get("destination"))
        ordered = self._boolean(f"{where}.ordered", entry.get("ordered", True))
        if route_filter is None or destination is None:
            return None
        return Route(name, route_filter, destination, ordered)

    def _filter(self, where: str, text: Any) -> filters.Filter | None:
        if not isinstance(text, str) or not text.strip():
            self.problem(where, "it is missing", "Set it; 'true' wants every event")
            return None
        try:
            return filters.compile(text)
        except filters.FilterError as error:
            self.problem(where, f"it does not parse: {error}", "See docs/filters.md")
            return None

    def _destination(self, where: str, entry: Any) -> Destination | None:
        if not self._is_object(where, entry, _DESTINATION):
            return None
        kinds = [kind for kind in Kind if kind in entry]
        connection = entry.get("connection")
        if len(kinds) != 1:
            self.problem(where, f"it names {len(kinds)} entities", f"Name one of {_any(Kind)}")
            return None
        if not isinstance(connection, str) or not _CONNECTION_NAME.fullmatch(connection):
            self.problem(
                f"{where}.connection", "it names no connection", "Give the settings' prefix"
            )
            return None
        kind, entity = kinds[0], entry[kinds[0]]
        session = self._boolean(f"{where}.session", entry.get("session", False))
        if not isinstance(entity, str) or not _ENTITY_NAME.fullmatch(entity):
            self.problem(f"{where}.{kind}", "it is no entity's name", "Give the name alone")
            return None
        if session and kind is Kind.EVENT_HUB:
            self.problem(f"{where}.session", "an event hub has no sessions", "Remove it")
        return Destination(connection, kind, entity, session)

    def _is_object(self, where: str, entry: Any, known: Iterable[str]) -> bool:
        if not isinstance(entry, dict):
            self.problem(where, "it is no JSON object", "See the README for an example")
            return False
        for name in set(entry) - set(known):
            self.problem(f"{where}.{name}", "no such member", f"Known are {_any(known)}")
        return True

    def _boolean(self, where: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.problem(where, "it is neither true nor false", "Write true or false")
        return bool(value)

    def _duplicates(self, where: str, routes: Iterable[Route]) -> None:
        counts = Counter(route.name.lower() for route in routes)
        for name in (name for name, count in counts.items() if count > 1):
            self.problem(where, f"several routes are called {name}", "Give each its own name")


def _any(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
