"""Sources and targets: what an attach says about where messages come from and go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.messaging.codec import Described, Symbol, Ulong, Value
from lab.messaging.frames import Attach, names
from lab.messaging.node import (
    Accepted,
    Error,
    LinkRequest,
    Modified,
    Outcome,
    Refusal,
    Rejected,
    Released,
)
from lab.messaging.refusals import NOT_IMPLEMENTED
from lab.messaging.wallet import entity_path

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE: Final = 0x28
TARGET: Final = 0x29
_ADDRESS: Final = 0
_FILTER: Final = 7

_ERROR: Final = 0x1D
_ACCEPTED: Final = 0x24
_REJECTED: Final = 0x25
_RELEASED: Final = 0x26
_MODIFIED: Final = 0x27

ACCEPTED_STATE: Final = Described(Ulong(_ACCEPTED), [])


def link_request(attach: Attach) -> LinkRequest:
    """Return what the client asks for; raises `Refusal` for what the lab does not speak."""
    ours, theirs = attach.source, attach.target
    if not attach.role:
        ours, theirs = theirs, ours
    filters = _field(attach.source, _FILTER)
    return LinkRequest(
        attach.name or "",
        entity_path(_address(ours)),
        _by_text(filters if isinstance(filters, dict) else {}),
        _by_text(attach.properties or {}),
        names(attach.desired_capabilities),
        2 if attach.snd_settle_mode is None else attach.snd_settle_mode,
        attach.rcv_settle_mode or 0,
        str(_field(theirs, _ADDRESS) or ""),
    )


def _address(terminus: Described | None) -> str:
    if terminus is not None and terminus.descriptor not in {SOURCE, TARGET}:
        raise Refusal(Error(NOT_IMPLEMENTED, "The lab has no transactions."))
    address = _field(terminus, _ADDRESS)
    if not isinstance(address, str):
        raise Refusal(Error(NOT_IMPLEMENTED, "The lab makes no dynamic addresses."))
    return address


def _field(terminus: Described | None, index: int) -> Value:
    fields = terminus.value if terminus is not None else None
    if not isinstance(fields, list) or index >= len(fields):
        return None
    value: Value = fields[index]
    return value


def _by_text(items: Mapping[Value, Value]) -> dict[str, Value]:
    return {str(key): value for key, value in items.items()}


def with_filters(
    source: Described | None, filters: Mapping[str, Value] | None
) -> Described | None:
    """Return the source to echo, its filter set replaced unless `filters` is `None`."""
    if source is None or filters is None or not isinstance(source.value, list):
        return source
    fields = source.value + [None] * (_FILTER + 1 - len(source.value))
    fields[_FILTER] = {Symbol(key): value for key, value in filters.items()}
    return Described(source.descriptor, fields)


def outcome(state: Described | None) -> Outcome | None:
    """Return a delivery state as an outcome, `None` when it is none (received, none at all)."""
    fields = state.value if state is not None and isinstance(state.value, list) else []
    match state.descriptor if state is not None else None:
        case 0x24:
            return Accepted()
        case 0x25:
            return Rejected(_error(fields[0]) if fields else None)
        case 0x26:
            return Released()
        case 0x27:
            return _modified([*fields, None, None, None])
        case _:
            return None


def _modified(fields: list[Value]) -> Modified:
    annotations = fields[2]
    return Modified(
        bool(fields[0]),
        bool(fields[1]),
        _by_text(annotations) if isinstance(annotations, dict) else None,
    )


def _error(described: Value) -> Error | None:
    if not isinstance(described, Described) or not isinstance(described.value, list):
        return None
    condition, description, info = [*described.value, None, None, None][:3]
    return Error(
        str(condition or ""),
        str(description or ""),
        _by_text(info) if isinstance(info, dict) else None,
    )


def state(result: Outcome) -> Described:
    """Return an outcome as the delivery state for the wire."""
    match result:
        case Accepted():
            return ACCEPTED_STATE
        case Rejected(error):
            return Described(Ulong(_REJECTED), [] if error is None else [described(error)])
        case Released():
            return Described(Ulong(_RELEASED), [])
        case Modified(failed, elsewhere, annotations):
            added = {Symbol(key): item for key, item in (annotations or {}).items()}
            return Described(Ulong(_MODIFIED), [failed, elsewhere, added or None])


def described(error: Error) -> Described:
    """Return an error for the wire, always with its three fields: clients index all of them."""
    info = {Symbol(key): item for key, item in (error.info or {}).items()}
    return Described(Ulong(_ERROR), [Symbol(error.condition), error.description, info or None])
