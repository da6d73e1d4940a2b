from __future__ import annotations

import asyncio
import io
import os
import ssl
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import aiohttp
import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.storage.blob import BlobBlock, ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from lab.certificates import TlsFiles
from lab.identity import Principal
from lab.storage import Storage

pytestmark = pytest.mark.asyncio(loop_scope="session")

READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
HUB_SENDER = "2b629674-e913-4c01-ae53-ef4638d8f975"
WELL_KNOWN_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass
class Token:
    """A credential that knows one token, made by the directory itself."""

    text: str

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self.text, 4_000_000_000)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None

    async def close(self) -> None:
        return None


@dataclass
class Account:
    storage: Storage
    tls: TlsFiles
    container: str
    who: Principal

    def grant(self, role: str, container: str | None = None) -> None:
        scope = self.storage.container_id(container or self.container)
        self.storage._directory.grant(self.who.object_id, role, scope)

    def token(self, resource: str = "https://storage.azure.com") -> str:
        return self.storage._directory.issue(self.who, resource)

    def service(self, credential: Any = None, url: str = "") -> BlobServiceClient:
        return BlobServiceClient(
            url or self.storage.url,
            credential or Token(self.token()),
            connection_verify=str(self.tls.ca_file),
            retry_total=0,
            max_single_put_size=512 * 1024,
            max_block_size=512 * 1024,
        )

    async def put(self, **changes: Any) -> tuple[int, dict[str, str], str]:
        request = {"method": "PUT", "path": f"/{self.container}/plain", "data": b"x"} | changes
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-version": "2024-11-04",
        } | request.pop("headers", {})
        trust = ssl.create_default_context(cafile=self.tls.ca_file)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.request(
                request["method"],
                self.storage.url + request["path"],
                data=request["data"],
                headers={name: value for name, value in headers.items() if value},
            ) as answer,
        ):
            return answer.status, dict(answer.headers), await answer.text()


@pytest_asyncio.fixture(loop_scope="session")
async def account(storage: Storage, tls: TlsFiles) -> Account:
    name = f"c{uuid.uuid4().hex[:12]}"
    await storage.create_container(name)
    return Account(storage, tls, name, storage._directory.register(name, app=name))


@pytest_asyncio.fixture(loop_scope="session")
async def container(account: Account) -> AsyncIterator[ContainerClient]:
    """The container, for somebody who may read and write it."""
    account.grant(CONTRIBUTOR)
    async with account.service() as service:
        yield service.get_container_client(account.container)


async def content(container: ContainerClient, name: str) -> bytes:
    return await (await container.download_blob(name)).readall()


async def test_a_contributor_writes_lists_reads_and_deletes(container: ContainerClient) -> None:
    await container.upload_blob("route/2026/a b+ü.json", b"[]", metadata={"lane": "3"})
    listed = [each async for each in container.list_blobs(include=["metadata"])]

    assert [(each.name, each.metadata) for each in listed] == [
        ("route/2026/a b+ü.json", {"lane": "3"})
    ]
    assert await content(container, "route/2026/a b+ü.json") == b"[]"
    await container.delete_blob("route/2026/a b+ü.json")
    assert [each async for each in container.list_blobs()] == []


async def test_a_large_blob_goes_through_in_blocks_and_comes_back_whole(
    container: ContainerClient,
) -> None:
    data = os.urandom(9 * 1024 * 1024)
    await container.upload_blob("large", data, max_concurrency=2)

    assert data == await content(container, "large")


async def test_blocks_of_a_stream_of_unknown_length_arrive_in_order(
    container: ContainerClient,
) -> None:
    blob = container.get_blob_client("blocks")
    names = ["b1", "b2", "b3"]
    for name in names:
        await blob.stage_block(name, name.encode() * 1000)
    await blob.commit_block_list([BlobBlock(name) for name in names])

    assert b"".join(name.encode() * 1000 for name in names) == await content(
        container, "blocks"
    )


async def test_conditions_and_properties_are_azurites_own(container: ContainerClient) -> None:
    blob = container.get_blob_client("owned")
    await blob.upload_blob(b"12345")
    first = await blob.get_blob_properties()
    await blob.set_blob_metadata({"owner": "one"}, etag=first.etag, match_condition=_same())

    assert first.size == 5
    with pytest.raises(ResourceExistsError):
        await blob.upload_blob(b"again")
    with pytest.raises(ResourceModifiedError):
        await blob.set_blob_metadata({"owner": "two"}, etag=first.etag, match_condition=_same())


def _same() -> Any:
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified


async def test_without_a_role_nothing_is_allowed_and_azures_words_say_so(
    account: Account,
) -> None:
    async with account.service() as service:
        container = service.get_container_client(account.container)
        with pytest.raises(HttpResponseError) as caught:
            await container.upload_blob("a", b"x")

    assert (caught.value.status_code, caught.value.error_code) == (
        403,
        "AuthorizationPermissionMismatch",
    )
    assert "not authorized to perform this operation using this permission" in str(caught.value)


async def test_a_large_upload_is_refused_with_the_reason_and_not_cut(account: Account) -> None:
    large = io.BytesIO(bytes(8 * 1024 * 1024))
    status, headers, _ = await account.put(data=large)

    assert (status, headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")


async def test_a_reader_reads_and_may_not_write(
    account: Account, container: ContainerClient
) -> None:
    await container.upload_blob("a", b"read me")
    account.storage._directory.revoke(
        account.who.object_id, CONTRIBUTOR, account.storage.container_id(account.container)
    )
    account.grant(READER)

    assert await content(container, "a") == b"read me"
    assert (await container.get_blob_client("a").get_blob_properties()).size == 7
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        await container.upload_blob("b", b"x")
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        await container.delete_blob("a")


async def test_a_role_of_another_service_opens_nothing(account: Account) -> None:
    account.grant(HUB_SENDER)

    assert (await account.put())[0] == 403


@pytest.mark.usefixtures("container")
async def test_a_role_on_one_container_says_nothing_about_another(
    account: Account,
) -> None:
    other = account.container + "-2"
    await account.storage.create_container(other)
    for path in (f"/{other}/x", f"/{other}%2Fx", f"/{account.container}/../{other}/x"):
        assert (await account.put(path=path))[0] == 403
    async with account.service() as service:
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            await service.get_service_properties()


async def test_a_copy_needs_the_right_to_read_its_source(
    account: Account, container: ContainerClient
) -> None:
    other = account.container + "-3"
    await account.storage.create_container(other)
    account.grant(CONTRIBUTOR, other)
    await account.put(path=f"/{other}/secret")
    account.storage._directory.revoke(
        account.who.object_id, CONTRIBUTOR, account.storage.container_id(other)
    )
    stolen = container.get_blob_client("stolen")

    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        await stolen.start_copy_from_url(f"{account.storage.url}/{other}/secret")


async def test_a_batch_cannot_reach_into_another_container(
    account: Account, container: ContainerClient
) -> None:
    await container.upload_blob("a", b"x")
    boundary = "batch_1"
    body = (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n"
        f"DELETE /{account.storage.account}/elsewhere/a HTTP/1.1\r\n\r\n--{boundary}--\r\n"
    )
    status, _, _ = await account.put(
        method="POST",
        path=f"/{account.container}?restype=container&comp=batch",
        data=body.encode(),
        headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
    )

    assert status == 403


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        pytest.param("", 401, "NoAuthenticationInformation", id="no token"),
        pytest.param("Bearer x.y.z", 401, "InvalidAuthenticationInfo", id="no real token"),
        pytest.param(
            "SharedKey twinrelaylab:c2lnbmF0dXJl",
            403,
            "KeyBasedAuthenticationNotPermitted",
            id="a shared key",
        ),
    ],
)
async def test_who_brings_no_good_token_is_told_so_in_xml(
    account: Account, authorization: str, status: int, code: str
) -> None:
    got, headers, body = await account.put(headers={"Authorization": authorization})

    assert (got, headers["x-ms-error-code"]) == (status, code)
    assert f"<Error><Code>{code}</Code><Message>" in body


async def test_a_refused_head_has_a_code_and_no_body(account: Account) -> None:
    status, headers, body = await account.put(method="HEAD", data=None)

    assert (status, headers["x-ms-error-code"], body) == (
        403,
        "AuthorizationPermissionMismatch",
        "",
    )


@pytest.mark.usefixtures("container")
async def test_a_token_for_another_service_is_refused_with_the_reason(
    account: Account,
) -> None:
    wrong = Token(account.token("https://eventhubs.azure.net/"))
    async with account.service(wrong) as service:
        with pytest.raises(ClientAuthenticationError) as caught:
            await service.get_container_client(account.container).upload_blob("a", b"x")

    assert caught.value.error_code == "InvalidAuthenticationInfo"
    assert "InvalidAudience" in str(caught.value.response.text())


@pytest.mark.usefixtures("container")
async def test_a_token_that_ran_out_is_refused(
    account: Account,
) -> None:
    directory = account.storage._directory
    before, directory.token_lifetime = directory.token_lifetime, timedelta(seconds=-1)
    old = account.token()
    directory.token_lifetime = before

    status, headers, _ = await account.put(headers={"Authorization": f"Bearer {old}"})

    assert (status, headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")


async def test_a_shared_access_signature_is_refused(account: Account) -> None:
    signature = generate_container_sas(
        account.storage.account,
        account.container,
        account_key=WELL_KNOWN_KEY,
        permission=ContainerSasPermissions(write=True),
        expiry="2099-01-01T00:00:00Z",
    )

    _, headers, _ = await account.put(
        path=f"/{account.container}/a?{signature}", headers={"Authorization": ""}
    )

    assert headers["x-ms-error-code"] == "KeyBasedAuthenticationNotPermitted"


@pytest.mark.parametrize(
    ("name", "code"),
    [("twinrelaylab", "InvalidAuthenticationInfo"), ("devstoreaccount1", "ResourceNotFound")],
)
async def test_azurites_well_known_key_opens_not_even_azurite(
    account: Account, name: str, code: str
) -> None:
    key = {"account_name": name, "account_key": WELL_KNOWN_KEY}
    async with account.service(key, f"{account.storage.azurite.url}/{name}") as service:
        with pytest.raises(HttpResponseError) as caught:
            await service.get_container_client(account.container).upload_blob("a", b"x")

    assert code == caught.value.error_code


async def test_an_account_that_does_not_exist_is_not_found(account: Account) -> None:
    url = account.storage.url.replace("twinrelaylab", "elsewhere")
    async with account.service(url=url) as service:
        with pytest.raises(ResourceNotFoundError):
            await service.get_container_client("a").upload_blob("a", b"x")


@pytest.mark.usefixtures("container")
async def test_it_can_be_told_to_refuse_a_few_times(
    account: Account,
) -> None:
    account.storage.refuse(503, "ServerBusy", times=2)
    answers = [(await account.put())[0] for _ in range(3)]

    assert answers == [503, 503, 201]


async def test_it_can_be_told_to_refuse_until_it_is_allowed(
    account: Account, container: ContainerClient
) -> None:
    account.storage.refuse(403, "AuthorizationFailure")
    with pytest.raises(HttpResponseError, match="AuthorizationFailure"):
        await container.upload_blob("a", b"x")
    account.storage.allow()
    await container.upload_blob("a", b"x")

    assert account.storage.fault is None


async def test_it_can_stop_answering(account: Account, container: ContainerClient) -> None:
    account.storage.stop_answering()
    with pytest.raises(ServiceResponseError):
        await container.upload_blob("a", b"x", read_timeout=0.2, retry_total=0)
    account.storage.allow()

    assert (await account.put())[0] == 201


@pytest.mark.usefixtures("container")
async def test_it_can_be_slow(account: Account) -> None:
    account.storage.slow(0.05)

    assert (await account.put())[0] == 201


@pytest.mark.parametrize("act", ["write", "lease", "delete", "read"])
async def test_a_fault_may_concern_one_kind_of_requests_only(
    account: Account, container: ContainerClient, act: str
) -> None:
    blob = container.get_blob_client("a")
    await blob.upload_blob(b"x")
    await container.upload_blob("c", b"z")
    account.storage.refuse(412, "ConditionNotMet", acts=(act,))
    calls = {
        "lease": lambda: blob.acquire_lease(-1, lease_id=str(uuid.uuid4())),
        "read": blob.get_blob_properties,
        "write": lambda: container.upload_blob("b", b"y", overwrite=True),
        "delete": lambda: container.delete_blob("c"),
    }
    refused = []
    for name, call in calls.items():
        try:
            await call()
        except ResourceModifiedError:
            refused.append(name)
    account.storage.allow()

    assert [act] == refused


async def test_a_kind_of_requests_that_there_is_not_is_refused(account: Account) -> None:
    with pytest.raises(ValueError, match=r"no kinds of requests: writes \(delete, lease, read"):
        account.storage.slow(1, acts=("writes",))


async def test_many_requests_side_by_side_are_all_answered(
    container: ContainerClient,
) -> None:
    names = [f"blob-{number:02}" for number in range(40)]
    await asyncio.gather(*(container.upload_blob(name, name.encode()) for name in names))

    assert names == [each.name async for each in container.list_blobs()]
