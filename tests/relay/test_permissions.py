"""Roles and actions: stable, whole, and nothing that is not granted."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.permissions import (
    BUILT_IN,
    OPERATOR,
    READER,
    SCOPES,
    SENDER,
    Action,
    UnknownActionError,
    manifest,
    matching,
)

ROOT = Path(__file__).parents[2]


def test_the_ids_of_roles_never_change() -> None:
    """Assignments in tenants name them; a new id would take everybody's role away."""
    assert {
        "Relay.Reader": "c82b9adb-4f5e-4305-8acf-da4734f2f82f",
        "Relay.Operator": "bd566209-5b86-42d2-ba3e-2ab3b701cb08",
        "AzureEventGridSecureWebhookSubscriber": "8d190ff4-d805-4f21-b586-92fff8680d2b",
    } == {role.value: role.id for role in BUILT_IN}
    assert {
        "Relay.Read": "40a99766-d1b7-4c51-a159-4d0ea0068da3",
        "Relay.Operate": "173013c5-aa8d-4cde-b846-ab3ffbc9afa6",
    } == {value: scope_id for value, (scope_id, _) in SCOPES.items()}


def test_every_action_is_allowed_by_some_role() -> None:
    assert set(Action) == OPERATOR.actions | READER.actions | SENDER.actions


def test_a_reader_changes_nothing_and_a_sender_sees_nothing() -> None:
    assert not [action for action in READER.actions if not action.endswith("/read")]
    assert {Action.EVENTS_WRITE} == SENDER.actions


@pytest.mark.parametrize(
    ("pattern", "actions"),
    [
        ("routes/read", {Action.ROUTES_READ}),
        ("deadLetters/*", {Action.DEAD_LETTERS_READ, Action.DEAD_LETTERS_REDRIVE}),
        ("*/read", {Action.ROUTES_READ, Action.DEAD_LETTERS_READ}),
        ("*", set(Action)),
    ],
)
def test_a_pattern_means_the_actions_that_it_matches(
    pattern: str, actions: set[Action]
) -> None:
    assert matching([pattern]) == actions


@pytest.mark.parametrize(
    "pattern", ["", "routes", "Routes/read", "route?/read", "[a-z]*", "x/*"]
)
def test_a_pattern_that_means_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(UnknownActionError):
        matching(["routes/read", pattern])


@given(st.text())
def test_no_text_grants_what_it_does_not_name(pattern: str) -> None:
    try:
        found = matching([pattern])
    except UnknownActionError:
        return
    assert "*" in pattern or found == {Action(pattern)}


def test_the_manifest_that_ships_is_the_one_that_is_checked() -> None:
    written = json.loads((ROOT / "infra" / "entra-app.json").read_text("utf-8"))

    assert manifest({}) == written


def test_the_manifest_has_custom_roles_with_ids_that_stay() -> None:
    custom = {"Relay.Shift": frozenset({Action.ROUTES_READ})}
    own = manifest(custom)["appRoles"][-1]

    assert own == manifest(custom | {"Relay.B": frozenset()})["appRoles"][-1]
    assert (own["value"], own["description"]) == ("Relay.Shift", "May: routes/read.")
    assert UUID(own["id"]).version == 5


def test_the_table_in_the_docs_is_the_code_s() -> None:
    page = (ROOT / "docs" / "access.md").read_text("utf-8")
    for role in BUILT_IN:
        actions = ", ".join(f"`{action}`" for action in sorted(role.actions))
        assert f"| `{role.value}` | `{role.id}` | {actions} |" in page
