"""What operators may call is off unless set, and never set by halves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.permissions import Action
from relay.settings import (
    Access,
    Api,
    Problem,
    ServiceTags,
    Settings,
    SettingsError,
    TwinsInstance,
    read,
)
from tests.relay.test_settings import GOOD

TENANT = "756d37c6-57f3-5189-9c1e-239a167454ad"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
API = {
    "RELAY_HTTP_API": "true",
    "ACCESS_TENANT": TENANT,
    "ACCESS_AUDIENCE": "api://twin-relay",
}
TWINS = {
    "TWINS_URL": "https://plant.api.weu.digitaltwins.azure.net",
    "TWINS_ORIGINS": "https://explorer.example.com, https://Other.example.com:8443",
}
AZURE = {"WEBSITE_INSTANCE_ID": "x"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "tags.json").write_text("{}")
    return tmp_path


def told(here: Path, settings: Mapping[str, str]) -> Settings:
    return read(GOOD | settings, here)


def problems(here: Path, settings: Mapping[str, str]) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        told(here, settings)
    return list(caught.value.problems)


def test_everything_is_off_unless_set(here: Path) -> None:
    settings = told(here, {})

    assert (settings.api, settings.twins, settings.service_tags) == (None, None, None)


def test_the_surface_is_read_with_its_roles(here: Path) -> None:
    roles = {"ACCESS_ROLES": json.dumps({"Relay.Shift": ["deadLetters/*"]})}
    more = roles | {"ACCESS_CONTACT": "the platform team"}
    allowed = frozenset({Action.DEAD_LETTERS_READ, Action.DEAD_LETTERS_REDRIVE})
    access = Access(TENANT, ("api://twin-relay",), "https://login.microsoftonline.com")

    assert (
        Api(access, {"Relay.Shift": allowed}, "the platform team") == told(here, API | more).api
    )


def test_the_surface_needs_to_know_whose_tokens_it_believes(here: Path) -> None:
    found = problems(here, {"RELAY_HTTP_API": "true"})

    assert ["ACCESS_TENANT", "ACCESS_AUDIENCE"] == [each.setting for each in found]


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ("[]", "no object of roles"),
        ("{", "no object of roles"),
        ('{"Relay.Shift": 1}', "no object of roles"),
        ('{"Relay.Shift": ["routes/write"]}', "no action is called 'routes/write'"),
        ('{"Relay.Operator": ["*"]}', "it stands for itself"),
        ('{"a b": ["*"]}', "no role's value"),
    ],
)
def test_roles_that_say_nothing_clear_stop_the_start(
    here: Path, roles: str, words: str
) -> None:
    [found] = problems(here, API | {"ACCESS_ROLES": roles})

    assert found.setting.startswith("ACCESS_ROLES")
    assert words in found.what


def test_app_service_is_believed_only_where_it_authenticates(here: Path) -> None:
    trust = API | {"ACCESS_APP_SERVICE": "true"}
    [found] = problems(here, trust)

    assert "any caller could name himself" in found.what
    on = {"WEBSITE_AUTH_ENABLED": "True"}
    assert told(here, trust | on).api == Api(
        Access(TENANT, ("api://twin-relay",), "https://login.microsoftonline.com"),
        {},
        trusts_app_service=True,
    )


def test_the_proxy_leads_to_one_instance_for_some_pages(here: Path) -> None:
    expected = TwinsInstance(
        "https://plant.api.weu.digitaltwins.azure.net",
        frozenset({"https://explorer.example.com", "https://other.example.com:8443"}),
    )

    assert told(here, TWINS).twins == expected


@pytest.mark.parametrize(
    "url",
    ["plant.api.weu.digitaltwins.azure.net", "http://plant.api.weu.digitaltwins.azure.net",
     "https://evil.example", "https://digitaltwins.azure.net.evil.example",
     "https://x@plant.api.weu.digitaltwins.azure.net", "https://127.0.0.1:8443",
     "https://plant.api.weu.digitaltwins.azure.net:444", "https://evildigitaltwins.azure.net",
     "https://plant.api.weu.digitaltwins.azure.net/x"],
)  # fmt: skip
def test_in_azure_the_proxy_leads_to_azure_digital_twins_only(here: Path, url: str) -> None:
    [found] = problems(here, TWINS | AZURE | {"TWINS_URL": url})

    assert "TWINS_URL" == found.setting


@pytest.mark.parametrize(
    "origins",
    ["*", "https://*.example.com", "http://a.example", "null", "https://a.example/", "a"],
)
def test_an_origin_that_is_none_or_too_many_stops_the_start(here: Path, origins: str) -> None:
    [found] = problems(here, TWINS | {"TWINS_ORIGINS": origins})

    assert "TWINS_ORIGINS" == found.setting


@pytest.mark.parametrize("name", TWINS)
def test_half_a_proxy_stops_the_start(here: Path, name: str) -> None:
    [found] = problems(here, {name: TWINS[name]})

    assert {found.setting} == TWINS.keys() - {name}


STREAMS = {"TWINS_PROXY_STREAMS": "true"}


def test_bodies_flow_where_told_so(here: Path) -> None:
    assert not told(here, TWINS).streams
    assert not told(here, TWINS | {"TWINS_PROXY_STREAMS": "false"}).streams
    assert told(here, TWINS | STREAMS).streams


def test_whether_bodies_flow_is_said_once_for_all_relays_of_an_app(here: Path) -> None:
    of_a_plant = {f"PLANT_A_{name}": value for name, value in (GOOD | TWINS).items()}

    assert read(of_a_plant | STREAMS, here, "PLANT_A_").streams
    with pytest.raises(
        SettingsError, match="PLANT_A_TWINS_PROXY_STREAMS: it concerns the whole"
    ):
        read(of_a_plant | {"PLANT_A_TWINS_PROXY_STREAMS": "true"}, here, "PLANT_A_")


@pytest.mark.parametrize(
    ("host_json", "setting"),
    [({"extensions": {"http": {"routePrefix": ""}}}, {}),
     ({"extensions": {"http": {"routePrefix": "/"}}}, {}),
     ({}, {"AzureFunctionsJobHost__extensions__http__routePrefix": ""})],
)  # fmt: skip
def test_bodies_do_not_flow_where_paths_have_no_prefix(
    here: Path, host_json: object, setting: dict[str, str]
) -> None:
    (here / "host.json").write_text(json.dumps(host_json))
    [found] = problems(here, TWINS | STREAMS | setting)

    assert "TWINS_PROXY_STREAMS" == found.setting
    assert "routePrefix" in found.what
    assert not told(here, TWINS | setting).streams


def test_bodies_do_not_flow_where_the_webhook_asks_whence_it_is_called(here: Path) -> None:
    gate = {"SERVICE_TAGS_FILE": "tags.json", "INGRESS_HTTP_SERVICE_TAG": "AzureEventGrid"}
    [found] = problems(here, STREAMS | gate)

    assert "TWINS_PROXY_STREAMS" == found.setting
    assert "X-Forwarded-For" in found.what


def test_the_list_of_addresses_is_read_with_who_looks_for_a_newer(here: Path) -> None:
    settings = {
        "SERVICE_TAGS_FILE": "tags.json",
        "SERVICE_TAGS_SUBSCRIPTION": SUBSCRIPTION.upper(),
        "SERVICE_TAGS_LOCATION": "westeurope",
        "SERVICE_TAGS__credential": "managedidentity",
        "SERVICE_TAGS__clientId": TENANT,
        "INGRESS_HTTP_SERVICE_TAG": "AzureEventGrid",
        "INGRESS_HTTP_PROXIES": "2",
    }
    expected = ServiceTags(
        here / "tags.json", SUBSCRIPTION, "westeurope", TENANT, "AzureEventGrid", 2
    )

    assert told(here, settings).service_tags == expected


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"SERVICE_TAGS_FILE": "no.json"}, "SERVICE_TAGS_FILE"),
        ({"INGRESS_HTTP_SERVICE_TAG": "AzureEventGrid"}, "SERVICE_TAGS_FILE"),
        ({"SERVICE_TAGS_LOCATION": "westeurope"}, "SERVICE_TAGS_SUBSCRIPTION"),
        ({"SERVICE_TAGS_SUBSCRIPTION": SUBSCRIPTION}, "SERVICE_TAGS_LOCATION"),
        (
            {"SERVICE_TAGS_SUBSCRIPTION": "x", "SERVICE_TAGS_LOCATION": "a"},
            "SERVICE_TAGS_SUBSC",
        ),
        (
            {"SERVICE_TAGS_SUBSCRIPTION": SUBSCRIPTION, "SERVICE_TAGS_LOCATION": "../x"},
            "SERVICE",
        ),
        ({"INGRESS_HTTP_PROXIES": "0"}, "INGRESS_HTTP_PROXIES"),
        ({"SERVICE_TAGS_FIEL": "tags.json"}, "SERVICE_TAGS_FIEL"),
    ],
)
def test_a_list_by_halves_stops_the_start(
    here: Path, settings: Mapping[str, str], name: str
) -> None:
    file = {"SERVICE_TAGS_FILE": "tags.json"} if "SERVICE_TAGS_FILE" != name else {}
    [found] = problems(here, file | settings)

    assert found.setting.startswith(name)


def test_dead_letters_may_name_an_encryption_scope(here: Path) -> None:
    scope = {"DEAD_LETTERS_ENCRYPTION_SCOPE": "twin-events"}

    assert told(here, scope).dead_letters.encryption_scope == "twin-events"
    assert told(here, {}).dead_letters.encryption_scope == ""


@pytest.mark.parametrize("name", ["a b", "x", "a/b", "s" * 64])
def test_what_is_no_encryption_scope_stops_the_start(here: Path, name: str) -> None:
    [found] = problems(here, {"DEAD_LETTERS_ENCRYPTION_SCOPE": name})

    assert "DEAD_LETTERS_ENCRYPTION_SCOPE" == found.setting
