from __future__ import annotations

import pytest

from lab.demo.remedy import Assignment, RemedyError, read_remedy
from relay.failures import Reason
from relay.refusals import EVENT_HUBS_SENDER, Principal, Resource, explain

NAMESPACE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/twin-relay-lab"
    "/providers/Microsoft.EventHub/namespaces/analytics"
)
COMMAND = (
    "az role assignment create --assignee-object-id o --assignee-principal-type "
    f'ServicePrincipal --role r --scope "{NAMESPACE}/eventhubs/twin-changes"'
)


def test_the_command_is_read_as_a_shell_reads_it() -> None:
    assert Assignment("o", "r", f"{NAMESPACE}/eventhubs/twin-changes") == read_remedy(COMMAND)


def test_the_relays_own_remedy_can_be_carried_out() -> None:
    resource = Resource(
        label="analytics/twin-changes",
        audience="https://eventhubs.azure.net",
        role=EVENT_HUBS_SENDER,
        provider="Microsoft.EventHub/namespaces",
        account="analytics",
        path="/eventhubs/twin-changes",
        resource_id=NAMESPACE,
    )
    refusal = explain(
        Reason.FORBIDDEN, resource, Principal("system-assigned identity", "c", "o")
    )
    assert refusal is not None
    assert read_remedy(refusal.remedy) == Assignment(
        "o", EVENT_HUBS_SENDER.id, f"{NAMESPACE}/eventhubs/twin-changes"
    )


@pytest.mark.parametrize(
    "command",
    [
        "",
        "az role assignment delete --assignee-object-id o --role r --scope /s",
        "az role assignment create --role r --scope /s",
        "az role assignment create --assignee-object-id o --role r --scope",
        "az role assignment create --assignee-object-id o --role r --scope /s --name",
        "az role assignment create --assignee-object-id <object-id> --role r --scope /s",
        'az role assignment create --assignee-object-id o --role r --scope "$(az group)/s"',
        "az role assignment create --assignee-object-id o --role r --scope '/s",
    ],
)
def test_what_cannot_be_carried_out_is_refused(command: str) -> None:
    with pytest.raises(RemedyError):
        read_remedy(command)
