"""Azure's clouds: the names by which each is reached, and whom it trusts.

Sources: suffixes, endpoints and authorities as `az cloud show` prints them
(MicrosoftDocs/azure-stack-docs lists all of them); private zones from Microsoft's page "Azure
Private Endpoint private DNS zone values"; Event Grid's application ids from the scripts of
MicrosoftDocs/azure-docs, articles/event-grid/scripts. The audiences of the data planes are the
same everywhere: the Azure SDKs know one of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVENT_HUBS: Final = "https://eventhubs.azure.net/"
SERVICE_BUS: Final = "https://servicebus.azure.net/"
STORAGE: Final = "https://storage.azure.com"
DIGITAL_TWINS: Final = "https://digitaltwins.azure.net"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud.

    Attributes:
        name: as `az cloud list` calls it; the value of `RELAY_CLOUD`.
        authority: who issues tokens.
        messaging_suffix: what the host of an Event Hubs or Service Bus namespace ends with.
        blob_suffix: what the host of a Blob service ends with.
        management: the endpoint of Azure Resource Manager, which is its audience too.
        event_grid_app: the application id of Event Grid's service principal; `""` where
            Microsoft publishes none.
    """

    name: str
    authority: str
    messaging_suffix: str
    blob_suffix: str
    management: str
    event_grid_app: str

    @property
    def messaging_zone(self) -> str:
        """The private DNS zone of messaging namespaces."""
        return f"privatelink{self.messaging_suffix}"

    @property
    def blob_zone(self) -> str:
        """The private DNS zone of Blob services."""
        return f"privatelink{self.blob_suffix}"


PUBLIC: Final = Cloud(
    name="AzureCloud",
    authority="https://login.microsoftonline.com",
    messaging_suffix=".servicebus.windows.net",
    blob_suffix=".blob.core.windows.net",
    management="https://management.azure.com",
    event_grid_app="4962773b-9cdb-44cf-a8bf-237846a00ab7",
)
US_GOVERNMENT: Final = Cloud(
    name="AzureUSGovernment",
    authority="https://login.microsoftonline.us",
    messaging_suffix=".servicebus.usgovcloudapi.net",
    blob_suffix=".blob.core.usgovcloudapi.net",
    management="https://management.usgovcloudapi.net",
    event_grid_app="54316b56-3481-47f9-8f30-0300f5542a7b",
)
CHINA: Final = Cloud(
    name="AzureChinaCloud",
    authority="https://login.chinacloudapi.cn",
    messaging_suffix=".servicebus.chinacloudapi.cn",
    blob_suffix=".blob.core.chinacloudapi.cn",
    management="https://management.chinacloudapi.cn",
    event_grid_app="",
)

CLOUDS: Final = {cloud.name: cloud for cloud in (PUBLIC, US_GOVERNMENT, CHINA)}


def cloud_of(host: str) -> Cloud | None:
    """Return the cloud that a host's name belongs to; `None` for a name of someone's own."""
    name = host.lower().rstrip(".")
    return next(
        (
            cloud
            for cloud in CLOUDS.values()
            if name.endswith((cloud.messaging_suffix, cloud.blob_suffix))
        ),
        None,
    )
