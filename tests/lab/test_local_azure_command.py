from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from lab.__main__ import main
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from lab.local_settings import LocalSettingsError, write_local_settings
from lab.plan import free_block

ANY_PORTS = [
    argument
    for name in ("identity", "storage", "control", "event-grid", "management")
    for argument in (f"--{name}-port", "0")
]
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def lab_up(state_dir: Path, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "lab", "up", *ANY_PORTS, "--block", free_block()),
        *("--state-dir", str(state_dir), *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def finished(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    said, complained = await process.communicate()
    return await process.wait(), said.decode(), complained.decode()


async def test_up_prints_json_runs_until_ctrl_c_and_ends_cleanly(tmp_path: Path) -> None:
    async with lab_up(tmp_path, "--json", "--app", "auditor") as process:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        async with (
            aiohttp.ClientSession() as session,
            session.get(ready["control"] + "/state") as answer,
        ):
            state = await answer.json()
        process.send_signal(signal.SIGINT)
        code, _, complained = await finished(process)

    assert ready["settings"]["INGRESS__credential"] == "managedidentity"
    assert ready["state"]["identities"] == state["identities"]
    assert (code, complained) == (0, "")
    assert not (tmp_path / "azurite.pid").exists()


async def test_the_way_to_a_proxied_lab_can_be_spoilt(tmp_path: Path) -> None:
    async with lab_up(tmp_path, "--json", "--proxied") as process:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        async with (
            aiohttp.ClientSession() as session,
            session.post(ready["control"] + "/traffic/down", json={"place": "storage"}) as done,
        ):
            assert done.status == 200
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(ready["settings"]["DEAD_LETTERS__blobServiceUri"], ssl=False)


async def test_up_prints_settings_for_a_shell_and_writes_them_for_core_tools(
    tmp_path: Path,
) -> None:
    file = tmp_path / "local.settings.json"
    async with lab_up(tmp_path / "the state", "--local-settings", str(file)) as process:
        assert process.stdout is not None
        said = (await process.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
        process.send_signal(signal.SIGTERM)
        code, after, _ = await finished(process)
    values = json.loads(file.read_text())["Values"]
    lines = [line for line in said.splitlines() if re.match(r"\w+=", line)]
    printed = dict(word.split("=", 1) for word in shlex.split("\n".join(lines)))

    assert values == printed | {"FUNCTIONS_WORKER_RUNTIME": "python"}
    assert len(lines) == len(printed)
    assert "never to be deployed" in " ".join(said.split())
    assert (code, after) == (0, "Ended: every process and port of the lab is gone.\n")


async def test_the_hint_for_core_tools_is_that_of_the_documentation(tmp_path: Path) -> None:
    file, state = tmp_path / "local.settings.json", tmp_path / "state"
    async with lab_up(state, "--local-settings", str(file)) as process:
        assert process.stdout is not None
        said = (await process.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
    (hint,) = (line.strip() for line in said.splitlines() if line.endswith("func start"))

    assert hint.startswith(". .venv/bin/activate && SSL_CERT_FILE=")
    assert hint.replace(str(state), "$PWD/.lab") in (ROOT / "docs" / "local.md").read_text()


async def test_the_relay_starts_by_what_is_printed(tmp_path: Path) -> None:
    async with lab_up(tmp_path, "--json") as process:
        assert process.stdout is not None
        settings = json.loads(await process.stdout.readline())["settings"]
        ca_file = Path(settings["RELAY_CA_FILE"])
        async with FunctionsHost(ROOT, settings, on_log=[].append, ca_file=ca_file) as host:
            indexed = {function.name for function in host.functions}

    assert {"event_hub", "redrive"} <= indexed


@pytest.mark.parametrize(
    "own", [{"RELAY_ROUTES": "[]"}, {"RELAY_ROUTES_FILE": "mine.json"}], ids=str
)
def test_local_settings_keep_routes_of_their_own(own: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": own}))
    write_local_settings(file, {"RELAY_ROUTES_FILE": "lab/demo/routes.json"})

    assert json.loads(file.read_text())["Values"] == own | {
        "FUNCTIONS_WORKER_RUNTIME": "python"
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["--app", "realy"],
            "no app is called 'realy'; known: auditor, digital-twins, relay\n",
            id="an unknown app",
        ),
        pytest.param(
            ["--local-settings", "/dev/null/x"],
            "Not a directory: /dev/null/x\n",
            id="a file that can't be written",
        ),
    ],
)
def test_a_start_that_fails_says_why_in_a_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state-dir", str(tmp_path), "--block", free_block()]
    code = main(["up", *ANY_PORTS, *state, *arguments])

    assert (1, "", f"The lab can't start: {said}") == (code, *capsys.readouterr())


@pytest.mark.asyncio(loop_scope="session")
async def test_a_second_lab_on_the_same_ports_is_refused(
    azure: LocalAzure, tmp_path: Path
) -> None:
    port = azure.endpoint.url.rpartition(":")[2]
    async with lab_up(tmp_path, "--identity-port", port) as process:
        code, _, complained = await finished(process)

    assert code == 1
    assert complained.startswith(
        f"The lab can't start: the identity endpoint can't listen on 127.0.0.1:{port}: the port"
    )


def test_local_settings_keep_what_they_held(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    held = {
        "Values": {"RELAY_ROUTES": "[]", "AzureWebJobsStorage": "x", "RELAY_CA_FILE": "old"},
        "Host": {"LocalHttpPort": 7071},
    }
    file.write_text(json.dumps(held))
    write_local_settings(
        file, {"RELAY_CA_FILE": "ca.pem", "AzureWebJobsStorage__blobServiceUri": "https://a"}
    )

    assert json.loads(file.read_text()) == {
        "IsEncrypted": False,
        "Values": {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "RELAY_ROUTES": "[]",
            "RELAY_CA_FILE": "ca.pem",
            "AzureWebJobsStorage__blobServiceUri": "https://a",
        },
        "Host": {"LocalHttpPort": 7071},
    }


def test_new_local_settings_are_their_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    write_local_settings(file, {"IDENTITY_HEADER": "x"})

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no local.settings.json"),
        ('{"Values": 7}', "is no local.settings.json"),
        ('{"IsEncrypted": true}', "func settings decrypt"),
    ],
)
def test_another_file_is_not_overwritten(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(text)

    with pytest.raises(LocalSettingsError, match=said):
        write_local_settings(file, {})
    assert text == file.read_text()
