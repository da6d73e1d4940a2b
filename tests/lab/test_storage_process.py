from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from lab.azurite import Azurite, AzuriteError
from lab.certificates import TlsFiles
from lab.identity import Directory
from lab.serving import PortInUseError
from lab.storage import Storage

pytestmark = pytest.mark.asyncio(loop_scope="session")

STARTS_AND_WAITS = """
import asyncio, pathlib, sys
from lab.azurite import Azurite
from lab.certificates import TlsFiles

async def main():
    tls = TlsFiles(*map(pathlib.Path, sys.argv[1:4]))
    azurite = Azurite(tls, account="orphan", state_dir=pathlib.Path(sys.argv[4]))
    await azurite.start()
    print(azurite.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def azurite(tls: TlsFiles, state_dir: Path, **changes: object) -> Azurite:
    return Azurite(tls, account="one", state_dir=state_dir, **changes)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    """Tell whether a process runs: one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ended(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        await asyncio.sleep(0.05)
    return False


def files(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


async def test_a_stopped_azurite_is_gone_and_leaves_no_trace(
    tls: TlsFiles, tmp_path: Path
) -> None:
    one = azurite(tls, tmp_path)
    await one.start()
    pid = one.pid
    assert pid is not None
    assert str(pid) == (tmp_path / "azurite.pid").read_text()
    await one.stop()

    assert not alive(pid)
    assert files(tmp_path) == []
    assert one.url == ""


async def test_azurite_ends_when_its_parent_is_killed(tls: TlsFiles, tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STARTS_AND_WAITS,
        *map(str, (tls.ca_file, tls.cert_file, tls.key_file, tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    assert await ended(pid)


async def test_a_missing_azurite_is_told_with_the_command_that_installs_it(
    tls: TlsFiles, tmp_path: Path
) -> None:
    with pytest.raises(AzuriteError, match=r"not installed in .*: run `npm ci --prefix lab`"):
        await azurite(tls, tmp_path, home=tmp_path).start()


async def test_a_missing_node_is_told(
    tls: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(AzuriteError, match="needs Node 20 or newer"):
        await azurite(tls, tmp_path).start()


async def test_an_azurite_that_ends_at_its_start_is_quoted(
    storage: Storage, tls: TlsFiles, tmp_path: Path
) -> None:
    taken = int(storage.azurite.url.rpartition(":")[2])

    with pytest.raises(AzuriteError, match=r"(?s)ended at its start with code 1:.*EADDRINUSE"):
        await azurite(tls, tmp_path, port=taken).start()
    assert files(tmp_path) == []


async def test_a_leftover_is_told_with_its_process_id(
    storage: Storage, tls: TlsFiles, tmp_path: Path
) -> None:
    (tmp_path / "azurite.pid").write_text(str(storage.azurite.pid))

    with pytest.raises(AzuriteError, match=f"still running, as process {storage.azurite.pid} "):
        await azurite(tls, tmp_path).start()


async def test_a_pid_file_whose_process_is_somebody_elses_is_no_leftover(
    tls: TlsFiles, tmp_path: Path
) -> None:
    (tmp_path / "azurite.pid").write_text(str(os.getpid()))
    one = azurite(tls, tmp_path)
    await one.start()
    await one.stop()

    assert files(tmp_path) == []


async def test_a_port_that_is_taken_ends_the_start_and_azurite_with_it(
    storage: Storage, tls: TlsFiles, tmp_path: Path
) -> None:
    taken = int(storage.url.rpartition(":")[2].partition("/")[0])
    other = Storage(Directory(), tls, state_dir=tmp_path, port=taken)

    with pytest.raises(PortInUseError, match="storage can't listen on"):
        await other.start()
    assert other.azurite.pid is None


async def test_an_azurite_that_is_gone_is_a_busy_server_and_not_a_puzzle(
    tls: TlsFiles, tmp_path: Path
) -> None:
    directory = Directory()
    storage = Storage(directory, tls, state_dir=tmp_path)
    await storage.start()
    who = directory.register("one", app="one")
    directory.grant(who.object_id, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", storage.resource_id)
    assert storage.azurite.pid is not None
    os.kill(storage.azurite.pid, signal.SIGKILL)
    await storage.azurite.ended()
    trust = ssl.create_default_context(cafile=tls.ca_file)
    token = directory.issue(who, "https://storage.azure.com")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
        session.get(
            storage.url + "/any", headers={"Authorization": f"Bearer {token}"}
        ) as answer,
    ):
        said = await answer.text()

    assert (answer.status, answer.headers["x-ms-error-code"]) == (503, "ServerBusy")
    assert "Azurite does not answer" in said
    assert not storage.azurite.running
    await storage.stop()
