"""A refusal names all that mends it, and its command can be pasted into a shell."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import fields, replace

import pytest

from relay.failures import Reason, Refusal
from relay.refusals import (
    BLOB_CONTRIBUTOR,
    EVENT_HUBS_RECEIVER,
    EVENT_HUBS_SENDER,
    SERVICE_BUS_SENDER,
    Principal,
    Resource,
    Role,
    explain,
)

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
OBJECT_ID = "66666666-7777-8888-9999-000000000000"
NAMESPACE = (
    "/subscriptions/s/resourceGroups/rg(1)/providers/Microsoft.EventHub/namespaces/twins"
)

HUB = Resource(
    label="twins/alarms",
    audience="https://eventhubs.azure.net/",
    role=EVENT_HUBS_SENDER,
    provider="Microsoft.EventHub/namespaces",
    account="twins",
    path="/eventhubs/alarms",
    resource_id=NAMESPACE,
)
CONTAINER = Resource(
    label="store/dead-letters",
    audience="https://storage.azure.com/",
    role=BLOB_CONTRIBUTOR,
    provider="Microsoft.Storage/storageAccounts",
    account="store",
    path="/blobServices/default/containers/dead-letters",
)
USER_ASSIGNED = Principal(f"user-assigned identity {CLIENT_ID}", CLIENT_ID, OBJECT_ID)
WITHOUT_TOKEN = Principal(f"user-assigned identity {CLIENT_ID}", CLIENT_ID)
NOBODY_YET = Principal("system-assigned identity")

REFUSALS = [Reason.FORBIDDEN, Reason.NETWORK_DENIED, Reason.UNAUTHENTICATED]
RESOURCES = [HUB, replace(HUB, resource_id=""), CONTAINER]


def refusal_of(
    reason: Reason = Reason.FORBIDDEN,
    resource: Resource = HUB,
    principal: Principal = USER_ASSIGNED,
) -> Refusal:
    refusal = explain(reason, resource, principal)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize("reason", sorted(set(Reason) - set(REFUSALS)))
def test_what_is_no_refusal_has_no_explanation(reason: Reason) -> None:
    assert explain(reason, HUB, USER_ASSIGNED) is None


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_missing_role_is_named_with_who_what_and_where(resource: Resource) -> None:
    words = str(refusal_of(resource=resource))

    assert all(
        word in words
        for word in (
            CLIENT_ID,
            OBJECT_ID,
            resource.label,
            resource.role.name,
            resource.role.id,
            resource.scope,
            "az role assignment create",
        )
    )


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_refusal_names_identity_destination_and_remedy(reason: Reason) -> None:
    refusal = refusal_of(reason)
    words = str(refusal)

    assert all(word in words for word in (CLIENT_ID, OBJECT_ID, refusal.remedy, HUB.account))
    assert (
        refusal.client_id,
        refusal.object_id,
        refusal.destination,
        refusal.audience,
        refusal.role,
        refusal.role_id,
        refusal.scope,
    ) == (
        CLIENT_ID,
        OBJECT_ID,
        HUB.label,
        HUB.audience,
        HUB.role.name,
        HUB.role.id,
        f"{NAMESPACE}/eventhubs/alarms",
    )


def test_the_three_kinds_of_refusal_tell_three_stories() -> None:
    role, network = refusal_of(Reason.FORBIDDEN), refusal_of(Reason.NETWORK_DENIED)
    token = refusal_of(Reason.UNAUTHENTICATED, principal=WITHOUT_TOKEN)

    assert "lacks the role" in role.cause
    assert "firewall" in network.cause
    assert "no role is missing" in network.cause
    assert "token" in token.cause
    assert HUB.audience in token.cause
    assert len({role.remedy, network.remedy, token.remedy}) == 3


def test_an_unknown_scope_is_shown_with_placeholders() -> None:
    assert CONTAINER.scope == (
        "/subscriptions/<subscription>/resourceGroups/<resource-group>"
        "/providers/Microsoft.Storage/storageAccounts/store"
        "/blobServices/default/containers/dead-letters"
    )


def options(remedy: str) -> dict[str, str]:
    words = shlex.split(remedy)
    assert words[0] == "az"
    start = next(n for n, word in enumerate(words) if word.startswith("--"))
    names, values = words[start::2], words[start + 1 :: 2]
    assert all(name.startswith("--") for name in names)
    assert not any(value.startswith("--") for value in values)
    return dict(zip(names, values, strict=True))


def test_the_role_is_assigned_to_the_object_id_at_the_narrowest_scope() -> None:
    assert options(refusal_of().remedy) == {
        "--assignee-object-id": OBJECT_ID,
        "--assignee-principal-type": "ServicePrincipal",
        "--role": EVENT_HUBS_SENDER.id,
        "--scope": f"{NAMESPACE}/eventhubs/alarms",
    }


def test_the_private_endpoint_leads_to_the_right_part_of_the_resource() -> None:
    remedies = [refusal_of(Reason.NETWORK_DENIED, each).remedy for each in (HUB, CONTAINER)]

    assert [options(remedy)["--group-id"] for remedy in remedies] == ["namespace", "blob"]


@pytest.mark.parametrize(
    ("principal", "assigned"),
    [(WITHOUT_TOKEN, "<resource id of the identity>"), (NOBODY_YET, "[system]")],
)
def test_an_identity_that_is_not_there_is_assigned(principal: Principal, assigned: str) -> None:
    remedy = refusal_of(Reason.UNAUTHENTICATED, HUB, principal).remedy

    assert options(remedy)["--identities"] == assigned


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("principal", [USER_ASSIGNED, WITHOUT_TOKEN, NOBODY_YET])
def test_the_command_is_one_line_that_a_shell_passes_on_unharmed(
    reason: Reason, resource: Resource, principal: Principal
) -> None:
    """A placeholder left unquoted would be a redirection, and a bracket a pattern."""
    remedy = refusal_of(reason, resource, principal).remedy
    found = f"{NAMESPACE}/found"
    stub = 'if [ "$1 $2" = "resource list" ]; then echo "$FOUND"; else printf "%s\\n" "$@"; fi'
    script = f'FOUND="{found}"; az() {{ {stub}; }}'

    shell = subprocess.run(
        ["bash", "-fuc", f"{script}\n{remedy}"], capture_output=True, text=True, check=True
    )

    expected = [
        word.replace(resource.account_argument, resource.resource_id or found)
        for word in shlex.split(remedy)[1:]
    ]
    assert "\n" not in remedy
    assert shell.stderr == ""
    assert shell.stdout.splitlines() == expected


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("resource", RESOURCES)
def test_no_shell_takes_part_of_the_command_for_a_pattern(
    reason: Reason, resource: Resource
) -> None:
    """Zsh ends with an error where a pattern matches no file."""
    unquoted = re.sub("'[^']*'", "", refusal_of(reason, resource, NOBODY_YET).remedy)

    assert not set(unquoted) & set("[]*?<>;&|~!")


@pytest.mark.parametrize(
    ("role", "id_"),
    [
        (EVENT_HUBS_SENDER, "2b629674-e913-4c01-ae53-ef4638d8f975"),
        (EVENT_HUBS_RECEIVER, "a638d3c7-ab3a-418d-83e6-5f17a39d4fde"),
        (SERVICE_BUS_SENDER, "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"),
        (BLOB_CONTRIBUTOR, "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    ],
)
def test_roles_have_the_ids_that_azure_gave_them(role: Role, id_: str) -> None:
    assert role.id == id_


def test_a_refusal_has_no_place_for_a_token() -> None:
    names = {field.name for kind in (Refusal, Principal, Resource) for field in fields(kind)}

    assert not {name for name in names if "token" in name or "secret" in name or "key" in name}


def test_a_missing_role_says_how_old_the_token_is() -> None:
    """A role may have been granted since."""
    words = str(refusal_of(principal=replace(USER_ASSIGNED, issued=1_800_000_000)))

    assert "the token is of 2027-01-15T08:00:00Z" in words
    assert "the token is of" not in str(refusal_of())


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("ExpiredToken: The token is expired. Expiration time: ...", "has run out"),
        ("InvalidIssuer: Token issuer is invalid.", "another tenant"),
        ("The token is not yet valid", "clocks"),
        ("InvalidAudience: ...", "made out to another service"),
        ("nobody knows these words", "Most often it is the firewall"),
        ("", "Most often it is the firewall"),
    ],
)
def test_a_token_that_was_not_accepted_says_why_where_the_service_does(
    said: str, meaning: str
) -> None:
    refusal = explain(Reason.UNAUTHENTICATED, HUB, USER_ASSIGNED, said)

    assert refusal is not None
    assert meaning in refusal.cause


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("no token for x (identity_not_found): ...", "does not have the identity"),
        ("no token for x (identity_endpoint_refused): ...", "does not know this process"),
        ("no token for x (audience_unknown): ...", "AADSTS500011"),
        ("no token for x (unknown): ...", "is not assigned to this function app"),
    ],
)
def test_a_token_that_was_not_given_says_why_where_the_endpoint_does(
    said: str, meaning: str
) -> None:
    refusal = explain(Reason.UNAUTHENTICATED, HUB, WITHOUT_TOKEN, said)

    assert refusal is not None
    assert meaning in refusal.cause
    assert HUB.audience in refusal.cause
