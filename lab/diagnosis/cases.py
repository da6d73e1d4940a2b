"""The causes, and how each is produced against all paths at once."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.diagnosis.bench import BUS, HUBS, PATHS, Told
from lab.misbehaviour import HttpFault
from lab.plan import AMQPS_PORT
from relay.causes import Cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from lab.diagnosis.bench import Bench

type Produce = Callable[[Bench], AbstractAsyncContextManager[Told]]

UNKNOWN_CLIENT: Final = "00000000-0000-0000-0000-00000000dead"
UNKNOWN_TEXT: Final = "Nobody has ever heard a service say this."

_LISTENING: Final = frozenset(path for path in PATHS if "listen" in path)
_AMQP: Final = frozenset(path for path in PATHS if not path.startswith("Storage"))
_MESSAGING: Final = (HUBS, BUS)


@dataclass(frozen=True, slots=True)
class Case:
    """One cause.

    Attributes:
        cause: what is produced, and what the doctor should say; `None` is all well.
        produce: produces it for as long as the context lasts.
        how: in words, for the documentation.
        paths: where it can be met.
        hides_words: whether Event Hubs and Service Bus keep to themselves why a token was
            refused, as they do by an `error-condition`.
    """

    cause: Cause | None
    produce: Produce
    how: str
    paths: frozenset[str] = frozenset(PATHS)
    hides_words: bool = False

    @property
    def name(self) -> str:
        """The cause's, or `well`."""
        return self.cause.value if self.cause else "well"


@asynccontextmanager
async def _well(_: Bench) -> AsyncIterator[Told]:
    yield Told()


@asynccontextmanager
async def _no_name(_: Bench) -> AsyncIterator[Told]:
    async def resolve(host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        raise socket.gaierror(socket.EAI_NONAME, f"{host}: Name or service not known")

    yield Told(resolve=resolve)


@asynccontextmanager
async def _public(_: Bench) -> AsyncIterator[Told]:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        return ("20.50.1.2",)

    yield Told(resolve=resolve)


@asynccontextmanager
async def _no_port(bench: Bench) -> AsyncIterator[Told]:
    with socket.socket() as held:  # bound and not listening: nobody else takes it
        held.bind((f"{bench.block}.9", 0))
        port = held.getsockname()[1]
        yield Told(host=f"{bench.block}.9", uri=f"https://{bench.block}.9:{port}/x")


@asynccontextmanager
async def _no_trust(_: Bench) -> AsyncIterator[Told]:
    yield Told(trusts=False)


@asynccontextmanager
async def _no_tls(bench: Bench) -> AsyncIterator[Told]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    host = f"{bench.block}.9"
    server = await asyncio.start_server(answer, host, AMQPS_PORT)
    async with server:
        yield Told(host=host, uri=f"https://{host}:{AMQPS_PORT}/x")


@asynccontextmanager
async def _silence(bench: Bench) -> AsyncIterator[Told]:
    control = bench.azure.control
    for name in _MESSAGING:
        control.freeze(name)
    control.silence_storage()
    try:
        yield Told()
    finally:
        for name in _MESSAGING:
            control.heal(name)
        control.allow_storage()


def _endpoint(fault: HttpFault) -> Produce:
    @asynccontextmanager
    async def produce(bench: Bench) -> AsyncIterator[Told]:
        bench.azure.endpoint.faults.fault = fault
        try:
            yield Told()
        finally:
            bench.azure.endpoint.faults.fault = None

    return produce


@asynccontextmanager
async def _endpoint_gone(bench: Bench) -> AsyncIterator[Told]:
    await bench.azure.control.stop_identity()
    try:
        yield Told()
    finally:
        await bench.azure.control.allow_identity()


@asynccontextmanager
async def _wrong_header(_: Bench) -> AsyncIterator[Told]:
    header = os.environ["IDENTITY_HEADER"]
    os.environ["IDENTITY_HEADER"] = "another app's"
    try:
        yield Told()
    finally:
        os.environ["IDENTITY_HEADER"] = header


@asynccontextmanager
async def _no_identity(_: Bench) -> AsyncIterator[Told]:
    yield Told(client_id=UNKNOWN_CLIENT)


@asynccontextmanager
async def _other_identity(bench: Bench) -> AsyncIterator[Told]:
    yield Told(client_id=bench.azure.directory.principal("relay-other").client_id)


def _forged(claim: str, value: str) -> Produce:
    @asynccontextmanager
    async def produce(bench: Bench) -> AsyncIterator[Told]:
        bench.azure.control.forge_claim(claim, value)
        try:
            yield Told()
        finally:
            bench.azure.control.unforge_claims()

    return produce


@asynccontextmanager
async def _old_tokens(bench: Bench) -> AsyncIterator[Told]:
    bench.azure.control.set_token_clock(-2 * 24 * 3600)
    try:
        yield Told()
    finally:
        bench.azure.control.unforge_claims()


@asynccontextmanager
async def _service_ahead(bench: Bench) -> AsyncIterator[Told]:
    """Let the services' clocks be days ahead, and the issuer's be ours."""
    directory, ahead = bench.azure.directory, 2 * 24 * 3600.0
    directory.set_clock(lambda: time.time() + ahead)
    directory.clock_ahead = -ahead
    try:
        yield Told()
    finally:
        directory.set_clock(time.time)
        directory.clock_ahead = 0.0


@asynccontextmanager
async def _no_role(bench: Bench) -> AsyncIterator[Told]:
    for grant in bench.grants():
        bench.azure.control.revoke(grant.identity, grant.role, grant.scope)
    try:
        yield Told()
    finally:
        for grant in bench.grants():
            bench.azure.control.grant(grant.identity, grant.role, grant.scope)


@asynccontextmanager
async def _role_of_now(bench: Bench) -> AsyncIterator[Told]:
    bench.azure.control.set_role_delay(300)
    try:
        async with _no_role(bench):
            pass  # granted again, this very moment
        yield Told()
    finally:
        bench.azure.control.set_role_delay(0)
        async with _no_role(bench):
            pass  # granted anew, to be in effect at once


@asynccontextmanager
async def _no_network(bench: Bench) -> AsyncIterator[Told]:
    control = bench.azure.control
    for name in _MESSAGING:
        control.deny_network(name)
    control.refuse_storage(403, "AuthorizationFailure")
    try:
        yield Told()
    finally:
        for name in _MESSAGING:
            control.heal(name)
        control.allow_storage()


@asynccontextmanager
async def _no_entity(bench: Bench) -> AsyncIterator[Told]:
    control, account = bench.azure.control, bench.azure.storage.resource_id
    role = "Storage Blob Data Contributor"
    for place in bench.entities():
        control.delete(*place)
    control.grant("relay", role, account)
    try:
        yield Told(container="no-such-container")
    finally:
        control.revoke("relay", role, account)
        for place in bench.entities():
            control.restore(*place)


@asynccontextmanager
async def _disabled(bench: Bench) -> AsyncIterator[Told]:
    control = bench.azure.control
    for place in bench.entities():
        control.disable(*place)
    control.refuse_storage(403, "AccountIsDisabled")
    try:
        yield Told()
    finally:
        for place in bench.entities():
            control.restore(*place)
        control.allow_storage()


def _refused(condition: str, text: str, status: int, code: str) -> Produce:
    """Return what lets every link be refused by a condition, and storage by a code."""

    @asynccontextmanager
    async def produce(bench: Bench) -> AsyncIterator[Told]:
        for name, entity in bench.entities():
            bench.azure.broker.faults.refuse_links(name, entity, condition, text=text)
        bench.azure.control.refuse_storage(status, code)
        try:
            yield Told()
        finally:
            for name in _MESSAGING:
                bench.azure.control.heal(name)
            bench.azure.control.allow_storage()

    return produce


@asynccontextmanager
async def _token_refused(bench: Bench) -> AsyncIterator[Told]:
    bench.azure.control.forge_claim("iss", "https://sts.windows.net/another-tenant/")
    bench.azure.control.refuse_storage(401, "NoAuthenticationInformation")
    try:
        yield Told()
    finally:
        bench.azure.control.unforge_claims()
        bench.azure.control.allow_storage()


@asynccontextmanager
async def _keys(bench: Bench) -> AsyncIterator[Told]:
    control, scopes = bench.azure.control, (*_MESSAGING, bench.azure.storage.account)
    for scope in scopes:
        control.allow_keys(scope)
    try:
        yield Told()
    finally:
        for scope in scopes:
            control.forbid_keys(scope)


@asynccontextmanager
async def _untrusted(bench: Bench) -> AsyncIterator[Told]:
    for name in _MESSAGING:
        bench.azure.control.stop_trusted_services(name)
    try:
        yield Told()
    finally:
        for name in _MESSAGING:
            bench.azure.control.except_trusted_services(name)


_ENTRA: Final = (
    "AADSTS500011: The resource principal named https://example.net was not found in the "
    "tenant."
)

CASES: Final = (
    Case(None, _well, "nothing is wrong"),
    Case(Cause.NAME_NOT_FOUND, _no_name, "the resolver knows no such name"),
    Case(Cause.PUBLIC_ADDRESS, _public, "the resolver gives a public address"),
    Case(Cause.PORT_UNREACHABLE, _no_port, "nobody listens at that address"),
    Case(Cause.TLS_NOT_TRUSTED, _no_trust, "the lab's authority is not trusted"),
    Case(Cause.TLS_FAILED, _no_tls, "an HTTP server listens there, in the clear"),
    Case(Cause.NO_ANSWER, _silence, "the services take bytes and answer nothing"),
    Case(Cause.IDENTITY_ENDPOINT_UNREACHABLE, _endpoint_gone, "the endpoint is stopped"),
    Case(Cause.IDENTITY_ENDPOINT_REFUSED, _wrong_header, "`IDENTITY_HEADER` is another's"),
    Case(
        Cause.IDENTITY_ENDPOINT_BUSY,
        _endpoint(HttpFault(status=429)),
        "the endpoint answers 429",
    ),
    Case(
        Cause.IDENTITY_ENDPOINT_FAILED,
        _endpoint(HttpFault(status=503)),
        "the endpoint answers 503",
    ),
    Case(Cause.IDENTITY_NOT_FOUND, _no_identity, "the client id is nobody's"),
    Case(
        Cause.AUDIENCE_UNKNOWN,
        _endpoint(HttpFault(status=400, code=_ENTRA)),
        "the endpoint passes on Entra's AADSTS500011",
    ),
    Case(
        Cause.TOKEN_MALFORMED,
        _endpoint(HttpFault(body='{"access_token": ')),
        "the endpoint answers half of a JSON object",
    ),
    Case(Cause.WRONG_IDENTITY, _other_identity, "another identity of the app has the roles"),
    Case(
        Cause.WRONG_AUDIENCE,
        _forged("aud", "https://vault.azure.net"),
        "tokens are made out to another service",
    ),
    Case(
        Cause.WRONG_TENANT,
        _forged("iss", "https://sts.windows.net/another-tenant/"),
        "tokens are issued by another tenant",
    ),
    Case(Cause.TOKEN_EXPIRED, _old_tokens, "the endpoint gives tokens of the day before"),
    Case(Cause.CLOCK_SKEW, _service_ahead, "the services' clocks are two days ahead"),
    Case(
        Cause.TOKEN_NOT_ACCEPTED,
        _token_refused,
        "the token is refused and no words say why",
        hides_words=True,
    ),
    Case(Cause.MISSING_ROLE, _no_role, "every role is revoked"),
    Case(Cause.ROLE_TOO_NEW, _role_of_now, "roles granted now take effect in five minutes"),
    Case(Cause.NETWORK_DENIED, _no_network, "the firewalls let nobody in"),
    Case(Cause.NO_SUCH_ENTITY, _no_entity, "hub, queue, topic and container are gone"),
    Case(Cause.ENTITY_DISABLED, _disabled, "the entities, and the account, are switched off"),
    Case(
        Cause.THROTTLED,
        _refused("com.microsoft:server-busy", "Too many.", 503, "ServerBusy"),
        "links are refused as busy, requests by 503",
    ),
    Case(
        Cause.QUOTA_EXCEEDED,
        _refused("amqp:resource-limit-exceeded", "Full.", 503, "ServerBusy"),
        "links are refused as too many",
        _AMQP,
    ),
    Case(
        Cause.UNAVAILABLE,
        _refused("amqp:internal-error", "Trouble.", 500, "InternalError"),
        "the services report trouble of their own",
    ),
    Case(Cause.LOCAL_AUTH_ALLOWED, _keys, "local authentication is on"),
    Case(
        Cause.TRUSTED_SERVICES_OFF,
        _untrusted,
        "the landing namespaces except no trusted services",
        _LISTENING,
    ),
    Case(
        Cause.UNKNOWN,
        _refused("com.example:novel", UNKNOWN_TEXT, 451, "Novel"),
        "the services say what no table knows",
    ),
)
