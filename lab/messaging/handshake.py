"""What two sides say before a connection is open: protocol headers, SASL, `open`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.messaging.codec import CodecError
from lab.messaging.frames import (
    AMQP_HEADER,
    SASL_HEADER,
    Open,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    decode_frame,
    encode_frame,
    symbols,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SASL_MECHANISMS: Final = ("MSSBCBS", "ANONYMOUS", "EXTERNAL")
"""None of which says who the client is: tokens do. PLAIN would be a key in the clear."""

SASL_OK: Final = 0
SASL_AUTH: Final = 1


class Unwelcome(Exception):  # noqa: N818 - a refusal is an answer, not a defect
    """The client wants another protocol; it has been told ours, and nothing is left to say."""


class Handshake:
    """The server's side of it, one header or frame at a time."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._next: Callable[[bytes], Open | None] = self._sasl_header

    def receive(self, raw: bytes) -> Open | None:
        """Take a header or frame; return the client's `open` when that has come.

        Raises:
            Unwelcome: the client cannot be served.
            CodecError: it does not speak the protocol.
        """
        return self._next(raw)

    def _sasl_header(self, raw: bytes) -> None:
        self._send(SASL_HEADER)
        if raw != SASL_HEADER:
            raise Unwelcome
        self._send(encode_frame(0, SaslMechanisms(symbols(*SASL_MECHANISMS))))
        self._next = self._sasl_init

    def _sasl_init(self, raw: bytes) -> None:
        init = decode_frame(raw).performative
        if not isinstance(init, SaslInit):
            raise CodecError("sasl-init was expected")
        code = SASL_OK if init.mechanism in SASL_MECHANISMS else SASL_AUTH
        self._send(encode_frame(0, SaslOutcome(code)))
        if code != SASL_OK:
            raise Unwelcome
        self._next = self._amqp_header

    def _amqp_header(self, raw: bytes) -> None:
        self._send(AMQP_HEADER)
        if raw != AMQP_HEADER:
            raise Unwelcome
        self._next = self._open

    def _open(self, raw: bytes) -> Open:
        frame = decode_frame(raw).performative
        if not isinstance(frame, Open):
            raise CodecError("open was expected")
        return frame
