"""Azurite as a child process: blobs in memory, over TLS, for tokens alone.

Azurite checks neither a token's signature nor a role, and its port is open to everybody on the
machine; whoever uses it puts a check in front. Its shared key is random and told to nobody.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import secrets
import shutil
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lab.certificates import TlsFiles

HOME: Final = Path(__file__).parent
"""Where `azurite.js` and `node_modules` are."""

_LISTENING: Final = re.compile(rb"successfully listens on (https://\S+)")
_START_SECONDS: Final = 30
_KEPT_LINES: Final = 20
_MEMORY_MEGABYTES: Final = 2048


class AzuriteError(Exception):
    """Azurite can't be had; the text says why and what to do."""


class Azurite:
    """One Azurite.

    Attributes:
        url: where it listens, without the account; `""` while it does not.
    """

    def __init__(
        self, tls: TlsFiles, *, account: str, state_dir: Path, home: Path = HOME, port: int = 0
    ) -> None:
        self.url = ""
        self._tls = tls
        self._account = account
        self._pid_file = state_dir / "azurite.pid"
        self._home = home
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def pid(self) -> int | None:
        """Return the id of the process while there is one."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Tell whether the process is there and has not ended by itself."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> None:
        """Wait until the process has ended, by itself or by somebody's hand."""
        if self._process is not None:
            await self._process.wait()

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            AzuriteError: it is not installed, was left over, or ended at once.
        """
        node = self._node()
        self._check_nothing_is_left()
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(self._home / "azurite.js"),
            *self._arguments(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
            process_group=0,  # a Ctrl-C is for the lab, which then ends Azurite
        )
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file.write_text(str(self._process.pid))
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.url = await self._listening(self._process)
        except BaseException:
            await self.stop()
            raise
        self._reading = asyncio.create_task(self._read_on(self._process))

    async def stop(self) -> None:
        """End it at once: it keeps nothing that it could save."""
        if self._process is None:
            return
        process, self._process, self.url = self._process, None, ""
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if self._reading is not None:
            await self._reading
            self._reading = None
        self._pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the end of what it printed."""
        return "\n".join(self._said) or "(it printed nothing)"

    def _node(self) -> str:
        node = shutil.which("node")
        if node is None:
            raise AzuriteError(
                "storage needs Node 20 or newer to run Azurite, and there is no `node` on the "
                "PATH: install it from https://nodejs.org"
            )
        if not (self._home / "node_modules" / "azurite").is_dir():
            raise AzuriteError(
                f"Azurite is not installed in {self._home}: run `npm ci --prefix lab`"
            )
        return node

    def _check_nothing_is_left(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._pid_file.read_text())
            if _is_azurite(pid):
                raise AzuriteError(
                    f"an Azurite that an earlier lab started is still running, as process "
                    f"{pid} ({self._pid_file}): end it with `kill {pid}`"
                )

    def _arguments(self) -> list[str]:
        return [
            *("--blobHost", "127.0.0.1", "--blobPort", str(self._port)),
            *("--cert", str(self._tls.cert_file), "--key", str(self._tls.key_file)),
            *("--oauth", "basic", "--inMemoryPersistence"),
            *("--extentMemoryLimit", str(_MEMORY_MEGABYTES)),
            *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        ]

    def _environment(self) -> dict[str, str]:
        key = base64.b64encode(secrets.token_bytes(64)).decode()
        return {
            "PATH": os.environ.get("PATH", ""),
            "AZURITE_ACCOUNTS": f"{self._account}:{key}",
        }

    async def _listening(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        async for line in process.stdout:
            self._said.append(line.decode(errors="replace").rstrip())
            if found := _LISTENING.search(line):
                return found[1].decode()
        code = await process.wait()
        raise AzuriteError(f"Azurite ended at its start with code {code}:\n{self.last_words()}")

    async def _read_on(self, process: asyncio.subprocess.Process) -> None:
        """Keep the pipe empty, or Azurite would stand still when it is full."""
        assert process.stdout is not None
        async for line in process.stdout:
            self._said.append(line.decode(errors="replace").rstrip())


def _is_azurite(pid: int) -> bool:
    """Tell whether a process is Azurite: the id of one that ended may be another's by now."""
    try:
        return b"azurite" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
