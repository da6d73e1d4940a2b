"""The Service Bus trigger: the lab's broker, the Azure SDK, the real worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.functions.host_json import HostJson
from lab.functions.service_bus_source import BusAddress, ServiceBusSource
from lab.functions_host import FunctionsHost
from lab.messaging.model import Entity, Queue, Subscription, Topic
from tests.lab.functions.hosting import APPS, DEADLINE_SECONDS, Logs
from tests.lab.messaging.service_bus_lab import Identity, ServiceBusLab, a_lab

RECEIVER = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"


@dataclass
class Story:
    """A Service Bus, hosts on it, and what their functions saw."""

    lab: ServiceBusLab
    wait_while: Path
    logs: Logs = field(default_factory=Logs)

    @asynccontextmanager
    async def host(self, **entities: str) -> AsyncIterator[FunctionsHost]:
        """A host of the functions whose entities are named."""

        def source(
            function: object, settings: Mapping[str, str], host_json: HostJson, *_: object
        ) -> ServiceBusSource:
            address = BusAddress(
                self.lab.namespace.address,
                function.attribute("queueName", settings)
                or function.attribute("topicName", settings),
                function.attribute("subscriptionName", settings),
                self.lab.ca_file,
            )
            identity = Identity(self.lab.directory, self.lab.principal)
            return ServiceBusSource(
                address, identity, prefetch=host_json.service_bus.prefetch_count
            )

        host = FunctionsHost(
            APPS / "bus",
            {"WAIT_WHILE": str(self.wait_while), **entities},
            on_log=self.logs,
            bus_sources=source,
            time_scale=0.3,
        )
        async with host:
            yield host

    def told(self, message: str = "batch") -> list[Mapping[str, object]]:
        return [
            told
            for record in self.logs.records
            if record.category == "app.bus" and record.message == message
            for told in record.properties["messages"]
        ]

    def bodies(self, message: str = "batch") -> list[str]:
        return [told["body"] for told in self.told(message)]

    def batches(self) -> list[list[str]]:
        return [
            [told["body"] for told in record.properties["messages"]]
            for record in self.logs.records
            if record.category == "app.bus" and record.message == "batch"
        ]

    async def until_told(self, count: int, message: str = "batch") -> list[str]:
        await self.logs.until(lambda: len(self.told(message)) >= count)
        return self.bodies(message)

    async def until_counts(self, path: str, **wanted: int) -> None:
        """Wait until the entity holds so many."""
        await until(lambda: wanted.items() <= dict(self.lab.counts(path)).items())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - neither broker nor host tell anyone
            await asyncio.sleep(0.01)


@pytest.fixture
def story_of(tmp_path: Path) -> Callable[..., object]:
    @asynccontextmanager
    async def make(*entities: Entity) -> AsyncIterator[Story]:
        async with a_lab(*entities) as lab:
            yield Story(lab, tmp_path / "wait")

    return make


@pytest.fixture
async def story(story_of: Callable[..., object]) -> AsyncIterator[Story]:
    entities = (
        Queue("plain", max_delivery_count=3),
        Queue("brief", lock_seconds=1),
        Queue("renewed", lock_seconds=2),
        Queue("ordered", session=True),
        Queue("ordered-brief", session=True, lock_seconds=1),
        Queue("ordered-renewed", session=True, lock_seconds=2),
        Topic("news", (Subscription("a", max_delivery_count=2), Subscription("b"))),
        Topic("ordered-news", (Subscription("a", session=True),)),
    )
    async with story_of(*entities) as story:
        yield story


# Single messages


async def test_a_message_arrives_with_all_that_it_says_and_is_completed(story: Story) -> None:
    story.lab.put(
        "plain",
        "hello",
        message_id="m1",
        correlation_id="c1",
        content_type="text/plain",
        subject="greeting",
        application_properties={"cloudEvents:id": "7", "size": 3},
    )
    async with story.host(ONE="plain"):
        await story.until_counts("plain", active=0)

    (told,) = story.told()
    assert (
        told
        | {
            "body": "hello",
            "type": "bytes",
            "id": "m1",
            "session": None,
            "number": 1,
            "deliveries": 1,
            "content_type": "text/plain",
            "correlation_id": "c1",
            "subject": "greeting",
            "properties": {"cloudEvents:id": "7", "size": 3},
            "expires": "9999-12-31 23:59:59.999999",
            "dead_letter_source": None,
        }
        == told
    )


async def test_a_failure_is_delivered_again_at_once_until_it_succeeds(story: Story) -> None:
    story.lab.put("plain", "fail 2")
    async with story.host(ONE="plain") as host:
        await story.until_counts("plain", active=0)

        assert host.counts == {"failed": 2, "succeeded": 1, "died": 0}
    assert [1, 2, 3] == [told["deliveries"] for told in story.told()]


async def test_the_last_failure_moves_a_message_to_the_entitys_own_dead_letters(
    story: Story,
) -> None:
    story.lab.put("plain", "fail", "fine")
    async with story.host(ONE="plain", TEXT="plain/$DeadLetterQueue"):
        await story.until_told(2, "batch")
        await story.until_counts("plain", active=0)
        await story.logs.until(lambda: any(told["dead_letter_source"] for told in story.told()))

    failures = [told for told in story.told() if told["body"] == "fail"]
    assert [1, 2, 3] == [told["deliveries"] for told in failures[:3]]
    letter = failures[3]
    assert "plain" == letter["dead_letter_source"]
    assert "MaxDeliveryCountExceeded" == letter["properties"]["DeadLetterReason"]


async def test_no_more_invocations_run_at_once_than_host_json_allows(story: Story) -> None:
    story.wait_while.touch()
    story.lab.put("plain", *"abcde")
    async with story.host(ONE="plain"):
        await story.until_told(3)
        await story.until_counts("plain", active=5)
        assert 3 == len(story.told())
        story.wait_while.unlink()
        await story.until_counts("plain", active=0)

    assert [*"abcde"] == sorted(story.bodies())


async def test_a_lock_is_renewed_while_the_function_runs(story: Story) -> None:
    story.lab.put("renewed", "sleep 3")
    async with story.host(ONE="renewed") as host:
        await story.until_counts("renewed", active=0)

        assert host.counts == {"succeeded": 1, "died": 0}
    assert ["sleep 3"] == story.bodies()


async def test_a_function_that_outlives_its_lock_gets_its_message_again(story: Story) -> None:
    story.lab.put("brief", "sleep 1.5")
    async with story.host(MANY="brief"):
        await story.until_told(2)
        await story.logs.until(
            lambda: [m for m in story.logs.messages("Host") if "cannot complete message 1" in m]
        )

    # Batches' locks are not renewed: the second delivery is the same message.
    assert [1, 2] == [told["deliveries"] for told in story.told()][:2]


async def test_a_killed_worker_abandons_its_message_and_another_takes_it(story: Story) -> None:
    story.wait_while.touch()
    story.lab.put("plain", "a")
    async with story.host(ONE="plain") as host:
        await story.until_told(1)
        story.wait_while.unlink()
        host.kill()
        await story.until_counts("plain", active=0)

        assert host.counts == {"succeeded": 1, "died": 1}
    assert [1, 2] == [told["deliveries"] for told in story.told()]


async def test_a_worker_that_exits_loses_nothing(story: Story) -> None:
    story.lab.put("plain", "exit", "b")
    async with story.host(ONE="plain") as host:
        await story.until_counts("plain", active=0)

        assert host.counts["died"] == 1
    assert {"exit", "b"} == set(story.bodies("done"))


async def test_a_function_that_never_answers_loses_its_message_when_its_time_is_over(
    story: Story,
) -> None:
    story.lab.put("plain", "hang")
    async with story.host(ONE="plain") as host:
        await story.until_counts("plain", active=0)

        assert 1 == host.counts["timed_out"]
    assert [1, 2] == [told["deliveries"] for told in story.told()]


async def test_what_is_under_way_when_the_host_stops_comes_again_when_its_lock_ends(
    story: Story,
) -> None:
    story.wait_while.touch()
    story.lab.put("brief", "a")
    async with story.host(ONE="brief"):
        await story.until_told(1)
    story.wait_while.unlink()
    async with story.host(ONE="brief"):
        await story.until_counts("brief", active=0)

    assert [1, 2] == [told["deliveries"] for told in story.told()]


async def test_without_auto_complete_success_leaves_a_message_locked(story: Story) -> None:
    story.lab.put("plain", "a")
    async with story.host(UNSETTLED="plain") as host:
        await story.until_told(1, "done")
        await until(lambda: host.counts.get("succeeded") == 1)

        assert 1 == story.lab.counts("plain")["active"]


async def test_a_retry_policy_is_not_heeded_and_the_host_says_so(story: Story) -> None:
    story.lab.put("plain", "fail 1")
    async with story.host(RETRIED="plain") as host:
        await story.until_counts("plain", active=0)

        assert host.counts == {"failed": 1, "succeeded": 1, "died": 0}
    assert [1, 2] == [told["deliveries"] for told in story.told()]
    assert "Retries are not supported for function 'Functions.retried'." in story.logs.messages(
        "Host"
    )


async def test_two_apps_share_a_queue_and_each_message_goes_to_one(story: Story) -> None:
    bodies = [str(number) for number in range(30)]
    async with AsyncExitStack() as hosts:
        for _ in range(2):
            await hosts.enter_async_context(story.host(ONE="plain"))
        story.lab.put("plain", *bodies)
        await story.until_counts("plain", active=0)

    assert sorted(bodies) == sorted(story.bodies())


async def test_each_subscription_gets_its_copy(story: Story) -> None:
    story.lab.put("news", "fail")
    async with story.host(TOPIC="news", SUBSCRIPTION="a"):
        await story.until_counts("news/Subscriptions/a", dead_letters=1)

    assert ["fail", "fail"] == story.bodies()
    assert 1 == story.lab.counts("news/Subscriptions/b")["active"]


async def test_a_cut_connection_loses_nothing(story: Story) -> None:
    async with story.host(ONE="plain"):
        story.lab.put("plain", "a")
        await story.until_counts("plain", active=0)
        story.lab.broker.faults.cut_connections("operations")
        story.lab.put("plain", "b")
        await story.until_told(2)
        await story.until_counts("plain", active=0)

    assert ["a", "b"] == story.bodies()


async def test_a_missing_role_is_named_and_found_again(story: Story) -> None:
    lab = story.lab
    async with story.host(ONE="plain"):
        await story.until_counts("plain", receivers=1)
        lab.revoke("090c5cfd-751d-490a-894a-3ce6f1109419")
        await story.logs.until(
            lambda: [m for m in story.logs.messages("Host") if "Listen" in m]
        )
        lab.grant(RECEIVER, "queues", "plain")
        lab.put("plain", "a")
        await story.until_told(1)


# Batches


async def test_a_batch_is_completed_or_abandoned_as_a_whole(story: Story) -> None:
    story.lab.put("plain", "a", "fail 1", "c")
    async with story.host(MANY="plain"):
        await story.until_counts("plain", active=0)

    assert 1 <= len(story.batches()[0]) <= 3
    by_body = {
        body: [told["deliveries"] for told in story.told() if told["body"] == body]
        for body in ("a", "fail 1", "c")
    }
    assert [1, 2] == by_body["fail 1"]
    assert {"a", "fail 1", "c"} == set(story.bodies("done"))


async def test_a_batch_holds_no_more_than_host_json_allows(story: Story) -> None:
    story.lab.put("plain", *"abcdefg")
    async with story.host(MANY="plain"):
        await story.until_counts("plain", active=0)

    assert [*"abcdefg"] == story.bodies()
    assert all(1 <= len(batch) <= 3 for batch in story.batches())


# Sessions


async def test_a_session_stays_in_order_beside_others_and_through_failures(
    story: Story,
) -> None:
    for number in range(6):
        for name in "xyz":
            story.lab.put("ordered", "fail 1" if number == 3 else str(number), group_id=name)
    async with story.host(SESSION="ordered"):
        await story.until_counts("ordered", active=0)

    for name in "xyz":
        done = [told["number"] for told in story.told("done") if told["session"] == name]
        assert sorted(done) == done
        assert 6 == len(done)
        seen = [told["number"] for told in story.told() if told["session"] == name]
        # The one that failed comes again before its successor does.
        assert sorted(seen) == seen
        assert 7 == len(seen)


async def test_no_more_sessions_are_held_at_once_than_host_json_allows(story: Story) -> None:
    story.wait_while.touch()
    for name in "xyz":
        story.lab.put("ordered", "1", "2", group_id=name)
    async with story.host(SESSION="ordered"):
        await story.until_told(2)
        assert 2 == len({told["session"] for told in story.told()}) == len(story.told())
        story.wait_while.unlink()
        await story.until_counts("ordered", active=0)

    assert 6 == len(story.told())


async def test_a_sessions_lock_is_renewed_while_the_function_runs(story: Story) -> None:
    story.lab.put("ordered-renewed", "sleep 3", "b", group_id="x")
    async with story.host(SESSION="ordered-renewed"):
        await story.until_counts("ordered-renewed", active=0)

    assert ["sleep 3", "b"] == story.bodies()


async def test_a_session_that_is_lost_begins_again_with_what_was_not_completed(
    story: Story,
) -> None:
    story.lab.put("ordered-brief", "sleep 1.5", "b", group_id="x")
    async with story.host(SESSIONS="ordered-brief"):
        await story.logs.until(lambda: story.bodies().count("sleep 1.5") == 2)

    # A batch of a session is not renewed: the lock ends while the function sleeps.
    slept = [told["deliveries"] for told in story.told() if told["body"] == "sleep 1.5"]
    assert [1, 2] == slept[:2]


async def test_batches_of_a_session_hold_that_session_alone(story: Story) -> None:
    for name in "xy":
        story.lab.put("ordered", f"{name}1", f"{name}2", group_id=name)
    async with story.host(SESSIONS="ordered"):
        await story.until_counts("ordered", active=0)

    assert all(len({body[0] for body in batch}) == 1 for batch in story.batches())
    assert ["x1", "x2", "y1", "y2"] == sorted(story.bodies())


async def test_a_subscription_has_sessions_too(story: Story) -> None:
    for name in "xy":
        story.lab.put("ordered-news", f"{name}1", "fail 1", f"{name}3", group_id=name)
    async with story.host(ORDERED_TOPIC="ordered-news", SUBSCRIPTION="a"):
        await story.until_counts("ordered-news/Subscriptions/a", active=0)

    for name in "xy":
        done = [told["body"] for told in story.told("done") if told["session"] == name]
        assert [f"{name}1", "fail 1", f"{name}3"] == done


async def test_a_killed_worker_leaves_its_session_in_order(story: Story) -> None:
    story.wait_while.touch()
    story.lab.put("ordered", "a", "b", group_id="x")
    async with story.host(SESSION="ordered") as host:
        await story.until_told(1)
        story.wait_while.unlink()
        host.kill()
        await story.until_counts("ordered", active=0)

    assert ["a", "a", "b"] == story.bodies()


async def test_a_session_queue_read_without_sessions_is_refused_by_name(story: Story) -> None:
    async with story.host(ONE="ordered"):
        await story.logs.until(
            lambda: [
                text
                for text in story.logs.messages("Host")
                if text.startswith("one: 'ordered' in") and "sessions" in text
            ]
        )
