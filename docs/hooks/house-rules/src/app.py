"""A hook of the LLM gateway: requests with a mark are blocked, names are taken out of replies, all else passes.

It is asked with shared/schemas/hook-question.schema.json and answers as shared/schemas/hook-answer.schema.json says.
What it is sent are people's words: it logs none of them, and its reasons quote none.
"""

from __future__ import annotations

import os
import re
from typing import Any

Json = dict[str, Any]
ALLOW: Json = {"action": "allow"}


def handler(question: Json, _context: object) -> Json:
    """What Lambda calls."""
    if question["stage"] == "pre_call":
        return judge_request(question["request"], _listed("MARKS"))
    return judge_response(question["response"], _listed("NAMES"))


def judge_request(request: Json, marks: list[str]) -> Json:
    texts = [text for message in request.get("messages", []) for text in texts_of(message.get("content"))]
    if any(mark in text for mark in marks for text in texts):
        return {"action": "block", "reason": "The request carries a mark that says it must not leave the house."}
    return ALLOW


def judge_response(response: Json, names: list[str]) -> Json:
    """A patch has the choices that change, and of them what changes."""
    pattern = re.compile("|".join(map(re.escape, names)), re.IGNORECASE)
    changed = []
    for choice in response["choices"]:
        said = choice["message"].get("content") or ""
        if names and pattern.search(said):
            changed.append({"index": choice["index"], "message": {"content": pattern.sub("another vendor", said)}})
    return {"action": "modify", "patch": {"choices": changed}} if changed else ALLOW


def texts_of(content: str | list[Json] | None) -> list[str]:
    """Of a message: it is a text, a list of parts, or nothing where a tool is called."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or [] if part.get("type") == "text"]


def _listed(variable: str) -> list[str]:
    return [entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip()]
