"""Reading and checking a request to OpenAI's responses endpoint."""

from typing import Any

from local.simulators.providers.conversation import read_content
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
    Rule,
    check_messages,
    check_parameters,
    decimal,
    encode,
    integer,
    require,
)

RULES: dict[str, Rule] = {
    "background": FLAG,
    "include": LIST,
    "input": ANY,
    "instructions": TEXT,
    "max_output_tokens": integer(16),
    "max_tool_calls": integer(1),
    "metadata": OBJECT,
    "model": TEXT,
    "parallel_tool_calls": FLAG,
    "previous_response_id": TEXT,
    "prompt_cache_key": TEXT,
    "reasoning": OBJECT,
    "safety_identifier": TEXT,
    "service_tier": TEXT,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": OBJECT,
    "temperature": decimal(0, 2),
    "text": OBJECT,
    "tool_choice": ANY,
    "tools": LIST,
    "top_logprobs": integer(0, 20),
    "top_p": decimal(0, 1),
    "truncation": TEXT,
    "user": TEXT,
}
PART_NAMES = {"input_text": "text", "output_text": "text"}
ENCRYPTED_REASONING = "reasoning.encrypted_content"


def check(body: Json) -> None:
    """Raises Refused."""
    require(body, "model", "input")
    check_parameters(body, RULES, strict=True)
    if body["model"] == UNKNOWN_MODEL:
        message = f"The requested model '{UNKNOWN_MODEL}' does not exist."
        raise Refused("model_not_found", message, param="model", code="model_not_found")


def read_prompt(body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message. Raises Refused."""
    prompt = Prompt(model=body["model"], max_tokens=body.get("max_output_tokens"))
    prompt.input_tokens = count_tokens(body.get("instructions") or "")
    settings: dict[str, str] = {}
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list):
        raise Refused("wrong_type", "Invalid type for 'input': expected string or array.", param="input")
    check_messages(items, "input")
    _check_items(items)
    for item in items:
        parts = _read_item(item)
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text) + TOKENS_PER_MEDIA * len(parts.media)
        if item.get("type") == "function_call_output":
            prompt.tool_results.append(text)
        elif item.get("role") == "user":
            prompt.user_text, prompt.media, settings, prompt.tool_results = text, parts.media, found, []
    _read_options(body, prompt)
    return prompt, settings


def _check_items(items: list[Json]) -> None:
    """Every output answers a call before it, every call has one, and reasoning is followed by what it led to."""
    calls: set[Any] = set()
    answered: set[Any] = set()
    for at, item in enumerate(items):
        kind, call_id = item.get("type", "message"), item.get("call_id")
        if kind == "function_call":
            if len(str(call_id)) > 64:
                raise Refused("wrong_type", f"Invalid 'input[{at}].call_id': string too long.", param="input")
            calls.add(call_id)
        elif kind == "function_call_output":
            if call_id not in calls:
                raise Refused("wrong_type", f"No tool call found for output {call_id}.", param="input")
            answered.add(call_id)
        elif kind == "reasoning" and _kind_after(items, at) in ("", "function_call_output"):
            message = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
            raise Refused("wrong_type", message, param="input")
    if calls - answered:
        raise Refused("wrong_type", "No tool output found for a function call.", param="input")


def _kind_after(items: list[Json], at: int) -> str:
    return str(items[at + 1].get("type", "message")) if at + 1 < len(items) else ""


def _read_item(item: Json) -> Parts:
    content = item.get("output") if item.get("type") == "function_call_output" else item.get("content")
    if item.get("type") in ("reasoning", "function_call"):
        return Parts([], [])
    if isinstance(content, list):
        content = [_as_chat_part(part) for part in content]
    return read_content(content, "input")


def _as_chat_part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "input_image":
        return {"type": "image_url", "image_url": part.get("image_url")}
    if kind == "input_file":
        return {"type": "file", "file": {"file_data": part.get("file_data"), "file_id": part.get("file_id")}}
    return part | {"type": PART_NAMES[kind]} if kind in PART_NAMES else part


def _read_options(body: Json, prompt: Prompt) -> None:
    tools = body.get("tools") or []
    for at, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            continue  # a tool that the provider runs itself
        if not tool.get("name"):
            name = f"tools[{at}].name"
            raise Refused("missing_parameter", f"Missing required parameter: '{name}'.", param=name)
        prompt.tools[tool["name"]] = tool.get("parameters")
    if tools:
        prompt.input_tokens += len(encode(tools)) // 4
    choice = body.get("tool_choice")
    prompt.tool_choice = choice.get("name") if isinstance(choice, dict) else choice
    prompt.must_call = choice == "required"
    prompt.reasoning = (body.get("reasoning") or {}).get("effort") not in (None, "none")
    form = (body.get("text") or {}).get("format") or {}
    prompt.schema = form.get("schema") if form.get("type") == "json_schema" else None
    prompt.json_object = form.get("type") == "json_object"
