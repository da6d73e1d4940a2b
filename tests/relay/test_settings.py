"""Everything wrong with the settings is said at once, and nothing that is secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from relay.routing import Destination, Kind
from relay.settings import (
    Connection,
    Container,
    Ingress,
    ManagedIdentity,
    Network,
    Problem,
    Settings,
    SettingsError,
    Transport,
    WaysIn,
    read,
)
from tests.relay.test_secrets import SECRETS

CLIENT_ID = "7b0c9d3e-52b4-4c8b-9a54-0f6e2a8d1c11"
NAMESPACE_ID = (
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.ServiceBus/namespaces/plant"
)
HERE = Path(__file__).parent

ROUTE: dict[str, Any] = {
    "name": "twin-changes",
    "filter": "type = 'Microsoft.DigitalTwins.Twin.Update'",
    "destination": {"connection": "ANALYTICS", "eventHub": "twin-changes"},
}
ALARMS: dict[str, Any] = {
    "name": "alarms",
    "filter": "true",
    "destination": {"connection": "OPERATIONS", "queue": "alarms", "session": True},
    "ordered": False,
}
GOOD: dict[str, str] = {
    "RELAY_ROUTES": json.dumps([ROUTE]),
    "INGRESS_EVENT_HUB": "twin-events",
    "INGRESS_CONSUMER_GROUP": "$Default",
    "INGRESS__fullyQualifiedNamespace": "ingress.servicebus.windows.net",
    "INGRESS__credential": "managedidentity",
    "ANALYTICS__fullyQualifiedNamespace": "analytics.servicebus.windows.net",
    "DEAD_LETTERS__blobServiceUri": "https://plant.blob.core.windows.net",
    "DEAD_LETTERS_CONTAINER": "dead-letters",
    "PATH": "/usr/bin",
}
HUB = Ingress(
    Connection("INGRESS", "ingress.servicebus.windows.net"),
    Kind.EVENT_HUB,
    "twin-events",
    "$Default",
)


def with_routes(*routes: object, **changes: str) -> dict[str, str]:
    return {**GOOD, "RELAY_ROUTES": json.dumps(routes), **changes}


def with_route(**changes: object) -> dict[str, str]:
    return with_routes({**ROUTE, **changes})


def to(**destination: object) -> dict[str, str]:
    return with_route(destination={"connection": "ANALYTICS", **destination})


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name not in names}


def problems_of(environment: Mapping[str, str], directory: Path = HERE) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        read(environment, directory)
    return list(caught.value.problems)


def names_of(environment: Mapping[str, str], directory: Path = HERE) -> list[str]:
    return [problem.setting for problem in problems_of(environment, directory)]


# What is right


def test_good_settings_become_one_frozen_value() -> None:
    told = read(
        with_routes(
            ROUTE,
            ALARMS,
            OPERATIONS__fullyQualifiedNamespace="operations.servicebus.windows.net",
            OPERATIONS__credential="managedidentity",
            OPERATIONS__clientId=CLIENT_ID,
            OPERATIONS__transport="amqpWebSockets",
            OPERATIONS__resourceId=NAMESPACE_ID + "/",
            DEAD_LETTERS__credential="managedidentity",
            DEAD_LETTERS__clientId=CLIENT_ID,
            INGRESS_EVENT_GRID_SOURCE="plant-a.api.weu.digitaltwins.azure.net",
            RELAY_CA_FILE=__file__,
            RELAY_SHORTCUTS="false",
        ),
        HERE,
    )
    names = [(route.name, route.ordered) for route in told.routes]

    assert names == [("twin-changes", True), ("alarms", False)]
    assert [route.destination for route in told.routes] == [
        Destination("ANALYTICS", Kind.EVENT_HUB, "twin-changes"),
        Destination("OPERATIONS", Kind.QUEUE, "alarms", session=True),
    ]
    assert told == Settings(
        routes=told.routes,
        connections={
            "ANALYTICS": Connection("ANALYTICS", "analytics.servicebus.windows.net"),
            "OPERATIONS": Connection(
                "OPERATIONS",
                "operations.servicebus.windows.net",
                CLIENT_ID,
                Transport.WEB_SOCKETS,
                NAMESPACE_ID,
            ),
        },
        dead_letters=Container(
            "https://plant.blob.core.windows.net", "dead-letters", CLIENT_ID
        ),
        event_grid_source="plant-a.api.weu.digitaltwins.azure.net",
        ca_file=__file__,
        shortcuts=False,
        ways_in=WaysIn(event_hub=HUB),
    )


def test_what_is_not_said_is_the_usual() -> None:
    told = read(GOOD, HERE)

    assert (told.event_grid_source, told.ca_file) == (None, None)
    assert told.connections["ANALYTICS"].client_id == ""
    assert told.connections["ANALYTICS"].transport is Transport.AMQP
    assert told.routes[0].ordered
    assert told.shortcuts


def test_an_empty_setting_is_an_absent_one() -> None:
    empty = dict.fromkeys(
        ("RELAY_CA_FILE", "ANALYTICS__clientId", "ANALYTICS__transport", "RELAY_ROUTES_FILE"),
        " ",
    )

    assert read(GOOD | empty, HERE).connections == read(GOOD, HERE).connections


def test_routes_may_stand_in_a_file_beside_the_app(tmp_path: Path) -> None:
    environment = without("RELAY_ROUTES") | {"RELAY_ROUTES_FILE": "routes.json"}
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "routes.json").write_text(GOOD["RELAY_ROUTES"], encoding)

        assert [route.name for route in read(environment, tmp_path).routes] == ["twin-changes"]


@pytest.mark.parametrize("connection", ["RELAY", "RELAY_OUT", "INGRESS", "INGRESS_2", "a"])
def test_a_connection_may_be_called_as_it_likes(connection: str) -> None:
    changes = {f"{connection}__fullyQualifiedNamespace": "ingress.servicebus.windows.net"}
    destination = {"connection": connection, "eventHub": "other"}
    environment = with_route(destination=destination) | changes

    assert list(read(environment, HERE).connections) == [connection]


# What is wrong


def test_everything_wrong_is_said_in_one_message() -> None:
    environment = with_routes(
        {**ROUTE, "filter": "type ="},
        {**ROUTE, "name": "-"},
        {**ALARMS, "colour": "red"},
        RELAY_ROUTE_FILE="x",
        INGRESS__credential="key",
        INGRESS__fullyQualifiedNamespace="sb://ingress",
        OPERATIONS__clientid="x",
        DEAD_LETTERS__blobServiceUri="http://plant",
        ANALYTICS=SECRETS["an Event Hubs connection string"],
    )
    del environment["INGRESS_CONSUMER_GROUP"]
    with pytest.raises(SettingsError) as caught:
        read(environment, HERE)
    words = str(caught.value)

    assert {problem.setting for problem in caught.value.problems} == {
        "RELAY_ROUTES[0] (twin-changes).filter",
        "RELAY_ROUTES[1].name",
        "RELAY_ROUTES[2].colour",
        "RELAY_ROUTE_FILE",
        "INGRESS_CONSUMER_GROUP",
        "INGRESS__credential",
        "INGRESS__fullyQualifiedNamespace",
        "OPERATIONS__clientid",
        "OPERATIONS__fullyQualifiedNamespace",
        "DEAD_LETTERS__blobServiceUri",
        "ANALYTICS",
    }
    assert all(f"{p.setting}: {p.what}. {p.remedy}" in words for p in caught.value.problems)
    assert all(p.what and p.remedy for p in caught.value.problems)


def test_settings_that_say_nothing_get_all_that_is_missing() -> None:
    assert names_of({}) == [
        "RELAY_ROUTES",
        "DEAD_LETTERS__blobServiceUri",
        "DEAD_LETTERS_CONTAINER",
        "INGRESS_EVENT_HUB",
    ]


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"PATH"}))
def test_a_missing_setting_is_named(name: str) -> None:
    assert names_of(without(name)) == [name]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RELAY_ROUTE", "RELAY_ROUTES"),
        ("RELAY_CAFILE", "RELAY_CA_FILE"),
        ("INGRESS_EVENTHUB", "INGRESS_EVENT_HUB"),
        ("INGRESS_CONSUMERGROUP", "INGRESS_CONSUMER_GROUP"),
        ("INGRESS_EVENT_GRID_SUORCE", "INGRESS_EVENT_GRID_SOURCE"),
        ("INGRESS__FullyQualifiedNamespace", "INGRESS__fullyQualifiedNamespace"),
        ("ANALYTICS__client_id", "ANALYTICS__clientId"),
        ("ANALYTICS__transprot", "ANALYTICS__transport"),
        ("DEAD_LETTER_CONTAINER", "DEAD_LETTERS_CONTAINER"),
        ("DEAD_LETTERS_CONTAINR", "DEAD_LETTERS_CONTAINER"),
        ("DEAD_LETTERS__serviceUri", "DEAD_LETTERS__blobServiceUri"),
    ],
)
def test_a_misspelt_setting_gets_its_right_name(name: str, meant: str) -> None:
    (problem,) = problems_of(GOOD | {name: "x"})

    assert problem.setting == name
    assert f"Did you mean {meant}?" in problem.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"ANALYTICS__clientId": CLIENT_ID},
        {"DEAD_LETTERS__clientId": CLIENT_ID},
        {"ANALYTICS__credential": "key", "ANALYTICS__clientId": CLIENT_ID},
        {"INGRESS__credential": "clientsecret"},
        {"INGRESS__credential": "ManagedIdentity"},
        {"INGRESS__credential": "", "INGRESS__clientId": CLIENT_ID},
    ],
    ids=str,
)
def test_a_half_configured_identity_is_said_once(changes: dict[str, str]) -> None:
    (problem,) = problems_of(GOOD | changes)

    assert problem.setting.endswith("__credential")
    assert "managedidentity" in problem.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANALYTICS__fullyQualifiedNamespace", "sb://analytics.servicebus.windows.net"),
        ("ANALYTICS__fullyQualifiedNamespace", "analytics.servicebus.windows.net:5671"),
        ("ANALYTICS__fullyQualifiedNamespace", "analytics.servicebus.windows.net/hub"),
        ("ANALYTICS__fullyQualifiedNamespace", "analytics servicebus"),
        ("ANALYTICS__transport", "AMQP"),
        ("ANALYTICS__transport", "amqp+ws"),
        ("ANALYTICS__resourceId", "plant"),
        ("ANALYTICS__resourceId", "/subscriptions/a b"),
        ("ANALYTICS__resourceId", "/subscriptions/$(rm)"),
        ("DEAD_LETTERS__blobServiceUri", "http://plant.blob.core.windows.net"),
        ("DEAD_LETTERS__blobServiceUri", "plant.blob.core.windows.net"),
        ("DEAD_LETTERS__blobServiceUri", "https://plant.blob.core.windows.net/?sv=1"),
        ("DEAD_LETTERS__blobServiceUri", "https://user@plant.blob.core.windows.net"),
        ("DEAD_LETTERS_CONTAINER", "Dead_Letters"),
        ("DEAD_LETTERS_CONTAINER", "dead--letters"),
        ("DEAD_LETTERS_CONTAINER", "x"),
        ("DEAD_LETTERS_CONTAINER", 'x";rm'),
        ("RELAY_SHORTCUTS", "no"),
        ("RELAY_CA_FILE", "no/such/file.pem"),
        ("RELAY_CA_FILE", "."),
        ("RELAY_CA_FILE", "x" * 5000),
        ("RELAY_CA_FILE", "a\x00b"),
        ("RELAY_ROUTES", "["),
        ("RELAY_ROUTES", "[]"),
        ("RELAY_ROUTES", "{}"),
        ("RELAY_ROUTES", "null"),
        ("RELAY_ROUTES", "[" * 100_000),
        ("RELAY_ROUTES", "9" * 5000),
    ],
)
def test_a_value_that_cannot_be_right_is_named(name: str, value: str) -> None:
    assert names_of(GOOD | {name: value}) == [name]


@pytest.mark.parametrize("client_id", ["relay", "/subscriptions/x", CLIENT_ID[:-1]])
def test_a_client_id_is_no_name_and_no_resource_id(client_id: str) -> None:
    changes = {"ANALYTICS__credential": "managedidentity", "ANALYTICS__clientId": client_id}

    assert names_of(GOOD | changes) == ["ANALYTICS__clientId"]


@pytest.mark.parametrize(
    ("environment", "setting"),
    [
        (with_route(name=""), ".name"),
        (with_route(name="a"), ".name"),
        (with_route(name="123"), ".name"),
        (with_route(name="a" * 51), ".name"),
        (with_route(name="-a"), ".name"),
        (with_route(name="a-"), ".name"),
        (with_route(name="_malformed"), ".name"),
        (with_route(name="../up"), ".name"),
        (with_route(name="zwölf"), ".name"),
        (with_route(name="two\n"), ".name"),
        (with_route(name=None), ".name"),
        (with_route(filter=""), " (twin-changes).filter"),
        (with_route(filter=None), " (twin-changes).filter"),
        (with_route(filter="type = "), " (twin-changes).filter"),
        (with_route(filter=True), " (twin-changes).filter"),
        (with_route(ordered="false"), " (twin-changes).ordered"),
        (with_route(ordered=None), " (twin-changes).ordered"),
        (with_route(destination=None), " (twin-changes).destination"),
        (with_route(destination=[]), " (twin-changes).destination"),
        (to(), " (twin-changes).destination"),
        (to(queue="a", topic="b"), " (twin-changes).destination"),
        (to(queue=""), " (twin-changes).destination.queue"),
        (to(queue="a b"), " (twin-changes).destination.queue"),
        (to(queue="a\n"), " (twin-changes).destination.queue"),
        (to(topic=["a"]), " (twin-changes).destination.topic"),
        (to(eventHub="a", session=True), " (twin-changes).destination.session"),
        (to(queue="a", session="yes"), " (twin-changes).destination.session"),
        (to(queue="a", connection=""), " (twin-changes).destination.connection"),
        (to(queue="a", connection="A-B"), " (twin-changes).destination.connection"),
        (to(queue="a", connection="A\n"), " (twin-changes).destination.connection"),
        (to(queue="a", connection={}), " (twin-changes).destination.connection"),
        (to(queue="a", ttl=1), " (twin-changes).destination.ttl"),
        (with_routes(1), ""),
    ],
)
def test_a_route_that_cannot_be_right_is_named_with_its_place(
    environment: dict[str, str], setting: str
) -> None:
    assert names_of(environment) == [f"RELAY_ROUTES[0]{setting}"]


def test_routes_of_one_name_in_any_letters_are_refused() -> None:
    (problem,) = problems_of(with_routes(ROUTE, {**ROUTE, "name": "Twin-Changes"}))

    assert "several routes" in problem.what


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "all", "filter": "false", "filter": "true", "destination": {}}]',
        '[{"name": "all", "filter": "true", "destination": {"queue": "a", "queue": "b"}}]',
    ],
)
def test_a_member_that_stands_twice_in_a_route_widens_nothing(text: str) -> None:
    (problem,) = problems_of(GOOD | {"RELAY_ROUTES": text})

    assert "stands twice" in problem.what


def test_a_filter_that_does_not_parse_is_shown_with_its_place() -> None:
    (problem,) = problems_of(with_route(filter="type = 'a' AND"))

    assert "line 1" in problem.what
    assert "^" in problem.what


def test_routes_in_a_file_and_inline_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "routes.json").write_text(GOOD["RELAY_ROUTES"])

    assert names_of(GOOD | {"RELAY_ROUTES_FILE": "routes.json"}, tmp_path) == ["RELAY_ROUTES"]


@pytest.mark.parametrize("name", ["none.json", ".", "x" * 5000, "a\x00b", "none/../../x"])
def test_a_routes_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    environment = without("RELAY_ROUTES") | {"RELAY_ROUTES_FILE": name}

    assert names_of(environment, tmp_path) == ["RELAY_ROUTES_FILE"]


@pytest.mark.parametrize("content", [b"\xff", b"", b"[]", b"{", b"null"])
def test_a_routes_file_with_no_routes_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "routes.json").write_bytes(content)
    environment = without("RELAY_ROUTES") | {"RELAY_ROUTES_FILE": "routes.json"}

    assert names_of(environment, tmp_path) == ["RELAY_ROUTES_FILE"]


# Identities and clouds

IDENTITY_ID = (
    "/subscriptions/s/resourceGroups/r(1)/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/relay-operations"
)


def test_an_identity_may_be_named_by_its_resource_id() -> None:
    changes = {
        "ANALYTICS__credential": "managedidentity",
        "ANALYTICS__managedIdentityResourceId": IDENTITY_ID,
        "DEAD_LETTERS__credential": "managedidentity",
        "DEAD_LETTERS__managedIdentityResourceId": IDENTITY_ID,
    }
    told = read(GOOD | changes, HERE)

    assert told.connections["ANALYTICS"].identity == ManagedIdentity("", IDENTITY_ID)
    assert told.dead_letters.identity == ManagedIdentity("", IDENTITY_ID)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"ANALYTICS__managedIdentityResourceId": IDENTITY_ID}, "ANALYTICS__credential"),
        (
            {
                "ANALYTICS__credential": "managedidentity",
                "ANALYTICS__managedIdentityResourceId": "relay-operations",
            },
            "ANALYTICS__managedIdentityResourceId",
        ),
        (
            {
                "ANALYTICS__credential": "managedidentity",
                "ANALYTICS__clientId": CLIENT_ID,
                "ANALYTICS__managedIdentityResourceId": IDENTITY_ID,
            },
            "ANALYTICS__managedIdentityResourceId",
        ),
        ({"AzureWebJobsStorage__clientId": CLIENT_ID}, "AzureWebJobsStorage__credential"),
        ({"ANALYTICS__network": "open"}, "ANALYTICS__network"),
        ({"RELAY_CLOUD": "AzureGermanCloud"}, "RELAY_CLOUD"),
        ({"RELAY_MANAGEMENT_URL": "https://management.example.com"}, "RELAY_MANAGEMENT_URL"),
        ({"RELAY_MANAGEMENT_URL": "http://127.0.0.1:1"}, "RELAY_MANAGEMENT_URL"),
        ({"RELAY_MANAGEMENT_URL": "https://127.0.0.1.example.com"}, "RELAY_MANAGEMENT_URL"),
        (
            {"ANALYTICS__resourceId": NAMESPACE_ID},
            "ANALYTICS__resourceId",
        ),
        (
            {"ANALYTICS__fullyQualifiedNamespace": "a.servicebus.usgovcloudapi.net"},
            "ANALYTICS__fullyQualifiedNamespace",
        ),
    ],
    ids=str,
)
def test_half_an_identity_and_the_wrong_cloud_are_named(
    changes: dict[str, str], setting: str
) -> None:
    assert names_of(GOOD | changes) == [setting]


def test_a_sovereign_cloud_is_one_setting() -> None:
    environment = {
        name: value.replace(".windows.net", ".usgovcloudapi.net")
        for name, value in GOOD.items()
    }
    told = read(environment | {"RELAY_CLOUD": "AzureUSGovernment"}, HERE)

    assert told.cloud.name == "AzureUSGovernment"
    assert told.management_url == "https://management.usgovcloudapi.net"
    assert set(names_of(environment)) == {
        "INGRESS__fullyQualifiedNamespace",
        "ANALYTICS__fullyQualifiedNamespace",
        "DEAD_LETTERS__blobServiceUri",
    }


def test_a_public_namespace_is_one_that_says_so() -> None:
    told = read(GOOD | {"INGRESS__network": "public"}, HERE)

    assert told.ways_in.entities[0].connection.network is Network.PUBLIC
    assert told.connections["ANALYTICS"].network is Network.PRIVATE


@pytest.mark.parametrize(
    ("changes", "uri"),
    [
        ({"AzureWebJobsStorage__accountName": "host"}, "https://host.blob.core.windows.net"),
        ({"AzureWebJobsStorage__blobServiceUri": "https://h.example"}, "https://h.example"),
    ],
)
def test_the_hosts_storage_is_known_where_it_is_by_identity(
    changes: dict[str, str], uri: str
) -> None:
    host = read(GOOD | changes, HERE).host_storage

    assert host is not None
    assert host.service_uri == uri
    assert host.resource_id == ""
    assert read(GOOD, HERE).host_storage is None


def test_the_hosts_storage_may_say_its_resource_id() -> None:
    changes = {
        "AzureWebJobsStorage__accountName": "host",
        "AzureWebJobsStorage__resourceId": NAMESPACE_ID,
    }
    host = read(GOOD | changes, HERE).host_storage

    assert host is not None
    assert host.resource_id == NAMESPACE_ID


# Nothing secret gets in or out

INSIGHTS = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=7b0c;Ingestion=x"}
BY_IDENTITY = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"


@pytest.mark.parametrize("told", [None, "", "ClientId=7b0c", "Authorization=Key"])
def test_telemetry_goes_by_identity_or_not_at_all(told: str | None) -> None:
    assert names_of(GOOD | INSIGHTS | ({} if told is None else {BY_IDENTITY: told})) == [
        BY_IDENTITY
    ]


@pytest.mark.parametrize("told", ["Authorization=AAD", "ClientId=7b0c;Authorization=AAD"])
def test_the_address_of_telemetry_is_the_one_exception(told: str) -> None:
    assert read(GOOD | INSIGHTS | {BY_IDENTITY: told}, HERE).warnings == ()


def test_emulators_count_in_development_only_and_with_a_warning() -> None:
    emulators = GOOD | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    told = read(emulators | {"AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, HERE)

    assert [warning.setting for warning in told.warnings] == ["AzureWebJobsStorage"]
    assert "AzureWebJobsStorage__blobServiceUri" in told.warnings[0].remedy
    assert names_of(emulators) == ["AzureWebJobsStorage"]
    assert names_of(emulators | {"AZURE_FUNCTIONS_ENVIRONMENT": "Production"}) == [
        "AzureWebJobsStorage"
    ]


def test_in_development_a_real_key_is_a_secret_too() -> None:
    environment = GOOD | {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "AzureWebJobsStorage": SECRETS["a storage connection string"],
    }

    assert names_of(environment) == ["AzureWebJobsStorage"]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_in_host_json_is_found_and_never_shown(secret: str, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"extensions": {"x": secret}}))
    (problem,) = problems_of(GOOD, tmp_path)

    assert problem.setting == "host.json"
    assert_hidden(secret, str(problem))


def test_the_projects_own_host_json_holds_none() -> None:
    assert read(GOOD, HERE.parents[1]).warnings == ()


VICTIMS = [*GOOD, "RELAY_ROUTES_FILE", "RELAY_CA_FILE", "ANALYTICS", "ANALYTICS__clientId"]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("name", VICTIMS)
def test_a_secret_is_refused_in_any_setting_and_never_shown(name: str, secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(GOOD | {name: secret}, HERE)
    about = [p for p in caught.value.problems if p.setting == name]

    assert [problem.what for problem in about] == ["it holds a secret"]
    assert_hidden(secret, str(caught.value))


def assert_hidden(secret: str, words: str) -> None:
    """No part of a secret that is long enough to be told from an ordinary word is shown."""
    assert not [
        secret[start : start + 9]
        for start in range(max(1, len(secret) - 8))
        if secret[start : start + 9] in words
    ]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("template", ["filter", "name", "member", "text"])
def test_a_secret_inside_the_routes_is_never_shown(
    template: str, secret: str, tmp_path: Path
) -> None:
    assume_text = {
        "filter": json.dumps([{**ROUTE, "filter": f"type = {secret}"}]),
        "name": json.dumps([{**ROUTE, "name": secret}]),
        "member": json.dumps([{**ROUTE, secret: 1}]),
        "text": f"[{secret}",
    }[template]
    (tmp_path / "routes.json").write_text(assume_text)
    inline = GOOD | {"RELAY_ROUTES": assume_text}
    filed = without("RELAY_ROUTES") | {"RELAY_ROUTES_FILE": "routes.json"}

    for environment in (inline, filed):
        (problem,) = problems_of(environment, tmp_path)
        assert "secret" in problem.what
        assert_hidden(secret, str(problem))


# Nothing but SettingsError

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ROUTE, *ROUTE["destination"], "session", "queue", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
route_like = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["aa", "bb", "AA"]) | json_values,
        "filter": st.sampled_from(["true", "type ="]) | st.text(max_size=20) | json_values,
        "destination": st.fixed_dictionaries(
            {},
            optional={
                "connection": st.sampled_from(["ANALYTICS", "X"]) | json_values,
                "eventHub": json_values,
                "queue": st.just("a") | json_values,
                "session": json_values,
            },
        ),
        "ordered": json_values,
    },
)
any_text = st.text(max_size=20) | st.sampled_from([*GOOD.values(), *SECRETS.values(), "\x00"])


def assert_reads_or_says_why(environment: Mapping[str, str], directory: Path) -> None:
    try:
        routes: tuple[object, ...] = read(environment, directory).routes
    except SettingsError as error:
        routes = error.problems
    assert routes


@given(st.lists(route_like | json_values, max_size=3) | json_values)
@settings(max_examples=250, deadline=None)
def test_no_json_for_routes_raises_anything_else(routes: object) -> None:
    assert_reads_or_says_why(GOOD | {"RELAY_ROUTES": json.dumps(routes)}, HERE)


@given(
    changes=st.dictionaries(
        st.sampled_from(
            [*GOOD, "RELAY_ROUTES_FILE", "RELAY_CA_FILE", "ANALYTICS__clientId", "X__y"]
        )
        | st.text(max_size=10).map("RELAY_".__add__)
        | st.text(max_size=10).map("INGRESS__".__add__)
        | st.text(max_size=10),
        any_text,
        max_size=6,
    ),
    good=st.booleans(),
)
@settings(max_examples=250, deadline=None)
def test_no_settings_raise_anything_else(changes: dict[str, str], *, good: bool) -> None:
    assert_reads_or_says_why((GOOD if good else {}) | changes, HERE)


@given(content=st.binary(max_size=40) | st.just(GOOD["RELAY_ROUTES"].encode()))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_file_of_routes_raises_anything_else(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "routes.json").write_bytes(content)
    environment = without("RELAY_ROUTES") | {"RELAY_ROUTES_FILE": "routes.json"}

    assert_reads_or_says_why(environment, tmp_path)


@given(st.text(max_size=12))
@settings(max_examples=50, deadline=None)
def test_an_error_never_shows_the_value_of_another_setting(value: str) -> None:
    assume(len(value.strip()) > 3)
    marked = f"<<{value}>>"
    with pytest.raises(SettingsError) as caught:
        read(dict.fromkeys(without("RELAY_ROUTES"), marked) | {"RELAY_X": marked}, HERE)

    assert marked not in str(caught.value)


@pytest.mark.parametrize(
    "prefix", ["", "AzureWebJobs", "ConnectionStrings__", "CUSTOMCONNSTR_"]
)
@pytest.mark.parametrize("name", ["INGRESS", "ANALYTICS", "DEAD_LETTERS"])
def test_a_connection_as_a_whole_would_beat_the_identity_and_is_refused(
    prefix: str, name: str
) -> None:
    found = problems_of({**GOOD, prefix + name: "c29tZSBrZXkgdGhhdCBzdGFuZHMgYWxvbmU="})

    assert prefix + name in {problem.setting for problem in found}


def test_a_key_that_stands_alone_in_a_filter_is_not_shown() -> None:
    key = "c29tZSBrZXkgdGhhdCBzdGFuZHMgYWxvbmUgaW4gYSBmaWx0ZXI="

    with pytest.raises(SettingsError) as caught:
        read(with_route(filter=f"type = {key}"), HERE)

    assert key[:20] not in str(caught.value)
