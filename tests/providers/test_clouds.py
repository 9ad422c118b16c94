"""Providers whose address depends on the owner, and how their keys are sent."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.http import Credential, HttpRequest
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from gateway.providers.azure import PROVIDER as AZURE
from gateway.providers.contract import Provider, base_url_of
from gateway.providers.vertex import PROVIDER as VERTEX

REQUEST = HttpRequest("POST", "https://a.example", {"content-type": "application/json"}, b"{}")
OWN = Provider(name="own", base_url=None, wires={})
PLACED = Provider(name="placed", base_url="https://{region}.{zone}.example/", wires={})


def credential(key: str = "", base_url: str | None = None, **members: Any) -> Credential:
    return Credential(Secret(key), base_url, **members)


def headers(provider: Provider, opened_by: Credential) -> dict[str, str]:
    sent = dict(provider.authorize(REQUEST, opened_by, 0.0).headers)
    assert sent.pop("content-type") == "application/json"
    return sent


def test_the_owners_base_url_wins_and_is_taken_as_it_is() -> None:
    found = base_url_of(PLACED, credential(base_url="https://own.example/{region}/", settings={"region": "r"}))
    assert found == "https://own.example/{region}"


def test_settings_fill_the_places() -> None:
    assert base_url_of(PLACED, credential(settings={"region": "r", "zone": "z"})) == "https://r.z.example"


def test_what_the_owner_has_not_set_is_named_without_what_he_has() -> None:
    with pytest.raises(ProviderError) as missing:
        base_url_of(PLACED, credential("hush", settings={"region": "secret-region", "zone": ""}))
    assert missing.value.message == "'zone' is missing in the credential of placed."
    with pytest.raises(ProviderError, match="No base URL is configured for own"):
        base_url_of(OWN, credential())


def test_azures_key_has_a_header_of_its_own() -> None:
    assert headers(AZURE, credential("k")) == {"api-key": "k"}
    assert headers(AZURE, credential()) == {}


def test_vertex_takes_a_token_or_a_key() -> None:
    assert headers(VERTEX, credential("k")) == {"x-goog-api-key": "k"}
    assert headers(VERTEX, credential()) == {}
    token = credential(access_token=Secret("t"))
    assert headers(VERTEX, token) == {"authorization": "Bearer t"}


def test_a_private_key_never_leaves() -> None:
    with pytest.raises(ProviderError, match="No access token"):
        headers(VERTEX, credential(' {"private_key": "hush"}'))
