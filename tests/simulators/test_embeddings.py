"""Simulated embeddings: the same vectors in every provider's words, checked as the services check, with every fault."""

from __future__ import annotations

import json
from array import array
from base64 import b64decode
from typing import Any

import httpx
import openai
import pytest

from tests.simulators.process import KEY, Simulator

HEADERS = {"authorization": f"Bearer {KEY}"}
TITAN, COHERE = "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3"
GEMINI, VERTEX = "/google/v1beta/models", "/vertex/v1beta1/projects/p/locations/l/publishers/google/models"


def post(simulator: Simulator, path: str, body: Any) -> httpx.Response:
    return simulator.http.post(path, json=body, headers={**HEADERS, "x-goog-api-key": KEY})


def gemini(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": text}]}, **more}


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/openai/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hello"}),
    "azure": ("/azure/openai/v1/embeddings", {"model": "text-embedding-3-small", "input": ["Hello"]}),
    "mistral": ("/mistral/v1/embeddings", {"model": "mistral-embed", "input": ["Hello"]}),
    "openrouter": ("/openrouter/api/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "Hello"}),
    "together": ("/together/v1/embeddings", {"model": "intfloat/e5", "input": "Hello"}),
    "fireworks": ("/fireworks/inference/v1/embeddings", {"model": "qwen3-embedding-8b", "input": "Hello"}),
    "vllm": ("/vllm/v1/embeddings", {"model": "any", "input": "Hello"}),
    "voyage": ("/voyage/v1/embeddings", {"model": "voyage-3.5", "input": ["Hello"]}),
    "perplexity": ("/perplexity/v1/embeddings", {"model": "pplx-embed-v1-0.6b", "input": ["Hello"]}),
    "cohere": (
        "/cohere/v2/embed",
        {"model": "embed-v4.0", "texts": ["Hello"], "input_type": "search_document", "embedding_types": ["float"]},
    ),
    "ollama": ("/ollama/api/embed", {"model": "nomic-embed-text", "input": "Hello"}),
    "google": (f"{GEMINI}/gemini-embedding-2:batchEmbedContents", {"requests": [gemini("Hello")]}),
    "vertex": (f"{VERTEX}/gemini-embedding-2:embedContent", {"content": {"parts": [{"text": "Hello"}]}}),
    "vertex predict": (f"{VERTEX}/text-embedding-005:predict", {"instances": [{"content": "Hello"}]}),
    "titan": (f"/bedrock/model/{TITAN}/invoke", {"inputText": "Hello"}),
    "bedrock cohere": (f"/bedrock/model/{COHERE}/invoke", {"texts": ["Hello"], "input_type": "search_query"}),
}


def first_vector(reply: dict[str, Any]) -> list[float]:
    if "data" in reply:
        found = reply["data"][0]["embedding"]
    elif "predictions" in reply:
        found = reply["predictions"][0]["embeddings"]["values"]
    elif "embedding" in reply:
        found = reply["embedding"]
    else:
        found = reply["embeddings"]["float"] if isinstance(reply["embeddings"], dict) else reply["embeddings"]
        found = found[0]
    found = found["values"] if isinstance(found, dict) else found
    if isinstance(found, str):
        found = array("b", b64decode(found)).tolist()
    numbers: list[float] = found
    return numbers


@pytest.mark.parametrize("provider", ASKED)
def test_a_text_has_its_vector(simulator: Simulator, provider: str) -> None:
    path, body = ASKED[provider]
    answers = [post(simulator, path, body) for _ in range(2)]
    assert answers[0].status_code == 200, answers[0].text
    first, again = (first_vector(answer.json()) for answer in answers)
    assert first == again
    assert len(first) >= 768
    other = json.loads(json.dumps(body).replace("Hello", "Goodbye"))
    assert first_vector(post(simulator, path, other).json()) != first


def test_both_encodings_and_the_sdk_agree(simulator: Simulator, openai_client: openai.OpenAI) -> None:
    path, body = ASKED["openai"]
    numbers = first_vector(post(simulator, path, body).json())
    packed = post(simulator, path, {**body, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert array("f", b64decode(packed)).tolist() == array("f", numbers).tolist()
    made = openai_client.embeddings.create(model="text-embedding-3-small", input=["Hello", "there you"])
    assert array("f", made.data[0].embedding).tolist() == array("f", numbers).tolist()
    assert [item.index for item in made.data] == [0, 1]
    assert made.usage.prompt_tokens == 3


def test_a_vector_has_length_one_and_as_many_numbers_as_asked_for(simulator: Simulator) -> None:
    path, body = ASKED["openai"]
    numbers = first_vector(post(simulator, path, {**body, "dimensions": 256}).json())
    assert len(numbers) == 256
    assert sum(number * number for number in numbers) == pytest.approx(1)


@pytest.mark.parametrize(
    ("provider", "change", "status"),
    [
        ("openai", {"input": []}, 400),
        ("openai", {"input": ["a", ""]}, 400),
        ("openai", {"input": ["a"] * 2049}, 400),
        ("openai", {"model": "text-embedding-ada-002", "dimensions": 5}, 400),
        ("openai", {"dimensions": 1537}, 400),
        ("openai", {"metadata": {}}, 400),
        ("openai", {"model": "does-not-exist"}, 404),
        ("azure", {"model": "Cohere-embed-v3-english", "encoding_format": "base64"}, 400),
        ("mistral", {"input": ["a"] * 257}, 400),
        ("mistral", {"dimensions": 5}, 422),
        ("mistral", {"input": [[1]]}, 422),
        ("together", {"encoding_format": "base64"}, 400),
        ("fireworks", {"encoding_format": "base64"}, 400),
        ("voyage", {"encoding_format": "float"}, 400),
        ("voyage", {"input": ["a"] * 1001}, 400),
        ("perplexity", {"encoding_format": "float"}, 200),
        ("perplexity", {"input": ["a"] * 513}, 400),
        ("cohere", {"texts": ["a"] * 97}, 400),
        ("cohere", {"input_type": "other"}, 400),
        ("cohere", {"output_dimension": 7}, 400),
        ("ollama", {"model": "does-not-exist"}, 404),
        ("ollama", {"input": "word " * 3000, "truncate": False}, 400),
        ("google", {"requests": [gemini("a")] * 101}, 400),
        ("google", {"requests": [gemini("a", taskType="NONE")]}, 400),
        ("google", {"requests": [gemini("")]}, 400),
        ("vertex", {"embedContentConfig": {"taskType": "NONE"}}, 400),
        ("vertex predict", {"instances": [{"content": "a"}] * 251}, 400),
        ("vertex predict", {"parameters": {"dimensions": 5}}, 400),
        ("titan", {"dimensions": 7}, 400),
        ("titan", {"inputText": "a" * 50_001}, 400),
        ("bedrock cohere", {"texts": ["a" * 2049]}, 400),
        ("bedrock cohere", {"model": "x"}, 400),
    ],
)
def test_requests_are_checked(simulator: Simulator, provider: str, change: dict[str, Any], status: int) -> None:
    path, body = ASKED[provider]
    assert post(simulator, path, {**body, **change}).status_code == status


def test_tokens_are_taken_where_the_service_takes_them(simulator: Simulator) -> None:
    path, body = ASKED["openai"]
    reply = post(simulator, path, {**body, "input": [[1, 2], [3]]}).json()
    assert (len(reply["data"]), reply["usage"]["prompt_tokens"]) == (2, 3)


@pytest.mark.parametrize("provider", ASKED)
def test_every_fault_is_to_be_had(simulator: Simulator, provider: str) -> None:
    path, body = ASKED[provider]

    def with_switch(switch: str) -> Any:
        return json.loads(json.dumps(body).replace("Hello", f"Hello [[{switch}]]"))

    assert post(simulator, path, with_switch("status=429 retry_after=3")).status_code == 429
    assert b"sim" in post(simulator, path, with_switch("garbage")).content
    with pytest.raises(httpx.HTTPError):
        post(simulator, path, with_switch("cut=mid_event"))
    marked = post(simulator, path, with_switch("id=vectors"))
    assert first_vector(marked.json()) == first_vector(post(simulator, path, body).json())
    assert [kind for kind, _ in simulator.timeline("vectors")] == ["received", "head", "end"]


def test_tokens_of_bedrocks_cohere_are_told_in_a_header(simulator: Simulator) -> None:
    path, body = ASKED["bedrock cohere"]
    answer = post(simulator, path, {**body, "texts": ["two words"]})
    assert answer.headers["x-amzn-bedrock-input-token-count"] == "2"
