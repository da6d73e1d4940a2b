"""Which ways in there are follows from the settings: none by halves, and never none at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.routing import Kind
from relay.settings import (
    Access,
    Connection,
    HttpIngress,
    Ingress,
    Problem,
    ServiceBusIngress,
    SettingsError,
    WaysIn,
    read,
)
from tests.relay.test_settings import GOOD, HUB

TENANT = "756d37c6-57f3-5189-9c1e-239a167454ad"
APPLICATION = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
HERE = Path(__file__).parent

OTHERS = {name: value for name, value in GOOD.items() if not name.startswith("INGRESS")}
EVENT_HUB = {name: value for name, value in GOOD.items() if name.startswith("INGRESS")}
BUS = {
    "INGRESS_SERVICE_BUS__fullyQualifiedNamespace": "plant.servicebus.windows.net",
    "INGRESS_SERVICE_BUS__credential": "managedidentity",
}
QUEUE = BUS | {"INGRESS_QUEUE": "twin-events"}
SUBSCRIPTION = BUS | {"INGRESS_TOPIC": "twin-events", "INGRESS_SUBSCRIPTION": "relay"}
EVENT_GRID = {"INGRESS_EVENT_GRID": "true", "INGRESS_EVENT_GRID_SOURCE": "plant-a"}
HTTP = {
    "INGRESS_HTTP": "true",
    "INGRESS_HTTP_ROLE": "EventSender",
    "ACCESS_TENANT": TENANT,
    "ACCESS_AUDIENCE": "api://twin-relay",
}
WAYS = {
    "hub": EVENT_HUB,
    "queue": QUEUE,
    "subscription": SUBSCRIPTION,
    "event grid": EVENT_GRID,
    "http": HTTP,
}
BUS_CONNECTION = Connection("INGRESS_SERVICE_BUS", "plant.servicebus.windows.net")


def ways_in(settings: Mapping[str, str]) -> WaysIn:
    return read(OTHERS | settings, HERE).ways_in


def problems(settings: Mapping[str, str]) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        read(OTHERS | settings, HERE)
    return list(caught.value.problems)


def names(settings: Mapping[str, str]) -> list[str]:
    return [problem.setting for problem in problems(settings)]


# What is right


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (EVENT_HUB, WaysIn(event_hub=HUB)),
        (
            QUEUE,
            WaysIn(
                service_bus=ServiceBusIngress(
                    Ingress(BUS_CONNECTION, Kind.QUEUE, "twin-events")
                )
            ),
        ),
        (
            SUBSCRIPTION | {"INGRESS_SESSIONS": "true", "INGRESS_BATCHES": "true"},
            WaysIn(
                service_bus=ServiceBusIngress(
                    Ingress(BUS_CONNECTION, Kind.TOPIC, "twin-events", "relay"),
                    session=True,
                    batches=True,
                )
            ),
        ),
        (EVENT_GRID, WaysIn(event_grid=True)),
        (
            HTTP,
            WaysIn(
                http=HttpIngress(
                    Access(TENANT, ("api://twin-relay",), "https://login.microsoftonline.com"),
                    role="EventSender",
                )
            ),
        ),
    ],
    ids=WAYS,
)
def test_a_way_in_that_has_its_settings_is_open_and_no_other(
    settings: Mapping[str, str], expected: WaysIn
) -> None:
    assert expected == ways_in(settings)


def test_all_ways_in_may_be_open_at_once() -> None:
    told = ways_in(EVENT_HUB | QUEUE | EVENT_GRID | HTTP)

    assert told.event_hub == HUB
    assert told.service_bus
    assert "twin-events" == told.service_bus.name
    assert told.event_grid
    assert told.http
    assert [Kind.EVENT_HUB, Kind.QUEUE] == [each.kind for each in told.entities]


def test_everything_about_the_webhook_can_be_said() -> None:
    told = ways_in(
        HTTP
        | {
            "INGRESS_HTTP_ROLE": "",
            "INGRESS_HTTP_APPLICATIONS": f" {APPLICATION.upper()} , {TENANT},",
            "INGRESS_HTTP_ORIGINS": "eventgrid.azure.net, *",
            "INGRESS_HTTP_MALFORMED": "refuse",
            "INGRESS_HTTP_LARGEST_BODY": "1024",
            "ACCESS_TENANT": TENANT.upper(),
            "ACCESS_AUDIENCE": f"api://twin-relay, {APPLICATION}",
            "ACCESS_AUTHORITY": "https://login.microsoftonline.us/",
        }
    ).http

    assert told == HttpIngress(
        Access(TENANT, ("api://twin-relay", APPLICATION), "https://login.microsoftonline.us"),
        applications=frozenset({APPLICATION, TENANT}),
        origins=frozenset({"eventgrid.azure.net", "*"}),
        keeps_malformed=False,
        largest_body=1024,
    )


@pytest.mark.parametrize(
    "off",
    [
        {"INGRESS_EVENT_GRID": "false"},
        {"INGRESS_HTTP": "false"},
        HTTP | {"INGRESS_HTTP": "false"},
    ],
)
def test_a_way_in_may_be_switched_off(off: Mapping[str, str]) -> None:
    told = ways_in(EVENT_HUB | off)

    assert WaysIn(event_hub=HUB) == told


def test_the_source_alone_opens_nothing() -> None:
    """It is for what comes by a hub, too."""
    told = read(GOOD | {"INGRESS_EVENT_GRID_SOURCE": "plant-a"}, HERE)

    assert ("plant-a", False) == (told.event_grid_source, told.ways_in.event_grid)


def test_a_component_needs_no_way_in_of_its_own() -> None:
    assert WaysIn() == read(OTHERS, HERE, needs_ingress=False).ways_in


# What is wrong


@pytest.mark.parametrize(
    "settings",
    [{}, {"INGRESS_EVENT_GRID": "false"}, HTTP | {"INGRESS_HTTP": "false"}],
    ids=str,
)
def test_no_way_in_at_all_stops_the_start(settings: Mapping[str, str]) -> None:
    (problem,) = problems(settings)

    assert "INGRESS_EVENT_HUB" == problem.setting
    assert "no way in" in problem.what


@pytest.mark.parametrize(
    ("way", "missing"),
    [
        (way, name)
        for way, settings in WAYS.items()
        for name in settings
        if name != "INGRESS_EVENT_GRID"
    ],
)
def test_a_way_in_by_halves_stops_the_start_and_says_what_is_missing(
    way: str, missing: str
) -> None:
    settings = {name: value for name, value in WAYS[way].items() if name != missing}
    if way == "queue" and missing == "INGRESS_QUEUE":
        settings["INGRESS_SESSIONS"] = "false"

    assert [missing] == names(EVENT_HUB | settings if way != "hub" else settings)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (QUEUE | {"INGRESS_TOPIC": "t"}, "INGRESS_QUEUE"),
        (QUEUE | {"INGRESS_SUBSCRIPTION": "s"}, "INGRESS_QUEUE"),
        (QUEUE | {"INGRESS_SESSIONS": "yes"}, "INGRESS_SESSIONS"),
        (QUEUE | {"INGRESS_BATCHES": "True"}, "INGRESS_BATCHES"),
        (QUEUE | {"INGRESS_SERVICE_BUS__clientid": "x"}, "INGRESS_SERVICE_BUS__clientid"),
        (QUEUE | {"INGRESS_SERVICE_BUS": "x"}, "INGRESS_SERVICE_BUS"),
        (QUEUE | {"INGRESS_QEUEU": "x"}, "INGRESS_QEUEU"),
        (EVENT_GRID | {"INGRESS_EVENT_GRID": "on"}, "INGRESS_EVENT_GRID"),
        (HTTP | {"INGRESS_HTTP": "yes"}, "INGRESS_HTTP"),
        (HTTP | {"ACCESS_TENANT": "contoso.example"}, "ACCESS_TENANT"),
        (HTTP | {"ACCESS_TENANT": "common"}, "ACCESS_TENANT"),
        (HTTP | {"ACCESS_AUTHORITY": "http://login.microsoftonline.com"}, "ACCESS_AUTHORITY"),
        (HTTP | {"ACCESS_AUTHORITY": "https://a.example/path"}, "ACCESS_AUTHORITY"),
        (HTTP | {"ACCESS_AUTHORITY": "http://127.0.0.1.example"}, "ACCESS_AUTHORITY"),
        (HTTP | {"ACCESS_AUDIANCE": "x"}, "ACCESS_AUDIANCE"),
        (HTTP | {"INGRESS_HTTP_APPLICATIONS": "Event Grid"}, "INGRESS_HTTP_APPLICATIONS"),
        (HTTP | {"INGRESS_HTTP_ORIGINS": "https://a.example"}, "INGRESS_HTTP_ORIGINS"),
        (HTTP | {"INGRESS_HTTP_MALFORMED": "drop"}, "INGRESS_HTTP_MALFORMED"),
        (HTTP | {"INGRESS_HTTP_LARGEST_BODY": "0"}, "INGRESS_HTTP_LARGEST_BODY"),
        (HTTP | {"INGRESS_HTTP_LARGEST_BODY": "1e6"}, "INGRESS_HTTP_LARGEST_BODY"),
        (HTTP | {"INGRESS_HTTP_LARGEST_BODY": "9" * 5000}, "INGRESS_HTTP_LARGEST_BODY"),
        (HTTP | {"INGRESS_HTTP_LARGEST_BODY": "٣"}, "INGRESS_HTTP_LARGEST_BODY"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_right_is_named(settings: Mapping[str, str], wrong: str) -> None:
    found = names(EVENT_HUB | settings)

    assert wrong in found
    assert {wrong} == {*found}


@pytest.mark.parametrize("azure", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
@pytest.mark.parametrize("authority", ["http://127.0.0.1:5000", "http://localhost:5000"])
def test_keys_of_this_machine_are_believed_nowhere_in_azure(authority: str, azure: str) -> None:
    """There is no switch for development: the token is checked all the same."""
    settings = HTTP | {"ACCESS_AUTHORITY": authority}
    told = ways_in(settings).http

    assert told
    assert authority == told.access.authority
    assert ["ACCESS_AUTHORITY"] == names(settings | {azure: "x"})


# Several relays in one app


PREFIXED = {f"PLANT_A_{name}": value for name, value in (GOOD | QUEUE | HTTP).items()}


def test_a_relay_with_a_prefix_reads_its_own_settings_only() -> None:
    told = read(GOOD | PREFIXED, HERE, "PLANT_A_")
    alone = read(GOOD | QUEUE | HTTP, HERE)

    assert ("PLANT_A_", "plant_a") == (told.prefix, told.name)
    assert ("", "") == (alone.prefix, alone.name)
    assert alone.ways_in.http == told.ways_in.http
    assert list(alone.connections) == list(told.connections)
    assert WaysIn(event_hub=HUB) == read(GOOD | PREFIXED, HERE).ways_in


def test_problems_have_the_full_names_of_the_settings() -> None:
    settings = dict(PREFIXED)
    del settings["PLANT_A_INGRESS_CONSUMER_GROUP"]
    settings |= {
        "PLANT_A_INGRESS_QUUE": "x",
        "PLANT_A_ANALYTICS__clientid": "x",
        "PLANT_A_RELAY_ROUTES": json.dumps([{"name": "x"}]),
        "PLANT_A_INGRESS__credential": "key",
        "AzureWebJobsPLANT_A_INGRESS": "x",
        "RELAY_ROUTE": "another relay's",
    }
    with pytest.raises(SettingsError) as caught:
        read(settings, HERE, "PLANT_A_")
    found = {problem.setting for problem in caught.value.problems}

    assert {
        "PLANT_A_INGRESS_CONSUMER_GROUP",
        "PLANT_A_INGRESS_QUUE",
        "PLANT_A_INGRESS__credential",
        "AzureWebJobsPLANT_A_INGRESS",
    } <= found
    assert all("PLANT_A_" in name for name in found)
    assert "Did you mean PLANT_A_INGRESS_QUEUE?" in str(caught.value)


@pytest.mark.parametrize(
    "prefix",
    ["plant_", "PLANT", "_", "1_", "A__", "RELAY_B_", "INGRESS_", "ACCESS_", "A-", "Ä_"],
)
def test_a_prefix_that_would_be_mistaken_is_none(prefix: str) -> None:
    with pytest.raises(ValueError, match="no prefix"):
        read(GOOD, HERE, prefix)
