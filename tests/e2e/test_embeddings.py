"""Embeddings through the unmodified OpenAI SDK, on every provider, governed like everything else."""

from __future__ import annotations

import os
import uuid
from array import array
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest

from gateway.model.money import usd_text
from local.simulators.vectors import dimensions_of, in_bytes, tokens_of, vector
from tests.e2e.conftest import Gateway
from tests.e2e.simulated import posted, posts
from tests.e2e.tenants import put_key, put_tenant
from tests.e2e.test_governance import number, settled

MODELS = {
    "openai": "openai/text-embedding-3-small",
    "google": "google/gemini-embedding-2",
    "google-001": "google/gemini-embedding-001",
    "vertex": "vertex/gemini-embedding-2",
    "vertex-predict": "vertex/text-embedding-005",
    "vertex-predict-one": "vertex/gemini-embedding-001",
    "cohere": "cohere/embed-v4.0",
    "mistral": "mistral/mistral-embed",
    "bedrock-titan": "bedrock/amazon.titan-embed-text-v2:0",
    "bedrock-titan-g1": "bedrock/amazon.titan-embed-text-v1",
    "bedrock-cohere": "bedrock/cohere.embed-v4:0",
    "voyage": "voyage/voyage-3.5",
    "ollama": "ollama/nomic-embed-text",
    "azure": "azure/text-embedding-3-large",
    "azure-cohere": "azure/cohere-embed-v3-english",
    "openrouter": "openrouter/openai/text-embedding-3-small",
    "together": "together/intfloat/multilingual-e5-large-instruct",
    "fireworks": "fireworks/nomic-ai/nomic-embed-text-v1.5",
    "vllm": "vllm/my-own-model",
    "perplexity": "perplexity/pplx-embed-v1-0.6b",
}
TEXTS = ["The first text", "A second one,\nof two lines", "日本語 and 🙂"]
OWN = os.environ.get("SMOKE_EMBEDDINGS", ",".join(MODELS)).split(",")
WITHOUT_FIGURES = ("google-001",)
"""The API counts no tokens for this model."""
pytestmark = pytest.mark.stack


def floats(numbers: Sequence[float]) -> list[float]:
    """As the 32-bit floats that they stand for."""
    return array("f", numbers).tolist()


def expected(provider: str, text: str, dimensions: int | None = None) -> list[float]:
    """What the simulator makes of a text."""
    length = dimensions or dimensions_of(MODELS[provider])
    return floats(in_bytes(text, length)) if provider == "perplexity" else vector(text, length).tolist()


@pytest.mark.parametrize("provider", OWN)
def test_texts_become_vectors_in_both_encodings(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    """The SDK asks for base64 by itself, and for numbers when told to."""
    packed = sdk.embeddings.create(model=MODELS[provider], input=TEXTS)
    plain = sdk.embeddings.create(model=MODELS[provider], input=TEXTS, encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1, 2]
    assert packed.model == MODELS[provider]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert floats(one.embedding) == floats(other.embedding)
        assert len(one.embedding) > 100
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0
    if gateway.simulators:
        assert [floats(item.embedding) for item in packed.data] == [expected(provider, text) for text in TEXTS]
        if provider not in WITHOUT_FIGURES:
            assert packed.usage.prompt_tokens == sum(map(tokens_of, TEXTS))


@pytest.mark.parametrize(
    "provider", ["openai", "google", "vertex", "cohere", "bedrock-titan", "bedrock-cohere", "voyage", "perplexity"]
)
def test_vectors_have_the_length_that_is_asked_for(sdk: openai.OpenAI, local: Gateway, provider: str) -> None:
    made = sdk.embeddings.create(model=MODELS[provider], input="One text", dimensions=256)
    assert floats(made.data[0].embedding) == expected(provider, "One text", 256)


@pytest.mark.parametrize(
    ("provider", "dimensions", "code"),
    [
        ("openai", 1537, "validation_error"),
        ("cohere", 300, "validation_error"),
        ("mistral", 512, "capability_not_supported"),
        ("together", 512, "capability_not_supported"),
    ],
)
def test_a_length_that_the_model_cannot_make_is_refused_unsent(
    sdk: openai.OpenAI, local: Gateway, provider: str, dimensions: int, code: str
) -> None:
    before = posted(local)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.embeddings.create(model=MODELS[provider], input="a", dimensions=dimensions)
    assert (refused.value.code, refused.value.param) == (code, "dimensions")
    assert posted(local) == before


def test_tokens_pass_where_the_provider_takes_them(sdk: openai.OpenAI, local: Gateway) -> None:
    made = sdk.embeddings.create(model=MODELS["openai"], input=[[1, 2, 3], [4]])
    assert [floats(item.embedding) for item in made.data] == [
        vector([1, 2, 3], 1536).tolist(),
        vector([4], 1536).tolist(),
    ]
    assert made.usage.prompt_tokens == 4
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.embeddings.create(model=MODELS["mistral"], input=[1, 2])
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", "input")


def test_a_chat_model_makes_no_vectors_and_no_vectors_chat(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.embeddings.create(model="openai/gpt-4o-mini", input="a")
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", "model")
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(model=MODELS["openai"], messages=[{"role": "user", "content": "a"}])
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", "model")


@pytest.mark.parametrize(
    ("value", "param"),
    [([], "input"), ("", "input"), (["a", ""], "input[1]"), (["a"] * 2049, "input"), ([["a"]], "input[0][0]")],
)
def test_bad_input_is_refused_by_name(sdk: openai.OpenAI, value: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.embeddings.create(model=MODELS["openai"], input=value)
    assert (refused.value.code, refused.value.param) == ("validation_error", param)


@pytest.mark.parametrize(
    ("provider", "inputs", "requests"),
    [("google", 230, 3), ("cohere", 200, 3), ("mistral", 600, 3), ("bedrock-titan", 12, 12), ("openai", 2048, 1)],
)
def test_a_long_list_is_split_and_joined_in_order(
    sdk: openai.OpenAI, local: Gateway, provider: str, inputs: int, requests: int
) -> None:
    texts = [f"text number {number}" for number in range(inputs)]
    before = posted(local)
    made = sdk.embeddings.create(model=MODELS[provider], input=texts)
    assert posted(local) - before == requests
    assert [item.index for item in made.data] == list(range(inputs))
    for place in (0, 1, inputs // 2, inputs - 1):
        assert floats(made.data[place].embedding) == expected(provider, texts[place])
    assert made.usage.prompt_tokens == sum(map(tokens_of, texts))


@pytest.mark.parametrize(
    ("provider", "options", "where"),
    [
        ("cohere", {"input_type": "search_query"}, ("input_type",)),
        ("voyage", {"input_type": "query"}, ("input_type",)),
        ("google", {"taskType": "RETRIEVAL_QUERY"}, ("requests", 0, "taskType")),
        ("vertex", {"taskType": "RETRIEVAL_QUERY"}, ("embedContentConfig", "taskType")),
        ("vertex-predict", {"taskType": "RETRIEVAL_QUERY"}, ("instances", 0, "task_type")),
        ("bedrock-titan", {"normalize": False}, ("normalize",)),
        ("bedrock-cohere", {"input_type": "search_query"}, ("input_type",)),
    ],
)
def test_a_providers_own_options_reach_it(
    sdk: openai.OpenAI, local: Gateway, provider: str, options: dict[str, Any], where: tuple[Any, ...]
) -> None:
    name = provider.partition("-")[0]
    sdk.embeddings.create(model=MODELS[provider], input="a", extra_body={"provider_options": {name: options}})
    (sent,) = posts(local, provider=name, limit=1)
    found = sent["body"]
    for step in where:
        found = found[step]
    assert found == next(iter(options.values()))


@pytest.mark.parametrize("provider", OWN)
def test_a_limited_provider_is_told_as_such(sdk: openai.OpenAI, local: Gateway, provider: str) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        sdk.embeddings.create(model=MODELS[provider], input="a [[status=429 retry_after=3]]")
    assert isinstance(limited.value.body, dict)
    assert (limited.value.code, limited.value.body["level"]) == ("rate_limited", "provider")


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("status=500", 502, "provider_error"),
        ("status=503", 502, "provider_error"),
        ("status=401", 502, "provider_error"),
        ("garbage", 502, "provider_error"),
        ("content_type=text/html", 502, "provider_error"),
        ("cut=before_headers", 502, "provider_error"),
        ("cut=mid_event", 502, "provider_error"),
        ("endless", 504, "provider_timeout"),
        ("first_byte_s=5", 504, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("model", [MODELS["openai"], MODELS["bedrock-titan"]])
def test_faults(sdk: openai.OpenAI, local: Gateway, model: str, switch: str, status: int, code: str) -> None:
    """Of one request, and of one part of several."""
    with pytest.raises(openai.APIStatusError) as failed:
        sdk.embeddings.create(
            model=model, input=["fine", f"a [[{switch}]]"], extra_body={"timeouts": {"total_ms": 1500}}
        )
    assert (failed.value.status_code, failed.value.code) == (status, code)


def test_a_provider_that_is_slow_holds_nobody_up(sdk: openai.OpenAI, local: Gateway) -> None:
    """A gate in the simulator: the answer comes when it opens, and the gateway calls the wait the provider's."""
    gate = f"embed{uuid.uuid4().hex}"
    httpx.post(f"{local.simulators}/_sim/gates/{gate}")
    made = sdk.embeddings.create(model=MODELS["openai"], input=f"a [[gate={gate} first_byte_s=0.3]]")
    report = made.gateway  # type: ignore[attr-defined]  # ours
    assert report["latency_ms"] > 300 > report["overhead_ms"]


# -- governance ---------------------------------------------------------------------------------------------------


def nano(made: Any) -> int:
    cost: float = made.usage.cost_estimate
    return round(cost * 1e9)


def test_the_books_say_what_the_replies_do(local: Gateway) -> None:
    name = f"embed-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        whole = client.embeddings.create(model=MODELS["openai"], input=["one two three"] * 10)
        split = client.embeddings.create(model=MODELS["cohere"], input=["one two three"] * 100)
        by_characters = client.embeddings.create(model=MODELS["vertex-predict"], input="one two three")
    assert nano(whole) == 30 * 20
    assert nano(split) == 300 * 120
    assert nano(by_characters) == len("onetwothree") * 25
    books = settled(local, f"T#{name}#0")
    assert number(books, "s") == number(books, "c") == nano(whole) + nano(split) + nano(by_characters)


def test_a_budget_lets_pass_what_fits(local: Gateway) -> None:
    """A text of 84 bytes can be 84 tokens, and 16 that the model adds: 2,000 nano-USD."""
    name = f"embed-{uuid.uuid4().hex[:8]}"
    text = "[[prompt_tokens=100]] " + "x" * 62
    budget = {"window": "month", "usd": usd_text(3 * 2_000 + 1_999)}
    put_tenant(local.aws_endpoint_url, name, allowance={"budgets": [budget]})
    key = put_key(local.aws_endpoint_url, name, "alice")
    codes = []
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for _ in range(5):
            try:
                made = client.embeddings.create(model=MODELS["openai"], input=text)
                codes.append(nano(made))
            except openai.APIStatusError as refused:
                codes.append(refused.code)  # type: ignore[arg-type]  # shown beside the costs
    assert codes == [2_000, 2_000, 2_000, "budget_exceeded", "budget_exceeded"]
    assert number(settled(local, f"T#{name}#0"), "s") == 6_000


def test_a_rate_limit_and_the_headers_that_show_it(local: Gateway) -> None:
    name = f"embed-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name, allowance={"limits": [{"tokens_per_minute": 150}]})
    key = put_key(local.aws_endpoint_url, name, "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        raw = client.embeddings.with_raw_response.create(model=MODELS["openai"], input="x" * 84)
        assert raw.headers["x-ratelimit-limit-tokens"] == "150"
        with pytest.raises(openai.RateLimitError) as limited:
            client.embeddings.create(model=MODELS["openai"], input="x" * 140)
    assert limited.value.body["level"] == "tenant"  # type: ignore[index]  # the error object


def test_a_key_for_chat_alone_makes_no_vectors(local: Gateway) -> None:
    name = f"embed-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice", scopes=["chat"])
    with (
        openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError) as refused,
    ):
        client.embeddings.create(model=MODELS["openai"], input="a")
    assert refused.value.code == "scope_missing"


def test_models_say_that_they_make_vectors_and_of_what_length(sdk: openai.OpenAI) -> None:
    facts = sdk.models.retrieve(MODELS["openai"]).gateway  # type: ignore[attr-defined]  # ours
    assert "embeddings" in facts["capabilities"]
    assert facts["embedding"]["dimensions"] == facts["embedding"]["max_dimensions"] == 1536
    sold = sdk.models.retrieve(MODELS["vertex-predict"]).gateway  # type: ignore[attr-defined]  # ours
    assert sold["unit_prices"] == [{"unit": "characters", "variant": None, "usd": 0.000025, "per": 1000}]


def test_the_largest_answer_arrives_whole(http: httpx.Client, local: Gateway) -> None:
    """More than a buffered Lambda function may answer."""
    body = {"model": MODELS["azure"], "input": [f"text {number}" for number in range(300)]}
    answer = http.post("/embeddings", json=body)
    assert answer.status_code == 200
    assert len(answer.content) > 6 * 2**20
    assert floats(answer.json()["data"][299]["embedding"]) == expected("azure", "text 299")
    packed = http.post("/embeddings", json={**body, "encoding_format": "base64"}).json()["data"][299]["embedding"]
    assert array("f", b64decode(packed)).tolist() == expected("azure", "text 299")
