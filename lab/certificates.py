"""A private certificate authority and one server certificate for everything the lab serves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are: PEM files.

    Attributes:
        ca_file: what clients must trust.
        cert_file: the server's certificate with its chain.
        key_file: the server's private key, readable by its owner only.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path


def issue(directory: Path, names: Sequence[str]) -> TlsFiles:
    """Write a new authority and a certificate for `names` (host names or addresses)."""
    directory.mkdir(parents=True, exist_ok=True)
    files = _files(directory)
    authority = trustme.CA(organization_name="Twin Relay lab")
    server = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(files.ca_file)
    files.cert_file.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    files.key_file.touch(mode=0o600)
    server.private_key_pem.write_to_path(files.key_file)
    return files


def kept(directory: Path, names: Sequence[str]) -> TlsFiles:
    """Return what an earlier start issued for the same names, or issue anew.

    With the authority that they know, clients go on when the lab is restarted.
    """
    said = directory / "names"
    wanted = "\n".join(names)
    if said.exists() and said.read_text() == wanted:
        return _files(directory)
    files = issue(directory, names)
    said.write_text(wanted)
    return files


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a server of the lab shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    return context


def _files(directory: Path) -> TlsFiles:
    return TlsFiles(
        directory / "ca.pem", directory / "server.pem", directory / "server-key.pem"
    )
