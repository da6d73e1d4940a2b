"""The control surface over HTTP, on loopback: GET /state, and POST for everything else.

There is no authentication, so it listens on loopback, answers to loopback's names only, and
takes JSON only: a web page that somebody has open can then do nothing with it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from lab.control import Control
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

type Field = type[str | int | float]


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do.

    Attributes:
        do: the method of `Control`.
        required: what it must be told, by name and type.
        optional: what it may be told.
    """

    do: Callable[..., Any]
    required: Mapping[str, Field]
    optional: Mapping[str, Field]

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check what was given.

        Raises:
            ValueError: something is missing, unknown or of another type.
        """
        known = {**self.required, **self.optional}
        problems = [f"{name!r} is missing" for name in self.required if name not in given]
        for name, value in given.items():
            if name not in known:
                problems.append(f"there is no {name!r}; known: {', '.join(known) or 'none'}")
            elif isinstance(value, bool) or not isinstance(value, _accepted(known[name])):
                problems.append(f"{name!r} must be {known[name].__name__}")
        if problems:
            raise ValueError("; ".join(problems))
        return dict(given)


def _command(do: Callable[..., Any], optional: str = "", /, **fields: Field) -> Command:
    free = optional.split()
    return Command(
        do,
        {name: kind for name, kind in fields.items() if name not in free},
        {name: kind for name, kind in fields.items() if name in free},
    )


COMMANDS: Final[Mapping[str, Command]] = {
    "/roles/grant": _command(Control.grant, identity=str, role=str, scope=str),
    "/roles/revoke": _command(Control.revoke, identity=str, role=str, scope=str),
    "/tokens/lifetime": _command(Control.set_token_lifetime, seconds=float),
    "/tokens/expire": _command(Control.expire_tokens, "identity", identity=str),
    "/tokens/clock": _command(Control.set_token_clock, seconds=float),
    "/tokens/forge": _command(Control.forge_claim, claim=str, value=str),
    "/tokens/unforge": _command(Control.unforge_claims),
    "/roles/delay": _command(Control.set_role_delay, seconds=float),
    "/keys/allow": _command(Control.allow_keys, scope=str),
    "/keys/forbid": _command(Control.forbid_keys, scope=str),
    "/trusted-services/except": _command(Control.except_trusted_services, namespace=str),
    "/trusted-services/stop": _command(Control.stop_trusted_services, namespace=str),
    "/identity/refuse": _command(Control.refuse_identity, "times", status=int, times=int),
    "/identity/delay": _command(Control.delay_identity, seconds=float),
    "/identity/garble": _command(Control.garble_identity),
    "/identity/stop": _command(Control.stop_identity),
    "/identity/allow": _command(Control.allow_identity),
    "/network/deny": _command(Control.deny_network, namespace=str),
    "/network/allow": _command(Control.allow_network, namespace=str),
    "/throttle": _command(
        Control.throttle, "entity times", namespace=str, entity=str, times=int
    ),
    "/reject": _command(
        Control.reject, "entity times", namespace=str, condition=str, entity=str, times=int
    ),
    "/links/refuse": _command(
        Control.refuse_links,
        "entity times",
        namespace=str,
        condition=str,
        entity=str,
        times=int,
    ),
    "/acknowledgements/drop": _command(
        Control.drop_acknowledgements, "entity times", namespace=str, entity=str, times=int
    ),
    "/acknowledgements/cut": _command(
        Control.cut_acknowledgements, "entity times", namespace=str, entity=str, times=int
    ),
    "/disable": _command(Control.disable, namespace=str, entity=str),
    "/delete": _command(Control.delete, namespace=str, entity=str),
    "/restore": _command(Control.restore, namespace=str, entity=str),
    "/recreate": _command(Control.recreate, namespace=str, hub=str, partitions=int),
    "/partitions/add": _command(Control.add_partitions, namespace=str, hub=str, count=int),
    "/freeze": _command(Control.freeze, namespace=str),
    "/thaw": _command(Control.thaw, namespace=str),
    "/cut": _command(Control.cut, namespace=str),
    "/detach": _command(Control.detach, "entity", namespace=str, entity=str),
    "/idle": _command(Control.expire_idle, namespace=str),
    "/heal": _command(Control.heal, namespace=str),
    "/storage/refuse": _command(
        Control.refuse_storage,
        "times container acts",
        status=int,
        code=str,
        times=int,
        container=str,
        acts=str,
    ),
    "/storage/silence": _command(
        Control.silence_storage, "container acts", container=str, acts=str
    ),
    "/storage/delay": _command(
        Control.delay_storage, "container acts", seconds=float, container=str, acts=str
    ),
    "/storage/allow": _command(Control.allow_storage),
    "/event-grid/subscribe": _command(
        Control.subscribe,
        "schema dead_letters audience batch",
        topic=str,
        name=str,
        url=str,
        schema=str,
        dead_letters=str,
        audience=str,
        batch=int,
    ),
    "/event-grid/unsubscribe": _command(Control.unsubscribe, topic=str, name=str),
    "/event-grid/refuse": _command(
        Control.refuse_publishing, "times", topic=str, status=int, times=int
    ),
    "/event-grid/hold": _command(Control.hold_deliveries, topic=str),
    "/event-grid/release": _command(Control.release_deliveries, topic=str),
    "/event-grid/duplicate": _command(
        Control.duplicate_deliveries, "times", topic=str, times=int
    ),
    "/event-grid/disorder": _command(Control.disorder_deliveries, topic=str),
    "/event-grid/heal": _command(Control.heal_topic, topic=str),
    "/event-grid/tokens/spoil": _command(Control.spoil_webhook_tokens, what=str),
    "/event-grid/tokens/mend": _command(Control.mend_webhook_tokens),
    "/traffic/delay": _command(
        Control.delay_traffic, "jitter way", place=str, seconds=float, jitter=float, way=str
    ),
    "/traffic/limit": _command(
        Control.limit_traffic, "way", place=str, bytes_per_second=int, way=str
    ),
    "/traffic/slice": _command(
        Control.slice_traffic, "seconds way", place=str, size=int, seconds=float, way=str
    ),
    "/traffic/swallow": _command(Control.swallow_traffic, "way", place=str, way=str),
    "/traffic/lose": _command(Control.lose_traffic, place=str, seconds=float, every=float),
    "/traffic/reset": _command(Control.reset_traffic, "after", place=str, after=float),
    "/traffic/close-slowly": _command(Control.close_slowly, place=str, seconds=float),
    "/traffic/down": _command(Control.take_down, place=str),
    "/traffic/clear": _command(Control.clear_traffic, place=str),
}
"""Everything that can be done, by its path."""

_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})


class ControlServer:
    """Serves a `Control`."""

    def __init__(self, control: Control, *, port: int = 0) -> None:
        self._control = control
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/", self._commands)
        app.router.add_get("/state", self._state)
        app.router.add_post("/{command:.+}", self._do)
        self._server = HttpServer("the control surface", app, port=port)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return self._server.url

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: the port is taken.
        """
        await self._server.start()

    async def stop(self) -> None:
        """Listen no longer."""
        await self._server.stop()

    async def _commands(self, _request: web.Request) -> web.Response:
        return web.json_response({"GET": ["/state"], "POST": _described()})

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._control.state())

    async def _do(self, request: web.Request) -> web.Response:
        command = COMMANDS.get(request.path)
        if command is None:
            return _problem(404, f"no such command; known: {', '.join(COMMANDS)}")
        try:
            given = await _body(request)
            done = command.do(self._control, **command.arguments(given))
            if inspect.isawaitable(done):
                await done
        except LookupError as error:
            return _problem(404, str(error))
        except (ValueError, OverflowError) as error:
            return _problem(400, str(error))
        return web.json_response({"done": request.path, **given})


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Any]
) -> web.StreamResponse:
    if request.host.partition(":")[0] not in _HOSTS:
        return _problem(403, "only 127.0.0.1 and localhost are answered to")
    if request.method == "POST" and request.content_type != "application/json":
        return _problem(415, "send JSON, with Content-Type: application/json")
    try:
        response: web.StreamResponse = await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        asked = f"{request.method} {request.path}"
        return _problem(404, f"there is no {asked}; GET / lists what there is")
    return response


async def _body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that was sent; nothing is an empty one.

    Raises:
        ValueError: it is something else.
    """
    try:
        given = await request.json() if request.can_read_body else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ValueError("send one JSON object")  # noqa: TRY004 - what was sent, not a type
    return given


def _described() -> dict[str, dict[str, str]]:
    return {
        path: {name: kind.__name__ for name, kind in command.required.items()}
        | {name: f"{kind.__name__}, optional" for name, kind in command.optional.items()}
        for path, command in COMMANDS.items()
    }


def _accepted(field: Field) -> tuple[type, ...]:
    return (int, float) if field is float else (field,)


def _problem(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
