"""What goes out to Gemini: refusals, reasoning, tools, names of models, and the other host of the API."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.http import Credential, HttpRequest
from gateway.model.secret import Secret
from gateway.providers.contract import Target
from gateway.providers.google import PROVIDER
from gateway.providers.wire.gemini import Gemini
from tests.providers.google_exchange import HELLO, WIRE, Members, call, rendered, target


def user(*parts: Members) -> Members:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def history(**members: Any) -> Members:
    return {"messages": [*HELLO, {"role": "assistant", "content": "Hi", **members}]}


FUNCTION = {"type": "function", "function": {"name": "f"}}
REFUSED: list[tuple[str, Members]] = [
    ("parallel_tool_calls", {"tools": [FUNCTION], "parallel_tool_calls": False}),
    ("verbosity", {"verbosity": "low"}),
    ("safety_identifier", {"safety_identifier": "me"}),
    ("prompt_cache_key", {"prompt_cache_key": "k"}),
    ("prediction", {"prediction": {"type": "content", "content": "x"}}),
    ("web_search_options", {"web_search_options": {}}),
    ("audio", {"audio": {"voice": "alloy", "format": "wav"}}),
    ("service_tier", {"service_tier": "scale"}),
    ("metadata.team", {"metadata": {"conversation_id": "c", "team": "t"}}),
    ("stream_options.include_obfuscation", {"stream": True, "stream_options": {"include_obfuscation": True}}),
    ("response_format.json_schema.schema", {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
    ("tools[1].type", {"tools": [FUNCTION, {"type": "reference", "schema_id": "gts.x"}]}),
    ("tools[0].cache_control", {"tools": [{**FUNCTION, "cache_control": {"type": "ephemeral"}}]}),
    ("messages", {"messages": [{"role": "system", "content": "Be"}]}),
    ("messages[0].name", {"messages": [{"role": "user", "content": "x", "name": "Ann"}]}),
    ("messages[0].content[0].cache_control", user({"type": "text", "text": "x", "cache_control": {}})),
    (
        "messages[0].content[0].image_url.detail",
        user({"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}),
    ),
    (
        "messages[0].content[0].image_url.url",
        user({"type": "image_url", "image_url": {"url": "http://x.example/a.png"}}),
    ),
    ("messages[0].content[0].file.file_id", user({"type": "file", "file": {"file_id": "file-123"}})),
    ("messages[0].content[0].url", user({"type": "video", "url": "ftp://x.example/a.mp4"})),
    (
        "messages[0].content[0]",
        {"messages": [{"role": "system", "content": [{"type": "image", "url": "https://x.example/a.png"}]}]},
    ),
    ("messages[1].prefix", history(prefix=True)),
    ("messages[1].audio", history(audio={"id": "a"})),
    ("messages[1].media[0]", history(media=[{"type": "image", "file_id": "f"}])),
    ("reasoning_effort", {"reasoning_effort": "low"}),
]


@pytest.mark.parametrize(("param", "members"), REFUSED, ids=[param for param, _ in REFUSED])
def test_refuses_what_it_cannot_say(param: str, members: Members) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**members))
    assert refused.value.param == param


@pytest.mark.parametrize("url", ["data:image/png,abc", "data:;base64,abc"])
def test_a_data_url_needs_a_type_and_base64(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rendered(call(**user({"type": "image", "url": url})))
    assert refused.value.param == "messages[0].content[0].url"


@pytest.mark.parametrize("param", ["temperature", "top_p", "top_k"])
def test_a_model_without_sampling(param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**{param: 1}), sampling=False)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("facts", "effort", "config"),
    [
        ({"reasoning_by": "budget"}, "none", {"thinkingBudget": 0}),
        ({"reasoning_by": "budget"}, "minimal", {"thinkingBudget": 1024, "includeThoughts": True}),
        ({"reasoning_by": "budget"}, "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ({"reasoning_by": "budget"}, "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ({"reasoning_by": "budget"}, "max", None),
        ({"reasoning_by": "effort"}, "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ({"reasoning_by": "effort"}, "none", None),
        ({"reasoning_by": "effort", "reasoning_efforts": ["low", "high"]}, "medium", None),
        ({"reasoning_by": "effort", "reasoning_efforts": ["xhigh"]}, "xhigh", {"thinkingLevel": "XHIGH"}),
        ({"capabilities": ["reasoning"]}, "none", None),
    ],
)
def test_reasoning_effort(facts: Members, effort: str, config: Members | None) -> None:
    """None: refused."""
    asked = call(reasoning_effort=effort)
    if config is None:
        with pytest.raises(CapabilityNotSupported) as refused:
            rendered(asked, **facts)
        assert refused.value.param == "reasoning_effort"
    else:
        found = rendered(asked, **facts)["generationConfig"]["thinkingConfig"]
        assert found.items() >= config.items()
        assert found.get("includeThoughts", False) is (effort != "none")


def test_a_model_that_does_not_reason_is_asked_for_no_reasoning() -> None:
    assert "generationConfig" not in rendered(call(reasoning_effort="none"))


def test_a_tool_schema_of_known_words_goes_out_as_it_is() -> None:
    """`parametersJsonSchema` takes what the older dialect in `parameters` refuses."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "integer", "enum": [1, 2]}, {"type": "null"}]},
            "b": {"type": ["string"]},
        },
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert rendered(call(tools=[tool]))["tools"][0]["functionDeclarations"] == [
        {"name": "f", "parametersJsonSchema": schema}
    ]


@pytest.mark.parametrize(
    ("choice", "strict", "mode"),
    [
        (None, False, None),
        ("none", True, "NONE"),
        ("auto", False, "AUTO"),
        ("auto", True, "VALIDATED"),
        ("required", True, "ANY"),
    ],
)
def test_tool_choice(choice: str | None, strict: bool, mode: str | None) -> None:
    tool = {"type": "function", "function": {"name": "f", "strict": strict}}
    config = rendered(call(tools=[tool], tool_choice=choice)).get("toolConfig")
    assert config == (mode and {"functionCallingConfig": {"mode": mode}})


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-x", "models/gemini-x"),
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("tunedModels/../files", "tunedModels/..%2Ffiles"),
        ("../files?x#y", "models/..%2Ffiles%3Fx%23y"),
        ("models/", "models/models%2F"),
    ],
)
def test_model_names(model: str, path: str) -> None:
    request = WIRE.render(call(), target(id=model))
    assert request.url == f"https://generativelanguage.googleapis.com/v1beta/{path}:generateContent"


def test_vertex_ai_has_its_path_in_the_base_url() -> None:
    base_url = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"
    vertex = Target("vertex", ModelFacts(id="gemini-x", name="x"), base_url)
    request = Gemini(prefix="").render(call(stream=True), vertex)
    assert request.url == f"{base_url}/models/gemini-x:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(("key", "sent"), [("secret-key", {"x-goog-api-key": "secret-key"}), ("", {})])
def test_the_key_goes_into_its_header(key: str, sent: dict[str, str]) -> None:
    request = PROVIDER.authorize(HttpRequest("POST", "https://x", {"a": "b"}), Credential(Secret(key)), 0.0)
    assert request.headers == {"a": "b", **sent}
