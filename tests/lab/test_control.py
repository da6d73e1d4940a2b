from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from lab.control_http import COMMANDS, ControlServer
from lab.identity import TokenRefused, UnknownNameError
from lab.local_azure import LocalAzure

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = "Azure Event Hubs Data Sender"
AUDIENCE = "https://eventhubs.azure.net"


@pytest_asyncio.fixture(loop_scope="session")
async def server(azure: LocalAzure) -> AsyncIterator[ControlServer]:
    server = ControlServer(azure.control)
    await server.start()
    yield server
    await server.stop()


async def post(server: ControlServer, path: str, body: Any = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url + path, json={} if body is None else body) as answer,
    ):
        return answer.status, await answer.json()


async def get(server: ControlServer, path: str, **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url + path, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


def may_send(azure: LocalAzure) -> bool:
    relay = azure.directory.principal("relay").object_id
    scope = azure.control.scope("analytics/telemetry")
    return azure.directory.allows(relay, "eventhubs/send", scope)


async def test_a_role_is_revoked_and_granted_by_short_names(
    azure: LocalAzure, server: ControlServer
) -> None:
    role = {"identity": "relay", "role": SENDER, "scope": "analytics/telemetry"}

    assert await post(server, "/roles/revoke", role) == (200, {"done": "/roles/revoke", **role})
    assert not may_send(azure)
    assert await post(server, "/roles/grant", role) == (200, {"done": "/roles/grant", **role})
    assert may_send(azure)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        pytest.param(
            "/roles/grant",
            {"identity": "realy", "role": SENDER, "scope": "analytics"},
            404,
            "no identity is called 'realy'; known: auditor",
            id="an unknown identity",
        ),
        pytest.param(
            "/roles/grant",
            {"identity": "relay", "role": "Sender", "scope": "analytics"},
            404,
            "no role is called 'Sender'; known: Azure Digital Twins Data Owner",
            id="an unknown role",
        ),
        pytest.param(
            "/roles/grant",
            {"identity": "relay", "role": SENDER, "scope": "analytic"},
            404,
            "no scope is called 'analytic'; known: analytics,",
            id="an unknown scope",
        ),
        pytest.param(
            "/network/deny",
            {"namespace": "analytic"},
            404,
            "no namespace is called 'analytic'; known: analytics,",
            id="an unknown namespace",
        ),
        pytest.param(
            "/throttle",
            {"namespace": "analytics", "entity": "alarms"},
            404,
            "no entity of analytics is called 'alarms'; known: telemetry, twin-changes",
            id="an unknown entity",
        ),
        pytest.param(
            "/reboot", {}, 404, "no such command; known: /roles/grant", id="a command"
        ),
        pytest.param(
            "/throttle",
            {"entity": "telemetry", "times": "2", "speed": 1},
            400,
            "'namespace' is missing; 'times' must be int; there is no 'speed'; known: ",
            id="all that is wrong with the arguments",
        ),
        pytest.param(
            "/storage/refuse",
            {"status": 200, "code": "Fine"},
            400,
            "a refusal's status is between 400 and 599, not 200",
            id="a status that is no refusal",
        ),
        pytest.param(
            "/identity/refuse",
            {"status": 500, "times": 0},
            400,
            "a fault happens at least once, not 0 times",
            id="a fault that never happens",
        ),
        pytest.param(
            "/tokens/lifetime",
            {"seconds": 1e400},
            400,
            "cannot convert float infinity",
            id="a time without end",
        ),
        pytest.param(
            "/traffic/swallow",
            {"place": "analytics"},
            404,
            "no proxied place is called 'analytics'; known: ",
            id="a place without a proxy",
        ),
        pytest.param(
            "/storage/delay",
            {"seconds": 1, "acts": "reads"},
            400,
            "no kinds of requests: reads (delete, lease, read, write)",
            id="an unknown kind of requests",
        ),
        pytest.param(
            "/recreate",
            {"namespace": "analytics", "hub": "alarms", "partitions": 2},
            404,
            "no hub of analytics is called 'alarms'",
            id="an unknown hub",
        ),
        pytest.param("/cut", [1], 400, "send one JSON object", id="no object"),
    ],
)
async def test_what_cannot_be_done_is_told_with_what_can(
    server: ControlServer, path: str, body: Any, status: int, said: str
) -> None:
    got, answer = await post(server, path, body)

    assert status == got
    assert said in answer["error"]


@pytest.mark.parametrize("path", ["/nowhere", "/roles/grant", "/state/telemetry"])
async def test_a_wrong_path_is_told_where_the_right_ones_are(
    server: ControlServer, path: str
) -> None:
    told = {"error": f"there is no GET {path}; GET / lists what there is"}

    assert (404, told) == await get(server, path)


async def test_what_is_no_json_is_refused(server: ControlServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            server.url + "/cut", data="{", headers={"Content-Type": "application/json"}
        ) as broken,
        session.post(server.url + "/cut", data='{"namespace": "analytics"}') as plain,
    ):
        assert (broken.status, plain.status) == (400, 415)


async def test_only_loopbacks_names_are_answered_to(server: ControlServer) -> None:
    assert (await get(server, "/state", Host="lab.example"))[0] == 403


async def test_the_commands_describe_themselves(server: ControlServer) -> None:
    _, described = await get(server, "/")

    assert described["POST"].keys() == COMMANDS.keys()
    assert described["POST"]["/throttle"] == {
        "namespace": "str",
        "entity": "str, optional",
        "times": "int, optional",
    }


async def test_the_state_tells_everything_but_secrets(
    azure: LocalAzure, server: ControlServer
) -> None:
    _, state = await get(server, "/state")
    relay = next(each for each in state["identities"] if each["name"] == "relay")

    assert {each["role"] for each in relay["roles"]} == {
        "Azure Event Hubs Data Receiver",
        SENDER,
        "Storage Blob Data Contributor",
        "Storage Blob Data Owner",
    }
    assert state["messaging"].keys() == {"ingress", "analytics", "operations"}
    assert state["storage"] == {"url": azure.storage.url, "running": True, "fault": None}
    assert azure.directory.header("relay") not in str(state)


async def test_tokens_are_shortened_and_ended(azure: LocalAzure, server: ControlServer) -> None:
    directory = azure.directory
    before = directory.token_lifetime
    await post(server, "/tokens/lifetime", {"seconds": 7.5})
    token = directory.issue(directory.principal("digital-twins"), AUDIENCE)
    directory.verify(token, {AUDIENCE})
    await post(server, "/tokens/expire", {"identity": "digital-twins"})

    assert directory.token_lifetime.total_seconds() == 7.5
    directory.token_lifetime = before
    with pytest.raises(TokenRefused, match="ExpiredToken"):
        directory.verify(token, {AUDIENCE})


async def test_storage_and_identity_fail_and_recover_as_told(
    azure: LocalAzure, server: ControlServer
) -> None:
    await post(server, "/storage/refuse", {"status": 403, "code": "AuthorizationFailure"})
    await post(server, "/identity/refuse", {"status": 500, "times": 3})
    await post(server, "/identity/stop")
    _, broken = await get(server, "/state")
    await post(server, "/storage/allow")
    await post(server, "/identity/allow")
    _, mended = await get(server, "/state")

    assert broken["storage"]["fault"] == {"status": 403, "code": "AuthorizationFailure"}
    assert broken["identity_endpoint"] == {
        "url": azure.endpoint.url,
        "running": False,
        "fault": {"status": 500, "times": 3},
    }
    assert mended["storage"]["fault"] is None
    assert mended["identity_endpoint"] == {
        "url": azure.endpoint.url,
        "running": True,
        "fault": None,
    }


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/network/deny", {}),
        ("/network/allow", {}),
        ("/throttle", {"entity": "telemetry", "times": 1}),
        ("/reject", {"condition": "amqp:internal-error"}),
        ("/links/refuse", {"condition": "amqp:internal-error", "times": 1}),
        ("/acknowledgements/drop", {"times": 1}),
        ("/disable", {"entity": "telemetry"}),
        ("/delete", {"entity": "telemetry"}),
        ("/restore", {"entity": "telemetry"}),
        ("/freeze", {}),
        ("/thaw", {}),
        ("/cut", {}),
        ("/detach", {"entity": "telemetry"}),
    ],
)
async def test_every_fault_of_messaging_can_be_had_and_healed(
    server: ControlServer, path: str, more: dict[str, Any]
) -> None:
    namespace = {"namespace": "analytics"}

    assert (await post(server, path, namespace | more))[0] == 200
    assert (await post(server, "/heal", namespace))[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/identity/delay", {"seconds": 1}),
        ("/identity/garble", {}),
        ("/storage/silence", {}),
        ("/storage/delay", {"seconds": 0.5}),
    ],
)
async def test_the_other_faults_can_be_had_and_healed(
    azure: LocalAzure, server: ControlServer, path: str, body: dict[str, Any]
) -> None:
    assert (await post(server, path, body))[0] == 200
    assert (azure.endpoint.faults.fault is None) is path.startswith("/storage")
    await post(server, "/identity/allow")
    await post(server, "/storage/allow")

    assert azure.endpoint.faults.fault is azure.storage.fault is None


async def test_every_command_takes_what_its_method_takes() -> None:
    for path, command in COMMANDS.items():
        taken = command.do.__code__.co_varnames[1 : command.do.__code__.co_argcount]

        assert set(taken) == {*command.required, *command.optional}, path


async def test_a_resource_id_is_its_own_scope(azure: LocalAzure) -> None:
    audit = azure.control.scope("operations/lifecycle/audit")

    assert audit.endswith("/topics/lifecycle/subscriptions/audit")
    assert audit == azure.control.scope(audit)
    with pytest.raises(UnknownNameError):
        azure.control.scope("")
