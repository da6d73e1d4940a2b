"""What the engine and a namespace's nodes ask of each other.

The engine (`connection.py`) owns sockets, frames, sessions, windows and tokens. A *service*
owns the entities of one namespace. For every link that a client attaches, the engine asks the
service for an *intake* (the client sends) or an *outlet* (the client receives), a fresh object
for this link alone, and then:

    client attaches     engine: service.intake(request) or service.outlet(request)
                                 raises Refusal: no such entity, disabled, ...
                        engine: checks end.claims against the connection's tokens and roles,
                                 refuses with `amqp:unauthorized-access`
                        engine: answer = await end.open(link)     may wait; may raise Refusal
                        engine: answers the attach, then lets credit and deliveries through
    client sends        engine: intake.take(delivery)
                        node:   delivery.accept() or delivery.reject(error), at once or later
    client grants       engine: outlet.credit()                   link.credit says how many
                        node:   link.send(payload, ...)           at once or when it has some
    client settles      engine: outlet.settled(tag, outcome, settled=...)
                        node:   link.dispose(tag, outcome)        where it awaits an echo
    node gives up       node:   link.detach(error)
    link ends           engine: end.closed(), exactly once, for whatever reason (detached by
                                 either side, session or connection ended), but only if `open`
                                 had returned; an `open` still waiting is cancelled

Everything runs on one asyncio loop: no locks. Except `open` and `answer`, nothing awaits; what
takes time a node does by its own timers. The engine gathers dispositions and frames and writes
them once per turn of the loop. An exception other than `Refusal` out of a node detaches that
link with `amqp:internal-error` and is logged.

`$cbs` is the engine's own. An address that ends in `$management` is a request/response node:
the engine pairs the client's two links and asks `service.manager(path)` once for both.

Messages are bytes here: encoded sections as they came, for `message.decode_message` and
`message.split_batch` to look into when something must be known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.messaging.codec import Value

BATCH_FORMAT: Final = 0x80013700
"""A transfer's message-format when its data sections hold one encoded message each."""


@dataclass(frozen=True, slots=True)
class Error:
    """An AMQP error: a condition for programs, a description for people, facts beside it."""

    condition: str
    description: str
    info: Mapping[str, Value] | None = None


class Refusal(Exception):  # noqa: N818 - the design's word
    """A node or the engine says no; the error goes onto the wire."""

    def __init__(self, error: Error) -> None:
        super().__init__(f"{error.condition}: {error.description}")
        self.error = error


class Right(StrEnum):
    """A claim by its name in Azure's refusals."""

    SEND = "Send"
    LISTEN = "Listen"


@dataclass(frozen=True, slots=True)
class Claim:
    """A right that a link needs.

    Attributes:
        right: what for.
        path: on what, as AMQP names it: `hub/consumergroups/$default`, `topic/Subscriptions/s`.
            The connection needs a token whose audience is this path, one above or one below it.
        scope: the same as an Azure Resource Manager id; a role assignment here or above counts.
    """

    right: Right
    path: str
    scope: str


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a client asks for when it attaches.

    Attributes:
        name: the link's name, chosen by the client.
        path: the address of the entity: without scheme, host and outer slashes, case as sent.
        filters: the source's filter set by key; a described filter is a `codec.Described`.
        properties: the link's properties by key.
        capabilities: the desired capabilities.
        send_mode: 0 unsettled, 1 settled (Service Bus: receive and delete), 2 mixed.
        receive_mode: 0 first, 1 second.
        client_address: the client's own end of the link, where it wants replies.
    """

    name: str
    path: str
    filters: Mapping[str, Value] = field(default_factory=dict)
    properties: Mapping[str, Value] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    send_mode: int = 2
    receive_mode: int = 0
    client_address: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node adds to the engine's attach; source and target are echoed by the engine.

    Attributes:
        properties: link properties to answer; Service Bus' batch limit, a session's lock.
        filters: replaces the echoed source's filter set; `None` echoes what was asked.
        capabilities: the offered capabilities.
        max_message_size: bytes; the engine detaches a client that sends more.
    """

    properties: Mapping[str, Value] = field(default_factory=dict)
    filters: Mapping[str, Value] | None = None
    capabilities: tuple[str, ...] = ()
    max_message_size: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """Taken (Service Bus: complete)."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused, with the reason where there is one (Service Bus: dead-letter)."""

    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """Given back untouched."""


@dataclass(frozen=True, slots=True)
class Modified:
    """Given back changed (Service Bus: abandon, or defer when `undeliverable_here`)."""

    delivery_failed: bool = False
    undeliverable_here: bool = False
    annotations: Mapping[str, Value] | None = None


type Outcome = Accepted | Rejected | Released | Modified


class Peer(Protocol):
    """The client at the other end of a connection."""

    @property
    def host(self) -> str:
        """The namespace as the client named it (`open.hostname`)."""

    def allows(self, claim: Claim) -> bool:
        """Tell whether a token of this connection bears this claim now."""

    def outlet(self, link_name: str) -> Outlet | None:
        """Return the open outlet whose link has this name (`associated-link-name`)."""


class Delivery(Protocol):
    """What a client sent, whole. Answer it once; a second answer changes nothing.

    Attributes:
        payload: the encoded message, or the envelope of a batch.
        message_format: 0 or `BATCH_FORMAT`.
    """

    payload: bytes
    message_format: int

    def accept(self) -> None:
        """Tell the client that it is safe."""

    def reject(self, error: Error) -> None:
        """Tell the client that it was not taken, and why."""


class Link(Protocol):
    """A link, as a node sees it."""

    @property
    def request(self) -> LinkRequest:
        """What the client asked for."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    def detach(self, error: Error) -> None:
        """End the link; `closed` of its intake or outlet is called before this returns."""


class OutgoingLink(Link, Protocol):
    """A link on which the client receives."""

    @property
    def credit(self) -> int:
        """How many messages may be sent now; 0 before the attach is answered and after its end.

        Also 0 while the client reads too slowly; `Outlet.credit` is called when that is over.
        """

    def send(self, payload: bytes, tag: bytes = b"", *, settled: bool = True) -> None:
        """Send one message (format 0), taking one credit.

        Check `credit` first: without credit this raises `RuntimeError`. An unsettled message
        needs a `tag` that is unique on the link (up to 32 bytes); the client's `settled` names
        it by that. The engine cuts the payload into frames.
        """

    def dispose(self, tag: bytes, outcome: Outcome) -> None:
        """Settle an unsettled message with this outcome, telling the client; then forget it.

        An unknown or already settled tag is ignored.
        """


class Intake(Protocol):
    """Where what a client sends ends up; one object a link."""

    @property
    def claims(self) -> Sequence[Claim]:
        """What the link needs: any one of these; empty is nothing. Read again on any change."""

    async def open(self, link: Link) -> Answer:
        """Get ready; raises `Refusal`."""

    def take(self, delivery: Delivery) -> None:
        """Take a delivery and answer it, now or later."""

    def closed(self) -> None:
        """Forget the link; deliveries not yet answered may still be answered, in vain."""


class Outlet(Protocol):
    """Where what a client receives comes from; one object a link."""

    @property
    def claims(self) -> Sequence[Claim]:
        """What the link needs: any one of these; empty is nothing. Read again on any change."""

    async def open(self, link: OutgoingLink) -> Answer:
        """Get ready; raises `Refusal`. Do not send here: there is no credit yet."""

    def credit(self) -> None:
        """The client granted credit: send what there is, up to `link.credit`.

        If the client drains, the engine takes back what is left when this returns.
        """

    def settled(self, tag: bytes, outcome: Outcome, *, settled: bool) -> None:
        """The client says what became of an unsettled message.

        `settled` True: it expects nothing more and the engine has forgotten the tag.
        `settled` False: it waits for `link.dispose(tag, ...)`.
        """

    def closed(self) -> None:
        """Forget the link; messages sent unsettled and not settled are the node's again."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks of a `$management` node.

    Attributes:
        properties: the application properties: `operation`, `type`, `name`, ...
        body: the value of the body, `None` when there is none.
    """

    properties: Mapping[str, Value]
    body: Value = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it is told; the engine adds the correlation id and sends it settled.

    Attributes:
        properties: the application properties; the service's own spelling of the status.
        body: the value of the body.
    """

    properties: Mapping[str, Value]
    body: Value = None


class Manager(Protocol):
    """A `$management` node, one object a pair of links."""

    @property
    def claims(self) -> Sequence[Claim]:
        """What attaching needs: any one of these; empty is nothing."""

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """Answer one request; requests of one pair of links are answered one after another.

        A `Refusal` raised here becomes a reply of status 500; say better with a `Reply`.
        """


class Service(Protocol):
    """All nodes of one namespace."""

    def intake(self, request: LinkRequest) -> Intake:
        """Return where this link's messages go; raises `Refusal` (`amqp:not-found`, ...)."""

    def outlet(self, request: LinkRequest) -> Outlet:
        """Return where this link's messages come from; raises `Refusal`."""

    def manager(self, path: str) -> Manager:
        """Return the manager at `path` (`$management`, `queue/$management`), or refuse."""

    def state(self) -> Mapping[str, object]:
        """Return counts by entity, ready for JSON."""

    def close(self) -> None:
        """Cancel every timer: the broker stops."""
