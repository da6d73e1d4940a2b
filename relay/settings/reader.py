"""App settings, read once from the environment."""

from __future__ import annotations

import difflib
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.clouds import CLOUDS, PUBLIC, Cloud, cloud_of
from relay.routing import Kind
from relay.settings.host import read_budget, read_route_prefix
from relay.settings.ingress import INGRESS_SETTINGS, read_ingress
from relay.settings.operations import (
    OPERATIONS_SETTINGS,
    read_api,
    read_service_tags,
    read_streams,
    read_twins,
)
from relay.settings.problems import Problem, Problems
from relay.settings.routes import read_routes
from relay.settings.secrets import (
    INSIGHTS,
    INSIGHTS_BY_IDENTITY,
    Secret,
    find_secrets,
    holds_secret,
)
from relay.settings.telemetry import RELAY_TELEMETRY, read_telemetry
from relay.settings.values import (
    Connection,
    Container,
    Network,
    Settings,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relay.routing import Route

DEAD_LETTERS: Final = "DEAD_LETTERS"
HOST_STORAGE: Final = "AzureWebJobsStorage"
DEVELOPMENT: Final = "Development"

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

_CONTAINER: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX: Final = re.compile(r"(?!(RELAY|INGRESS|ACCESS|DEAD_LETTER))([A-Z][A-Z0-9]*_)+|")
_CLIENT_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_IDENTITY_ID: Final = re.compile(
    r"/subscriptions/[\w-]+/resourcegroups/[\w.()-]+/providers/"
    r"Microsoft\.ManagedIdentity/userAssignedIdentities/[\w-]+",
    re.IGNORECASE,
)
_LOOPBACK: Final = re.compile(r"https://(?:127\.\d+\.\d+\.\d+|localhost)(?::\d+)?")
_PROVIDERS: Final = {
    Kind.EVENT_HUB: "/providers/Microsoft.EventHub/namespaces/",
    Kind.QUEUE: "/providers/Microsoft.ServiceBus/namespaces/",
    Kind.TOPIC: "/providers/Microsoft.ServiceBus/namespaces/",
}
_WHOLE: Final = ("", "AzureWebJobs", "ConnectionStrings__", "CUSTOMCONNSTR_")
"""Prefixes under which a host looks for a connection as a whole, before it looks for parts."""
_IDENTITY: Final = (
    "credential",
    "clientId",
    "managedIdentityResourceId",
    "resourceId",
    "network",
)
_NAMESPACE: Final = (*_IDENTITY, "fullyQualifiedNamespace", "transport")
_STORAGE: Final = (*_IDENTITY, "blobServiceUri")
_PLAIN_PREFIXES: Final = (
    "RELAY_",
    "INGRESS_",
    "ACCESS_",
    "DEAD_LETTER",
    "TWINS_",
    "SERVICE_TAGS_",
)
_PLAIN: Final = (
    "RELAY_ROUTES",
    "RELAY_ROUTES_FILE",
    "RELAY_CA_FILE",
    "RELAY_CLOUD",
    "RELAY_MANAGEMENT_URL",
    "RELAY_SHORTCUTS",
    RELAY_TELEMETRY,
    *INGRESS_SETTINGS,
    *OPERATIONS_SETTINGS,
    "DEAD_LETTERS_CONTAINER",
    "DEAD_LETTERS_ENCRYPTION_SCOPE",
)


def is_in_azure(environment: Mapping[str, str]) -> bool:
    """Whether this is an app in Azure: there, every process has these."""
    return not {"WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"}.isdisjoint(environment)


def read(
    environment: Mapping[str, str],
    directory: Path,
    prefix: str = "",
    *,
    needs_ingress: bool = True,
) -> Settings:
    """Read the app settings.

    Args:
        environment: the settings by name, as the process environment holds them.
        directory: where `function_app.py` and `host.json` stand, and `RELAY_ROUTES_FILE`.
        prefix: how the names of all of this relay's settings begin, where there are several.
        needs_ingress: whether it is of no use without a way in.

    Raises:
        SettingsError: with everything that is missing, misspelt, secret or contradictory.
        ValueError: the prefix can't be one.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is no prefix: write one like PLANT_A_")
    problems = Problems()
    reader = Reader(environment, problems, prefix)
    routes = reader.routes(directory)
    names = dict.fromkeys(route.destination.connection for route in routes)
    settings = Settings(
        routes=tuple(routes),
        connections={name: reader.connection(name) for name in names},
        dead_letters=reader.container(),
        telemetry=read_telemetry(
            environment, directory, problems, reader.called(RELAY_TELEMETRY)
        ),
        event_grid_source=reader.optional("INGRESS_EVENT_GRID_SOURCE") or None,
        ca_file=reader.ca_file(),
        shortcuts=reader.one_of("RELAY_SHORTCUTS", ("true", "false"), "true") == "true",
        budget=read_budget(environment, directory, problems),
        ways_in=read_ingress(reader, is_needed=needs_ingress),
        prefix=prefix,
        host_storage=reader.host_storage(),
        cloud=reader.cloud(),
        management=reader.management(),
        warnings=tuple(_emulators(secret) for secret in _let_through(environment)),
        api=read_api(reader),
        twins=read_twins(reader),
        service_tags=read_service_tags(reader, directory),
        streams=read_streams(reader, partial(read_route_prefix, environment, directory)),
    )
    reader.misspelt()
    reader.misplaced(settings)
    reader.telemetry()
    _refuse_secrets(environment, directory, problems)
    problems.raise_if_any()
    return settings


def _refuse_secrets(
    environment: Mapping[str, str], directory: Path, problems: Problems
) -> None:
    accepted = {secret.setting for secret in _let_through(environment)}
    for secret in find_secrets(environment):
        if secret.setting not in accepted:
            problems.add_secret(secret.setting, secret.instead)
    try:
        host = (directory / "host.json").read_text("utf-8-sig")
    except (OSError, ValueError):
        return  # the host itself says what is wrong with it
    if holds_secret(host):
        problems.add_secret("host.json", "set an app setting by identity in its place")


def _let_through(environment: Mapping[str, str]) -> Iterable[Secret]:
    """Return the emulators' fixed strings, where they are let through: Core Tools says so."""
    if environment.get("AZURE_FUNCTIONS_ENVIRONMENT", "").strip() != DEVELOPMENT:
        return ()
    return tuple(secret for secret in find_secrets(environment) if secret.is_emulators)


def _emulators(secret: Secret) -> Problem:
    return Problem(
        secret.setting,
        "it holds the fixed string of an emulator, which counts in Development only",
        f"Before you deploy, {secret.instead}",
    )


class Reader:
    """Reads settings one by one and collects what is wrong; a broken one reads as empty.

    Settings are asked for by their plain names.

    Args:
        environment: every setting by its full name.
        problems: takes what is wrong.
        prefix: how the full names of this relay's settings begin.
    """

    def __init__(
        self, environment: Mapping[str, str], problems: Problems, prefix: str = ""
    ) -> None:
        self._environment = environment
        self._problems = problems
        self._prefix = prefix

    def optional(self, name: str) -> str:
        """Return a setting, `""` when it is absent or empty."""
        return self._environment.get(self.called(name), "").strip()

    def required(self, name: str, example: str) -> str:
        """Return a setting; one that is missing is noted."""
        value = self.optional(name)
        if not value:
            self.note(name, "it is missing", f"Set it, for example to {example}")
        return value

    def is_true(self, name: str) -> bool:
        """Return a setting that is `true` or `false`; absent, it is false."""
        return self.one_of(name, ("true", "false"), "false") == "true"

    def one_of(self, name: str, words: Sequence[str], usual: str) -> str:
        """Return a setting that is one of a few words; any other is noted."""
        value = self.optional(name) or usual
        if value not in words:
            self.note(name, "no such value", f"Use {' or '.join(words)}")
            return usual
        return value

    @property
    def of_the_app(self) -> Reader:
        """Return who reads settings of the whole app, before which no prefix stands."""
        return Reader(self._environment, self._problems)

    def called(self, name: str) -> str:
        """Return the full name of a setting."""
        return self._prefix + name

    def note(self, name: str, what: str, remedy: str) -> None:
        """Note one thing wrong with a setting."""
        self._problems.add(self.called(name), what, remedy)

    @property
    def in_azure(self) -> bool:
        """Whether this is an app in Azure."""
        return is_in_azure(self._environment)

    @property
    def has_app_service_authentication(self) -> bool:
        """Whether App Service authenticates callers, and says by headers who they are."""
        return self._environment.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"

    def client_id(self, name: str) -> str:
        """Read by which identity something is done; `""` for the system-assigned one."""
        self._identity(name, ("credential", "clientId"))
        return self.optional(f"{name}__clientId")

    def misspelt(self) -> None:
        """Find settings under a prefix of ours that nobody reads; `__` is a connection's."""
        for name in self._names():
            if name.startswith(_PLAIN_PREFIXES) and "__" not in name:
                self._known(name, _PLAIN)

    def _names(self) -> list[str]:
        """Return the plain name of every setting that may be this relay's."""
        names = (name for name in self._environment if name.startswith(self._prefix))
        return [name.removeprefix(self._prefix) for name in names]

    def _known(self, name: str, known: Sequence[str]) -> None:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            self.note(name, "no such setting", f"Did you mean {self.called(close[0])}?")

    def ca_file(self) -> str | None:
        """Return the file of authorities to trust."""
        path = self.optional("RELAY_CA_FILE")
        if path and not _is_file(path):
            self.note("RELAY_CA_FILE", "there is no such file", "Name a PEM file, or unset it")
        return path or None

    def cloud(self) -> Cloud:
        """Return which of Azure's clouds the relay is in."""
        name = self.optional("RELAY_CLOUD") or PUBLIC.name
        if name not in CLOUDS:
            self.note("RELAY_CLOUD", "no such cloud", f"Use {', '.join(CLOUDS)}")
        return CLOUDS.get(name, PUBLIC)

    def management(self) -> str:
        """Return another address of Azure Resource Manager: of this machine only."""
        name = "RELAY_MANAGEMENT_URL"
        value = self.optional(name).rstrip("/")
        if value and not _LOOPBACK.fullmatch(value):
            self.note(
                name,
                "it is no https address of this machine",
                "Remove it: RELAY_CLOUD says where Azure Resource Manager is",
            )
        return value

    def misplaced(self, settings: Settings) -> None:
        """Find hosts of another cloud, and resource ids of another kind of namespace."""
        for where, host in self._hosts(settings):
            cloud = cloud_of(host)
            if cloud is not None and cloud is not settings.cloud:
                self.note(
                    where,
                    f"it is a host of {cloud.name}, and the relay is in {settings.cloud.name}",
                    f"Set RELAY_CLOUD to {cloud.name}, or mend the host",
                )
        for route in settings.routes:
            name, kind = route.destination.connection, route.destination.kind
            resource_id = settings.connections[name].resource_id
            if "/providers/" in resource_id and _PROVIDERS[kind] not in resource_id:
                self.note(
                    f"{name}__resourceId",
                    f"the route {route.name} names its {kind}, which such a namespace has not",
                    f"Give the id of a namespace of {_PROVIDERS[kind].split('/')[2]}",
                )

    def _hosts(self, settings: Settings) -> Iterable[tuple[str, str]]:
        connections = {each.name: each for each in settings.connections.values()}
        for ingress in settings.ways_in.entities:
            connections[ingress.connection.name] = ingress.connection
        for name, connection in connections.items():
            yield f"{name}__fullyQualifiedNamespace", connection.namespace
        blobs = settings.dead_letters.service_uri.removeprefix("https://")
        yield f"{DEAD_LETTERS}__blobServiceUri", blobs.partition("/")[0]

    def telemetry(self) -> None:
        """Ask for a token where the ingestion's address is given."""
        if not self._environment.get(INSIGHTS, "").strip():
            return
        told = (
            self._environment.get(INSIGHTS_BY_IDENTITY, "").replace(" ", "").lower().split(";")
        )
        if "authorization=aad" not in told:
            self._problems.add(
                INSIGHTS_BY_IDENTITY,
                f"{INSIGHTS} alone lets everybody write who knows it",
                "Set it to Authorization=AAD, with ClientId=<id>; before it for a "
                "user-assigned identity",
            )

    def host_connection(self, name: str) -> Connection:
        """Read a connection that the host reads by itself, so that all is said at once."""
        connection = self.connection(name)
        has_credential = self.optional(f"{name}__credential")
        if not has_credential and not connection.identity.selector:
            self.note(
                f"{name}__credential",
                "the Functions host takes a managed identity only when told to",
                "Set it to managedidentity",
            )
        return connection

    def host_storage(self) -> Container | None:
        """Return the host's account; half of an identity there lets timers die in silence."""
        host = Reader(self._environment, self._problems)  # it knows nothing of a prefix
        account = host.optional(f"{HOST_STORAGE}__accountName")
        uri = host.optional(f"{HOST_STORAGE}__blobServiceUri")
        host.half_an_identity(HOST_STORAGE)
        if not uri and not account:
            return None
        cloud = CLOUDS.get(self.optional("RELAY_CLOUD"), PUBLIC)
        return Container(
            service_uri=uri or f"https://{account}{cloud.blob_suffix}",
            name="",
            client_id=host.optional(f"{HOST_STORAGE}__clientId"),
            resource_id=host.resource_id(f"{HOST_STORAGE}__resourceId"),
            identity_id=host.optional(f"{HOST_STORAGE}__managedIdentityResourceId"),
        )

    def connection(self, name: str) -> Connection:
        """Read a namespace and the identity to use for it."""
        self._identity(name, _NAMESPACE)
        return Connection(
            name=name,
            namespace=self._namespace(f"{name}__fullyQualifiedNamespace"),
            client_id=self.optional(f"{name}__clientId"),
            transport=self._transport(f"{name}__transport"),
            resource_id=self.resource_id(f"{name}__resourceId"),
            identity_id=self.optional(f"{name}__managedIdentityResourceId"),
            network=self._network(f"{name}__network"),
        )

    def container(self) -> Container:
        """Read where dead letters go."""
        self._identity(DEAD_LETTERS, _STORAGE)
        uri_name = f"{DEAD_LETTERS}__blobServiceUri"
        uri = self.required(uri_name, "https://<account>.blob.core.windows.net")
        if uri and not re.fullmatch(r"https://[^?#@\s]+", uri):
            self.note(
                uri_name,
                "it is not the plain https address of a Blob service",
                "Give the address alone, without a query, a user or a SAS",
            )
        return Container(
            service_uri=uri,
            name=self._container_name("DEAD_LETTERS_CONTAINER"),
            client_id=self.optional(f"{DEAD_LETTERS}__clientId"),
            resource_id=self.resource_id(f"{DEAD_LETTERS}__resourceId"),
            identity_id=self.optional(f"{DEAD_LETTERS}__managedIdentityResourceId"),
            network=self._network(f"{DEAD_LETTERS}__network"),
            encryption_scope=self._encryption_scope("DEAD_LETTERS_ENCRYPTION_SCOPE"),
        )

    def _encryption_scope(self, name: str) -> str:
        value = self.optional(name)
        if value and not re.fullmatch(r"[A-Za-z0-9-]{3,63}", value):
            remedy = "Give its name, which 'az storage account encryption-scope list' prints"
            self.note(name, "it is no encryption scope's name", remedy)
        return value

    def _container_name(self, name: str) -> str:
        value = self.required(name, "dead-letters")
        if value and not _CONTAINER.fullmatch(value):
            self.note(
                name,
                "it is no container's name",
                "Give 3 to 63 lower-case letters, digits and single hyphens",
            )
        return value

    def _identity(self, name: str, suffixes: Iterable[str]) -> None:
        known = [f"{name}__{suffix}" for suffix in suffixes]
        for setting in self._names():
            if setting.startswith(f"{name}__"):
                self._known(setting, known)
        for whole in (prefix + self.called(name) for prefix in _WHOLE):
            if self._environment.get(whole, "").strip():
                self._problems.add(
                    whole,
                    "the host takes it for a connection string, before any identity",
                    f"Remove it: {self.called(name)}__credential and its neighbours say all",
                )
        self.half_an_identity(name)

    def half_an_identity(self, name: str) -> None:
        """Note an identity that is named and not used, or named by halves."""
        credential = self.optional(f"{name}__credential")
        if credential not in {"", "managedidentity"}:
            self.note(
                f"{name}__credential", "it is no managed identity", "Set it to managedidentity"
            )
        client_id = self.optional(f"{name}__clientId")
        if client_id and not _CLIENT_ID.fullmatch(client_id):
            self.note(
                f"{name}__clientId",
                "it is no client id",
                "Give the GUID that 'az identity show --query clientId' prints",
            )
        by_resource = f"{name}__managedIdentityResourceId"
        identity_id = self.optional(by_resource)
        if identity_id and not _IDENTITY_ID.fullmatch(identity_id):
            self.note(
                by_resource,
                "it is no resource id of a user-assigned identity",
                "Give what 'az identity show --query id' prints",
            )
        if client_id and identity_id:
            self.note(
                by_resource,
                f"{self.called(name)}__clientId names an identity too",
                "Remove one of the two",
            )
        if (client_id or identity_id) and not credential:
            selector = f"{name}__clientId" if client_id else by_resource
            self.note(
                f"{name}__credential",
                f"{self.called(selector)} names an identity that nobody uses without it",
                "Set it to managedidentity",
            )

    def _network(self, name: str) -> Network:
        value = self.optional(name) or Network.PRIVATE
        if value not in set(Network):
            self.note(name, "no such network", f"Use {' or '.join(Network)}")
            return Network.PRIVATE
        return Network(value)

    def _namespace(self, name: str) -> str:
        value = self.required(name, "<namespace>.servicebus.windows.net")
        if value and not _HOST.fullmatch(value):
            self.note(
                name,
                "it is not a host name",
                "Give the name alone: no sb://, port, path or connection string",
            )
        return value

    def _transport(self, name: str) -> Transport:
        value = self.optional(name) or Transport.AMQP
        if value not in set(Transport):
            self.note(name, "no such transport", f"Use {' or '.join(Transport)}")
            return Transport.AMQP
        return Transport(value)

    def resource_id(self, name: str) -> str:
        """Return a resource id of Azure Resource Manager."""
        value = self.optional(name).rstrip("/")
        if value and not re.fullmatch(r"/subscriptions/[\w./()-]+", value):
            self.note(name, "it is no resource id", "It begins with /subscriptions/")
        return value

    def routes(self, directory: Path) -> list[Route]:
        """Read the routes, from a setting or from a file."""
        inline, file = self.optional("RELAY_ROUTES"), self.optional("RELAY_ROUTES_FILE")
        if file:
            if inline:
                self.note(
                    "RELAY_ROUTES", "RELAY_ROUTES_FILE is set too", "Remove one of the two"
                )
            return self._routes_in(directory / file)
        text = self.required("RELAY_ROUTES", "the routes in JSON, or set RELAY_ROUTES_FILE")
        return read_routes(self.called("RELAY_ROUTES"), text, self._problems) if text else []

    def _routes_in(self, file: Path) -> list[Route]:
        name = "RELAY_ROUTES_FILE"
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its name or its text is not UTF-8"
            self.note(name, f"can't read it: {why}", f"It should stand in {file.parent}")
            return []
        if holds_secret(text):
            self.note(name, "a secret is in it", "Remove it from the file")
            return []
        return read_routes(self.called(name), text, self._problems)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
