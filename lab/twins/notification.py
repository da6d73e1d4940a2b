"""A notification of Azure Digital Twins, and the three shapes in which it travels.

The attributes, their oddities and the shapes are those of the public documentation
(MicrosoftDocs/azure-docs `digital-twins/concepts-event-notifications`): binary over AMQP to
Event Hubs and Service Bus, a structured CloudEvent or an event in Event Grid's own schema
through an Event Grid topic.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TELEMETRY: Final = "microsoft.iot.telemetry"
PREFIX: Final = "cloudEvents:"
YEAR_ONE: Final = "0001-01-01T00:00:00Z"
TOPIC: Final = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/twin-relay-lab"
    "/providers/Microsoft.EventGrid/topics/plant-a"
)


@dataclass(frozen=True, slots=True)
class Message:
    """What is put on the wire: an AMQP message's application properties and its one body."""

    properties: Mapping[str, str]
    body: bytes
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Notification:
    """One event as the service knows it.

    Attributes:
        attributes: CloudEvents attributes by their plain name, without `datacontenttype`.
        data: JSON, as its sender wrote it.
        content_type: the event's `datacontenttype`.
    """

    attributes: Mapping[str, str]
    data: bytes
    content_type: str

    def __post_init__(self) -> None:
        """Seal the attributes: a notification may be rendered and compared many times."""
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def type(self) -> str:
        """One of the seven types."""
        return self.attributes["type"]

    @property
    def key(self) -> tuple[str, str]:
        """What makes the event unique: `source` and `id`."""
        return self.attributes["source"], self.attributes["id"]

    @property
    def twin_id(self) -> str:
        """The twin that the event is about."""
        if self.type == TELEMETRY:
            return self.attributes["source"].rpartition("/")[2]
        return self.attributes["subject"].partition("/")[0]

    def as_amqp(self) -> Message:
        """Render in CloudEvents' AMQP binary mode, as to an Event Hub or Service Bus topic."""
        properties = {PREFIX + name: value for name, value in self.attributes.items()}
        return Message(properties, self.data, self.content_type)

    def as_structured(self) -> Message:
        """Render as one structured CloudEvent, as through a topic with CloudEvents schema."""
        attributes = {**self.attributes, "datacontenttype": self.content_type}
        body = _object(attributes, data=self.data)
        return Message(
            self._event_grid_properties(), body, "application/cloudevents+json; charset=utf-8"
        )

    def as_event_grid(self) -> Message:
        """Render in Event Grid's schema: an array of one, the data nested twice, no source."""
        extensions = {
            name: self.attributes[name]
            for name in ("traceparent", "dataschema")
            if name in self.attributes
        }
        nested = _object({"contenttype": self.content_type, **extensions}, data=self.data)
        event = _object(
            {
                "id": self.attributes["id"],
                "subject": self._event_grid_subject(),
                "eventType": self.type,
                "eventTime": self.attributes.get("time", YEAR_ONE),
                "dataVersion": "1.0",
                "metadataVersion": "1",
                "topic": TOPIC,
            },
            data=nested,
        )
        return Message(
            self._event_grid_properties(),
            b"[" + event + b"]",
            "application/json; charset=utf-8",
        )

    def _event_grid_subject(self) -> str:
        """Telemetry names its component in CloudEvents and its twin here."""
        return self.twin_id if self.type == TELEMETRY else self.attributes["subject"]

    def _event_grid_properties(self) -> dict[str, str]:
        """What Event Grid adds when it hands an event over to a hub or a queue."""
        output = uuid.uuid5(uuid.NAMESPACE_URL, "/".join(self.key))
        return {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": "TWIN-RELAY",
            "aeg-delivery-count": "0",
            "aeg-data-version": "1.0",
            "aeg-metadata-version": "1",
            "aeg-output-event-id": str(output),
        }


def encode(value: object) -> bytes:
    """Write JSON as the service does: no blanks, text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _object(members: Mapping[str, str], *, data: bytes) -> bytes:
    """Write a JSON object that ends in `data`, whose bytes are copied and not written anew."""
    return encode(members)[:-1] + b',"data":' + data + b"}"
