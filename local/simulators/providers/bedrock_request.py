"""Reading and checking a request to Bedrock's Converse API."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from local.simulators.http1 import Request
from local.simulators.providers.constrained import check_constrained
from local.simulators.providers.conversation import demanded_schema
from local.simulators.script import TOKENS_PER_MEDIA, TOKENS_PER_MESSAGE, Prompt, count_tokens
from local.simulators.switches import strip_directives
from local.simulators.wire import (
    LIST,
    OBJECT,
    REFUSED_KEY,
    Json,
    Parts,
    Refused,
    check_key,
    check_messages,
    check_parameters,
    decimal,
    encode,
    integer,
    note_base64,
    note_url,
)

RULES = {
    **dict.fromkeys(("messages", "system", "additionalModelResponseFieldPaths"), LIST),
    **dict.fromkeys(("inferenceConfig", "toolConfig", "guardrailConfig", "outputConfig", "serviceTier"), OBJECT),
    **dict.fromkeys(("additionalModelRequestFields", "performanceConfig", "promptVariables"), OBJECT),
    **dict.fromkeys(("requestMetadata",), OBJECT),
}
INFERENCE_RULES = {
    "maxTokens": integer(1),
    "temperature": decimal(0, 1),
    "topP": decimal(0, 1),
    "stopSequences": LIST,
}
SILENT_BLOCKS = ("reasoningContent", "cachePoint", "guardContent", "citationsContent")
MEDIA = ("image", "document", "video", "audio")
MIN_THINKING_TOKENS = 1024

_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/[a-z0-9-]+/bedrock/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
_DOCUMENT_NAME = re.compile(r"(?!.*  )[A-Za-z0-9 _()\[\]-]{1,200}")
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_access(request: Request) -> None:
    """A signature of the right form for this service, or an API key. The signature itself is not computed."""
    given = request.headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256"):
        check_key(given.removeprefix("Bearer "))
        return
    found = _SIGNATURE.fullmatch(given)
    if found is None or "x-amz-date" not in request.headers or "host" not in found["signed"].split(";"):
        raise Refused("wrong_key", "The request signature does not conform to AWS standards.")
    if found["key"] == REFUSED_KEY:
        raise Refused("wrong_key", "The security token included in the request is invalid.")


def check(body: Json) -> None:
    """Parameters and limits. Raises Refused."""
    check_parameters(body, RULES, strict=True)
    check_parameters(body.get("inferenceConfig") or {}, INFERENCE_RULES, strict=True)
    check_messages(body.get("messages") or [], "messages")
    if body["messages"][0].get("role") != "user":
        raise Refused("wrong_type", "A conversation must start with a user message.", param="messages")
    _check_names(body["messages"])
    _check_words(body["messages"])
    _check_thinking(body)


def _check_names(messages: list[Json]) -> None:
    used: set[str] = set()
    for block in _every_block(messages):
        document = block.get("document")
        if not isinstance(document, dict):
            continue
        name = document.get("name")
        if not isinstance(name, str) or not _DOCUMENT_NAME.fullmatch(name):
            raise Refused("wrong_type", "The document file name can only contain some characters.", param="messages")
        if name.lower() in used:
            raise Refused("wrong_type", "Messages can't contain duplicate document names.", param="messages")
        used.add(name.lower())


def _check_words(messages: list[Json]) -> None:
    """Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html"""
    for at, message in enumerate(messages):
        content = message.get("content")
        kinds = {kind for block in content or () if isinstance(block, dict) for kind in block}
        if "document" in kinds and "text" not in kinds:
            raise Refused("wrong_type", f"messages.{at}: a text block is required beside a document.", param="messages")


def _every_block(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict):
                yield block
                result = block.get("toolResult")
                inner = result.get("content") if isinstance(result, dict) else None
                yield from (one for one in inner or () if isinstance(one, dict))


def _check_thinking(body: Json) -> None:
    thinking = (body.get("additionalModelRequestFields") or {}).get("thinking") or {}
    config = body.get("inferenceConfig") or {}
    budget, most = thinking.get("budget_tokens"), config.get("maxTokens")
    if thinking.get("type") != "enabled":
        return
    if not isinstance(budget, int) or budget < MIN_THINKING_TOKENS or (most is not None and budget >= most):
        raise Refused("out_of_range", "thinking.enabled.budget_tokens: out of range", param="thinking")


def read_prompt(model: str, body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message that has text. Raises Refused."""
    config = body.get("inferenceConfig") or {}
    prompt = Prompt(model=model, max_tokens=config.get("maxTokens"), stop=config.get("stopSequences") or [])
    system = _read_content(body.get("system") or [], "system")[0]
    prompt.input_tokens = count_tokens(system.text)
    prompt.schema = next((found for text in system.texts if (found := demanded_schema(text))), None)
    settings: dict[str, str] = {}
    calls: set[str] = set()
    role_before = ""
    for at, message in enumerate(body["messages"]):
        role, where = message.get("role"), f"messages.{at}"
        if role not in ("user", "assistant") or role == role_before:
            raise Refused("wrong_type", "A conversation must alternate between user and assistant roles.", param=where)
        role_before = role
        parts, results = _read_content(message.get("content"), where)
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text) + TOKENS_PER_MEDIA * len(parts.media)
        if role == "user":
            _check_results(results, calls, where)
            prompt.tool_results = [result for _, result in results]
            if text or parts.media:
                prompt.user_text, prompt.media, settings = text, parts.media, found
        calls = _call_ids(message["content"])
    _read_options(body, prompt)
    return prompt, settings


def _read_content(content: Any, where: str) -> tuple[Parts, list[tuple[str, str]]]:
    """Text and media of a message, and its tool results as (id, text)."""
    if not isinstance(content, list) or (not content and where != "system"):
        raise Refused("empty", f"The content field in the Message object at {where} is empty.", param=where)
    parts, results = Parts([], []), []
    for at, block in enumerate(content):
        try:
            if "toolResult" in block:
                result = block["toolResult"]
                results.append((result["toolUseId"], _result_text(result["content"], where)))
            else:
                _read_block(block, parts, f"{where}.content.{at}")
        except (KeyError, TypeError, AttributeError, ValueError):
            raise Refused("wrong_type", f"{where}.content.{at}: not a valid content block", param=where) from None
    return parts, results


def _result_text(content: list[Json], where: str) -> str:
    return _read_content(content, where)[0].text if content else ""


def _read_block(block: Json, parts: Parts, where: str) -> None:
    (kind, value), *others = block.items()
    if others:
        raise ValueError(kind)  # a union has one member
    if kind == "text":
        if not value.strip():
            raise Refused("empty", f"The text field in the ContentBlock object at {where} is blank.", param=where)
        parts.texts.append(value)
    elif kind == "json":
        parts.texts.append(encode(value).decode())
    elif kind in MEDIA:
        parts.media.append(_note(kind, value))
    elif kind == "toolUse":
        if not _TOOL_USE_ID.fullmatch(value["toolUseId"]) or not isinstance(value["input"], dict):
            raise ValueError(kind)
    elif kind not in SILENT_BLOCKS:
        raise ValueError(kind)


def _note(kind: str, media: Json) -> str:
    source = media["source"]
    if "bytes" in source:
        return note_base64(kind, media["format"], source["bytes"])
    return note_url(kind, source["s3Location"]["uri"])


def _call_ids(content: Any) -> set[str]:
    uses = [block["toolUse"] for block in content if "toolUse" in block]
    return {use["toolUseId"] for use in uses if use.get("type") != "server_tool_use"}


def _check_results(results: list[tuple[str, str]], calls: set[str], where: str) -> None:
    """Every result answers a call of the message before, and every call gets its result."""
    if {call_id for call_id, _ in results} != calls:
        raise Refused("wrong_type", f"{where}: toolUse and toolResult blocks do not match", param=where)


def _read_options(body: Json, prompt: Prompt) -> None:
    config = body.get("toolConfig") or {}
    if not config and any({"toolUse", "toolResult"} & block.keys() for block in _every_block(body["messages"])):
        message = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        raise Refused("missing_parameter", message, param="toolConfig")
    if config:
        _read_tools(config, prompt)
    fields = body.get("additionalModelRequestFields") or {}
    thinks = (fields.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    reasons = (fields.get("reasoningConfig") or {}).get("type") == "enabled"
    prompt.reasoning = thinks or reasons or "reasoning_effort" in fields
    if thinks and (prompt.must_call or "tool" in (config.get("toolChoice") or {})):
        raise Refused("wrong_type", "Thinking may not be enabled when tool_choice forces tool use.", param="toolChoice")
    text_format = (body.get("outputConfig") or {}).get("textFormat") or {}
    if text_format:
        prompt.schema = _schema(text_format)
        check_constrained(prompt.schema, "outputConfig.textFormat")


def _read_tools(config: Json, prompt: Prompt) -> None:
    specs = [tool["toolSpec"] for tool in config.get("tools") or [] if "toolSpec" in tool]
    if not config.get("tools"):
        raise Refused("missing_parameter", "toolConfig.tools: at least one tool is needed", param="toolConfig.tools")
    for at, spec in enumerate(specs):
        schema = (spec.get("inputSchema") or {}).get("json")
        if not spec.get("name") or not isinstance(schema, dict) or schema.get("type") != "object":
            raise Refused(
                "wrong_type", f"toolConfig.tools.{at}: the input schema must be an object", param="toolConfig"
            )
        prompt.tools[spec["name"]] = schema
    prompt.input_tokens += len(encode(specs)) // 4
    choice = config.get("toolChoice") or {}
    prompt.tool_choice = choice["tool"].get("name") if "tool" in choice else next(iter(choice), None)
    prompt.must_call = "any" in choice


def _schema(text_format: Json) -> Any:
    """The schema is a text that holds JSON."""
    try:
        return msgspec.json.decode(text_format["structure"]["jsonSchema"]["schema"])
    except (KeyError, TypeError, msgspec.DecodeError):
        raise Refused("wrong_type", "outputConfig.textFormat: no valid JSON schema", param="outputConfig") from None
