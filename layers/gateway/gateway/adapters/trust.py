"""Whose certificates are believed: the authorities that certifi lists."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from pathlib import Path


def certifi_trust() -> ssl.SSLContext:
    """OpenSSL reads an authority's certificate from certifi's folder `by_hash` when a server's leads to it. To read all
    of them takes 20 ms: that is for where nobody made the folder (scripts/certificates_by_hash.py).

    certifi is not imported: what it imports to find its own file takes 10 ms.
    """
    found = find_spec("certifi")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("certifi is not installed")
    by_hash = Path(found.origin).with_name("by_hash")
    if by_hash.is_dir():
        return ssl.create_default_context(capath=str(by_hash))
    return ssl.create_default_context(cafile=str(by_hash.with_name("cacert.pem")))
