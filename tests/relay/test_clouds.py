"""Clouds by their hosts; and the documented table is the one that the code uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.identity import AzureAuthorityHosts

from relay.clouds import CHINA, CLOUDS, PUBLIC, US_GOVERNMENT, Cloud, cloud_of

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("host", "cloud"),
    [
        ("plant.servicebus.windows.net", PUBLIC),
        ("PLANT.servicebus.WINDOWS.net.", PUBLIC),
        ("plant.blob.core.usgovcloudapi.net", US_GOVERNMENT),
        ("plant.servicebus.chinacloudapi.cn", CHINA),
        ("plant.example.com", None),
        ("127.0.0.1", None),
        ("servicebus.windows.net.example.com", None),
    ],
)
def test_a_host_tells_its_cloud(host: str, cloud: Cloud | None) -> None:
    assert cloud_of(host) is cloud


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS.keys())
def test_the_table_in_the_documentation_is_the_one_of_the_code(cloud: Cloud) -> None:
    column = list(CLOUDS).index(cloud.name) + 1
    rows = [row.split(" | ") for row in PAGE.splitlines() if row.startswith("| ")]
    cells = {
        row[0].removeprefix("| "): row[column].strip("` |") for row in rows if len(row) == 4
    }

    assert cells["authority"] == cloud.authority
    assert cells["namespaces"] == cloud.messaging_suffix
    assert cells["Blob"] == cloud.blob_suffix
    assert cells["Azure Resource Manager, and its audience"] == cloud.management
    assert cells["application id of Event Grid"] == (cloud.event_grid_app or "not published")


def test_the_authorities_are_those_of_the_sdk() -> None:
    assert [cloud.authority for cloud in (PUBLIC, US_GOVERNMENT, CHINA)] == [
        f"https://{host}"
        for host in (
            AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
            AzureAuthorityHosts.AZURE_GOVERNMENT,
            AzureAuthorityHosts.AZURE_CHINA,
        )
    ]
