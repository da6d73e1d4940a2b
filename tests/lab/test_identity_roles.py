from __future__ import annotations

import pytest

from lab.identity import RESOURCE_GROUP, ROLES, Directory, UnknownNameError, covers, role

HUB = f"{RESOURCE_GROUP}/providers/Microsoft.EventHub/namespaces/ingress/eventhubs/twin-events"
NAMESPACE = f"{RESOURCE_GROUP}/providers/Microsoft.EventHub/namespaces/ingress"
SENDER = "2b629674-e913-4c01-ae53-ef4638d8f975"


@pytest.mark.parametrize(
    ("scope", "resource", "expected"),
    [
        pytest.param(HUB, HUB, True, id="a scope covers itself"),
        pytest.param(NAMESPACE, HUB, True, id="a namespace covers its hubs"),
        pytest.param(RESOURCE_GROUP, HUB, True, id="a resource group covers all that is in it"),
        pytest.param(HUB.upper(), HUB, True, id="case makes no difference"),
        pytest.param(NAMESPACE + "/", HUB, True, id="nor does a trailing slash"),
        pytest.param(HUB, NAMESPACE, False, id="a hub does not cover its namespace"),
        pytest.param(HUB, HUB + "-2", False, id="a name that begins alike is another name"),
    ],
)
def test_an_assignment_covers_its_scope_and_everything_below(
    scope: str, resource: str, *, expected: bool
) -> None:
    assert expected is covers(scope, resource)


def test_every_role_has_an_id_and_a_name_of_its_own() -> None:
    assert len(ROLES) == len({each.id for each in ROLES}) == len({each.name for each in ROLES})


def test_a_role_is_found_by_id_and_by_name_without_case() -> None:
    found = role("azure event hubs data SENDER")

    assert found is not None
    assert found is role(SENDER.upper())
    assert frozenset({"eventhubs/send"}) == found.actions


@pytest.fixture
def directory() -> Directory:
    return Directory()


def test_a_sender_may_send_where_it_is_assigned_and_nowhere_else(directory: Directory) -> None:
    relay = directory.register("relay", app="relay", system_assigned=True)
    directory.grant(relay.object_id, SENDER, HUB)

    assert directory.allows(relay.object_id, "eventhubs/send", HUB)
    assert not directory.allows(relay.object_id, "eventhubs/listen", HUB)
    assert not directory.allows(relay.object_id, "servicebus/send", HUB)
    assert not directory.allows(relay.object_id, "eventhubs/send", NAMESPACE)


def test_a_revoked_role_allows_nothing_and_subscribers_hear_of_it(directory: Directory) -> None:
    heard: list[int] = []
    relay = directory.register("relay", app="relay")
    unsubscribe = directory.subscribe(lambda: heard.append(len(directory.assignments())))

    directory.grant(relay.object_id, SENDER, HUB)
    directory.revoke(relay.object_id, SENDER, HUB.upper())
    unsubscribe()
    directory.grant(relay.object_id, SENDER, HUB)

    assert heard == [1, 0]


def test_an_assignment_above_outlives_the_one_below(directory: Directory) -> None:
    relay = directory.register("relay", app="relay")
    directory.grant(relay.object_id, SENDER, NAMESPACE)
    directory.grant(relay.object_id, SENDER, HUB)
    directory.revoke(relay.object_id, SENDER, HUB)

    assert directory.allows(relay.object_id, "eventhubs/send", HUB)


def test_revoking_what_was_never_granted_says_what_was(directory: Directory) -> None:
    relay = directory.register("relay", app="relay")
    directory.grant(relay.object_id, SENDER, NAMESPACE)

    with pytest.raises(
        UnknownNameError, match=f"known: Azure Event Hubs Data Sender on {NAMESPACE}"
    ):
        directory.revoke(relay.object_id, SENDER, HUB)


def test_an_unknown_role_or_principal_is_refused_with_the_known_ones(
    directory: Directory,
) -> None:
    relay = directory.register("relay", app="relay")

    with pytest.raises(
        UnknownNameError, match=r"no role is called 'Sender'; known: .*Data Sender"
    ):
        directory.grant(relay.object_id, "Sender", HUB)
    with pytest.raises(UnknownNameError, match="no identity is called 'nobody'; known: relay"):
        directory.grant("nobody", SENDER, HUB)


def test_a_scope_that_is_no_resource_id_is_refused(directory: Directory) -> None:
    relay = directory.register("relay", app="relay")

    with pytest.raises(ValueError, match="starts with '/'"):
        directory.grant(relay.object_id, SENDER, "")


def test_the_ids_of_an_identity_follow_from_its_name(directory: Directory) -> None:
    assert directory.register("relay", app="relay") == Directory().register(
        "relay", app="relay"
    )


def test_a_user_assigned_identity_may_serve_two_apps(directory: Directory) -> None:
    shared = directory.register("shared", app="one")

    assert shared is not directory.register("shared", app="two", client_id=shared.client_id)
    assert (shared,) == directory.identities("one") == directory.identities("two")
    assert (shared,) == directory.principals()


def test_an_app_has_one_system_assigned_identity(directory: Directory) -> None:
    directory.register("relay", app="relay", system_assigned=True)

    with pytest.raises(ValueError, match="has a system-assigned identity already"):
        directory.register("other", app="relay", system_assigned=True)


def test_two_identities_cannot_share_a_name(directory: Directory) -> None:
    directory.register("relay", app="relay")

    with pytest.raises(ValueError, match="another identity is called 'relay' already"):
        directory.register(
            "relay", app="relay", object_id="00000000-0000-0000-0000-000000000001"
        )
