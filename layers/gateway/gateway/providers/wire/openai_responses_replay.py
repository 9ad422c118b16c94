"""Details of an earlier reply as a responses API takes them back (see `openai_responses_items`).

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (2026-11).
"""

from __future__ import annotations

from gateway.model.chat import AssistantMessage, Json
from gateway.providers.wire.openai_responses_items import CALL, ITEM, TEXT, is_worth_keeping
from gateway.providers.wire.replayed import Members, check_members, malformed, objects_in, replayed

KINDS: dict[str, Members] = {ITEM: {"item": dict}, TEXT: {"chars": int}, CALL: {"id": str}}

ITEMS = frozenset(
    {"reasoning", "compaction", "web_search_call", "x_search_call", "image_generation_call", "mcp_list_tools"}
    | {"mcp_call", "tool_search_call", "tool_search_output"}
)
"""Output items that have all they say in them. Others name a container, a file or an item of the provider's account
(`code_interpreter_call`: "reused … by a previous code_interpreter_call item in the model's context",
https://platform.openai.com/docs/guides/tools-code-interpreter#containers), or can only be answered by such.
"""

POINTERS = ("file_id", "file_ids", "file_url", "image_url", "vector_store_ids", "container_id", "server_url")
"""Members, of items and of the tools that were found, by which the provider would read something else."""


def own_details(message: AssistantMessage, where: str, provider: str) -> list[Json]:
    """What this provider made: what another one encrypted, it refuses, also where both speak this API.

    Raises InvalidRequest for a detail that is none, or has not all it says in it.
    """
    return [detail for at, detail in replayed(message, where) if _is_own(detail, at, provider)]


def _is_own(detail: Json, where: str, provider: str) -> bool:
    kind = str(detail.get("type"))
    if kind not in KINDS or detail.get("provider") != provider:
        return False
    check_members(detail, KINDS[kind], where)
    return kind != ITEM or _goes_back(detail, f"{where}.item")


def _goes_back(detail: Json, where: str) -> bool:
    item = detail["item"]
    check_members(item, {"type": str}, where)
    if item["type"] == "image_generation_call" and not detail.get("image"):
        return isinstance(item.get("result"), str)  # without its bytes it is the name of an image that is stored
    if item["type"] == "reasoning" and not is_worth_keeping(item):
        raise malformed("Reasoning without its encrypted content is only a name", f"{where}.encrypted_content")
    if item["type"] not in ITEMS:
        return False
    for at, held in objects_in(item, where):
        for name in POINTERS:
            if isinstance(held.get(name), str | list):
                raise malformed("What it names is not in the reply", f"{at}.{name}")
    return True
