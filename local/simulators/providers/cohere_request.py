"""Reading and checking a request to Cohere's chat API."""

from typing import Any

from local.simulators.providers.conversation import read_prompt as read_conversation
from local.simulators.script import Prompt
from local.simulators.wire import (
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Json,
    Refused,
    check_messages,
    check_parameters,
    decimal,
    encode,
    integer,
    require,
)

RULES = {
    "citation_options": OBJECT,
    "documents": LIST,
    "frequency_penalty": decimal(0, 1),
    "k": integer(0, 500),
    "logprobs": FLAG,
    "max_tokens": integer(1),
    "messages": LIST,
    "model": TEXT,
    "p": decimal(0.01, 0.99),
    "presence_penalty": decimal(0, 1),
    "priority": integer(0, 999),
    "response_format": OBJECT,
    "safety_mode": TEXT,
    "seed": integer(0),
    "stop_sequences": LIST,
    "stream": FLAG,
    "strict_tools": FLAG,
    "temperature": decimal(0),
    "thinking": OBJECT,
    "tool_choice": TEXT,
    "tools": LIST,
}
ROLES = ("user", "assistant", "system", "tool")
TOOL_CHOICES = {"REQUIRED": "required", "NONE": "none"}
MAX_STOP_SEQUENCES = 5


def check(body: Json) -> None:
    """Raises Refused."""
    require(body, "model", "messages")
    check_parameters(body, RULES, strict=True)
    check_messages(body["messages"], "messages")
    if body["model"] == UNKNOWN_MODEL:
        raise Refused("model_not_found", f"model '{UNKNOWN_MODEL}' not found, make sure the correct model ID was used.")
    for at, message in enumerate(body["messages"]):
        if message.get("role") not in ROLES:
            raise Refused("wrong_type", f"invalid request: messages[{at}].role is not valid.")
    if body.get("tool_choice") not in (None, *TOOL_CHOICES):
        raise Refused("wrong_type", "invalid request: tool_choice must be REQUIRED or NONE.")
    if len(body.get("stop_sequences") or ()) > MAX_STOP_SEQUENCES:
        raise Refused("out_of_range", f"invalid request: at most {MAX_STOP_SEQUENCES} stop sequences.")
    wanted = (body.get("response_format") or {}).get("type")
    if wanted == "json_object" and (body.get("tools") or body.get("documents")):
        raise Refused("unsupported_parameter", "invalid request: response_format cannot go with tools or documents.")


def read_prompt(body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message. Raises Refused."""
    neutral: Json = {
        "model": body["model"],
        "messages": [_message(message) for message in body["messages"]],
        "max_tokens": body.get("max_tokens"),
        "stop": body.get("stop_sequences"),
        "tools": body.get("tools"),
        "tool_choice": TOOL_CHOICES.get(body.get("tool_choice") or ""),
    }
    form = body.get("response_format") or {}
    if form.get("json_schema"):
        neutral["response_format"] = {"type": "json_schema", "json_schema": {"schema": form["json_schema"]}}
    elif form.get("type") == "json_object":
        neutral["response_format"] = {"type": "json_object"}
    prompt, settings = read_conversation(neutral)
    prompt.reasoning = (body.get("thinking") or {}).get("type") == "enabled"
    return prompt, settings


def _message(message: Json) -> Json:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return message | {"content": [_part(part) for part in content]}


def _part(part: Any) -> Any:
    """A document that a tool gave back counts as its data's text."""
    if not isinstance(part, dict) or part.get("type") != "document":
        return part
    data = (part.get("document") or {}).get("data")
    if not data:
        raise Refused("missing_parameter", "invalid request: a document needs data.")
    return {"type": "text", "text": data if isinstance(data, str) else encode(data).decode()}
