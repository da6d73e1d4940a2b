"""The relay as a recipient of events over HTTP: webhook, delivery, a destination and Blob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.event import Event
from relay.ingress import Arrival
from relay.operations.access import Caller, UnauthenticatedError
from relay.operations.webhook import Answer, Webhook
from relay.outcomes import Result
from relay.settings import Access, HttpIngress
from tests.fakes import NOON, MemoryDeadLetters, MemorySink, a_route
from tests.relay.event_path import EventPath
from tests.relay.http_requests import HttpRequest

TOKEN = {"authorization": "Bearer good"}
ORIGIN = "eventemitter.example.com"


@dataclass
class Recipient:
    """Takes requests; `delivered` is what its one destination got."""

    sink: MemorySink = field(default_factory=MemorySink)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    keeps_malformed: bool = True

    def __post_init__(self) -> None:
        path = EventPath([a_route("all")], {"all": self.sink}, self.dead_letters)
        ingress = HttpIngress(
            Access("t", ("a",), "https://login.microsoftonline.com"),
            role="sender",
            origins=frozenset({ORIGIN}),
            keeps_malformed=self.keeps_malformed,
        )

        async def settle(arrivals: Sequence[Arrival]) -> list[Result]:
            await path.delivery.settle(arrivals)
            return []

        self._webhook = Webhook(ingress, None, _caller, settle, path.facts.append, lambda: NOON)

    @property
    def delivered(self) -> list[Event]:
        return self.sink.events

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        return await self.request("POST", {**TOKEN, **headers}, body)

    async def request(
        self, method: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        lower = {name.lower(): value for name, value in headers.items()}
        return await self._webhook.answer(HttpRequest(method, lower, body))


async def _caller(authorization: str | None) -> Caller:
    if authorization != TOKEN["authorization"]:
        raise UnauthenticatedError("there is no good token", "invalid_token")
    return Caller("app", "object", frozenset({"sender"}))


def is_retriable(answer: Answer) -> bool:
    """Whether a sender sends again, by Knative's table and by Event Grid's."""
    return answer.status >= 500 or answer.status in {404, 409, 429}
