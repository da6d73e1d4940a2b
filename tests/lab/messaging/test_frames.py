from __future__ import annotations

import pytest

from lab.messaging.codec import CodecError, Described, Symbol, Ulong, decode
from lab.messaging.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Frame,
    FrameReader,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
    decode_frame,
    encode_frame,
    symbols,
)

PERFORMATIVES: list[tuple[Performative, int]] = [
    (Open("c"), 10),
    (Begin(1, 0, 10, 10), 8),
    (Attach("n", 1, False), 14),
    (Flow(0, 10, 0, 10), 11),
    (Transfer(1, 2, b"t", 0, settled=True), 11),
    (Disposition(True, 3), 6),
    (Detach(1), 3),
    (End(), 1),
    (Close(), 1),
    (SaslMechanisms(symbols("ANONYMOUS")), 1),
    (SaslInit(Symbol("ANONYMOUS")), 3),
    (SaslOutcome(0), 2),
]


@pytest.mark.parametrize(("performative", "fields"), PERFORMATIVES)
def test_every_field_is_written_however_empty(performative: Performative, fields: int) -> None:
    """azure-eventhub indexes fields by position and never pads."""
    raw = encode_frame(1, performative)

    described, _ = decode(raw, 8)

    assert isinstance(described, Described)
    assert len(described.value) == fields
    assert raw[8:10] == b"\x00\x53"
    assert raw[11] in {0xC0, 0xD0}


@pytest.mark.parametrize(("performative", "_fields"), PERFORMATIVES)
def test_a_frame_comes_back_as_it_went(performative: Performative, _fields: int) -> None:
    raw = encode_frame(7, performative, b"payload")

    assert decode_frame(raw) == Frame(7, performative, b"payload")


def test_trailing_fields_that_a_sender_leaves_out_are_null() -> None:
    raw = bytes.fromhex("00000010 02000001 0053 16 c0 03 01 52 01".replace(" ", ""))

    assert decode_frame(raw).performative == Detach(1)


def test_an_empty_frame_says_nothing() -> None:
    assert decode_frame(EMPTY_FRAME) == Frame(0, None, b"")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("00 53 99 c0 01 00", id="an unknown performative"),
        pytest.param("00 53 14 c0 01 00", id="a transfer without a handle"),
        pytest.param("00 53 14 c0 05 01 a1 02 6869", id="a handle that is text"),
        pytest.param("00 53 17 c0 03 02 40 40", id="more fields than there are"),
        pytest.param("00 a3 01 61 45", id="a name nobody knows"),
        pytest.param("41", id="no performative"),
    ],
)
def test_a_malformed_frame_is_refused(body: str) -> None:
    raw = bytes.fromhex(body)
    with pytest.raises(CodecError):
        decode_frame((len(raw) + 8).to_bytes(4) + b"\x02\x00\x00\x01" + raw)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 1000])
def test_a_stream_is_cut_into_headers_and_frames_however_it_arrives(size: int) -> None:
    frames = [AMQP_HEADER, encode_frame(0, Open("c")), EMPTY_FRAME, encode_frame(1, End())]
    stream = b"".join(frames)
    reader = FrameReader(4096)

    read = [
        frame
        for start in range(0, len(stream), size)
        for frame in reader.feed(stream[start : start + size])
    ]

    assert read == frames


@pytest.mark.parametrize("size", [0, 7, 513, 2**32 - 1])
def test_a_size_that_cannot_be_is_refused_at_once(size: int) -> None:
    reader = FrameReader(512)
    with pytest.raises(CodecError):
        list(reader.feed(size.to_bytes(4) + b"\x02\x00\x00\x00"))


def test_an_unwrapped_descriptor_is_a_small_ulong() -> None:
    assert decode_frame(encode_frame(0, End(Described(Ulong(0x1D), [])))).performative == End(
        Described(Ulong(0x1D), [])
    )
