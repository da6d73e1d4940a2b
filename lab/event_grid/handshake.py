"""How a webhook proves that it wants what it is to be sent.

Sources: MicrosoftDocs/azure-docs articles/event-grid/end-point-validation-*.md; cloudevents/
http-webhook.md of cloudevents/spec, section 4. Whoever does not answer at once may fetch the
address that the request names; until then the subscription waits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.event_grid.model import Subscription, Topic

ORIGIN: Final = "eventgrid.azure.net"
_OK: Final = 200


class HandshakeFailed(Exception):  # noqa: N818 - an answer to the subscriber, not a defect
    """The webhook did not consent; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """The request that asks for consent."""

    method: str
    headers: Mapping[str, str]
    body: bytes


def question(topic: Topic, subscription: Subscription, code: str, callback: str) -> Question:
    """Return what the webhook is asked."""
    if subscription.schema == "CloudEventSchemaV1_0":
        headers = {"WebHook-Request-Origin": ORIGIN, "WebHook-Request-Callback": callback}
        return Question("OPTIONS", headers, b"")
    event = {
        "id": str(uuid4()),
        "topic": topic.resource_id,
        "subject": "",
        "data": {"validationCode": code, "validationUrl": callback},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z",
        "metadataVersion": "1",
        "dataVersion": "2",
    }
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "aeg-event-type": "SubscriptionValidation",
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": "0",
        "aeg-data-version": "2",
        "aeg-metadata-version": "1",
    }
    return Question("POST", headers, json.dumps([event]).encode())


def consents(
    subscription: Subscription,
    code: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> bool:
    """Tell whether the webhook has consented; False: it may still do so by the callback.

    Raises:
        HandshakeFailed: it refused.
    """
    asked = f"the webhook {subscription.url.partition('?')[0]}"
    if status != _OK:
        raise HandshakeFailed(f"{asked} answered the handshake with {status}, not 200")
    if subscription.schema == "EventGridSchema":
        return bool(_response(body) == code)
    allowed = headers.get("WebHook-Allowed-Origin")
    if allowed not in {None, "*", ORIGIN}:
        raise HandshakeFailed(f"{asked} consents to {allowed!r}, not to {ORIGIN!r}")
    return allowed is not None


def _response(body: bytes) -> Any:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer.get("validationResponse") if isinstance(answer, dict) else None
