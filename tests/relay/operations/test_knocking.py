"""Whether an ingress lets the relay in, tried by the SDKs over a local Azure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from lab.diagnosis.bench import Bench, Told, a_bench
from lab.diagnosis.cases import CASES
from lab.diagnosis.matrix import SPOKEN
from relay.causes import Cause
from relay.failures import DeliveryError, Reason
from relay.identity import Identity
from relay.needs import Act, Need, needs_of
from relay.operations.knocking import knock

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("diagnosis"),
]

REASONS = {
    Cause.MISSING_ROLE: Reason.FORBIDDEN,
    Cause.NETWORK_DENIED: Reason.NETWORK_DENIED,
    Cause.IDENTITY_ENDPOINT_REFUSED: Reason.UNAUTHENTICATED,
    Cause.WRONG_AUDIENCE: Reason.UNAUTHENTICATED,
    Cause.IDENTITY_ENDPOINT_FAILED: Reason.UNAVAILABLE,
    Cause.NO_SUCH_ENTITY: Reason.NOT_FOUND,
    Cause.THROTTLED: Reason.THROTTLED,
    Cause.TLS_NOT_TRUSTED: Reason.UNAVAILABLE,
    Cause.NO_ANSWER: Reason.TIMEOUT,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path_factory.mktemp("bench"), SPOKEN) as running:
        yield running


async def tried(bench: Bench, told: Told) -> dict[str, DeliveryError | None]:
    """Try every ingress, and return why it does not let the relay in."""
    settings = bench.settings(told)
    needs = [need for need in needs_of(settings) if need.act is Act.LISTEN]
    found = await asyncio.gather(*(_tried(need, settings.ca_file) for need in needs))
    return {need.subject: error for need, error in zip(needs, found, strict=True)}


async def _tried(need: Need, ca_file: str | None) -> DeliveryError | None:
    async with Identity(need.identity.client_id, retried=False) as identity:
        try:
            await knock(need, identity, ca_file)
        except DeliveryError as error:
            return error
    return None


async def test_an_ingress_that_lets_the_relay_in_says_nothing(bench: Bench) -> None:
    assert await tried(bench, Told()) == {
        "ingress hub hub": None,
        "ingress queue queue": None,
        "ingress subscription of topic": None,
    }


@pytest.mark.parametrize("cause", REASONS)
async def test_whatever_is_wrong_has_the_reason_that_a_destination_would_have(
    bench: Bench, cause: Cause, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cause is Cause.NO_ANSWER:  # of the others a slow machine's answers are waited for
        monkeypatch.setattr("relay.operations.opening.SECONDS", 2.0)
    (case,) = [case for case in CASES if case.cause is cause and not case.hides_words]

    async with case.produce(bench) as told:
        found = await tried(bench, told)

    assert {REASONS[cause]} == {error.reason if error else None for error in found.values()}
    assert all((e.refusal is not None) is e.reason.is_refusal for e in found.values() if e)


async def test_a_missing_role_is_explained_with_the_command_that_mends_it(
    bench: Bench,
) -> None:
    with no_receiver(bench):
        found = await tried(bench, Told())

    roles = {
        "ingress hub hub": "Azure Event Hubs Data Receiver",
        "ingress queue queue": "Azure Service Bus Data Receiver",
        "ingress subscription of topic": "Azure Service Bus Data Receiver",
    }
    who = bench.azure.directory.principal("relay").object_id
    for name, role in roles.items():
        error = found[name]
        assert error is not None
        assert error.refusal is not None
        assert error.refusal.role == role
        assert f"--assignee-object-id {who}" in error.refusal.remedy
        assert error.refusal.scope.rpartition("/")[2] in {*name.split(), "relay"}


async def test_a_message_that_waits_is_left_as_it_is(bench: Bench) -> None:
    """A lock that ends counts as a delivery, and after ten of them the message is dead."""
    settings = bench.settings(Told())
    bus = settings.connections["BUS"]
    async with (
        Identity() as identity,
        ServiceBusClient(bus.namespace, identity, connection_verify=settings.ca_file) as client,
        client.get_queue_sender("queue") as sender,
        client.get_queue_receiver("queue", max_wait_time=10) as receiver,
    ):
        await sender.send_messages(ServiceBusMessage("twin"))
        for _ in range(2):
            assert set((await tried(bench, Told())).values()) == {None}
        (message,) = await receiver.receive_messages()
        await receiver.complete_message(message)

    assert message.delivery_count == 0


@contextmanager
def no_receiver(bench: Bench) -> Iterator[None]:
    """Take the roles to receive, and leave those to send."""
    control = bench.azure.control
    taken = [grant for grant in bench.grants() if grant.role.endswith("Receiver")]
    for grant in taken:
        control.revoke(grant.identity, grant.role, grant.scope)
    yield
    for grant in taken:
        control.grant(grant.identity, grant.role, grant.scope)
