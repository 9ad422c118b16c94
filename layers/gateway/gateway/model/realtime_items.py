"""What a realtime conversation is made of: https://developers.openai.com/api/reference/resources/realtime (2026-11)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from gateway.model.wire import Inbound

ItemId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)] | None
ItemStatus: TypeAlias = Literal["completed", "incomplete", "in_progress"] | None


class InputText(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    text: str


class InputAudio(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """`audio`: base64, in the session's input format. `transcript`: for the record, no model reads it."""

    audio: str
    transcript: str | None = None


class OutputText(Inbound, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    text: str


Content: TypeAlias = InputText | InputAudio | OutputText


class MessageItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """`object` and `status`: what a message of the server has; accepted, without effect."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[list[Content], Meta(min_length=1)]
    id: ItemId = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus = None


class FunctionCallItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """`arguments`: the JSON text as the model wrote it."""

    name: str
    arguments: str
    call_id: str | None = None
    id: ItemId = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus = None


class FunctionOutputItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"):
    call_id: Annotated[str, Meta(min_length=1)]
    output: str
    id: ItemId = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus = None


Item: TypeAlias = MessageItem | FunctionCallItem | FunctionOutputItem
