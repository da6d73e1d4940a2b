"""What of a relay may be called besides its triggers, built as far as the settings open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.operations.access import Authenticator
from relay.operations.addresses import Gate
from relay.operations.bodies import Flowing, Whole
from relay.operations.operating import Parts, build_api
from relay.operations.service_tags import ServiceTagsError, TagList, read_tags
from relay.operations.service_tags.discovery import discover
from relay.operations.service_tags.watch import Watch
from relay.operations.twins_proxy import TwinsProxy
from relay.settings import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.identity import Identity
    from relay.observer import Observer
    from relay.operations.answers import Answer
    from relay.operations.http_api import HttpApi
    from relay.operations.http_api import Request as ApiRequest
    from relay.operations.twins_proxy import Request
    from relay.settings import ManagedIdentity, ServiceTags, Settings


class Surface:
    """The surface for operators, the proxy for pages, the watch over addresses, and the gate.

    Args:
        settings: what is open.
        identity: gives one of the app's managed identities.
        observe: hears what is found and what is refused.
        parts: what operators are shown and may do.

    Attributes:
        gate: from which addresses the webhook may be called; `None` for all.

    Raises:
        SettingsError: the list of addresses is none, or lacks what is asked of it.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Callable[[ManagedIdentity], Identity],
        observe: Observer,
        parts: Parts,
    ) -> None:
        self._api = _api(settings, observe, parts)
        told = settings.service_tags
        tags = _tags(told) if told else None
        self.gate = _gate(told, tags) if told and tags else None
        self._watch = _watch(settings, identity, observe, tags) if tags else None
        self._proxy = _proxy(settings, observe)

    async def from_operator(self, request: ApiRequest) -> Answer:
        """Answer an operator.

        Raises:
            LookupError: the settings do not open the surface.
        """
        if self._api is None:
            raise LookupError("RELAY_HTTP_API is not set")
        return await self._api.answer(request)

    async def from_page(self, request: Request) -> Answer:
        """Answer a page in a browser that asks for Azure Digital Twins.

        Raises:
            LookupError: the settings lead nowhere.
        """
        if self._proxy is None:
            raise LookupError("TWINS_URL is not set")
        return await self._proxy.answer(request)

    async def watch_service_tags(self) -> None:
        """Look whether the addresses changed that the rules were made of.

        Raises:
            LookupError: the settings don't say where to look.
            DiscoveryError: there is no list of today.
        """
        if self._watch is None:
            raise LookupError("SERVICE_TAGS_SUBSCRIPTION is not set")
        await self._watch.look()

    async def close(self) -> None:
        """Let go of every connection."""
        if self._proxy is not None:
            await self._proxy.close()


def _api(settings: Settings, observe: Observer, parts: Parts) -> HttpApi | None:
    api = settings.api
    if api is None:
        return None
    verify = Authenticator(api.access, ca_file=settings.ca_file).caller
    return build_api(api, f"/api/{settings.path}", parts, verify, observe)


def _proxy(settings: Settings, observe: Observer) -> TwinsProxy | None:
    if settings.twins is None:
        return None
    base = f"/api/{settings.path}twins/"
    bodies = Flowing() if settings.streams else Whole()
    return TwinsProxy(settings.twins, observe, base, settings.ca_file, bodies)


def _watch(
    settings: Settings,
    identity: Callable[[ManagedIdentity], Identity],
    observe: Observer,
    tags: TagList,
) -> Watch | None:
    told, ca_file = settings.service_tags, settings.ca_file
    if told is None or not told.subscription:
        return None
    asking = identity(told.identity)

    async def ask() -> TagList:
        found, _ = await discover(
            asking,
            told.subscription,
            told.location,
            management=settings.management_url,
            audience=settings.cloud.management,
            ca_file=ca_file,
        )
        return found

    return Watch(tags, ask, observe)


def _tags(told: ServiceTags) -> TagList:
    try:
        return read_tags(told.file.read_text("utf-8-sig"))
    except (OSError, ValueError, ServiceTagsError) as error:
        remedy = "Download it anew: Microsoft's download id is 56519"
        raise SettingsError([Problem("SERVICE_TAGS_FILE", str(error), remedy)]) from error


def _gate(told: ServiceTags, tags: TagList) -> Gate | None:
    if not told.gate:
        return None
    try:
        return Gate(tags.select(told.gate).networks, told.proxies)
    except ServiceTagsError as error:
        problem = Problem("INGRESS_HTTP_SERVICE_TAG", str(error), "Name one that is in it")
        raise SettingsError([problem]) from error
