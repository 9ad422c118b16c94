"""Blocks of an earlier reply as Converse takes them back: each the member of the union that `type` names.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026-11).
"""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.chat import AssistantMessage, Json
from gateway.providers.wire.anthropic_replay import MARKS, THOUGHTS, is_thinking
from gateway.providers.wire.converse_parse import SERVER_TOOL_USE
from gateway.providers.wire.model_mark import without_foreign
from gateway.providers.wire.replayed import Members, check_members, malformed, replayed

BLOCKS: dict[str, Members] = {
    "reasoningContent": {},
    "toolUse": {"toolUseId": str, "name": str},
    "toolResult": {"toolUseId": str, "content": list},
}
SAID = frozenset({"text", "json"})
"""What the results of Bedrock's own tools consist of; others may be read from S3.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlockDelta.html
"""


def own_details(message: AssistantMessage, where: str, model: ModelFacts) -> list[Json]:
    """What this model is given back. Raises InvalidRequest for a block that is none, or has not all it says in it."""
    given = without_foreign(replayed(message, where), model.id)
    return [own for at, detail in given if (own := _own(detail, at, model)) is not None]


def _own(detail: Json, where: str, model: ModelFacts) -> Json | None:
    """The detail when this API made it, or another host of the same Claude: its signatures hold on all of them.

    Details of other providers mean nothing to Bedrock and are refused by it. Source:
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#thinking-encryption
    """
    kind = str(detail.get("type"))
    if kind in MARKS:
        check_members(detail, MARKS[kind], where)
        return detail
    if kind in BLOCKS:
        check_members(detail, {kind: dict}, where)
        check_members(detail[kind], BLOCKS[kind], f"{where}.{kind}")
        _check_whole(kind, detail[kind], f"{where}.{kind}")
        return {"type": kind, kind: detail[kind]}
    if model.dialect != "anthropic" or not is_thinking(detail):
        return None
    check_members(detail, THOUGHTS["thinking"], where)
    said = {"reasoningText": {"text": detail["thinking"], "signature": detail["signature"]}}
    return {"type": "reasoningContent", "reasoningContent": said}


def _check_whole(kind: str, block: Json, where: str) -> None:
    if kind == "reasoningContent":
        _check_reasoning(block, where)
    elif kind == "toolUse" and block.get("type") != SERVER_TOOL_USE:
        raise malformed("Only calls of Bedrock's own tools stand here", f"{where}.type")
    elif kind == "toolResult":
        for position, part in enumerate(block["content"]):
            if not isinstance(part, dict) or not part.keys() <= SAID:
                raise malformed("A reply has only text and JSON here", f"{where}.content[{position}]")


def _check_reasoning(block: Json, where: str) -> None:
    if "redactedContent" in block:
        check_members(block, {"redactedContent": str}, where)
    else:
        check_members(block, {"reasoningText": dict}, where)
        check_members(block["reasoningText"], {"text": str, "signature": str}, f"{where}.reasoningText")
