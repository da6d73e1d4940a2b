"""From a trigger's declaration and the app's settings to its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.credential import managed_identity
from lab.functions.event_hub_source import EventHubSource, HubAddress
from lab.functions.service_bus_source import BusAddress, ServiceBusSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from azure.core.credentials_async import AsyncTokenCredential

    from lab.functions.event_hub_trigger import Source
    from lab.functions.host_json import HostJson
    from lab.functions.metadata import Function
    from lab.functions.service_bus_trigger import Source as BusSource

    type SourceFactory = Callable[[Function, Mapping[str, str], HostJson, Path | None], Source]
    type BusSourceFactory = Callable[
        [Function, Mapping[str, str], HostJson, Path | None], BusSource
    ]

_STORAGE: Final = "AzureWebJobsStorage"


def managed_identity_sources(
    function: Function,
    settings: Mapping[str, str],
    host_json: HostJson,
    ca_file: Path | None,
) -> Source:
    """Return the hub that the function names, read by the app's own managed identity.

    Raises:
        AppFailed: a setting that the trigger needs is missing.
    """
    connection = str(function.trigger["connection"])
    address = HubAddress(
        namespace=function.setting(f"{connection}__fullyQualifiedNamespace", settings),
        hub=function.attribute("eventHubName", settings),
        consumer_group=function.attribute("consumerGroup", settings, "$Default"),
        checkpoints_url=function.setting(f"{_STORAGE}__blobServiceUri", settings),
        ca_file=ca_file,
    )
    return EventHubSource(
        address,
        _identity(function, settings, connection),
        _identity(function, settings, _STORAGE),
        prefetch=host_json.prefetch,
        from_end=host_json.from_end,
    )


def managed_identity_bus_sources(
    function: Function,
    settings: Mapping[str, str],
    host_json: HostJson,
    ca_file: Path | None,
) -> BusSource:
    """Return the queue or subscription that the function names, received by its identity.

    Raises:
        AppFailed: a setting that the trigger needs is missing.
    """
    connection = str(function.trigger["connection"])
    address = BusAddress(
        namespace=function.setting(f"{connection}__fullyQualifiedNamespace", settings),
        queue=function.attribute("queueName", settings)
        or function.attribute("topicName", settings),
        subscription=function.attribute("subscriptionName", settings),
        ca_file=ca_file,
    )
    return ServiceBusSource(
        address,
        _identity(function, settings, connection),
        prefetch=host_json.service_bus.prefetch_count,
    )


def _identity(
    function: Function, settings: Mapping[str, str], connection: str
) -> AsyncTokenCredential:
    return managed_identity(
        function.setting("IDENTITY_ENDPOINT", settings),
        function.setting("IDENTITY_HEADER", settings),
        settings.get(f"{connection}__clientId"),
    )
