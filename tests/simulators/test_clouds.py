"""Azure and Vertex AI as simulated, driven by the unmodified official SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AnthropicFoundry, AnthropicVertex
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from tests.simulators.process import KEY, Simulator

HELLO: Any = [{"role": "user", "content": "Hello"}]
PICTURE: Any = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a.example"}}]}]


@pytest.fixture
def azure(simulator: Simulator) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=f"{simulator.url}/azure", api_version="2024-10-21", api_key=KEY, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def foundry(simulator: Simulator) -> Iterator[AnthropicFoundry]:
    with AnthropicFoundry(base_url=f"{simulator.url}/azure/anthropic/", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def vertex(simulator: Simulator) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{simulator.url}/vertex")
    account = Credentials(token=KEY)  # type: ignore[no-untyped-call]  # google-auth has no types
    client = genai.Client(vertexai=True, project="acme", location="eu", credentials=account, http_options=options)
    yield client
    client.close()


@pytest.fixture
def vertex_claude(simulator: Simulator) -> Iterator[AnthropicVertex]:
    with AnthropicVertex(
        region="eu", project_id="acme", access_token=KEY, base_url=f"{simulator.url}/vertex/v1", max_retries=0
    ) as client:
        yield client


def test_azures_older_api(azure: openai.AzureOpenAI, simulator: Simulator) -> None:
    reply = azure.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert reply.choices[0].message.content == "You said: Hello"
    seen = simulator.last("azure")
    assert seen["path"] == "/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert seen["headers"]["api-key"] == "sim-***"
    assert azure.responses.create(model="gpt-4o", input="Hello").output_text == "You said: Hello"


def test_azure_tells_what_its_filters_found(azure: openai.AzureOpenAI, simulator: Simulator) -> None:
    whole = simulator.http.post(
        "/azure/openai/v1/chat/completions", json={"model": "gpt-4o", "messages": HELLO}, headers={"api-key": KEY}
    ).json()
    assert whole["prompt_filter_results"][0]["prompt_index"] == 0
    assert whole["choices"][0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    stream = azure.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    chunks = [chunk.model_dump() for chunk in stream]
    assert chunks[0]["choices"] == []
    assert chunks[0]["prompt_filter_results"] == whole["prompt_filter_results"]
    assert "content_filter_results" in chunks[-1]["choices"][0]


def test_azures_errors(azure: openai.AzureOpenAI, simulator: Simulator) -> None:
    with pytest.raises(openai.NotFoundError) as lacking:
        azure.chat.completions.create(model="does-not-exist", messages=HELLO)
    assert lacking.value.code == "DeploymentNotFound"
    with pytest.raises(openai.AuthenticationError) as refused:
        azure.with_options(api_key="sim-invalid").chat.completions.create(model="gpt-4o", messages=HELLO)
    assert refused.value.code == "401"
    with pytest.raises(openai.BadRequestError) as filtered:
        asked: Any = [{"role": "user", "content": "Hello [[status=400 code=content_filter]]"}]
        azure.chat.completions.create(model="gpt-4o", messages=asked)
    assert filtered.value.code == "content_filter"
    unversioned = simulator.http.post("/azure/openai/deployments/m/chat/completions", headers={"api-key": KEY})
    assert unversioned.status_code == 404


def test_claude_on_azure(foundry: AnthropicFoundry) -> None:
    reply = foundry.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert reply.content[0].model_dump()["text"] == "You said: Hello"
    with pytest.raises(anthropic.AuthenticationError) as refused:
        foundry.copy(api_key="sim-invalid").messages.create(model="m", max_tokens=50, messages=HELLO)
    assert refused.value.type == "authentication_error"


def test_gemini_on_vertex(vertex: genai.Client, simulator: Simulator) -> None:
    reply = vertex.models.generate_content(model="gemini-2.5-flash", contents="Hello")
    assert reply.text == "You said: Hello"
    assert simulator.last("vertex")["path"].startswith("/vertex/v1beta1/projects/acme/locations/eu/publishers/google/")
    chunks = list(vertex.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == "You said: Hello"
    counts = chunks[-1].usage_metadata
    assert counts is not None
    assert (counts.total_token_count, counts.traffic_type) == (7, types.TrafficType.ON_DEMAND)


def test_vertex_with_an_api_key_alone(simulator: Simulator) -> None:
    options = types.HttpOptions(base_url=f"{simulator.url}/vertex")
    client = genai.Client(vertexai=True, api_key=KEY, http_options=options)
    assert client.models.generate_content(model="gemini-2.5-flash", contents="Hello").text == "You said: Hello"
    client.close()


def test_vertexs_errors(vertex: genai.Client, simulator: Simulator) -> None:
    with pytest.raises(errors.ClientError) as lacking:
        vertex.models.generate_content(model="does-not-exist", contents="Hello")
    assert (lacking.value.code, lacking.value.status) == (404, "NOT_FOUND")
    path = "/vertex/v1/projects/p/locations/l/publishers/google/models/m:generateContent"
    refused = simulator.http.post(path, json={}, headers={"authorization": "Bearer sim-invalid"})
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    file = {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "gs://a/b"}}]}]}
    for body in ({"contents": [{"parts": [{"text": "Hello"}]}], "store": True}, file):
        answer = simulator.http.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})
        assert answer.status_code == 400


def test_claude_on_vertex(vertex_claude: AnthropicVertex, simulator: Simulator) -> None:
    reply = vertex_claude.messages.create(model="claude-sonnet-4-5@20250929", max_tokens=50, messages=HELLO)
    assert reply.content[0].model_dump()["text"] == "You said: Hello"
    with vertex_claude.messages.stream(model="claude-sonnet-4-5@20250929", max_tokens=50, messages=HELLO) as stream:
        assert stream.get_final_text() == "You said: Hello"
    assert simulator.last("vertex")["path"].endswith("/models/claude-sonnet-4-5@20250929:streamRawPredict")
    with pytest.raises(anthropic.BadRequestError, match="URL sources"):
        vertex_claude.messages.create(model="claude-sonnet-4-5@20250929", max_tokens=50, messages=PICTURE)
