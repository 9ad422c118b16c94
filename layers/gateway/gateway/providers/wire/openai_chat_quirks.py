"""How a provider departs from OpenAI's chat completions, as data. The defaults are OpenAI itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from gateway.providers.wire.call_ids import CallIds
from gateway.providers.wire.options import RESERVED
from gateway.providers.wire.server_tools import ServerTools

EVERY_FORMAT = frozenset({"text", "json_object", "json_schema"})
# "string too long. Expected a string with maximum length 40": https://github.com/vercel/ai/issues/8132
LONGEST_CALL_ID = CallIds(r".{1,40}", 40)

SERVER_TOOLS = ServerTools(searches_once=True)


class Quirks(Struct, frozen=True):
    """Each value but the default carries its reason and source where a provider states it.

    Request
        lacks: parameters of the call that it does not have: refused, unless they ask for what happens anyway.
        renames: body members it calls otherwise.
        reasoning_off: what asks for no reasoning where `reasoning_effort` has no word for that.
        thoughts_apart: what asks for thoughts beside the content, of models that put them into it. untagged_by:
            options of the provider that decide that themselves.
        tool_choices: words of `tool_choice` it calls otherwise.
        stop_as_list: takes `stop` as a list only.
        formats: the kinds of `response_format` it knows. formats_without: what it takes none of them beside but "text":
            "tools", "stream".
        stream_usage: takes `stream_options.include_usage`; False where usage comes unasked or never.
        obfuscation: takes `stream_options.include_obfuscation`.
        reserved: members of `provider_options` that would lead around the gateway's own choices.
        server_tools: those that the provider runs, as far as their work has a bound.
    Messages
        developer_role: knows the role `developer`; else it becomes `system`.
        names: takes `name` on a message.
        refusals: takes `refusal` on an assistant message and as a part; else it becomes plain text.
        prefix: takes `prefix` on an assistant message.
        cache_control: takes `cache_control` on parts and tools.
        call_ids: the ids of tool calls that it takes.
        user_after_results: takes a user message right after results of tools; else an assistant's word comes between.
        empty_answers: takes assistant messages that say nothing and call nothing; else they are left out.
        extra_content: takes back `extra_content` of a tool call.
        reasoning: the member that takes back an assistant's readable reasoning; "" for none.
        reasoning_blocks: takes back opaque reasoning as `reasoning_details`, or as parts of `content`.
    Parts
        images: as `image_url`, the same with base64 only, or not at all.
        documents: as OpenAI's `file`, the same with https URLs too, as Mistral's `document_url`, as Perplexity's
            `file_url`, or not at all.
        audio: as OpenAI's `input_audio`, the same with the bare base64 or URL in it, or not at all.
        video: as `video_url`, or not at all.
    Reply
        cached_tokens: the member of `usage` for cache reads where `prompt_tokens_details` has none.
        uncounted: what `total_tokens` has more than prompt and completion belongs to this one.
        reasoning_apart: reasoning is counted neither in `completion_tokens` nor in `total_tokens`.
        cost: the member of `usage` with the provider's own price, by path; `cost_per_usd` of it are one USD.
        extra: members of the answer worth keeping.
    """

    lacks: frozenset[str] = frozenset({"top_k"})
    renames: Mapping[str, str] = field(default_factory=dict)
    reasoning_off: Mapping[str, Any] = field(default_factory=dict)
    thoughts_apart: Mapping[str, Any] = field(default_factory=dict)
    untagged_by: frozenset[str] = frozenset()
    tool_choices: Mapping[str, str] = field(default_factory=dict)
    stop_as_list: bool = False
    formats: frozenset[str] = EVERY_FORMAT
    formats_without: frozenset[str] = frozenset()
    stream_usage: bool = True
    obfuscation: bool = False
    reserved: frozenset[str] = RESERVED
    server_tools: ServerTools = SERVER_TOOLS

    developer_role: bool = False
    names: bool = True
    refusals: bool = False
    prefix: bool = False
    cache_control: bool = False
    call_ids: CallIds = LONGEST_CALL_ID
    user_after_results: bool = True
    empty_answers: bool = True
    extra_content: bool = False
    reasoning: Literal["", "reasoning", "reasoning_content"] = ""
    reasoning_blocks: Literal["", "reasoning_details", "content"] = ""

    images: Literal["", "image_url", "image_data"] = "image_url"
    documents: Literal["", "file", "file_or_url", "document_url", "file_url"] = ""
    audio: Literal["", "input_audio", "input_audio_text"] = ""
    video: Literal["", "video_url"] = ""

    cached_tokens: str = ""
    uncounted: Literal["prompt", "completion"] = "completion"
    reasoning_apart: bool = False
    cost: tuple[str, ...] = ()
    cost_per_usd: int = 1
    extra: tuple[str, ...] = ()
