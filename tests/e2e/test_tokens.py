"""Tokens of an identity provider instead of API keys, through the deployed stack."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway

HELLO: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
pytestmark = pytest.mark.stack


def token(local: Gateway, /, algorithm: str = "RS256", **claims: Any) -> str:
    answer = httpx.post(f"{local.simulators}/_oidc/token", params={"alg": algorithm}, json=claims)
    made: str = answer.json()["access_token"]
    return made


def asked(local: Gateway, bearer: str, **changes: Any) -> tuple[int, str | None]:
    headers = {"authorization": f"Bearer {bearer}"}
    answer = httpx.post(f"{local.http}/chat/completions", json={**HELLO, **changes}, headers=headers, timeout=60)
    return answer.status_code, answer.json().get("error", {}).get("code")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_official_client_takes_a_token_for_a_key(local: Gateway, algorithm: str) -> None:
    with openai.OpenAI(base_url=local.http, api_key=token(local, algorithm), max_retries=0) as client:
        reply = client.chat.completions.create(**HELLO)
        assert reply.choices[0].message.content
        assert client.models.list().data


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ({"exp": 1_700_000_000}, (401, "invalid_api_key")),
        ({"aud": "another"}, (401, "invalid_api_key")),
        ({"iss": "https://another.example"}, (401, "invalid_api_key")),
        ({"tenant": "there-is-none"}, (401, "invalid_api_key")),
        ({"scope": "openid models"}, (403, "scope_missing")),
    ],
)
def test_a_token_that_is_not_good_for_that(local: Gateway, claims: dict[str, Any], refused: tuple[int, str]) -> None:
    assert asked(local, token(local, **claims)) == refused


def test_only_a_token_that_may_names_another_user(local: Gateway) -> None:
    assert asked(local, token(local, scope="*"), user="dave") == (403, "scope_missing")
    assert asked(local, token(local, scope="chat assert_user"), user="dave") == (200, None)


def test_its_user_can_be_switched_off_and_has_books(local: Gateway, admin: httpx.Client) -> None:
    user_id = f"auth0|{time.monotonic_ns()}"
    theirs = token(local, sub=user_id)
    assert asked(local, theirs) == (200, None)
    one = f"/tenants/demo/users/{user_id.replace('|', '%7C')}"
    assert admin.put(one, json={"status": "disabled"}).status_code == 201
    assert asked(local, theirs) == (403, "tenant_disabled")
    assert admin.post(f"{one}/enable").status_code == 200
    assert asked(local, theirs) == (200, None)
    deadline_s = time.monotonic() + 20
    while admin.get(f"{one}/ledger").json()["spending"][0]["spent_usd"] == "0":
        assert time.monotonic() < deadline_s


def test_a_new_key_of_the_issuer_is_found(local: Gateway) -> None:
    deadline_s = time.monotonic() + 30
    httpx.post(f"{local.simulators}/_oidc/rotate")
    while asked(local, token(local)) != (200, None):  # it is asked for its keys once in ten seconds
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
