"""No spelling of a secret gets in, and no ordinary setting is taken for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.settings.secrets import Secret, find_secrets

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
SAS = "sv=2024-11-04&ss=b&srt=sco&sp=rwdl&se=2027-01-01T00:00:00Z&sig=abc%2Bdef%3D"

SECRETS = {
    "an Event Hubs connection string": (
        "Endpoint=sb://plant.servicebus.windows.net/;SharedAccessKeyName=Root"
        f";SharedAccessKey={KEY};EntityPath=twins"
    ),
    "one without its key": "Endpoint=sb://plant.servicebus.windows.net/;EntityPath=twins",
    "one in other letters": f"ENDPOINT = SB://plant/;sharedaccesskey = {KEY}",
    "a key alone": f"SharedAccessKey={KEY}",
    "a key in JSON": f'{{"SharedAccessKey": "{KEY}"}}',
    "a SAS of a namespace": (
        "SharedAccessSignature sr=sb%3a%2f%2fplant&sig=abc%3d&se=1&skn=Root"
    ),
    "a connection string with a SAS": (
        "Endpoint=sb://plant/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y"
    ),
    "a storage connection string": (
        f"DefaultEndpointsProtocol=https;AccountName=plant;AccountKey={KEY}"
        ";EndpointSuffix=core.windows.net"
    ),
    "a storage connection string with a SAS": (
        f"BlobEndpoint=https://plant.blob.core.windows.net;SharedAccessSignature={SAS}"
    ),
    "Azurite's in short": "UseDevelopmentStorage=true",
    "a connection string in base64": base64.b64encode(
        f"Endpoint=sb://plant/;SharedAccessKey={KEY}".encode()
    ).decode(),
    "a SAS in URL-safe base64": base64.urlsafe_b64encode(
        f"https://plant.blob.core.windows.net/letters?{SAS}".encode()
    ).decode(),
    "a SAS that is escaped twice": "https%253A%252F%252Fx%252F%253Fsv%253D1%2526sig%253Dabc",
    "a key in JSON within JSON": '{"x": "{\\"AccountKey\\": \\"abc\\"}"}',
    "a key in JSON's own escapes": '"Account\\u004bey=abc"',
    "a client secret in JSON": '{"clientSecret": "abc"}',
    "an instrumentation key in JSON": '{"instrumentationKey": "7b0c9d3e"}',
    "the emulator's": f"AccountName=devstoreaccount1;accountkey={KEY}",
    "a SAS in a URL": f"https://plant.blob.core.windows.net/letters?{SAS}",
    "a SAS that begins with its signature": "https://plant.blob.core.windows.net/?sig=abc&sv=1",
    "a SAS alone": SAS,
    "a SAS with its question mark": f"?{SAS}",
    "a SAS in JSON": '"https://plant.blob.core.windows.net/?sv=1\\u0026sig=abc"',
    "a SAS within a URL's query": "https://x/?next=https%3A%2F%2Fy%2F%3Fsv%3D1%26sig%3Dabc",
    "a connection string in a URL": "x?c=Endpoint%3Dsb%3A%2F%2Fp%2F%3BSharedAccessKey%3Dabc",
    "a password in a URL": "https://relay:hunter2@plant.example",
    "a password in a URL without a user": "redis://:hunter2@plant.example:6380",
    "a password in AMQP's URL": f"amqps://Root:{KEY}@plant.servicebus.windows.net",
    "an IoT hub's connection string": (
        f"HostName=plant.azure-devices.net;SharedAccessKeyName=owner;SharedAccessKey={KEY}"
    ),
    "a database's": "Server=tcp:plant.database.windows.net;User ID=relay;Password=hunter2;",
    "a database's in short": "server=plant;uid=relay;pwd=hunter2",
    "a Cosmos DB account's": f"AccountEndpoint=https://plant.documents.azure.com;AccountKey={KEY}",
    "an App Configuration's": f"Endpoint=https://plant.azconfig.io;Id=abc;Secret={KEY}",
    "a SignalR service's": f"Endpoint=https://plant.service.signalr.net;AccessKey={KEY};Version=1.0;",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "an RSA key": "-----BEGIN RSA PRIVATE KEY-----\\nMIIEvQ",
}

NAMES = [
    "AZURE_CLIENT_SECRET",
    "ANALYTICS__clientSecret",
    "ANALYTICS__sasToken",
    "ANALYTICS__accountKey",
    "ANALYTICS__sharedAccessKey",
    "ANALYTICS__accessKey",
    "ANALYTICS__connectionString",
    "AZURE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "APPINSIGHTS_INSTRUMENTATIONKEY",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
]

ORDINARY = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (
        "InstrumentationKey=7b0c9d3e-52b4-4c8b-9a54-000000000001"
        ";IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/"
        ";LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/"
        ";ApplicationId=7b0c9d3e-52b4-4c8b-9a54-000000000002"
    ),
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": (
        "ClientId=7b0c9d3e-52b4-4c8b-9a54-000000000003;Authorization=AAD"
    ),
    "AzureWebJobsStorage__accountName": "plant",
    "AzureWebJobsStorage__blobServiceUri": "https://plant.blob.core.windows.net",
    "AzureWebJobsStorage__credential": "managedidentity",
    "AzureWebJobsSecretStorageType": "Blob",
    "ANALYTICS__fullyQualifiedNamespace": "plant.servicebus.windows.net",
    "ANALYTICS__resourceId": (
        "/subscriptions/7b0c9d3e-52b4-4c8b-9a54-000000000001/resourceGroups/signals"
        "/providers/Microsoft.EventHub/namespaces/plant"
    ),
    "ANALYTICS__clientId": "7b0c9d3e-52b4-4c8b-9a54-000000000001",
    "DEAD_LETTERS__blobServiceUri": "https://plant.blob.core.windows.net:443/",
    "FUNCTIONS_EXTENSION_VERSION": "~4",
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:41000/msi/token",
    "IDENTITY_HEADER": "7b0c9d3e52b44c8b9a54000000000001",
    "WEBSITE_AUTH_ENCRYPTION_KEY": "9F2C" * 16,
    "WEBSITE_AUTH_SIGNING_KEY": "9F2C" * 16,
    "WEBSITE_AUTH_PREFERRED_CREDENTIAL": "designer=x",
    "WEBSITE_HOSTNAME": "relay.azurewebsites.net",
    "WEBSITE_OWNER_NAME": "7b0c9d3e-52b4-4c8b-9a54-000000000001+signals-WestEuropewebspace",
    "WEBSITE_RUN_FROM_PACKAGE": "1",
    "WEBSITE_SLOT_NAME": "Production",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user@localhost:4317",
    "OTEL_RESOURCE_ATTRIBUTES": "service.name=relay,design=7,key=value",
    "GPG_KEY": "7169605F62C751356D054A26A821E680E5FA6305",
    "SSH_AUTH_SOCK": "/tmp/ssh-abc/agent.1",
    "LS_COLORS": "di=01;34:ln=01;36:*.tar=01;31",
    "KEY_VAULT": "@Microsoft.KeyVault(SecretUri=https://plant.vault.azure.net/secrets/x/)",
    "SCHEDULE": "https://example.com/a:b/c@d",
    "RELAY_ROUTES": (
        '[{"name": "signals", "filter": "$body.sig=5 AND $body.sig = 6 AND '
        "$body.password = 'x' AND "
        "$body.AccountKey != null AND CONTAINS(subject, 'sharedaccesskey')\", "
        '"destination": {"connection": "ANALYTICS", "eventHub": "twins"}}]'
    ),
    "DESIGN": "sig",
    "EMPTY_PASSWORD": "",
    "PATH": "/usr/local/bin:/usr/bin",
}


@pytest.mark.parametrize("value", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("name", ["ANALYTICS", "RELAY_ROUTES", "SOMETHING_ELSE"])
def test_a_secret_is_found_in_any_setting(name: str, value: str) -> None:
    assert found_in({"A": "b", name: value}) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_is_made_for_a_secret_is_found_by_its_name(name: str) -> None:
    assert found_in({name: "abc"}) == [name]


@pytest.mark.parametrize(("name", "value"), ORDINARY.items(), ids=ORDINARY.keys())
def test_an_ordinary_setting_is_no_secret(name: str, value: str) -> None:
    assert found_in({name: value}) == []


@given(
    st.sampled_from(list(SECRETS.values())),
    st.text(max_size=10),
    st.sampled_from([" ", '"', ";", "\n", ","]),
)
@settings(max_examples=150, deadline=None)
def test_a_secret_is_found_wherever_it_stands_in_a_value(
    secret: str, before: str, gap: str
) -> None:
    assert found_in({"X": before + gap + secret + gap}) == ["X"]


@pytest.mark.parametrize(
    ("name", "secret", "instead"),
    [
        ("ANALYTICS", "an Event Hubs connection string", "ANALYTICS__fullyQualifiedNamespace"),
        ("ANALYTICS__connectionString", "a SAS of a namespace", "ANALYTICS__credential"),
        ("AzureWebJobsANALYTICS", "a key alone", "ANALYTICS__fullyQualifiedNamespace"),
        ("DEAD_LETTERS", "a SAS in a URL", "DEAD_LETTERS__blobServiceUri"),
        ("AzureWebJobsStorage", "Azurite's in short", "AzureWebJobsStorage__blobServiceUri"),
        ("HTTPS_PROXY", "a password in a URL", "without user and password"),
        ("WEBSITE_RUN_FROM_PACKAGE", "a SAS in a URL", "_BLOB_MI_RESOURCE_ID"),
        ("WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "the emulator's", "Flex Consumption"),
        ("APPINSIGHTS_INSTRUMENTATIONKEY", "a key alone", "Authorization=AAD"),
        ("AZURE_CLIENT_SECRET", "a key alone", "managedidentity"),
    ],
)
def test_what_takes_a_secrets_place_is_named_and_the_secret_is_not(
    name: str, secret: str, instead: str
) -> None:
    (found,) = find_secrets({name: SECRETS[secret]})

    assert instead in found.instead
    assert KEY not in found.instead
    assert "abc" not in found.instead


AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    ";BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
)
EMULATOR = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;"
    "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
)


@pytest.mark.parametrize("value", ["UseDevelopmentStorage=true", AZURITE, EMULATOR])
def test_the_fixed_strings_of_emulators_are_told_from_real_keys(value: str) -> None:
    (alone,) = find_secrets({"X": value})
    (beside,) = find_secrets({"X": f"{value};SharedAccessKey={KEY}"})

    assert alone.is_emulators
    assert not beside.is_emulators


def found_in(environment: dict[str, str]) -> list[str]:
    found: list[Secret] = list(find_secrets(environment))
    return [secret.setting for secret in found]
