"""Reading an OpenAI-style conversation: the neutral prompt, media notes, tools, and the checks on them."""

import re
from typing import Any

import msgspec

from local.simulators.script import TOKENS_PER_MEDIA, TOKENS_PER_MESSAGE, Prompt, count_tokens
from local.simulators.switches import strip_directives
from local.simulators.wire import Json, Parts, Refused, encode, note_base64, note_url

_DEMANDED_SCHEMA = re.compile(r"JSON Schema:\n(\{.*\})\Z", re.DOTALL)


def read_prompt(body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message. Raises Refused."""
    prompt = Prompt(model=body["model"], n=body.get("n") or 1, stop=_stops(body.get("stop")))
    prompt.max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    settings: dict[str, str] = {}
    unanswered: set[str] = set()
    for at, message in enumerate(body["messages"]):
        parts = read_content(message.get("content"), f"messages[{at}].content")
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text) + TOKENS_PER_MEDIA * len(parts.media)
        role = message.get("role")
        if parts.media and role != "user":
            refusal = f"Media are only allowed for messages with role 'user', but this one has role '{role}'."
            raise Refused("wrong_type", refusal, param=f"messages[{at}]", code="invalid_value")
        unanswered = _check_pairing(message, role, unanswered, at)
        if role == "user":
            prompt.user_text, prompt.media, settings, prompt.tool_results = text, parts.media, found, []
        elif role == "tool":
            prompt.tool_results.append(text)
        elif role == "system":
            prompt.schema = demanded_schema(text) or prompt.schema
        elif role not in ("developer", "assistant"):
            raise Refused("wrong_type", f"Invalid value: '{role}'.", param=f"messages[{at}].role", code="invalid_value")
    _read_tools(body, prompt)
    _read_format(body.get("response_format") or {}, prompt)
    return prompt, settings


def demanded_schema(text: str) -> Any:
    """A schema that the system message ends with; None without one."""
    found = _DEMANDED_SCHEMA.search(text)
    try:
        return msgspec.json.decode(found[1]) if found else None
    except msgspec.DecodeError:
        return None


def _check_pairing(message: Json, role: Any, unanswered: set[str], at: int) -> set[str]:
    """Ids of tool calls that still need a result. Raises Refused when calls and results do not match."""
    if role == "tool":
        if message.get("tool_call_id") not in unanswered:
            text = "A message with role 'tool' must answer a preceding message with 'tool_calls'."
            raise Refused("wrong_type", text, param=f"messages[{at}].role", code="invalid_value")
        return unanswered - {message["tool_call_id"]}
    if unanswered:
        text = "Every 'tool_call_id' must be answered by a message with role 'tool'."
        raise Refused("wrong_type", text, param=f"messages[{at}].role", code="invalid_value")
    calls = message.get("tool_calls") or [] if role == "assistant" else []
    return {str(call.get("id")) for call in calls if isinstance(call, dict)}


def check_call_ids(messages: list[Json], taken: str) -> None:
    """Raises Refused for the id of a tool call that does not match."""
    for at, message in enumerate(messages):
        ids = [str(call.get("id")) for call in message.get("tool_calls") or () if isinstance(call, dict)]
        for call_id in [*ids, str(message["tool_call_id"])] if "tool_call_id" in message else ids:
            if not re.fullmatch(taken, call_id):
                refusal = f"Tool call id was {call_id} but must match {taken}"
                raise Refused("wrong_type", refusal, param=f"messages[{at}]", code="invalid_value")


def check_nothing(body: Json, *, takes_empty: bool) -> None:
    """Raises Refused for empty lists, for null where only calls may have it, and for an answer without a word."""
    if body.get("tools") == []:
        raise Refused("empty", "[] is too short - 'tools'", param="tools", code="empty_array")
    for at, message in enumerate(body["messages"]):
        where = f"messages[{at}]"
        if message.get("tool_calls") == []:
            raise Refused("empty", f"Invalid '{where}.tool_calls': empty array.", param=where, code="empty_array")
        if message.get("role") != "assistant" or any(message.get(name) for name in ("tool_calls", "refusal", "audio")):
            continue
        if message.get("content") is None or (not takes_empty and not message["content"]):
            refusal = "Invalid value for 'content': expected a string, got null."
            raise Refused("wrong_type", refusal, param=f"{where}.content", code="invalid_value")


def read_content(content: Any, param: str) -> Parts:
    """Text and media of a message: a string, a list of parts, or nothing. Raises Refused."""
    parts = Parts([], [])
    if isinstance(content, str):
        parts.texts.append(content)
    elif isinstance(content, list):
        for part in content:
            try:
                _read_part(part, parts, param)
            except (KeyError, TypeError, AttributeError):
                raise Refused("wrong_type", f"Invalid content part in '{param}'.", param=param) from None
    elif content is not None:
        raise Refused("wrong_type", f"Invalid type for '{param}': expected string or array.", param=param)
    return parts


def _read_part(part: Any, parts: Parts, param: str) -> None:
    kind = part["type"]
    if kind in ("text", "refusal"):
        parts.texts.append(part.get(kind) or "")
    elif kind == "image_url":
        image = part["image_url"]
        parts.media.append(note_url("image", image if isinstance(image, str) else image["url"]))
    elif kind == "input_audio":
        audio = part["input_audio"]  # Mistral has the base64 text itself here
        audio = {"data": audio, "format": "unknown"} if isinstance(audio, str) else audio
        parts.media.append(note_base64("audio", f"audio/{audio['format']}", audio["data"]))
    elif kind in ("video_url", "document_url"):
        link = part[kind]
        parts.media.append(note_url(kind.removesuffix("_url"), link if isinstance(link, str) else link["url"]))
    elif kind == "file_url":  # Perplexity's; base64 has no prefix
        link = part[kind]["url"]
        said = note_url("document", link) if link.startswith("https://") else note_base64("document", "unknown", link)
        parts.media.append(said)
    elif kind == "file":
        file = part["file"]
        data = file.get("file_data")
        parts.media.append(note_url("document", data) if data else f"[document id {file.get('file_id')}]")
    elif kind != "thinking":
        raise Refused("wrong_type", f"Invalid value: '{kind}'.", param=param, code="invalid_value")


def _stops(stop: Any) -> list[str]:
    if stop is None:
        return []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(one, str) for one in stops):
        raise Refused("wrong_type", "Invalid type for 'stop': expected string or array of strings.", param="stop")
    return stops


def _read_tools(body: Json, prompt: Prompt) -> None:
    tools = body.get("tools") or []
    for at, tool in enumerate(tools):
        if isinstance(tool, dict) and tool.get("type", "function") != "function":
            continue  # a tool that the provider runs itself
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            name = f"tools[{at}].function"
            raise Refused("missing_parameter", f"Missing required parameter: '{name}'.", param=name)
        prompt.tools[function["name"]] = function.get("parameters")
    if tools:
        prompt.input_tokens += len(encode(tools)) // 4
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        prompt.tool_choice = (choice.get("function") or {}).get("name")
    else:
        prompt.tool_choice = choice
    prompt.must_call = choice in ("required", "any")


def _read_format(response_format: Json, prompt: Prompt) -> None:
    kind = response_format.get("type")
    if kind == "json_schema":
        prompt.schema = (response_format.get("json_schema") or {}).get("schema") or {}
    elif kind == "json_object":
        prompt.json_object = True
