"""Whom TLS believes: the same authorities, whether they are read one at a time or all at once."""

from __future__ import annotations

import shutil
import ssl
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from gateway.adapters import trust
from scripts.certificates_by_hash import write_by_hash
from tests.ports.guarded_fetch.certificates import Authority

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="hashes are asked of openssl")
NAME = "api.provider.example"


def authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


@pytest.fixture
def certifi(tmp_path: Path, ours: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name, which lists an authority and another one with the same name."""
    package = tmp_path / "certifi"
    package.mkdir()
    (package / "cacert.pem").write_text(f"# Authorities\n{authority(tmp_path / 'other').pem}\n# Ours\n{ours.pem}")
    spec = ModuleSpec("certifi", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(trust, "find_spec", lambda name: spec)
    return package


def test_all_are_read_where_none_lies_by_its_hash(ours: Authority, certifi: Path) -> None:
    context = trust.certifi_trust()
    assert context.cert_store_stats()["x509_ca"] == 2
    shake_hands(context, ours.server(NAME))


@needs_openssl
def test_one_is_read_when_a_server_has_its_signature(ours: Authority, certifi: Path) -> None:
    assert write_by_hash(certifi / "cacert.pem", certifi / "by_hash") == 2
    context = trust.certifi_trust()
    assert context.cert_store_stats()["x509_ca"] == 0
    shake_hands(context, ours.server(NAME))


@needs_openssl
def test_an_authority_that_is_not_listed_is_not_believed(tmp_path: Path, certifi: Path) -> None:
    write_by_hash(certifi / "cacert.pem", certifi / "by_hash")
    stranger = authority(tmp_path / "stranger").server(NAME)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(trust.certifi_trust(), stranger)


def test_without_the_list_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError):
        trust.certifi_trust()


def shake_hands(client_trust: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
    """Both sides of a TLS handshake, in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_trust.wrap_bio(to_client, to_server, server_hostname=NAME)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
