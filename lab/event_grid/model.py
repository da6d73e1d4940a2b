"""What Event Grid holds: topics and their subscriptions, with the service's own limits.

Source: MicrosoftDocs/azure-docs articles/event-grid/delivery-and-retry.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from lab.identity.roles import RESOURCE_GROUP

type Schema = Literal["CloudEventSchemaV1_0", "EventGridSchema"]
SCHEMAS: Final[tuple[Schema, ...]] = get_args(Schema.__value__)

_MOST_HEADERS: Final = 10
_LARGEST_HEADER: Final = 4096


@dataclass(frozen=True, slots=True)
class Topic:
    """A custom topic.

    Attributes:
        name: its name in Azure Resource Manager, and that of its own managed identity.
        schema: what is published to it; one with Event Grid's schema may deliver either.
    """

    name: str
    schema: Schema = "CloudEventSchemaV1_0"

    @property
    def resource_id(self) -> str:
        """The topic's Azure Resource Manager id."""
        return f"{RESOURCE_GROUP}/providers/Microsoft.EventGrid/topics/{self.name}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a topic: where its events go, and what is done when they can't.

    Attributes:
        name: letters, digits and hyphens.
        url: the webhook; HTTPS only.
        schema: in which its events are delivered.
        max_events_per_batch: 1 to 5,000.
        preferred_batch_kilobytes: 1 to 1,024; a single event may be larger.
        max_attempts: 1 to 30 deliveries.
        ttl_minutes: 1 to 1,440.
        dead_letters: the container that takes what was given up; `""`: it is dropped.
        audience: the webhook's application id or URI, which every request's token is then for.
        headers: at most ten that every delivery carries.
    """

    name: str
    url: str
    schema: Schema = "CloudEventSchemaV1_0"
    max_events_per_batch: int = 1
    preferred_batch_kilobytes: int = 64
    max_attempts: int = 30
    ttl_minutes: int = 1440
    dead_letters: str = ""
    audience: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what Event Grid refuses.

        Raises:
            ValueError: with all that is wrong.
        """
        problems = list(self._problems())
        if problems:
            raise ValueError(f"subscription {self.name!r}: {'; '.join(problems)}")

    def _problems(self) -> list[str]:
        limits = {
            "max_events_per_batch": (self.max_events_per_batch, 5000),
            "preferred_batch_kilobytes": (self.preferred_batch_kilobytes, 1024),
            "max_attempts": (self.max_attempts, 30),
            "ttl_minutes": (self.ttl_minutes, 1440),
        }
        found = [
            f"{name} is between 1 and {most}, not {value}"
            for name, (value, most) in limits.items()
            if not 1 <= value <= most
        ]
        if not self.url.startswith("https://"):
            found.append(f"a webhook's URL begins with https://, not {self.url!r}")
        if not self.name.replace("-", "").isalnum():
            found.append("a name has letters, digits and hyphens")
        if len(self.headers) > _MOST_HEADERS:
            found.append(f"at most {_MOST_HEADERS} headers, not {len(self.headers)}")
        if any(len(value.encode()) > _LARGEST_HEADER for _, value in self.headers):
            found.append(f"a header's value has at most {_LARGEST_HEADER} bytes")
        return found
