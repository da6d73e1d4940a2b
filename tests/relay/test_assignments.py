"""What is needed against what is assigned: missing, too broad, unused, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.assignments import (
    BLOB_READER,
    CONTRIBUTOR,
    EVENT_HUBS_OWNER,
    OWNER,
    READER,
    Assigned,
    Wanted,
    assigned_of,
    difference,
)
from relay.refusals import (
    BLOB_CONTRIBUTOR,
    BLOB_OWNER,
    EVENT_HUBS_RECEIVER,
    EVENT_HUBS_SENDER,
    SERVICE_BUS_SENDER,
    Role,
)

GROUP = "/subscriptions/s/resourceGroups/r"
NAMESPACE = f"{GROUP}/providers/Microsoft.EventHub/namespaces/plant"
HUB = f"{NAMESPACE}/eventhubs/alarms"
ME, OTHER = "object-of-mine", "object-of-another"
WANTED = Wanted("route alarms", "system-assigned identity", ME, EVENT_HUBS_SENDER, HUB)


def held(role: Role = EVENT_HUBS_SENDER, scope: str = HUB, who: str = ME) -> Assigned:
    return Assigned(f"{scope}/{role.id}/{who}", who, role.id, scope)


@pytest.mark.parametrize("scope", [HUB, HUB.upper(), HUB + "/"])
def test_what_is_assigned_exactly_differs_in_nothing(scope: str) -> None:
    assert difference([WANTED], [held(scope=scope)]).is_none


@pytest.mark.parametrize(
    "there",
    [
        [],
        [held(who=OTHER)],
        [held(EVENT_HUBS_RECEIVER)],
        [held(SERVICE_BUS_SENDER)],
        [held(scope=HUB + "-2")],
        [held(OWNER, GROUP)],
        [held(CONTRIBUTOR, GROUP)],
    ],
    ids=[
        "nothing",
        "another's",
        "receiver",
        "other service",
        "other hub",
        "owner",
        "contributor",
    ],
)
def test_what_gives_no_right_leaves_it_missing(there: list[Assigned]) -> None:
    assert difference([WANTED], there).missing == (WANTED,)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (held(scope=NAMESPACE), "above what is needed"),
        (held(scope=GROUP), "above what is needed"),
        (held(EVENT_HUBS_OWNER), "includes more"),
        (held(OWNER, GROUP), "rules over resources"),
        (held(CONTRIBUTOR, NAMESPACE), "rules over resources"),
    ],
)
def test_what_gives_more_is_too_broad_and_says_why(there: Assigned, why: str) -> None:
    found = difference([WANTED], [held(), there])

    assert found.missing == ()
    assert [(excess.assigned, why in excess.why) for excess in found.too_broad] == [
        (there, True)
    ]
    assert found.unused == ()


def test_an_owner_of_data_at_the_group_is_too_broad_twice() -> None:
    found = difference([WANTED], [held(EVENT_HUBS_OWNER, GROUP)])

    assert len(found.too_broad) == 2
    assert found.missing == ()


@pytest.mark.parametrize(
    "there", [held(EVENT_HUBS_RECEIVER), held(scope=HUB + "-2"), held(BLOB_OWNER, GROUP)]
)
def test_what_nothing_needs_is_unused(there: Assigned) -> None:
    assert difference([WANTED], [held(), there]).unused == (there,)


def test_a_reader_and_unknown_roles_are_left_alone() -> None:
    strange = Role("Something else", "00000000-0000-0000-0000-000000000001")

    assert difference([WANTED], [held(), held(READER, GROUP), held(strange)]).is_none


def test_what_others_hold_is_none_of_our_business() -> None:
    assert difference([WANTED], [held(), held(OWNER, GROUP, OTHER)]).is_none


roles = st.sampled_from(
    [EVENT_HUBS_SENDER, EVENT_HUBS_RECEIVER, EVENT_HUBS_OWNER, BLOB_CONTRIBUTOR, BLOB_READER]
)
scopes = st.sampled_from([GROUP, NAMESPACE, HUB, HUB + "-2"])
assigned = st.builds(held, roles, scopes, st.sampled_from([ME, OTHER]))
wanted = st.builds(lambda role, scope: Wanted("x", "y", ME, role, scope), roles, scopes)


@given(st.lists(wanted, max_size=4, unique=True), st.lists(assigned, max_size=6))
def test_every_need_is_met_or_missing_and_no_assignment_is_two_things(
    needs: list[Wanted], there: list[Assigned]
) -> None:
    found = difference(needs, there)
    met = [each for each in needs if any(one.answers(each) for one in there)]
    broad = {excess.assigned for excess in found.too_broad}

    assert set(found.missing) == set(needs) - set(met)
    assert not broad & set(found.unused)
    assert broad | set(found.unused) <= set(there)


def test_assigning_what_is_missing_and_removing_the_rest_leaves_no_difference() -> None:
    there = [held(scope=NAMESPACE), held(EVENT_HUBS_RECEIVER), held(OWNER, GROUP)]
    found = difference([WANTED], there)
    removed = {excess.assigned for excess in found.too_broad} | set(found.unused)
    after = [each for each in there if each not in removed]

    assert difference([WANTED], [*after, held()]).is_none


def test_an_assignment_is_read_as_azure_tells_it() -> None:
    told = {
        "id": f"{HUB}/providers/Microsoft.Authorization/roleAssignments/1",
        "properties": {
            "roleDefinitionId": "/subscriptions/s/providers/Microsoft.Authorization"
            f"/roleDefinitions/{EVENT_HUBS_SENDER.id.upper()}",
            "principalId": ME,
            "scope": HUB,
            "createdOn": "2026-11-26T01:00:00.1234567Z",
        },
    }
    found = assigned_of(told)

    assert found.answers(WANTED)
    assert found.created == pytest.approx(1795654800.123456)
    assert found.role == EVENT_HUBS_SENDER.name


@pytest.mark.parametrize("told", [None, "", "yesterday", 7])
def test_a_time_that_cannot_be_read_is_no_time(told: object) -> None:
    properties = {"roleDefinitionId": "/x/y", "principalId": ME, "scope": HUB}

    assert assigned_of({"id": "1", "properties": properties | {"createdOn": told}}).created == 0
