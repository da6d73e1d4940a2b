"""What the host says to a worker and hears from it, as values."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final, Literal

from lab.functions.protocol import protos

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Json = bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None
"""What JSON can say."""

_COLLECTIONS: Final = {
    "collection_bytes": ("CollectionBytes", "bytes"),
    "collection_string": ("CollectionString", "string"),
    "collection_sint64": ("CollectionSInt64", "sint64"),
}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request as the host hands it on: names in lower case, `None` for no body."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What an HTTP function answered; header names may occur twice (`Set-Cookie`)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return a header's first value, `""` when there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


@dataclass(frozen=True, slots=True)
class Data:
    """One typed value on its way to a function: the `TypedData` field and what is in it."""

    kind: Literal[
        "string",
        "json",
        "bytes",
        "http",
        "collection_bytes",
        "collection_string",
        "collection_sint64",
    ]
    value: str | bytes | HttpRequest | Sequence[bytes] | Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class RetryState:
    """Where the host's retry policy stands; a first attempt has count 0."""

    count: int
    maximum: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function.

    Attributes:
        id: unique; the worker ties log records to it.
        inputs: a value for each input binding, by the parameter's name.
        metadata: what the trigger knows beside its input.
    """

    id: str
    function_id: str
    inputs: Mapping[str, Data]
    metadata: Mapping[str, Data] = field(default_factory=dict)
    retry: RetryState | None = None
    trace_parent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an invocation ended.

    Attributes:
        error: the exception's type and text, `""` when the function succeeded.
        returned: the return value, when there was one.
    """

    error: str = ""
    stack: str = ""
    returned: HttpResponse | str | bytes | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the function returned."""
        return not self.error


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record of the app, of the worker library, or of this host.

    Attributes:
        level: as in `logging`.
        category: the logger's name; `Host…` for the host's own, `Host.Function.Console` for
            what the app printed.
        message: the formatted text, with a traceback when the record had one.
        properties: what stood as JSON behind the record's name, else what the app passed in
            `extra` (which Azure's worker keeps to itself).
        invocation_id: `""` outside an invocation.
        system: whether it comes from the worker library and not from the app.
    """

    level: int
    category: str
    message: str
    properties: Mapping[str, Json] = field(default_factory=dict)
    invocation_id: str = ""
    system: bool = False


def invocation_request(invocation: Invocation) -> Any:
    """Return the message that asks for an invocation."""
    message = protos.InvocationRequest(
        invocation_id=invocation.id,
        function_id=invocation.function_id,
        input_data=[
            protos.ParameterBinding(name=name, data=_typed(data))
            for name, data in invocation.inputs.items()
        ],
        trigger_metadata={name: _typed(data) for name, data in invocation.metadata.items()},
        trace_context=protos.RpcTraceContext(trace_parent=invocation.trace_parent),
    )
    if invocation.retry is not None:
        message.retry_context.retry_count = invocation.retry.count
        message.retry_context.max_retry_count = invocation.retry.maximum
        message.retry_context.exception.message = invocation.retry.error
    return message


def _typed(data: Data) -> Any:
    if isinstance(data.value, HttpRequest):
        return protos.TypedData(http=_http(data.value))
    if data.kind in _COLLECTIONS:
        collection, items = _COLLECTIONS[data.kind]
        value = getattr(protos, collection)(**{items: data.value})
        return protos.TypedData(**{data.kind: value})
    return protos.TypedData(**{data.kind: data.value})


def _http(request: HttpRequest) -> Any:
    message = protos.RpcHttp(
        method=request.method,
        url=request.url,
        headers=request.headers,
        query=request.query,
        params=request.params,
    )
    if request.body is not None:
        message.body.bytes = request.body
    return message


def answer(response: Any) -> Answer:
    """Return what an `InvocationResponse` says."""
    if response.result.status != protos.StatusResult.Success:
        problem = response.result.exception
        return Answer(error=problem.message or "no reason given", stack=problem.stack_trace)
    return Answer(returned=_returned(response.return_value))


def _returned(data: Any) -> HttpResponse | str | bytes | None:
    kind = data.WhichOneof("data")
    if kind == "http":
        return _http_response(data.http)
    if kind in {"string", "json", "bytes"}:
        value: str | bytes = getattr(data, kind)
        return value
    return None if kind is None else str(getattr(data, kind))


def _http_response(http: Any) -> HttpResponse:
    headers = tuple(http.headers.items())
    cookies = tuple(("set-cookie", _cookie(cookie)) for cookie in http.cookies)
    return HttpResponse(int(http.status_code or 200), headers + cookies, _body(http.body))


def _body(data: Any) -> bytes:
    match _returned(data):
        case str() as text:
            return text.encode()
        case bytes() as body:
            return body
        case _:
            return b""


def _cookie(cookie: Any) -> str:
    jar = SimpleCookie({cookie.name: cookie.value})
    morsel = jar[cookie.name]
    for attribute in ("domain", "path"):
        morsel[attribute] = getattr(cookie, attribute).value
    if cookie.expires.HasField("value"):
        expires = cookie.expires.value.ToDatetime()
        morsel["expires"] = f"{expires:%a, %d %b %Y %H:%M:%S GMT}"
    if cookie.max_age.HasField("value"):
        morsel["max-age"] = f"{cookie.max_age.value:.0f}"
    morsel["secure"] = cookie.secure.value
    morsel["httponly"] = cookie.http_only.value
    same_site = protos.RpcHttpCookie.SameSite.Name(cookie.same_site)
    morsel["samesite"] = {"None": "", "ExplicitNone": "None"}.get(same_site, same_site)
    return morsel.OutputString()


_LEVELS: Final = {
    "Trace": 5,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.NOTSET,
}


def rpc_log(record: LogRecord) -> Any:
    """Return the message that carries a log record."""
    names = (name for name, level in _LEVELS.items() if level and level <= record.level)
    return protos.RpcLog(
        invocation_id=record.invocation_id,
        category=record.category,
        level=protos.RpcLog.Level.Value(max(names, key=_LEVELS.__getitem__, default="None")),
        message=record.message,
        properties=json.dumps(record.properties) if record.properties else "",
        log_category="System" if record.system else "User",
    )


def log_record(message: Any) -> LogRecord:
    """Return the log record in an `RpcLog`.

    A text that is a name with a JSON object behind it is taken apart: the object's members are
    then the properties. In Azure the text is all that arrives; `extra` does not.
    """
    extra = json.loads(message.properties) if message.properties else {}
    text, properties = _taken_apart(message.message) or (message.message, extra)
    return LogRecord(
        level=_LEVELS[protos.RpcLog.Level.Name(message.level)],
        category=message.category,
        message=text,
        properties=properties,
        invocation_id=message.invocation_id,
        system=message.log_category == protos.RpcLog.System,
    )


def _taken_apart(text: str) -> tuple[str, Mapping[str, Json]] | None:
    name, _, rest = text.partition(" ")
    if not rest.startswith("{"):
        return None
    try:
        values = json.loads(rest)
    except ValueError:
        return None
    return name, values
