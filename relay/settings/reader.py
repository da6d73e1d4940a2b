"""App settings, read once from the environment."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.settings.problems import Problems
from relay.settings.routes import read_routes
from relay.settings.secrets import find_secrets
from relay.settings.values import Connection, Container, Settings, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.routing import Route

INGRESS: Final = "INGRESS"
DEAD_LETTERS: Final = "DEAD_LETTERS"

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ADDRESS: Final = re.compile(r"https://[^?#@\s]+")
_RESOURCE_ID: Final = re.compile(r"/subscriptions/[\w./()-]+")

_IDENTITY: Final = ("credential", "clientId", "resourceId")
_NAMESPACE: Final = (*_IDENTITY, "fullyQualifiedNamespace", "transport")
_STORAGE: Final = (*_IDENTITY, "blobServiceUri")
_RELAY: Final = ("RELAY_ROUTES", "RELAY_ROUTES_FILE", "RELAY_CA_FILE")


def read(environment: Mapping[str, str], directory: Path) -> Settings:
    """Read the app settings.

    Args:
        environment: the settings by name, as the process environment holds them.
        directory: where `function_app.py` stands, for `RELAY_ROUTES_FILE`.

    Raises:
        SettingsError: with everything that is missing, misspelt, secret or contradictory.
    """
    problems = Problems()
    reader = _Reader(environment, problems)
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
        problems.add(name, "it holds a secret", "Remove it: the relay uses managed identity")
    problems.raise_if_any()
    return settings


class _Reader:
    """Reads settings one by one and collects what is wrong; a broken one reads as empty."""

    def __init__(self, environment: Mapping[str, str], problems: Problems) -> None:
        self._environment = environment
        self._problems = problems

    def optional(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def required(self, name: str, example: str) -> str:
        value = self.optional(name)
        if not value:
            self._problems.add(name, "it is missing", f"Set it, for example to {example}")
        return value

    def unknown(self, prefix: str, known: Iterable[str]) -> None:
        """Find misspelt settings: those under a prefix of ours that nobody reads."""
        known = list(known)
        for name in self._environment:
            if name.startswith(prefix) and name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
                self._problems.add(name, "no such setting", f"Did you mean {close[0]}?")

    def ca_file(self) -> str | None:
        path = self.optional("RELAY_CA_FILE")
        if path and not Path(path).is_file():
            self._problems.add(
                "RELAY_CA_FILE", "there is no such file", "Name a PEM file, or unset it"
            )
        return path or None

    def ingress(self) -> None:
        """Check what the host reads by itself, so that it is all said in one message."""
        self.required("INGRESS_EVENT_HUB", "twin-events")
        self.required("INGRESS_CONSUMER_GROUP", "$Default")
        self.connection(INGRESS)
        if self.optional(f"{INGRESS}__credential") != "managedidentity":
            self._problems.add(
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
            self._problems.add(
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
            self._problems.add(
                f"{name}__credential", "it is no managed identity", "Set it to managedidentity"
            )
        if self.optional(f"{name}__clientId") and not credential:
            self._problems.add(
                f"{name}__credential",
                f"{name}__clientId names an identity that nobody uses without it",
                "Set it to managedidentity",
            )

    def _namespace(self, name: str) -> str:
        value = self.required(name, "<namespace>.servicebus.windows.net")
        if value and not _HOST.fullmatch(value):
            self._problems.add(
                name,
                "it is not a host name",
                "Give the name alone: no sb://, port, path or connection string",
            )
        return value

    def _transport(self, name: str) -> Transport:
        value = self.optional(name) or Transport.AMQP
        if value not in set(Transport):
            self._problems.add(name, "no such transport", f"Use {' or '.join(Transport)}")
            return Transport.AMQP
        return Transport(value)

    def _resource_id(self, name: str) -> str:
        value = self.optional(name).rstrip("/")
        if value and not re.fullmatch(r"/subscriptions/[\w./()-]+", value):
            self._problems.add(name, "it is no resource id", "It begins with /subscriptions/")
        return value

    def routes(self, directory: Path) -> list[Route]:
        inline, file = self.optional("RELAY_ROUTES"), self.optional("RELAY_ROUTES_FILE")
        if file:
            if inline:
                self._problems.add(
                    "RELAY_ROUTES", "RELAY_ROUTES_FILE is set too", "Remove one of the two"
                )
            return self._routes_in(directory / file)
        text = self.required("RELAY_ROUTES", "the routes in JSON, or set RELAY_ROUTES_FILE")
        return read_routes("RELAY_ROUTES", text, self._problems) if text else []

    def _routes_in(self, file: Path) -> list[Route]:
        name = "RELAY_ROUTES_FILE"
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            self._problems.add(
                name, f"can't read it: {why}", f"It should stand in {file.parent}"
            )
            return []
        return read_routes(name, text, self._problems)
