"""A function has no environment left: a clear 503, of which clients recover by themselves, and nobody else notices."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import aws

FUNCTION, RESERVED, AT_ONCE = "llm-gateway-embeddings", 2, 20
MODEL = "openai/text-embedding-3-small"
pytestmark = pytest.mark.stack


@pytest.fixture
def narrow(local: Gateway) -> Iterator[Gateway]:
    """A stack whose embeddings function may have two environments."""
    client = aws(local, "lambda")
    client.put_function_concurrency(FunctionName=FUNCTION, ReservedConcurrentExecutions=RESERVED)
    try:
        yield local
    finally:
        client.delete_function_concurrency(FunctionName=FUNCTION)


def test_who_finds_none_is_told_when_to_come_again(narrow: Gateway) -> None:
    """All are asked while a gate holds those that were let in; a chat is answered meanwhile."""
    gate, headers = uuid.uuid4().hex, {"authorization": f"Bearer {narrow.api_key}"}

    def ask(number: int) -> httpx.Response:
        body = {"model": MODEL, "input": f"[[gate={gate}]] {number}"}
        answer = httpx.post(f"{narrow.http}/embeddings", json=body, headers=headers, timeout=60)
        refused.append(answer.status_code) if answer.status_code != 200 else None
        if len(refused) == AT_ONCE - RESERVED:
            said = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
            others.append(httpx.post(f"{narrow.http}/chat/completions", json=said, headers=headers, timeout=60))
            httpx.post(f"{narrow.simulators}/_sim/gates/{gate}").raise_for_status()
        return answer

    refused: list[int] = []
    others: list[httpx.Response] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert Counter(answer.status_code for answer in answers) == {200: RESERVED, 503: AT_ONCE - RESERVED}
    assert others[0].status_code == 200
    for answer in (one for one in answers if one.status_code == 503):
        check("ErrorEnvelope", answer.json())
        error = answer.json()["error"]
        assert (error["code"], error["type"], error["retryable"]) == ("overloaded", "api_error", True)
        assert answer.headers["retry-after"] == "1"
        assert "x-should-retry" not in answer.headers


def test_the_official_client_comes_again_until_it_is_served(narrow: Gateway) -> None:
    def ask(number: int) -> int:
        with openai.OpenAI(base_url=narrow.http, api_key=narrow.api_key, max_retries=20, timeout=60) as client:
            made = client.embeddings.create(model=MODEL, input=f"[[first_byte_s=0.1]] {number}")
        return len(made.data[0].embedding)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1536}
