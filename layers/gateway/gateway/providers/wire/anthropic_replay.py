"""Blocks of an earlier reply as the Messages API takes them back.

Source: https://platform.claude.com/docs/en/api/messages (2026-11).
"""

from __future__ import annotations

from gateway.model.chat import AssistantMessage, Json
from gateway.providers.wire.model_mark import without_foreign
from gateway.providers.wire.replayed import Members, check_members, malformed, objects_in, replayed

MARKS: dict[str, Members] = {"text": {"chars": int}, "tool_use": {"id": str}}
"""Where text and calls stand among the blocks (see `anthropic_parse.Places`)."""

THOUGHTS: dict[str, Members] = {"thinking": {"thinking": str, "signature": str}, "redacted_thinking": {"data": str}}
BLOCKS: dict[str, Members] = {
    **THOUGHTS,
    "compaction": {"content": str},
    "server_tool_use": {"id": str, "name": str, "input": dict},
    "mcp_tool_use": {"id": str, "name": str, "input": dict},
}
RESULT = "_tool_result"
"""Ends the types of what the provider's own tools gave. A client's "tool_result" is no part of a reply."""

READ_ELSEWHERE = ("url", "file")
"""Types of the `source` of a document that is not in the request."""


def own_details(message: AssistantMessage, where: str, model: str) -> list[Json]:
    """What this model is given back. Raises InvalidRequest for a block that is none, or has not all it says in it."""
    return [detail for at, detail in without_foreign(replayed(message, where), model) if _is_own(detail, at)]


def is_thinking(detail: Json) -> bool:
    """Mistral has a word of the same name, whose thinking is a list."""
    return detail.get("type") == "thinking" and not isinstance(detail.get("thinking"), list)


def _is_own(detail: Json, where: str) -> bool:
    kind = str(detail.get("type"))
    if kind in MARKS:
        check_members(detail, MARKS[kind], where)
        return True
    if kind == "thinking" and not is_thinking(detail):
        return False
    if kind not in BLOCKS and not kind.endswith(RESULT):
        return False
    check_members(detail, BLOCKS.get(kind, {"tool_use_id": str}), where)
    _check_whole(detail, where)
    return True


def _check_whole(block: Json, where: str) -> None:
    """Nor may it be cached, at a price that nobody has counted."""
    for at, held in objects_in(block, where):
        if "cache_control" in held:
            raise malformed("A reply has no cache marks", f"{at}.cache_control")
        source = held.get("source")
        if isinstance(source, dict) and source.get("type") in READ_ELSEWHERE:
            raise malformed("The document is not in the reply", f"{at}.source")
        if held.get("type") == "container_upload":
            raise malformed("A reply has no uploads", at)
