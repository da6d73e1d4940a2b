"""AMQP 1.0 frames: the performatives with all their fields, and the bytes around them.

Every field of every performative is written, nulls included: azure-eventhub reads them by
position and does not pad (Azure/azure-sdk-for-python#39894).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lab.messaging.codec import (
    Array,
    CodecError,
    Described,
    Symbol,
    Ubyte,
    Uint,
    Ulong,
    Ushort,
    Value,
    decode,
    encode,
    encode_list,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

AMQP_HEADER: Final = b"AMQP\x00\x01\x00\x00"
SASL_HEADER: Final = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME: Final = b"\x00\x00\x00\x08\x02\x00\x00\x00"
AMQP_FRAME: Final = 0
SASL_FRAME: Final = 1

SERIAL: Final = 1 << 32
"""Where delivery and transfer numbers begin anew."""

_PREFIX: Final = struct.Struct(">IBBH")


class Open(NamedTuple):
    """The connection begins."""

    container_id: str | None = None
    hostname: str | None = None
    max_frame_size: int | None = None
    channel_max: int | None = None
    idle_time_out: int | None = None
    outgoing_locales: Value = None
    incoming_locales: Value = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: dict[Any, Any] | None = None


class Begin(NamedTuple):
    """A session begins."""

    remote_channel: int | None = None
    next_outgoing_id: int | None = None
    incoming_window: int | None = None
    outgoing_window: int | None = None
    handle_max: int | None = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: dict[Any, Any] | None = None


class Attach(NamedTuple):
    """A link begins; `role` is True for the receiver."""

    name: str | None = None
    handle: int | None = None
    role: bool | None = None
    snd_settle_mode: int | None = None
    rcv_settle_mode: int | None = None
    source: Described | None = None
    target: Described | None = None
    unsettled: dict[Any, Any] | None = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: dict[Any, Any] | None = None


class Flow(NamedTuple):
    """Windows of the session, and with a handle credit of a link."""

    next_incoming_id: int | None = None
    incoming_window: int | None = None
    next_outgoing_id: int | None = None
    outgoing_window: int | None = None
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool | None = None
    echo: bool | None = None
    properties: dict[Any, Any] | None = None


class Transfer(NamedTuple):
    """A message or a part of one; the payload follows."""

    handle: int | None = None
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool | None = None
    rcv_settle_mode: int | None = None
    state: Described | None = None
    resume: bool | None = None
    aborted: bool | None = None
    batchable: bool | None = None


class Disposition(NamedTuple):
    """What became of deliveries; `role` is True when the receiver says so."""

    role: bool | None = None
    first: int | None = None
    last: int | None = None
    settled: bool | None = None
    state: Described | None = None
    batchable: bool | None = None


class Detach(NamedTuple):
    """A link ends."""

    handle: int | None = None
    closed: bool | None = None
    error: Described | None = None


class End(NamedTuple):
    """A session ends."""

    error: Described | None = None


class Close(NamedTuple):
    """The connection ends."""

    error: Described | None = None


class SaslMechanisms(NamedTuple):
    """How a client may say who it is."""

    mechanisms: Value = None


class SaslInit(NamedTuple):
    """How it does."""

    mechanism: str | None = None
    initial_response: bytes | None = None
    hostname: str | None = None


class SaslOutcome(NamedTuple):
    """Whether that was enough; 0 is yes."""

    code: int | None = None
    additional_data: bytes | None = None


type Performative = (
    Open | Begin | Attach | Flow | Transfer | Disposition | Detach | End | Close
    | SaslMechanisms | SaslInit | SaslOutcome
)  # fmt: skip

_ANY: Final = object


class _Layout(NamedTuple):
    """How a performative stands on the wire: its code, its fields' types, how many it needs."""

    code: int
    kind: Callable[..., Performative]
    types: tuple[type, ...]
    required: tuple[int, ...]


_ATTACH_REST: Final = (dict, bool, Uint, Ulong, _ANY, _ANY, dict)
_LAYOUTS: Final = (
    _Layout(
        0x10,
        Open,
        (str, str, Uint, Ushort, Uint, _ANY, _ANY, _ANY, _ANY, dict),
        (0,),
    ),
    _Layout(0x11, Begin, (Ushort, Uint, Uint, Uint, Uint, _ANY, _ANY, dict), (1, 2, 3)),
    _Layout(
        0x12,
        Attach,
        (str, Uint, bool, Ubyte, Ubyte, Described, Described, *_ATTACH_REST),
        (0, 1, 2),
    ),
    _Layout(
        0x13,
        Flow,
        (Uint, Uint, Uint, Uint, Uint, Uint, Uint, Uint, bool, bool, dict),
        (1, 2, 3),
    ),
    _Layout(
        0x14,
        Transfer,
        (Uint, Uint, bytes, Uint, bool, bool, Ubyte, Described, bool, bool, bool),
        (0,),
    ),
    _Layout(0x15, Disposition, (bool, Uint, Uint, bool, Described, bool), (0, 1)),
    _Layout(0x16, Detach, (Uint, bool, Described), (0,)),
    _Layout(0x17, End, (Described,), ()),
    _Layout(0x18, Close, (Described,), ()),
    _Layout(0x40, SaslMechanisms, (_ANY,), ()),
    _Layout(0x41, SaslInit, (Symbol, bytes, str), (0,)),
    _Layout(0x44, SaslOutcome, (Ubyte, bytes), (0,)),
)
_BY_CODE: Final = {layout.code: layout for layout in _LAYOUTS}
_BY_KIND: Final[Mapping[object, _Layout]] = {layout.kind: layout for layout in _LAYOUTS}
_UNWRAPPED: Final = frozenset({_ANY, Described, dict, bool, bytes})
_BASES: Final[Mapping[type, type]] = {
    Uint: int,
    Ushort: int,
    Ubyte: int,
    Ulong: int,
    Symbol: str,
}


class Frame(NamedTuple):
    """One frame: its channel, what it says, and what a transfer carries."""

    channel: int
    performative: Performative | None
    payload: bytes


def encode_frame(channel: int, performative: Performative, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    layout = _BY_KIND[type(performative)]
    items = [_field(item, of) for item, of in zip(performative, layout.types, strict=True)]
    body = bytes((0, 0x53, layout.code)) + encode_list(items) + payload
    kind = SASL_FRAME if layout.code >= 0x40 else AMQP_FRAME
    return _PREFIX.pack(len(body) + 8, 2, kind, channel) + body


def _field(item: Value, of: type) -> bytes:
    if item is None:
        return b"\x40"
    return encode(item if of in _UNWRAPPED else of(item))


def decode_frame(raw: bytes) -> Frame:
    """Return what a whole frame says; raises `CodecError`."""
    _, offset, _, channel = _PREFIX.unpack_from(raw)
    start = offset * 4
    if start < 8 or start > len(raw):
        raise CodecError(f"a frame's data cannot begin at byte {start}")
    if start == len(raw):
        return Frame(channel, None, b"")
    described, end = decode(raw, start)
    return Frame(channel, _performative(described), raw[end:])


def _performative(described: object) -> Performative:
    if not isinstance(described, Described) or not isinstance(described.value, list):
        raise CodecError("a frame without a performative")
    layout = (
        _BY_CODE.get(described.descriptor) if isinstance(described.descriptor, int) else None
    )
    if layout is None:
        raise CodecError(f"unknown performative {described.descriptor!r}")
    return _checked(layout, described.value)


def _checked(layout: _Layout, items: list[Any]) -> Performative:
    missing = len(layout.types) - len(items)
    if missing < 0:
        raise CodecError(f"performative 0x{layout.code:x} has {len(items)} fields")
    items.extend([None] * missing)
    for item, of in zip(items, layout.types, strict=True):
        if item is not None and not isinstance(item, _BASES.get(of, of)):
            raise CodecError(f"performative 0x{layout.code:x}: {item!r} is no {of.__name__}")
    if any(items[index] is None for index in layout.required):
        raise CodecError(f"performative 0x{layout.code:x} lacks a mandatory field")
    return layout.kind(*items)


class FrameReader:
    """Cuts a stream into protocol headers and whole frames.

    Attributes:
        max_frame_size: bytes; a larger frame raises `CodecError` before it is gathered.
    """

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each header and frame that is whole now; raises `CodecError`."""
        buffer = self._buffer
        buffer += chunk
        position = 0
        try:
            while len(buffer) - position >= 8:
                size = self._size(buffer, position)
                if len(buffer) - position < size:
                    break
                yield bytes(buffer[position : position + size])
                position += size
        finally:
            del buffer[:position]

    def _size(self, buffer: bytearray, position: int) -> int:
        if buffer.startswith(b"AMQP", position):
            return 8
        size = int.from_bytes(buffer[position : position + 4], "big")
        if not 8 <= size <= self.max_frame_size:
            raise CodecError(f"a frame of {size} bytes")
        return size


def symbols(*names: str) -> Array:
    """Return capabilities or mechanisms: an array, however many there are."""
    return Array(Symbol, tuple(Symbol(name) for name in names))


def names(capabilities: Value) -> tuple[str, ...]:
    """Return capabilities, which may be one symbol or an array, as text."""
    if isinstance(capabilities, Array):
        return tuple(str(item) for item in capabilities.items)
    return (capabilities,) if isinstance(capabilities, str) else ()
