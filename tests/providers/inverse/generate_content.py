"""How a recorded exchange with Google's generateContent reads, at the Gemini API and on Vertex AI.

Google's JSON takes member names in camel case and in snake case (https://protobuf.dev/programming-guides/json/), so a
snake-case name in a recording is read as the other and allowed for as a difference.
"""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRejected,
)
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from tests.providers.inverse.expected import Allowance, Differs, Expected, ExpectedCall, ExpectedChoice, ExpectedError

Members = dict[str, Any]

ROLE = "a system instruction has no role; the API ignores it"
SNAKE = "the same member in the other of the two documented spellings"
SCHEMA = "the schema goes out as JSON Schema, not in the older dialect of OpenAPI (see test_google.py)"
MERGED = "turns of one role in a row become one, as the results of parallel calls have to"
NULL = "null and false are the same as leaving the member out"
IN_THE_URL = "the model is named in the URL, where every request has it, and need not stand in the body too"
ORDER = "the call's own tools come before those of provider_options"
CALL_ID = "the source sent no call ids; the gateway always does"
NO_CALL_ID = "not every Vertex endpoint takes call ids, so none is sent (see vertex.py)"


def _tools(tool: int, functions: int, spelling: str = "parameters", reason: str = SCHEMA) -> dict[str, str]:
    at = [f"/tools/{tool}/functionDeclarations/{function}" for function in range(functions)]
    return {f"{place}/{name}": reason for place in at for name in (spelling, "parametersJsonSchema")}


SYSTEM_ROLE = {"/systemInstruction/role": ROLE}
SIGNATURE = ("thought_signature", "thoughtSignature")
SWAPPED = {f"/tools/{tool}/{name}": ORDER for tool in (0, 1) for name in ("functionDeclarations", "googleSearch")}

ALLOWED: dict[str, Allowance] = {
    "gemini-citations-6a77a4982edf": Differs({"/systemInstruction/parts": "a single part may stand without its list"}),
    "gemini-documents-ab45b56e9dc5": Differs(
        {"/contents": MERGED, **_tools(0, 1, spelling="parameters_json_schema", reason=SNAKE)}
    ),
    "gemini-errors-180299ab1674": Differs(SYSTEM_ROLE),
    "gemini-errors-358b1b64547a": Differs({"/model": IN_THE_URL}),
    "gemini-stream-b4d0cd33d623": Differs({"/model": IN_THE_URL}),
    "gemini-parallel_tools-314a986d1423": Differs({**SYSTEM_ROLE, **_tools(0, 2)}),
    "gemini-parallel_tools-9a342ca3d3e2": Differs({**SYSTEM_ROLE, **_tools(0, 2)}),
    "gemini-prompt_caching-9477c42297cb": Differs(
        {
            **SYSTEM_ROLE,
            **_tools(0, 2),
            "/contents/0/parts/0/thought": NULL,
            "/systemInstruction/parts/0/thought": NULL,
            "/tools/0/codeExecution": NULL,
        }
    ),
    "gemini-reasoning-2d892dbe8fe9": Differs(
        {
            **_tools(0, 1),
            "/generationConfig/thinkingConfig/thinking_budget": SNAKE,
            "/generationConfig/thinkingConfig/thinkingBudget": SNAKE,
        }
    ),
    "gemini-reasoning-827a63f10b46": Differs({**SYSTEM_ROLE, **_tools(0, 1)}),
    "gemini-server_tools-85aae81f41c4": Differs(SWAPPED),
    "gemini-server_tools-89b885f26c08": Differs(SWAPPED),
    "gemini-structured_output-002b0b272757": Differs(
        {
            "/generationConfig/response_mime_type": SNAKE,
            "/generationConfig/responseMimeType": SNAKE,
            "/generationConfig/response_schema": SCHEMA,
            "/generationConfig/responseJsonSchema": SCHEMA,
        }
    ),
    "gemini-tools-94b86f02b866": Differs(
        {
            **_tools(0, 1),
            "/model": IN_THE_URL,
            "/contents/1/parts/0/functionCall/id": CALL_ID,
            "/contents/2/parts/0/functionResponse/id": CALL_ID,
        }
    ),
    "gemini-tools-f961c73818b5": Differs(
        {**SYSTEM_ROLE, "/contents": MERGED, **_tools(0, 2, spelling="parameters_json_schema", reason=SNAKE)}
    ),
    "gemini-video_input-d9707ec79100": Differs(SYSTEM_ROLE),
    "vertex-audio_input-449929f793f4": Differs(
        {f"/contents/0/parts/1/fileData/{name}": SNAKE for name in ("file_uri", "fileUri", "mime_type", "mimeType")}
    ),
    "vertex-citations-e257b0a05a16": Differs(
        {
            **SYSTEM_ROLE,
            **SWAPPED,
            "/contents/1/parts/0/functionCall/id": NO_CALL_ID,
            "/contents/2/parts/0/functionResponse/id": NO_CALL_ID,
        }
    ),
    "vertex-documents-105093f8c980": Differs(
        {f"/contents/1/parts/0/{name}": SNAKE for name in ("function_call", "functionCall", *SIGNATURE)}
        | {f"/contents/2/parts/0/{name}": SNAKE for name in ("function_response", "functionResponse")}
    ),
    "vertex-errors-9f83119a3d55": Differs({"/contents": MERGED}),
    "vertex-parallel_tools-5052c7d8d7a0": Differs({**SYSTEM_ROLE, **_tools(0, 2)}),
    "vertex-tools-d68b59179749": Differs(_tools(0, 1)),
}

SAME_MEANING = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "candidateCount": "n",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
}
READ_ELSEWHERE = ("model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
MODES = {"AUTO": "auto", "NONE": "none"}
FINISH = {
    "STOP": "stop",
    1: "stop",
    "MAX_TOKENS": "length",
    "RECITATION": "content_filter",
}
ERRORS: dict[int, type[ProviderFailure]] = {
    400: ProviderRejected,
    403: ProviderError,
    404: ProviderLacksModel,
    429: ProviderRateLimited,
}


def model_facts(recording: Members) -> ModelFacts:
    """The model of the URL, and which of the two ways of thinking the recorded request was made for."""
    name = _model(recording)
    config = ((recording["request"] or {}).get("body") or {}).get("generationConfig") or {}
    by_level = "thinkingLevel" in config.get("thinkingConfig", {})
    return ModelFacts(id=name, name=name, api="generate_content", reasoning_by="effort" if by_level else "budget")


def _model(recording: Members) -> str:
    if not recording["request"]:
        return str(recording["model"] or "unknown")
    return unquote(urlsplit(recording["request"]["url"]).path.rpartition("/models/")[2].rpartition(":")[0])


def call_from(recording: Members) -> ChatCall:
    body = recording["request"]["body"]
    options = {name: value for name, value in body.items() if value is None or name not in READ_ELSEWHERE}
    call: Members = {"model": _model(recording), "messages": _messages(body)}
    if ":streamGenerateContent" in recording["request"]["url"]:
        call["stream"] = True
    _read_tools(body.get("tools") or [], call, options)
    _read_tool_config(body, call, options)
    _read_generation_config(body, call, options)
    if options:
        call["provider_options"] = {recording["provider"]: options}
    return msgspec.convert(call, ChatCall)


def _read_tools(tools: list[Members], call: Members, options: Members) -> None:
    declared = [function for tool in tools for function in tool.get("functionDeclarations", ())]
    if declared:
        call["tools"] = [{"type": "function", "function": _function(function)} for function in declared]
    if others := [tool for tool in tools if "functionDeclarations" not in tool]:
        options["tools"] = others


def _function(declaration: Members) -> Members:
    spellings = ("parameters", "parametersJsonSchema", "parameters_json_schema")
    schema = next(declaration[name] for name in spellings if name in declaration)
    return {"name": declaration["name"], "description": declaration["description"], "parameters": json_schema(schema)}


def json_schema(schema: Any) -> Any:
    """Google's dialect names its types in capitals, or by number."""
    numbers = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object"}
    if isinstance(schema, list):
        return [json_schema(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: json_schema(value) for name, value in schema.items()}
    if isinstance(kind := schema.get("type"), str | int):
        plain["type"] = numbers[kind] if isinstance(kind, int) else kind.lower()
    return plain


def _read_tool_config(body: Members, call: Members, options: Members) -> None:
    """A mode that no tool choice means is kept."""
    config = body.get("toolConfig")
    if not config:
        return
    calling = dict(config.get("functionCallingConfig", {}))
    mode = calling.get("mode")
    if mode in MODES:
        call["tool_choice"] = MODES[calling.pop("mode")]
    elif mode == "ANY":
        call["tool_choice"] = "required"
        del calling["mode"]
    rest = {name: value for name, value in config.items() if name != "functionCallingConfig"}
    if calling:
        rest["functionCallingConfig"] = calling
    if rest:
        options["toolConfig"] = rest


def _read_generation_config(body: Members, call: Members, options: Members) -> None:
    if "generationConfig" not in body:
        return
    rest = dict(body["generationConfig"])
    empty = not rest
    call |= {there: rest.pop(name) for name, there in SAME_MEANING.items() if name in rest}
    if "responseModalities" in rest:
        call["modalities"] = [modality.lower() for modality in rest.pop("responseModalities")]
    _read_format(rest, call)
    thinking = rest.get("thinkingConfig", {})
    if thinking.get("thinkingBudget", thinking.get("thinking_budget")) == 0:
        call["reasoning_effort"] = "none"
        del rest["thinkingConfig"]
    elif "thinkingLevel" in thinking and thinking.get("includeThoughts"):
        call["reasoning_effort"] = thinking["thinkingLevel"].lower()
        del rest["thinkingConfig"]
    if rest or empty:
        options["generationConfig"] = rest


def _read_format(rest: Members, call: Members) -> None:
    kind = rest.pop("responseMimeType", None) or rest.pop("response_mime_type", None)
    schema = rest.pop("responseJsonSchema", None) or rest.pop("response_schema", None)
    if kind is not None:
        assert kind == "application/json"
        assert schema is not None
        call["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


def _messages(body: Members) -> list[Members]:
    messages: list[Members] = []
    if system := body.get("systemInstruction"):
        parts = system["parts"] if isinstance(system["parts"], list) else [system["parts"]]
        messages.append({"role": "system", "content": [_part(part) for part in parts]})
    for turn in body["contents"]:
        parts = [_camel(part) for part in turn["parts"]]
        if turn["role"] == "model":
            messages.append(_assistant(parts))
        else:
            messages += _user(parts)
    return messages


def _camel(part: Members) -> Members:
    """A part, and a file in it, in the one spelling."""
    return {_one_spelling(name): value for name, value in part.items()}


def _one_spelling(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _user(parts: list[Members]) -> list[Members]:
    results = [_result(part["functionResponse"]) for part in parts if "functionResponse" in part]
    others = [_part(part) for part in parts if "functionResponse" not in part]
    return [*results, {"role": "user", "content": others}] if others else results


def _result(response: Members) -> Members:
    """The source without call ids names each function once."""
    call_id = response.get("id", f"made_up_{response['name']}")
    return {"role": "tool", "tool_call_id": call_id, "content": json.dumps(response["response"])}


def _assistant(parts: list[Members]) -> Members:
    texts = [part["text"] for part in parts if "text" in part]
    message: Members = {"role": "assistant", "content": "".join(texts) or None}
    if calls := [_call(part) for part in parts if "functionCall" in part]:
        message["tool_calls"] = calls
    return message


def _call(part: Members) -> Members:
    called = part["functionCall"]
    function = {"name": called["name"], "arguments": json.dumps(called["args"])}
    call: Members = {"id": called.get("id", f"made_up_{called['name']}"), "type": "function", "function": function}
    if "thoughtSignature" in part:
        call["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
    return call


def _part(part: Members) -> Members:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if "fileData" in part:
        return {"type": "video", "url": _camel(part["fileData"])["fileUri"]}
    blob = part["inlineData"]
    url = f"data:{blob['mimeType']};base64,{blob['data']}"
    if blob["mimeType"].startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url}}


def expected(recording: Members) -> Expected:
    response = recording["response"]
    if response["status"] >= 400:
        return _error(response["body"]["error"], response["status"])
    answers = _answers(response)
    pairs = [(candidate.get("index", 0), candidate) for answer in answers for candidate in answer.get("candidates", ())]
    choices = tuple(
        _choice([candidate for at, candidate in pairs if at == index]) for index in sorted({at for at, _ in pairs})
    )
    if not choices:
        assert any("blockReason" in answer.get("promptFeedback", {}) for answer in answers)
        choices = (ExpectedChoice(finish_reason="content_filter"),)
    told = [answer.get("usageMetadata", {}) for answer in answers]
    grounding = {at: candidate["groundingMetadata"] for at, candidate in pairs if "groundingMetadata" in candidate}
    searches = sum(len(found.get("webSearchQueries", ())) for found in grounding.values())
    return Expected(choices=choices, usage=_usage(told, searches))


def _answers(response: Members) -> list[Members]:
    if "sse" in response:
        lines = response["sse"].splitlines()
        return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]
    found = response["chunks"] if "chunks" in response else response["body"]
    return found if isinstance(found, list) else [found]


def _choice(pieces: list[Members]) -> ExpectedChoice:
    parts = [part for piece in pieces for part in piece.get("content", {}).get("parts", ())]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    reason = [piece["finishReason"] for piece in pieces if "finishReason" in piece][-1]
    finish = FINISH[reason]
    return ExpectedChoice(
        text="".join(part.get("text", "") for part in parts if not part.get("thought")),
        reasoning="".join(part.get("text", "") for part in parts if part.get("thought")),
        tool_calls=tuple(ExpectedCall(call.get("id"), call["name"], call["args"]) for call in calls),
        finish_reason="tool_calls" if finish == "stop" and calls else finish,
    )


def _usage(told: list[Members], searches: int) -> TokenUsage | None:
    """The latest of each figure; the prompt's include what was cached, thoughts are told apart from candidates."""
    figures: Members = {}
    for one in told:
        figures |= one
    if "promptTokenCount" not in figures:
        return None
    thought = figures.get("thoughtsTokenCount", 0)
    prompt = [*figures.get("promptTokensDetails", ()), *figures.get("toolUsePromptTokensDetails", ())]
    generated = figures.get("candidatesTokensDetails", [])
    return TokenUsage(
        prompt_tokens=figures["promptTokenCount"] + figures.get("toolUsePromptTokenCount", 0),
        completion_tokens=figures.get("candidatesTokenCount", 0) + thought,
        prompt=PromptTokensDetails(
            cached_tokens=figures.get("cachedContentTokenCount", 0),
            **{f"{kind}_tokens": _of(prompt, kind) for kind in ("audio", "image", "video")},
            cached_audio_tokens=_of(figures.get("cacheTokensDetails", []), "audio"),
        ),
        completion=CompletionTokensDetails(
            reasoning_tokens=thought, **{f"{kind}_tokens": _of(generated, kind) for kind in ("audio", "image")}
        ),
        units={"web_searches": searches, "grounded_prompts": 1} if searches else {},
    )


def _of(details: list[Members], kind: str) -> int:
    return sum(detail["tokenCount"] for detail in details if detail["modality"] == kind.upper())


def _error(said: Members, status: int) -> Expected:
    details = said.get("details", [])
    code = next((detail["reason"] for detail in details if "reason" in detail), said["status"])
    kind = ProviderError if code == "API_KEY_INVALID" else ERRORS[status]
    delay = next((detail["retryDelay"] for detail in details if "retryDelay" in detail), None)
    wait_s = math.ceil(float(delay.removesuffix("s"))) if delay else None
    return Expected(error=ExpectedError(kind, kind.status, code, wait_s))
