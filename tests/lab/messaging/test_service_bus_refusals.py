"""What the real SDK raises when the lab's Service Bus refuses or fails as Azure does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AzureSasCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from lab.certificates import issue
from lab.messaging.faults import Faults
from lab.messaging.model import Queue, Subscription, Topic
from tests.lab.messaging.service_bus_lab import (
    OWNER,
    RECEIVER,
    SENDER,
    Identity,
    ServiceBusLab,
    a_lab,
)

NAMESPACE = "operations"


@pytest.fixture
async def lab() -> AsyncIterator[ServiceBusLab]:
    entities = Queue("queue"), Topic("topic", (Subscription("a"), Subscription("b")))
    async with a_lab(*entities, role=None) as lab:
        yield lab


async def sends(lab: ServiceBusLab, **options: object) -> None:
    async with lab.sender("queue", **options) as sender:
        await sender.send_messages(ServiceBusMessage("1"), timeout=10)


async def receives(lab: ServiceBusLab, **options: object) -> None:
    async with lab.receiver("queue", keep_alive=0, prefetch_count=1, **options):
        pass


# Roles


@pytest.mark.parametrize(
    ("role", "act", "claim"),
    [
        (None, sends, "Send"),
        (RECEIVER, sends, "Send"),
        (None, receives, "Listen"),
        (SENDER, receives, "Listen"),
    ],
    ids=["no role sends", "receiver sends", "no role receives", "sender receives"],
)
async def test_a_missing_role_is_an_authorization_error_that_names_the_claim(
    lab: ServiceBusLab,
    role: str | None,
    act: Callable[[ServiceBusLab], Awaitable[None]],
    claim: str,
) -> None:
    if role is not None:
        lab.grant(role)
    resource = rf"Resource: 'sb://{lab.namespace.address}/queue'"

    with pytest.raises(
        ServiceBusAuthorizationError, match=rf"'{claim}' claim\(s\) are required .*{resource}"
    ):
        await act(lab)


async def test_a_role_on_one_entity_opens_no_other(lab: ServiceBusLab) -> None:
    lab.grant(SENDER, "topics", "topic")
    lab.grant(RECEIVER, "topics", "topic", "subscriptions", "a")
    async with lab.sender("topic") as sender:
        await sender.send_messages(ServiceBusMessage("1"), timeout=10)
    assert ["1"] == await lab.drain("topic", 1, "a")

    with pytest.raises(ServiceBusAuthorizationError):
        await sends(lab)
    with pytest.raises(ServiceBusAuthorizationError):
        await lab.drain("topic", 1, "b")


async def test_an_operation_is_refused_when_its_role_is_gone(lab: ServiceBusLab) -> None:
    lab.grant(SENDER)
    lab.grant(RECEIVER, "queues", "queue")
    async with lab.receiver("queue", keep_alive=0, prefetch_count=1) as receiver:
        assert [] == await receiver.peek_messages()
        lab.revoke(RECEIVER, "queues", "queue")
        with pytest.raises(ServiceBusError) as raised:
            await receiver.peek_messages()

    assert type(raised.value) is ServiceBusAuthorizationError


async def test_a_role_that_is_revoked_ends_the_open_link_and_refuses_the_next(
    lab: ServiceBusLab,
) -> None:
    lab.grant(SENDER)
    message = ServiceBusMessage("1")
    async with lab.sender("queue") as sender:
        await sender.send_messages(message, timeout=10)
        lab.revoke(SENDER)
        with pytest.raises(ServiceBusError) as first:
            await sender.send_messages(message, timeout=10)
    with pytest.raises(ServiceBusAuthorizationError):
        await sends(lab)
    lab.grant(SENDER)
    await sends(lab)

    assert type(first.value) is ServiceBusConnectionError  # the SDK hides a detach's condition
    assert 2 == lab.counts("queue")["active"]


async def test_a_token_for_another_service_is_an_authentication_error(
    lab: ServiceBusLab,
) -> None:
    lab.grant(OWNER)
    wrong = Identity(lab.directory, lab.principal, "https://eventhubs.azure.net/")

    with pytest.raises(ServiceBusAuthenticationError):
        await sends(lab, credential=wrong)


async def test_a_shared_access_signature_is_an_authentication_error(
    lab: ServiceBusLab,
) -> None:
    lab.grant(OWNER)
    signature = AzureSasCredential("SharedAccessSignature sr=x&sig=y&se=9999999999&skn=z")

    with pytest.raises(ServiceBusAuthenticationError, match="amqp:client-error"):
        await sends(lab, credential=signature)


async def test_an_expired_token_is_an_authentication_error(lab: ServiceBusLab) -> None:
    lab.grant(OWNER)
    lab.directory.token_lifetime = timedelta(hours=-1)

    with pytest.raises(ServiceBusAuthenticationError):
        await sends(lab)


# Getting there


async def test_nobody_there_is_a_connection_error_until_somebody_is(
    lab: ServiceBusLab,
) -> None:
    lab.grant(OWNER)
    lab.put("queue", "kept")
    await lab.broker.stop()
    with pytest.raises(ServiceBusConnectionError):
        await sends(lab)
    await lab.broker.start()

    await sends(lab)
    assert ["kept", "1"] == await lab.drain("queue", 2)


async def test_a_foreign_authority_is_a_connection_error(
    lab: ServiceBusLab, tmp_path: Path
) -> None:
    foreign = issue(tmp_path, ["elsewhere"])

    with pytest.raises(ServiceBusConnectionError):
        await sends(lab, connection_verify=str(foreign.ca_file))


async def test_a_missing_authority_file_is_an_error_of_the_client(
    lab: ServiceBusLab, tmp_path: Path
) -> None:
    with pytest.raises(ServiceBusError) as raised:
        await sends(lab, connection_verify=str(tmp_path / "missing.pem"))

    assert type(raised.value) is ServiceBusError


# Entities


async def test_an_unknown_entity_is_not_found(lab: ServiceBusLab) -> None:
    lab.grant(OWNER)

    with pytest.raises(MessagingEntityNotFoundError, match="could not be found"):
        await lab.send("nowhere", "1")
    with pytest.raises(MessagingEntityNotFoundError):
        await lab.drain("topic", 1, "c")


async def test_a_disabled_entity_refuses_links_until_it_is_restored(lab: ServiceBusLab) -> None:
    lab.grant(OWNER)
    lab.broker.faults.disable(NAMESPACE, "queue")
    with pytest.raises(MessagingEntityDisabledError):
        await sends(lab)
    with pytest.raises(MessagingEntityDisabledError):
        await receives(lab)
    lab.broker.faults.restore(NAMESPACE, "queue")

    await sends(lab)
    assert 1 == lab.counts("queue")["active"]


async def test_an_entity_that_is_disabled_ends_its_open_links(lab: ServiceBusLab) -> None:
    lab.grant(OWNER)
    async with lab.sender("queue") as sender:
        lab.broker.faults.disable(NAMESPACE, "queue")
        with pytest.raises(ServiceBusConnectionError):
            await sender.send_messages(ServiceBusMessage("1"), timeout=10)
    assert 0 == lab.counts("queue")["active"]


# Faults of sending


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda faults: faults.throttle(NAMESPACE, "queue", 1), ServiceBusServerBusyError),
        (
            lambda faults: faults.reject(NAMESPACE, "queue", "com.microsoft:timeout", 1),
            OperationTimeoutError,
        ),
        (
            lambda faults: faults.reject(NAMESPACE, "queue", "amqp:resource-limit-exceeded", 1),
            ServiceBusQuotaExceededError,
        ),
        (
            lambda faults: faults.reject(NAMESPACE, "queue", "amqp:internal-error", 1),
            ServiceBusError,
        ),
        (lambda faults: faults.detach_links(NAMESPACE, "queue"), ServiceBusConnectionError),
        (lambda faults: faults.cut_connections(NAMESPACE), ServiceBusConnectionError),
        (
            lambda faults: faults.drop_acknowledgements(NAMESPACE, "queue", 1, "cut"),
            ServiceBusConnectionError,
        ),
        (lambda faults: faults.deny_network(NAMESPACE), ServiceBusConnectionError),
    ],
    ids=[
        "throttled",
        "timeout",
        "quota",
        "internal",
        "detached",
        "cut",
        "cut after",
        "network",
    ],
)
async def test_each_fault_of_a_send_has_its_class(
    lab: ServiceBusLab, fail: Callable[[Faults], None], error: type[ServiceBusError]
) -> None:
    lab.grant(SENDER)
    async with lab.sender("queue") as sender:
        fail(lab.broker.faults)
        with pytest.raises(ServiceBusError) as raised:
            await sender.send_messages(ServiceBusMessage("1"), timeout=10)

    assert type(raised.value) is error


async def test_a_send_without_an_answer_ends_with_its_timeout(lab: ServiceBusLab) -> None:
    lab.grant(SENDER)
    lab.broker.faults.drop_acknowledgements(NAMESPACE, "queue")
    async with lab.sender("queue") as sender:
        with pytest.raises(OperationTimeoutError):
            await sender.send_messages(ServiceBusMessage("1"), timeout=1)

    assert 1 == lab.counts("queue")["active"]


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda faults: faults.throttle(NAMESPACE), ServiceBusServerBusyError),
        (
            lambda faults: faults.refuse_links(NAMESPACE, "queue", "com.microsoft:server-busy"),
            ServiceBusServerBusyError,
        ),
        (lambda faults: faults.deny_network(NAMESPACE), ServiceBusAuthenticationError),
    ],
    ids=["throttled", "busy at attach", "network denied"],
)
async def test_each_fault_of_a_new_sender_has_its_class(
    lab: ServiceBusLab, fail: Callable[[Faults], None], error: type[ServiceBusError]
) -> None:
    lab.grant(SENDER)
    fail(lab.broker.faults)
    with pytest.raises(ServiceBusError) as raised:
        await sends(lab)

    assert type(raised.value) is error


@pytest.mark.parametrize(
    "fail",
    [
        lambda faults: faults.detach_links(NAMESPACE),
        lambda faults: faults.cut_connections(NAMESPACE),
        lambda faults: faults.throttle(NAMESPACE, "queue", 1),
    ],
    ids=["detached", "cut", "throttled"],
)
async def test_a_fault_that_happens_once_is_healed_by_the_sdks_retry(
    lab: ServiceBusLab, fail: Callable[[Faults], None]
) -> None:
    lab.grant(SENDER)
    options = {"retry_total": 2, "retry_backoff_factor": 0.01}
    async with lab.sender("queue", **options) as sender:
        fail(lab.broker.faults)
        await sender.send_messages(ServiceBusMessage("1"), timeout=30)

    assert 1 == lab.counts("queue")["active"]


async def test_a_lost_acknowledgement_duplicates_what_is_sent_again(lab: ServiceBusLab) -> None:
    lab.grant(SENDER)
    options = {"retry_total": 2, "retry_backoff_factor": 0.01}
    async with lab.sender("queue", **options) as sender:
        lab.broker.faults.drop_acknowledgements(NAMESPACE, "queue", 1, "cut")
        await sender.send_messages(ServiceBusMessage("1"), timeout=30)

    assert 2 == lab.counts("queue")["active"]
