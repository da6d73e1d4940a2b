"""The Event Grid trigger: the host's own webhook, its handshakes, one invocation an event.

Sources, in Azure/azure-sdk-for-net under sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.
EventGrid: HttpRequestProcessor (handshakes, what is refused), EventGridExtensionConfigProvider
(events of a request side by side, one failure fails them all),
EventGridTriggerAttributeBindingProvider (metadata); its CHANGELOG, 3.4.3 (times are left as
they are). In Azure/azure-functions-host: HostController.ExtensionWebHookHandler (path, methods,
key).
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lab.functions import newtonsoft
from lab.functions.failures import WorkerDied
from lab.functions.messages import Answer, Data, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.functions.http_trigger import Keys
    from lab.functions.metadata import Function
    from lab.functions.trigger import Host

PATH: Final = "/runtime/webhooks/eventgrid"
_METHODS: Final = frozenset({"GET", "POST", "DELETE", "OPTIONS"})
_ORIGINS: Final = (
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
    "eventgrid.azure.cn",
)


@dataclass(frozen=True, slots=True)
class EventGridWebhook:
    """Answers what Event Grid sends to the app's Event Grid functions, by their names."""

    functions: Mapping[str, Function]
    keys: Keys
    host: Host

    async def answer(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> HttpResponse:
        """Return the answer to one request; header names are in lower case."""
        if method not in _METHODS:
            return HttpResponse(405)
        if not self.keys.open_event_grid(headers.get("x-functions-key", query.get("code", ""))):
            return HttpResponse(401)
        name = query.get("functionName", "")
        if name not in self.functions:
            return _text(404, f"cannot find function: '{name}'")
        if method == "OPTIONS":
            return _consent(headers.get("webhook-request-origin", ""))
        try:
            return await self._take(self.functions[name], headers, body)
        except (ValueError, LookupError, TypeError) as error:
            # The extension throws, and the host answers 500.
            self.host.log(logging.ERROR, f"{name}: {error!r}")
            return HttpResponse(500)

    async def _take(
        self, function: Function, headers: Mapping[str, str], body: bytes
    ) -> HttpResponse:
        match headers.get("aeg-event-type", "").partition(",")[0].strip().lower():
            case "subscriptionvalidation":
                return _validated(newtonsoft.loads(body.decode("utf-8-sig")))
            case "notification":
                found = newtonsoft.loads(body.decode("utf-8-sig"))
                events = found if isinstance(found, list) else [found]
                return await self._invoke_all(function, events)
            case "unsubscribe":
                return HttpResponse(202)
            case _:
                return HttpResponse(400)

    async def _invoke_all(self, function: Function, events: list[Any]) -> HttpResponse:
        answers = await asyncio.gather(*(self._invoke(function, each) for each in events))
        failed = [each for each in answers if not each.succeeded]
        return _text(500, failed[0].error) if failed else HttpResponse(202)

    async def _invoke(self, function: Function, event: Any) -> Answer:
        if not isinstance(event, dict):
            return Answer(error=f"InvalidOperationException: Unable to bind {event}")
        metadata = {}
        if "data" in event:
            metadata["data"] = Data("json", newtonsoft.dumps(event["data"]))
        try:
            return await self.host.invoke(
                function, Data("json", newtonsoft.dumps(event)), metadata
            )
        except WorkerDied as error:
            self.host.log(logging.ERROR, f"{function.name}: {error}")
            return Answer(error=f"WorkerDied: {error}")


def _consent(origin: str) -> HttpResponse:
    """Consent to Event Grid, whoever asks (CloudEvents' abuse protection)."""
    allowed = origin if origin in _ORIGINS else _ORIGINS[0]
    return HttpResponse(200, (("webhook-allowed-origin", allowed),))


def _validated(events: Any) -> HttpResponse:
    data = events[0]["data"] if isinstance(events, list) else events["data"]
    if isinstance(data, str):  # in a CloudEvent it is encoded twice
        data = newtonsoft.loads(data)
    return _text(200, json.dumps({"validationResponse": str(data["validationCode"])}))


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, (("content-type", "text/plain; charset=utf-8"),), text.encode())
