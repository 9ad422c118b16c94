"""Details of an earlier reply as Gemini takes them back (see `gemini_parts.Places`).

Source: https://ai.google.dev/api/caching#Part (2026-11).
"""

from __future__ import annotations

from gateway.model.chat import AssistantMessage, Json
from gateway.providers.wire.replayed import Members, check_members, malformed, replayed

KINDS: dict[str, Members] = {
    "gemini.text": {"chars": int},
    "gemini.media": {},
    "gemini.call": {"id": str},
    "gemini.part": {"part": dict},
}
PART_MEMBERS = frozenset(
    {"text", "thought", "thoughtSignature", "executableCode", "codeExecutionResult", "toolCall"}
    | {"toolResponse", "partMetadata"}
)
"""Those of a part that have all they say in them: `fileData` has not, nor has a `functionResponse`. Media stand in the
message itself.
"""


def own_details(message: AssistantMessage, where: str) -> list[Json]:
    """Raises InvalidRequest for a detail that is none, or has not all it says in it."""
    return [detail for at, detail in replayed(message, where) if _is_own(detail, at)]


def _is_own(detail: Json, where: str) -> bool:
    kind = str(detail.get("type"))
    if kind not in KINDS:
        return False
    check_members(detail, KINDS[kind], where)
    if detail.get("thought_signature") is not None:
        check_members(detail, {"thought_signature": str}, where)
    if kind == "gemini.part":
        _check_whole(detail["part"], f"{where}.part")
    return True


def _check_whole(part: Json, where: str) -> None:
    """A text that is no thought stands in the message itself, where everybody sees it."""
    for name in part:
        if name not in PART_MEMBERS:
            raise malformed("A reply has no such member here", f"{where}.{name}")
    if "text" in part and part.get("thought") is not True:
        raise malformed("Only a thought stands here", f"{where}.text")
