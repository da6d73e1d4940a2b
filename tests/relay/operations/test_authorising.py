"""The second step: who is known may do what his roles allow, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.operations.access import Caller, ForbiddenError
from relay.operations.authorising import Authorizer
from relay.permissions import BUILT_IN, OPERATOR, SCOPES, Action
from relay.settings import Access, Api

ACCESS = Access("t", ("api://twin-relay",), "https://login.microsoftonline.com")
SHIFT = {"Relay.Shift": frozenset({Action.DEAD_LETTERS_REDRIVE})}
API = Api(ACCESS, SHIFT, contact="the platform team")


def an_application(*roles: str) -> Caller:
    return Caller("a", "o", frozenset(roles))


def a_user(roles: set[str], scopes: set[str]) -> Caller:
    return Caller("a", "o", frozenset(roles), is_application=False, scopes=frozenset(scopes))


def may(caller: Caller) -> set[Action]:
    allowed = set()
    for action in Action:
        try:
            Authorizer(API).permit(caller, action)
        except ForbiddenError:
            continue
        allowed.add(action)
    return allowed


@pytest.mark.parametrize("role", BUILT_IN, ids=lambda role: role.value)
def test_a_role_allows_its_actions_and_no_others(role: object) -> None:
    assert may(an_application(role.value)) == role.actions  # type: ignore[attr-defined]


def test_without_a_role_nothing_is_allowed() -> None:
    assert may(an_application()) == set()


def test_a_custom_role_allows_what_the_setting_says() -> None:
    assert may(an_application("Relay.Shift")) == {Action.DEAD_LETTERS_REDRIVE}


@given(st.sets(st.text()))
def test_a_role_that_nobody_defined_allows_nothing(roles: set[str]) -> None:
    known = {role.value for role in BUILT_IN} | SHIFT.keys()

    assert may(an_application(*(roles - known))) == set()


@pytest.mark.parametrize(
    "alike", ["relay.operator", "Relay.Operator ", "Relay.Operator,x", "*"]
)
def test_a_role_that_only_looks_alike_allows_nothing(alike: str) -> None:
    assert may(an_application(alike)) == set()


@given(
    st.sets(st.sampled_from([*(role.value for role in BUILT_IN), "Relay.Shift", "x"])),
    st.sets(st.sampled_from([*SCOPES, "user_impersonation", ".default"])),
)
def test_in_a_users_name_both_must_allow_it(roles: set[str], scopes: set[str]) -> None:
    """Neither may an application do more than it was consented to, nor a user than he may."""
    by_roles = may(an_application(*roles))
    by_scopes = {action for s in scopes & SCOPES.keys() for action in SCOPES[s][1]}

    assert may(a_user(roles, scopes)) == by_roles & by_scopes


def test_nobody_sends_events_in_a_users_name() -> None:
    assert Action.EVENTS_WRITE not in may(a_user({r.value for r in BUILT_IN}, set(SCOPES)))


def test_a_refusal_names_who_what_which_roles_and_whom_to_ask() -> None:
    with pytest.raises(ForbiddenError) as caught:
        Authorizer(API).permit(an_application("Relay.Reader"), Action.DEAD_LETTERS_REDRIVE)
    told = caught.value.detail

    assert "application a (object id o) may not do deadLetters/redrive/action" in told
    assert caught.value.caller == "application a (object id o)"
    assert "one of the app roles Relay.Operator, Relay.Shift of api://twin-relay" in told
    assert "ask the platform team" in told
    assert caught.value.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_sc')


def test_a_user_hears_of_the_scopes_as_well() -> None:
    with pytest.raises(ForbiddenError, match=r"one of the scopes Relay\.Operate"):
        Authorizer(API).permit(a_user({OPERATOR.value}, {"Relay.Read"}), Action.DOCTOR)
