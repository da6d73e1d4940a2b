from __future__ import annotations

import ssl
import stat
from pathlib import Path

from cryptography import x509

from lab.certificates import issue, kept


def names(file: Path) -> set[str]:
    found = x509.load_pem_x509_certificates(file.read_bytes())[0]
    said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in said}


def test_a_certificate_is_good_for_names_and_for_addresses(tmp_path: Path) -> None:
    files = issue(tmp_path, ["localhost", "127.0.0.2"])

    assert names(files.cert_file) == {"localhost", "127.0.0.2"}
    assert ssl.create_default_context(cafile=files.ca_file).cert_store_stats()["x509_ca"] == 1


def test_the_key_is_its_owners_alone_and_fits_the_certificate(tmp_path: Path) -> None:
    files = issue(tmp_path, ["localhost"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.cert_file, files.key_file)

    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600


def test_certificates_are_kept_for_the_same_names_and_made_anew_for_others(
    tmp_path: Path,
) -> None:
    first = kept(tmp_path, ["localhost"]).cert_file.read_bytes()
    again = kept(tmp_path, ["localhost"]).cert_file.read_bytes()
    other = kept(tmp_path, ["127.0.0.7"])

    assert first == again
    assert names(other.cert_file) == {"127.0.0.7"}
