"""Puts each certificate of a bundle into a file named as OpenSSL looks for it: a process reads what it needs.

    python scripts/certificates_by_hash.py certifi/cacert.pem certifi/by_hash

The name is a hash of the subject and a number: https://docs.openssl.org/3.0/man3/SSL_CTX_load_verify_locations/
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


def write_by_hash(bundle: Path, folder: Path) -> int:
    """How many there are. Raises CalledProcessError for what is no certificate, ValueError where not all were found."""
    told = bundle.read_text()
    found = _CERTIFICATE.findall(told)
    if not found or len(found) != told.count("BEGIN CERTIFICATE"):
        raise ValueError(f"{len(found)} of {told.count('BEGIN CERTIFICATE')} certificates of {bundle} can be read")
    folder.mkdir()
    of_hash: Counter[str] = Counter()
    for certificate in found:
        name = _subject_hash(certificate)
        (folder / f"{name}.{of_hash[name]}").write_text(certificate)
        of_hash[name] += 1
    return of_hash.total()


def _subject_hash(certificate: str) -> str:
    command = [shutil.which("openssl") or "openssl", "x509", "-noout", "-subject_hash"]
    asked = subprocess.run(command, input=certificate, capture_output=True, check=True, text=True)  # noqa: S603 - openssl
    return asked.stdout.strip()


if __name__ == "__main__":
    print(f"{write_by_hash(Path(sys.argv[1]), Path(sys.argv[2]))} certificates")
