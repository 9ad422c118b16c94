"""A chat reply as hooks see it: what the client would get, whole, also where it gets a stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from gateway.hooks.chat_request import call_with
from gateway.hooks.media import without_media
from gateway.hooks.subject import Change, Fixed
from gateway.model.chat import Json, ToolCall
from gateway.model.hook import HookFailed
from gateway.model.reply import Choice, Reply, ReplyMessage

_SHOWN = ("content", "refusal", "reasoning_content", "annotations", "audio", "media")


class _Patch(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FunctionPatch(_Patch, frozen=True):
    arguments: str


class CallPatch(_Patch, frozen=True):
    """`id`: of a call that is in the reply."""

    id: str
    function: FunctionPatch


class MessagePatch(_Patch, frozen=True):
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType | None = UNSET
    tool_calls: list[CallPatch] | UnsetType = UNSET


class ChoicePatch(_Patch, frozen=True):
    """`index`: of a choice that is in the reply."""

    index: int
    message: MessagePatch


class ReplyPatch(_Patch, frozen=True):
    """What a hook may change of a reply: its texts. Not which tools are called, and not what it cost."""

    choices: Annotated[list[ChoicePatch], Meta(min_length=1)]


class ChatReply(msgspec.Struct, frozen=True):
    """`model`: as the client is told it."""

    reply: Reply
    model: str

    def with_texts(self, change: Change) -> ChatReply:
        return self._with([_said_otherwise(choice, _message(choice.message, change)) for choice in self.reply.choices])

    def restored(self, change: Change) -> ChatReply:
        return self._with([_said_the_same(choice, _message(choice.message, change)) for choice in self.reply.choices])

    def fixed(self) -> Iterable[Fixed]:
        for choice in self.reply.choices:
            for call in choice.message.tool_calls or ():
                yield Fixed("choices", call.function.name)

    def written(self) -> ChatReply:
        return self

    def documents(self) -> Iterable[bytes]:
        """What each choice says; none of a choice that says something else, as a refusal."""
        for choice in self.reply.choices:
            message = choice.message
            if not (message.refusal or message.tool_calls or choice.finish_reason == "content_filter"):
                yield (message.content or "").encode()

    def body(self) -> Json:
        choices = [_shown(choice) for choice in self.reply.choices]
        return {"object": "chat.completion", "model": self.model, "choices": choices}

    def patched(self, patch: Json) -> ChatReply:
        """Raises HookFailed for members that no hook may change, choices and calls that are not there."""
        try:
            patches = {one.index: one.message for one in msgspec.convert(patch, ReplyPatch).choices}
        except msgspec.ValidationError as error:
            raise HookFailed("patch_member") from error
        if not patches.keys() <= {choice.index for choice in self.reply.choices}:
            raise HookFailed("patch_choice")
        return self._with([_patched(choice, patches.get(choice.index)) for choice in self.reply.choices])

    def _with(self, choices: list[Choice]) -> ChatReply:
        if choices == self.reply.choices:
            return self
        return replace(self, reply=replace(self.reply, choices=choices))


def _message(message: ReplyMessage, change: Change) -> ReplyMessage:
    audio = message.audio
    if audio and isinstance(transcript := audio.get("transcript"), str):
        audio = {**audio, "transcript": change(transcript)}
    return replace(
        message,
        content=change(message.content) if message.content else message.content,
        refusal=change(message.refusal) if message.refusal else message.refusal,
        reasoning_content=change(message.reasoning_content) if message.reasoning_content else message.reasoning_content,
        tool_calls=None if message.tool_calls is None else [call_with(call, change) for call in message.tool_calls],
        audio=audio,
    )


def _patched(choice: Choice, patch: MessagePatch | None) -> Choice:
    if patch is None:
        return choice
    changes: dict[str, Any] = {
        name: value
        for name in ("content", "refusal", "reasoning_content")
        if (value := getattr(patch, name)) is not UNSET
    }
    message = replace(choice.message, **changes)
    if patch.tool_calls is not UNSET:
        message = replace(message, tool_calls=_with_arguments(message.tool_calls or [], patch.tool_calls))
    return _said_otherwise(choice, message)


def _with_arguments(calls: list[ToolCall], patches: list[CallPatch]) -> list[ToolCall] | None:
    arguments = {one.id: one.function.arguments for one in patches}
    if not arguments.keys() <= {call.id for call in calls}:
        raise HookFailed("patch_call")
    functions = {
        call.id: replace(call.function, arguments=arguments.get(call.id, call.function.arguments)) for call in calls
    }
    return [replace(call, function=functions[call.id]) for call in calls] or None


def _said_otherwise(choice: Choice, message: ReplyMessage) -> Choice:
    """What speaks of the text that was, by its letters or in a form that no hook can change, goes with it."""
    before = choice.message
    if message.content != before.content:
        message = replace(message, annotations=None)
    if message.reasoning_content != before.reasoning_content:
        message = replace(message, reasoning_details=None)
    return _said_the_same(choice, message)


def _said_the_same(choice: Choice, message: ReplyMessage) -> Choice:
    """In other letters, so without their probabilities."""
    logprobs = choice.logprobs if message.content == choice.message.content else None
    return replace(choice, message=message, logprobs=logprobs)


def _shown(choice: Choice) -> Json:
    message: Json = msgspec.to_builtins(choice.message)
    kept = {name: message[name] for name in ("role", *_SHOWN, "tool_calls") if name in message}
    return {"index": choice.index, "message": without_media(kept, []), "finish_reason": choice.finish_reason}
