"""Azure Resource Manager's shapes and refusals, asked over HTTPS as anybody would."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from lab.certificates import TlsFiles
from lab.identity import RESOURCE_GROUP, Directory
from lab.management import Management, Posture, postures_of

NAMESPACE = f"{RESOURCE_GROUP}/providers/Microsoft.EventHub/namespaces/analytics"
HUB = f"{NAMESPACE}/eventhubs/telemetry"
ACCOUNT = f"{RESOURCE_GROUP}/providers/Microsoft.Storage/storageAccounts/plant"
SENDER = "2b629674-e913-4c01-ae53-ef4638d8f975"
ARM = "https://management.azure.com/"


class World:
    def __init__(self, directory: Directory, management: Management, ca_file: str) -> None:
        self.directory = directory
        self.management = management
        self.relay = directory.register("relay", app="relay", system_assigned=True)
        self.other = directory.register("other", app="other", system_assigned=True)
        self._trust = ssl.create_default_context(cafile=ca_file)

    async def get(
        self, path: str, *, token: str | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        token = self.directory.issue(self.relay, ARM) if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        params = {"api-version": "2024-01-01"} | {
            {"filter": "$filter", "version": "api-version"}.get(name, name): value
            for name, value in query.items()
        }
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                self.management.url + path,
                headers=headers,
                params={name: value for name, value in params.items() if value},
                ssl=self._trust,
            ) as answer,
        ):
            return answer.status, await answer.json()

    async def code(self, path: str, **options: Any) -> tuple[int, str]:
        status, body = await self.get(path, **options)
        return status, body["error"]["code"]

    async def holders(self, scope: str, wanted: str) -> set[tuple[str, str]]:
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
        _, body = await self.get(path, filter=wanted)
        return {
            (each["properties"]["principalId"], each["properties"]["scope"])
            for each in body["value"]
        }


@pytest.fixture
async def world(tls: TlsFiles) -> AsyncIterator[World]:
    directory = Directory()
    postures = postures_of([NAMESPACE], "", ACCOUNT)
    management = Management(directory, tls, postures)
    await management.start()
    made = World(directory, management, str(tls.ca_file))
    directory.grant("relay", "Reader", RESOURCE_GROUP)
    yield made
    await management.stop()


async def test_a_namespace_says_how_it_is_locked(world: World) -> None:
    status, told = await world.get(NAMESPACE)

    assert status == 200
    assert told["type"] == "Microsoft.EventHub/namespaces"
    assert told["properties"]["disableLocalAuth"] is True
    assert told["properties"]["publicNetworkAccess"] == "Disabled"
    assert len(told["properties"]["privateEndpointConnections"]) == 1


async def test_an_account_says_it_in_the_words_of_storage(world: World) -> None:
    world.management.set_posture(ACCOUNT, local_auth=True, trusted_services=True)
    _, told = await world.get(ACCOUNT)

    assert told["properties"]["allowSharedKeyAccess"] is True
    assert told["properties"]["networkAcls"] == {
        "defaultAction": "Deny",
        "bypass": "AzureServices",
    }
    assert "disableLocalAuth" not in told["properties"]


async def test_the_network_rules_are_a_resource_of_their_own(world: World) -> None:
    world.management.set_posture(NAMESPACE.upper(), trusted_services=True)
    _, told = await world.get(f"{NAMESPACE}/networkRuleSets/default")

    assert told["name"] == "default"
    assert told["properties"]["trustedServiceAccessEnabled"] is True
    assert told["properties"]["defaultAction"] == "Deny"


async def test_assignments_are_told_at_above_and_below_a_scope(world: World) -> None:
    for who, scope in (("relay", HUB), ("other", NAMESPACE), ("relay", ACCOUNT)):
        world.directory.grant(who, SENDER, scope)
    me, other = world.relay.object_id, world.other.object_id

    assert await world.holders(HUB, "atScope()") == {
        (me, HUB),
        (other, NAMESPACE),
        (me, RESOURCE_GROUP),
    }
    assert await world.holders(NAMESPACE, f"principalId eq '{me}'") == {
        (me, HUB),
        (me, RESOURCE_GROUP),
    }


async def test_an_assignment_names_role_principal_and_time(world: World) -> None:
    world.directory.grant("relay", SENDER, HUB)
    path = f"{HUB}/providers/Microsoft.Authorization/roleAssignments"
    _, body = await world.get(path, filter="atScope()")
    (told,) = [each for each in body["value"] if each["properties"]["scope"] == HUB]

    assert told["properties"]["roleDefinitionId"].endswith(f"/roleDefinitions/{SENDER}")
    assert told["properties"]["principalType"] == "ServicePrincipal"
    assert told["properties"]["createdOn"].endswith("Z")
    assert told["id"].startswith(f"{HUB}/providers/Microsoft.Authorization/roleAssignments/")


async def test_whoever_lacks_reader_is_refused_in_azures_words(world: World) -> None:
    token = world.directory.issue(world.other, ARM)
    world.directory.grant("other", SENDER, RESOURCE_GROUP)
    status, body = await world.get(NAMESPACE, token=token)

    assert (status, body["error"]["code"]) == (403, "AuthorizationFailed")
    assert world.other.object_id in body["error"]["message"]
    assert "Microsoft.EventHub/namespaces/read" in body["error"]["message"]
    assert await world.code(
        f"{HUB}/providers/Microsoft.Authorization/roleAssignments", token=token
    ) == (403, "AuthorizationFailed")


async def test_a_reader_below_sees_nothing_above(world: World) -> None:
    world.directory.grant("other", "Reader", NAMESPACE)
    token = world.directory.issue(world.other, ARM)

    assert (await world.get(NAMESPACE, token=token))[0] == 200
    assert (await world.code(ACCOUNT, token=token))[0] == 403


@pytest.mark.parametrize("token", ["", "x.y.z"])
async def test_without_a_good_token_nobody_is_answered(world: World, token: str) -> None:
    assert (await world.code(NAMESPACE, token=token))[0] == 401


async def test_a_token_for_another_service_is_refused(world: World) -> None:
    token = world.directory.issue(world.relay, "https://eventhubs.azure.net/")

    assert await world.code(NAMESPACE, token=token) == (401, "InvalidAuthenticationToken")


async def test_a_token_that_ran_out_is_refused_as_such(world: World) -> None:
    token = world.directory.issue(world.relay, ARM)
    world.directory.expire_tokens()

    assert await world.code(NAMESPACE, token=token) == (401, "ExpiredAuthenticationToken")


async def test_what_is_not_there_and_what_is_not_asked_rightly(world: World) -> None:
    assert await world.code(NAMESPACE + "-2") == (404, "ResourceNotFound")
    assert await world.code(NAMESPACE, version="") == (400, "MissingApiVersionParameter")
    with pytest.raises(KeyError):
        world.management.set_posture(NAMESPACE + "-2", local_auth=True)


def test_the_landing_namespace_excepts_trusted_services() -> None:
    postures = postures_of([NAMESPACE, HUB], NAMESPACE, ACCOUNT)

    assert postures[NAMESPACE].trusted_services
    assert postures[HUB] == postures[ACCOUNT] == Posture()
