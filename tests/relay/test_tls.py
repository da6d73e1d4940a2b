"""In transit: TLS 1.2 or newer, and certificates are checked, by every client of the relay."""

from __future__ import annotations

import ast
import asyncio
import gc
import re
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.certificates import TlsFiles, issue
from lab.identity import Directory, IdentityEndpoint
from lab.plan import AMQPS_PORT, free_block
from relay import sinks
from relay.dead_letters.blobs import Blobs
from relay.dead_letters.store import BlobDeadLetters
from relay.failures import DeliveryError
from relay.filters import compile as compile_filter
from relay.identity import Identity
from relay.operations.access import AccessError, Authenticator
from relay.operations.service_tags.discovery import DiscoveryError, discover
from relay.operations.twins_proxy import TwinsProxy
from relay.routing import Destination, Kind, Route
from relay.settings import Access, Connection, Container, Transport, TwinsInstance
from tests.relay.operations.twins_world import VERSION, Request

ROOT = Path(__file__).parents[2]
GUID = "756d37c6-57f3-5189-9c1e-239a167454ad"
PAGE = "https://explorer.example.com"
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.e30.e30"


# Every client, at a server that is not to be trusted


@dataclass
class Door:
    """A server that counts who came, and with whom it has a secure connection."""

    host: str
    port: int
    ca_file: str
    came: int = 0
    secured: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"


def old(tls: TlsFiles) -> ssl.SSLContext:
    """What was usual before TLS 1.2; this library has to be talked into it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def new(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


@asynccontextmanager
async def a_door(
    host: str, port: int, context: ssl.SSLContext, ca_file: Path
) -> AsyncIterator[Door]:
    """Open a connection securely, or not, and close it."""
    door = Door(host, port, str(ca_file))

    async def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        door.came += 1
        with suppress(OSError):
            await writer.start_tls(context)
            door.secured.append(writer.get_extra_info("ssl_object").version())
        writer.close()

    server = await asyncio.start_server(meet, host, port)
    door.port = server.sockets[0].getsockname()[1]
    try:
        yield door
    finally:
        server.close()


def a_route(kind: Kind) -> Route:
    destination = Destination("C", kind, "entity")
    return Route("r", compile_filter("true"), destination)


def sending(
    kind: Kind, transport: Transport = Transport.AMQP
) -> Callable[[Door], Awaitable[None]]:
    async def send(door: Door) -> None:
        connection = Connection("C", door.host, transport=transport)
        async with Identity() as identity:
            sink = sinks.build(a_route(kind), connection, identity, door.ca_file)
            try:
                with pytest.raises(DeliveryError):
                    await sink.probe()
            finally:
                await sink.close()

    return send


async def keep_dead_letters(door: Door) -> None:
    async with Identity() as identity:
        blobs = Blobs(Container(door.url, "letters"), identity, door.ca_file)
        letters = BlobDeadLetters(blobs)
        try:
            with pytest.raises(DeliveryError):
                await letters.shelves()
        finally:
            await letters.close()


async def read_keys(door: Door) -> None:
    access = Access(GUID, ("a",), door.url)
    with pytest.raises(AccessError):
        await Authenticator(access, ca_file=door.ca_file).caller(f"Bearer {TOKEN}")


async def ask_for_service_tags(door: Door) -> None:
    async with Identity() as identity:
        with pytest.raises(DiscoveryError):
            await discover(identity, GUID, "a", management=door.url, ca_file=door.ca_file)


async def ask_for_a_twin(door: Door) -> None:
    proxy = TwinsProxy(
        TwinsInstance(door.url, frozenset({PAGE})), lambda _: None, ca_file=door.ca_file
    )
    headers = {"origin": PAGE, "authorization": f"Bearer {TOKEN}"}
    url = f"https://relay/api/twins/models?{VERSION}"
    answer = await proxy.answer(Request("GET", url, headers))
    await proxy.close()

    assert answer.status == 502


CLIENTS = {
    "event hub": (AMQPS_PORT, sending(Kind.EVENT_HUB)),
    "event hub by web sockets": (443, sending(Kind.EVENT_HUB, Transport.WEB_SOCKETS)),
    "queue": (AMQPS_PORT, sending(Kind.QUEUE)),
    "queue by web sockets": (443, sending(Kind.QUEUE, Transport.WEB_SOCKETS)),
    "dead letters": (0, keep_dead_letters),
    "the tenant's keys": (0, read_keys),
    "service tags": (0, ask_for_service_tags),
    "twins": (0, ask_for_a_twin),
}


@pytest.fixture
async def relay_identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    directory = Directory()
    directory.register("relay", app="relay", system_assigned=True)
    endpoint = IdentityEndpoint(directory)
    await endpoint.start()
    for name, value in endpoint.settings("relay").items():
        monkeypatch.setenv(name, value)
    yield
    await endpoint.stop()


# The SDKs leave the session of a WebSocket behind that never opened; it is collected here.
@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", ["old", "stranger", "other name", "none"])
async def test_nothing_is_said_to_whom_is_not_to_be_trusted(
    relay_identity: None, tmp_path: Path, client: str, fault: str
) -> None:
    """The last of the faults is none: then they do come together, and in TLS 1.2."""
    host = f"{free_block()}.2"
    port, call = CLIENTS[client]
    trusted = issue(tmp_path / "trusted", [host])
    server = {
        "old": lambda: old(trusted),
        "stranger": lambda: new(issue(tmp_path / "stranger", [host])),
        "other name": lambda: new(issue_for_another(tmp_path, trusted)),
        "none": lambda: new(trusted),
    }[fault]()
    trusts = tmp_path / "both.pem" if fault == "other name" else trusted.ca_file
    async with a_door(host, port, server, trusts) as door:
        await call(door)
    gc.collect()

    assert door.came
    assert set(door.secured) == ({"TLSv1.2"} if fault == "none" else set())


def issue_for_another(directory: Path, trusted: TlsFiles) -> TlsFiles:
    """A certificate for another host, by an authority that is trusted as well."""
    other = issue(directory / "other", ["other.example"])
    both = trusted.ca_file.read_bytes() + other.ca_file.read_bytes()
    (directory / "both.pem").write_bytes(both)
    return other


# Every line of code

SWITCHES = re.compile(
    r"CERT_NONE|CERT_OPTIONAL|check_hostname\s*=\s*False|_create_unverified_context"
    r"|\b(verify|ssl|verify_ssl|connection_verify|use_tls|verify_mode)\s*=\s*(False|0\b)"
    r"|PROTOCOL_(TLSv1|SSLv)|TLSVersion\.(TLSv1\b|TLSv1_1|SSLv)|SECLEVEL|ignore_https_errors"
    r"|NODE_TLS_REJECT_UNAUTHORIZED|disable_warnings|http_no_tls|allow_insecure"
)
CODE = [
    path
    for folder in ("relay", "lab", "bench", "examples")
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
    if "node_modules" not in path.parts
]


@pytest.mark.parametrize(
    "line",
    ["ssl=False", "verify = False", "context.check_hostname = False", "ssl.CERT_NONE",
     "connection_verify=False", "ssl.PROTOCOL_TLSv1_1", "ssl.TLSVersion.TLSv1_1"],
)  # fmt: skip
def test_a_check_that_is_switched_off_is_found(line: str) -> None:
    assert SWITCHES.search(line)


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_switches_a_check_off(path: Path) -> None:
    assert not SWITCHES.findall(path.read_text("utf-8"))


def plain_addresses(path: Path) -> Iterator[str]:
    """Addresses without TLS, but in docstrings; schemas are names, and loopback is here."""
    tree = ast.parse(path.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in said:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\b(?:http|amqp|ws)://[^\s\"')]*", node.value)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("relay/**/*.py")), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_what_is_deployed_knows_no_address_without_tls(path: Path) -> None:
    allowed = re.compile(r"http://(schemas\.(microsoft|xmlsoap)\.\w+/|\(127|127\.|localhost)")

    assert not [each for each in plain_addresses(path) if not allowed.match(each)]
