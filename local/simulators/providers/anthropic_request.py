"""Reading and checking a request to Anthropic's messages API."""

import re
from typing import Any

from local.simulators.providers.constrained import check_constrained
from local.simulators.providers.conversation import demanded_schema
from local.simulators.providers.readable import WEB_IMAGES, check_image
from local.simulators.script import TOKENS_PER_MEDIA, TOKENS_PER_MESSAGE, Prompt, count_tokens
from local.simulators.switches import strip_directives
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Json,
    Parts,
    Refused,
    check_messages,
    check_parameters,
    decimal,
    encode,
    integer,
    note_base64,
    note_url,
)

MAX_OUTPUT_TOKENS = 128_000
MIN_THINKING_TOKENS = 1024
MAX_IMAGE_BASE64 = 10 * 1024 * 1024
RULES = {
    "cache_control": OBJECT,
    "container": ANY,
    "context_management": OBJECT,
    "inference_geo": TEXT,
    "max_tokens": integer(1),
    "mcp_servers": LIST,
    "messages": LIST,
    "metadata": OBJECT,
    "model": TEXT,
    "output_config": OBJECT,
    "output_format": OBJECT,
    "service_tier": TEXT,
    "stop_sequences": LIST,
    "stream": FLAG,
    "system": ANY,
    "temperature": decimal(0, 1),
    "thinking": OBJECT,
    "tool_choice": OBJECT,
    "tools": LIST,
    "top_k": integer(0),
    "top_p": decimal(0, 1),
}
# Sampling parameters, documents of the assistant and citations of the user are refused since this version:
# https://platform.claude.com/docs/en/api/versioning
STRICT_VERSION = "2026-10-21"
STRICT_RULES = {name: rule for name, rule in RULES.items() if name not in ("temperature", "top_p", "top_k")}
SILENT_BLOCKS = (
    "tool_use",
    "thinking",
    "redacted_thinking",
    "server_tool_use",
    "mcp_tool_use",
    "search_result",
    "container_upload",
)


def check(body: Json, version: str) -> None:
    """Parameters, model and limits. Raises Refused with messages in Anthropic's `field: problem` form."""
    strict = version >= STRICT_VERSION
    for name in ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            raise Refused("missing_parameter", f"{name}: Field required", param=name)
    try:
        check_parameters(body, STRICT_RULES if strict else RULES, strict=True)
    except Refused as refused:
        problem = "Extra inputs are not permitted" if refused.kind == "unknown_parameter" else refused.message
        raise Refused(refused.kind, f"{refused.param}: {problem}", param=refused.param) from None
    check_messages(body["messages"], "messages")
    if body["model"] == UNKNOWN_MODEL:
        raise Refused("model_not_found", f"model: {UNKNOWN_MODEL}", param="model")
    if body["max_tokens"] > MAX_OUTPUT_TOKENS:
        raise Refused("out_of_range", f"max_tokens: {body['max_tokens']} > {MAX_OUTPUT_TOKENS}", param="max_tokens")
    _check_thinking(body)
    if strict:
        _check_blocks(body["messages"])
    if body["messages"][0].get("role") != "user":
        raise Refused("wrong_type", 'messages: first message must use the "user" role', param="messages")


def _check_blocks(messages: list[Json]) -> None:
    for at, message in enumerate(messages):
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            kind, role = block.get("type"), message.get("role")
            if kind == "document" and role == "assistant":
                raise Refused("wrong_type", f"messages.{at}: document blocks are not permitted here", param="messages")
            if kind == "text" and role == "user" and block.get("citations"):
                raise Refused("wrong_type", f"messages.{at}: citations are not permitted here", param="messages")


def _check_thinking(body: Json) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    if body.get("temperature") not in (None, 1):
        raise Refused("out_of_range", "temperature: may only be 1 when thinking is enabled", param="temperature")
    budget = thinking.get("budget_tokens")
    if thinking["type"] == "adaptive":
        return
    if not isinstance(budget, int) or budget < MIN_THINKING_TOKENS:
        message = f"thinking.enabled.budget_tokens: must be at least {MIN_THINKING_TOKENS}"
        raise Refused("out_of_range", message, param="thinking")
    if budget >= body["max_tokens"]:
        raise Refused("out_of_range", "max_tokens: must be greater than thinking.budget_tokens", param="max_tokens")


def read_prompt(body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message that has text. Raises Refused."""
    prompt = Prompt(model=body["model"], max_tokens=body["max_tokens"], stop=body.get("stop_sequences") or [])
    system = _read_content(body.get("system"), "system")[0]
    prompt.input_tokens = count_tokens(system.text)
    prompt.schema = next((found for text in system.texts if (found := demanded_schema(text))), None)
    settings: dict[str, str] = {}
    calls: set[str] = set()
    for at, message in enumerate(body["messages"]):
        role, where = message.get("role"), f"messages.{at}"
        if role not in ("user", "assistant"):
            raise Refused("wrong_type", f'messages: Unexpected role "{role}"', param=where)
        if not message.get("content"):
            raise Refused("empty", f"{where}: messages must have non-empty content", param=where)
        parts, results = _read_content(message["content"], where)
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text) + TOKENS_PER_MEDIA * len(parts.media)
        if role == "user":
            _check_results(results, calls, where)
            prompt.tool_results = [result for _, result in results]
            if text or parts.media:
                prompt.user_text, prompt.media, settings = text, parts.media, found
        calls = _call_ids(message["content"], where)
        if calls and not body.get("tools"):
            refusal = "Requests which include `tool_use` or `tool_result` blocks must define tools."
            raise Refused("missing_parameter", refusal, param="tools")
    _read_options(body, prompt)
    return prompt, settings


def _read_content(content: Any, where: str) -> tuple[Parts, list[tuple[str, str]]]:
    """Text and media of a message, and its tool results as (id, text)."""
    parts, results = Parts([], []), []
    for at, block in enumerate([{"type": "text", "text": content}] if isinstance(content, str) else content or ()):
        try:
            if block["type"] == "tool_result":
                results.append((block["tool_use_id"], _read_content(block.get("content"), where)[0].text))
            else:
                _read_block(block, parts, f"{where}.content.{at}")
        except (KeyError, TypeError, AttributeError):
            raise Refused("wrong_type", f"{where}.content.{at}: not a valid content block", param=where) from None
    return parts, results


def _read_block(block: Json, parts: Parts, where: str) -> None:
    kind = block["type"]
    if kind == "text":
        if not block["text"]:
            raise Refused("empty", f"{where}: text content blocks must be non-empty", param=where)
        parts.texts.append(block["text"])
    elif kind in ("image", "document"):
        parts.media.append(_note(kind, block["source"]))
    elif kind not in SILENT_BLOCKS and not kind.endswith("_tool_result"):
        raise Refused("wrong_type", f"{where}: Input tag '{kind}' does not match any of the expected tags", param=where)


def _note(kind: str, source: Json) -> str:
    if source["type"] == "stored":
        return f"[{kind} file {source['media_type']} {source['bytes']} bytes]"
    if source["type"] == "base64":
        if kind == "image":
            check_image(source["media_type"], WEB_IMAGES, "messages")
        elif source["media_type"] != "application/pdf":
            raise Refused("wrong_type", "document.source.base64.media_type: Input should be 'application/pdf'")
        if kind == "image" and len(source["data"]) > MAX_IMAGE_BASE64:
            raise Refused("out_of_range", f"image exceeds {MAX_IMAGE_BASE64} bytes of base64", param="messages")
        return note_base64(kind, source["media_type"], source["data"])
    if source["type"] == "url":
        return note_url(kind, source["url"])
    if source["type"] == "text":
        return f"[{kind} text/plain {len(source['data'].encode())} bytes]"
    return f"[{kind} id {source['file_id']}]"


def _call_ids(content: Any, where: str) -> set[str]:
    blocks = content if isinstance(content, list) else []
    ids = {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]+", call_id) for call_id in ids):
        message = f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        raise Refused("wrong_type", message, param=where)
    return ids


def _check_results(results: list[tuple[str, str]], calls: set[str], where: str) -> None:
    """Every result answers a call of the message before, and every call gets its result."""
    answered = {call_id for call_id, _ in results}
    if answered - calls:
        message = f"{where}: tool_result without a tool_use of that id in the previous message"
        raise Refused("wrong_type", message, param=where)
    if calls - answered:
        raise Refused("wrong_type", f"{where}: tool_use without tool_result in the next message", param=where)


def _read_options(body: Json, prompt: Prompt) -> None:
    tools = body.get("tools") or []
    for at, tool in enumerate(tools):
        if not isinstance(tool, dict) or "name" not in tool:
            raise Refused("missing_parameter", f"tools.{at}.name: Field required", param=f"tools.{at}")
        if tool.get("type", "custom") == "custom" and not isinstance(tool.get("input_schema"), dict):
            raise Refused("wrong_type", f"tools.{at}.custom.input_schema: Field required", param=f"tools.{at}")
        prompt.tools[tool["name"]] = tool.get("input_schema")
    if tools:
        prompt.input_tokens += len(encode(tools)) // 4
    choice = body.get("tool_choice") or {}
    prompt.tool_choice = choice.get("name") if choice.get("type") == "tool" else choice.get("type")
    prompt.must_call = choice.get("type") == "any"
    prompt.reasoning = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    if prompt.reasoning and choice.get("type") in ("any", "tool"):
        raise Refused(
            "wrong_type", "Thinking may not be enabled when tool_choice forces tool use.", param="tool_choice"
        )
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        prompt.schema = form.get("schema") or {}
        check_constrained(prompt.schema, "output_config.format.schema")
