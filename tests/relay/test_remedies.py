"""Each cause has one command, which a shell passes on unharmed; and roles as Bicep."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace

import pytest

from relay import bicep, filters
from relay.causes import Cause, Service
from relay.needs import Act, needs_of, needs_of_the_host
from relay.refusals import Principal
from relay.remedies import remedy
from relay.routing import Destination, Kind, Route
from relay.settings import (
    Connection,
    Container,
    Ingress,
    Network,
    ServiceBusIngress,
    Settings,
    Transport,
    WaysIn,
)

CLIENT_ID = "7b0c9d3e-52b4-4c8b-9a54-0f6e2a8d1c11"
IDENTITY_ID = (
    "/subscriptions/s/resourceGroups/r(1)/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/relay-operations"
)
BUS_ID = "/subscriptions/s/resourceGroups/r(1)/providers/Microsoft.ServiceBus/namespaces/bus"
HUBS = Connection("HUBS", "hubs.servicebus.windows.net")
BUS = Connection(
    "BUS",
    "bus.servicebus.usgovcloudapi.net",
    CLIENT_ID,
    Transport.WEB_SOCKETS,
    BUS_ID,
    network=Network.PUBLIC,
)


def route(name: str, destination: Destination) -> Route:
    return Route(name, filters.compile("true"), destination)


SETTINGS = Settings(
    routes=(
        route("hub", Destination("HUBS", Kind.EVENT_HUB, "twin-changes")),
        route("queue", Destination("BUS", Kind.QUEUE, "alarms")),
        route("topic", Destination("BUS", Kind.TOPIC, "alarms")),
        route("again", Destination("BUS", Kind.TOPIC, "alarms")),
    ),
    connections={"HUBS": HUBS, "BUS": BUS},
    dead_letters=Container(
        "https://plant.blob.core.windows.net", "dead-letters", identity_id=IDENTITY_ID
    ),
    ways_in=WaysIn(
        event_hub=Ingress(HUBS, Kind.EVENT_HUB, "twin-events", "$Default"),
        service_bus=ServiceBusIngress(Ingress(BUS, Kind.TOPIC, "twin-events", "relay")),
    ),
    host_storage=Container("https://host.blob.core.windows.net", ""),
)
NEEDS = needs_of(SETTINGS) + needs_of_the_host(SETTINGS)
KNOWN = Principal("system-assigned identity", CLIENT_ID, "66666666-7777-8888-9999-000000000000")
NOBODY = Principal("system-assigned identity")
# What passes by itself, is a person's to look at, or is unknown: no command would mend it.
WITHOUT_COMMAND = {
    Cause.SETTINGS_UNUSABLE,
    Cause.NO_ANSWER,
    Cause.IDENTITY_ENDPOINT_BUSY,
    Cause.WRONG_TENANT,
    Cause.KEY_REFUSED,
    Cause.NOT_ALLOWED,
    Cause.THROTTLED,
    Cause.QUOTA_EXCEEDED,
    Cause.UNAVAILABLE,
    Cause.UNKNOWN,
}


def test_everything_that_the_settings_name_is_a_need() -> None:
    assert [(need.subject, need.act, need.service) for need in NEEDS] == [
        ("ingress hub twin-events", Act.LISTEN, Service.EVENT_HUBS),
        ("ingress subscription of twin-events", Act.LISTEN, Service.SERVICE_BUS),
        ("route hub", Act.SEND, Service.EVENT_HUBS),
        ("route queue", Act.SEND, Service.SERVICE_BUS),
        ("route topic", Act.SEND, Service.SERVICE_BUS),
        ("route again", Act.SEND, Service.SERVICE_BUS),
        ("dead letters", Act.STORE, Service.STORAGE),
        ("host storage", Act.HOST, Service.STORAGE),
    ]


def test_each_need_has_the_role_at_its_narrowest_scope() -> None:
    ends = [(need.resource.role.name, need.resource.path) for need in NEEDS]

    assert ends == [
        ("Azure Event Hubs Data Receiver", "/eventhubs/twin-events"),
        ("Azure Service Bus Data Receiver", "/topics/twin-events/subscriptions/relay"),
        ("Azure Event Hubs Data Sender", "/eventhubs/twin-changes"),
        ("Azure Service Bus Data Sender", "/queues/alarms"),
        ("Azure Service Bus Data Sender", "/topics/alarms"),
        ("Azure Service Bus Data Sender", "/topics/alarms"),
        (
            "Storage Blob Data Contributor",
            "/blobServices/default/containers/dead-letters",
        ),
        ("Storage Blob Data Owner", ""),
    ]


def test_settings_are_named_with_the_prefix_of_their_relay() -> None:
    several = needs_of(replace(SETTINGS, prefix="PLANT_A_"))

    assert {need.setting for need in several} == {
        "PLANT_A_HUBS",
        "PLANT_A_BUS",
        "PLANT_A_DEAD_LETTERS",
    }


def test_the_way_there_follows_from_transport_and_address() -> None:
    lab = replace(
        SETTINGS, dead_letters=Container("https://127.0.0.1:10001/account", "letters")
    )

    assert [(need.host, need.port) for need in (NEEDS[0], NEEDS[1], needs_of(lab)[-1])] == [
        ("hubs.servicebus.windows.net", 5671),
        ("bus.servicebus.usgovcloudapi.net", 443),
        ("127.0.0.1", 10001),
    ]


def test_the_private_zone_is_that_of_the_hosts_cloud() -> None:
    assert [NEEDS[0].zone, NEEDS[1].zone, NEEDS[6].zone] == [
        "privatelink.servicebus.windows.net",
        "privatelink.servicebus.usgovcloudapi.net",
        "privatelink.blob.core.windows.net",
    ]
    assert replace(NEEDS[0], host="127.0.0.2").zone == ""


@pytest.mark.parametrize("cause", sorted(set(Cause) - WITHOUT_COMMAND))
@pytest.mark.parametrize("principal", [KNOWN, NOBODY], ids=["known", "nobody"])
def test_the_command_is_one_line_that_a_shell_passes_on_unharmed(
    cause: Cause, principal: Principal
) -> None:
    found = "/subscriptions/x/found"
    stub = 'if [ "$1 $2" = "resource list" ]; then echo "$FOUND"; else printf "%s\\n" "$@"; fi'
    tools = "".join(f"{tool}() {{ {stub}; }}; " for tool in ("az", "openssl", "timedatectl"))
    needs = needs_of(SETTINGS)
    commands = [remedy(cause, need, principal) for need in needs]
    shell = subprocess.run(
        ["bash", "-fuc", "\n".join([f'FOUND="{found}"; {tools}', *commands])],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        word.replace(need.resource.account_argument, need.resource.resource_id or found)
        for command, need in zip(commands, needs, strict=True)
        for word in shlex.split(command)[1:]
    ]

    assert not [command for command in commands if not command or "\n" in command]
    assert (shell.stderr, shell.stdout.splitlines()) == ("", expected)


@pytest.mark.parametrize("cause", sorted(WITHOUT_COMMAND))
def test_where_no_command_mends_it_none_is_made_up(cause: Cause) -> None:
    assert {remedy(cause, need, KNOWN) for need in NEEDS} == {""}


def test_a_missing_group_or_subscription_is_told_from_a_missing_hub_or_topic() -> None:
    hub, topic = NEEDS[0], NEEDS[1]

    assert " consumer-group create --name '$Default'" in remedy(
        Cause.NO_SUCH_ENTITY, hub, KNOWN, "'sb://h/twin-events/ConsumerGroups/$default'"
    )
    assert "eventhubs eventhub create" in remedy(Cause.NO_SUCH_ENTITY, hub, KNOWN, "sb://h/x")
    assert " subscription create --name 'relay'" in remedy(
        Cause.NO_SUCH_ENTITY, topic, KNOWN, "'sb://b/twin-events/Subscriptions/relay'"
    )
    assert "--resource-group 'r(1)'" in remedy(Cause.NO_SUCH_ENTITY, topic, KNOWN)


# Bicep


def declared(text: str) -> list[str]:
    return re.findall(r"^(?:resource|param) (\w+) ", text, re.MULTILINE)


def test_bicep_declares_each_symbol_once_and_uses_none_that_is_not_declared() -> None:
    text = bicep.assignments(NEEDS)
    symbols = declared(text)
    used = re.findall(r"(?:scope|parent|principalId): (\w+)", text)

    assert len(symbols) == len(set(symbols))
    assert set(used) <= set(symbols)
    assert text.count("{") == text.count("}")
    assert text.count("'") % 2 == 0


def test_bicep_assigns_each_role_once_by_its_id() -> None:
    text = bicep.assignments(NEEDS)
    names = re.findall(r"name: guid\((.*)\)", text)

    assert len(names) == len(set(names)) == len(NEEDS) - 1  # two routes share a topic
    assert {name[-37:-1] for name in names} == {need.resource.role.id for need in NEEDS}


def test_bicep_keeps_names_apart_that_are_spelt_alike() -> None:
    one = [
        NEEDS[2],
        replace(NEEDS[2], resource=replace(NEEDS[2].resource, path="/eventhubs/twin.changes")),
    ]
    text = bicep.assignments(one)

    assert "name: 'twin-changes'" in text
    assert "name: 'twin.changes'" in text
    assert len(declared(text)) == len(set(declared(text)))


def test_bicep_takes_the_identities_as_parameters() -> None:
    assert re.findall(r"^param (\w+) string", bicep.assignments(NEEDS), re.MULTILINE) == [
        "principalId",
        "principalId1",
        "principalId2",
    ]
