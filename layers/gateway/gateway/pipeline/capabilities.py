"""Can the chosen model do what the call asks? Answered from the catalog, before anything is sent or paid.

Models that the catalog has no facts of are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.chat import (
    AudioPart,
    ChatCall,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    LargePart,
    NamedToolChoice,
    Part,
    VideoPart,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.pipeline.parts import parts_of
from gateway.pipeline.reasoning import takes_forced_tools
from gateway.pipeline.route import ChatRoute

CHARACTERS_PER_TOKEN_AT_MOST = 10
"""No tokenizer makes tokens longer than this on average; more text than so many times the context cannot fit."""

MEDIA_OF_PART: dict[type[Part], str] = {
    ImageUrlPart: "image",
    ImagePart: "image",
    InputAudioPart: "audio",
    AudioPart: "audio",
    VideoPart: "video",
    FilePart: "document",
    DocumentPart: "document",
}


def check_capabilities(call: ChatCall, route: ChatRoute) -> None:
    """Raises CapabilityNotSupported or InvalidRequest (400), naming the parameter and the model."""
    if not route.facts.is_known:
        return
    for param, capability in _needed(call):
        if not route.facts.can(capability):
            raise CapabilityNotSupported(f"{route.model_id} does not support {capability}.", param=param)
    for param, medium in _media(call):
        if medium not in route.facts.input:
            raise CapabilityNotSupported(f"{route.model_id} does not take {medium} input.", param=param)
    for modality in call.modalities or ():
        if modality not in route.facts.output:
            raise CapabilityNotSupported(f"{route.model_id} does not give {modality}.", param="modalities")
    _check_reasoning(call, route)
    _check_limits(call, route)


def _needed(call: ChatCall) -> Iterator[tuple[str, str]]:
    if call.stream:
        yield "stream", "streaming"
    if call.tools:
        yield "tools", "tools"
    if call.reasoning_effort not in (None, "none"):
        yield "reasoning_effort", "reasoning"


def _media(call: ChatCall) -> Iterator[tuple[str, str]]:
    for spot, part in parts_of(call):
        medium = part.medium if isinstance(part, LargePart) else MEDIA_OF_PART.get(type(part))
        if medium:
            yield spot.param, medium


def _check_reasoning(call: ChatCall, route: ChatRoute) -> None:
    if call.reasoning_effort == "none" and route.facts.reasons == "always":
        raise CapabilityNotSupported(f"{route.model_id} always reasons.", param="reasoning_effort")
    is_forced = call.tool_choice == "required" or isinstance(call.tool_choice, NamedToolChoice)
    if is_forced and takes_forced_tools(call, route) is False:
        raise CapabilityNotSupported(
            f"{route.model_id} cannot be made to call a tool while it reasons.", param="tool_choice"
        )


def _check_limits(call: ChatCall, route: ChatRoute) -> None:
    facts = route.facts
    wanted, most = call.output_limit_tokens, facts.max_output_tokens
    if wanted is not None and most is not None and wanted > most:
        param = "max_tokens" if call.max_tokens is not None else "max_completion_tokens"
        raise InvalidRequest(f"{route.model_id} gives at most {most} tokens, {wanted} were asked for.", param=param)
    characters = sum(len(message.content) for message in call.messages if isinstance(message.content, str))
    if facts.context_tokens is not None and characters > facts.context_tokens * CHARACTERS_PER_TOKEN_AT_MOST:
        raise InvalidRequest(
            f"{characters} characters cannot fit {route.model_id}'s context of {facts.context_tokens} tokens.",
            param="messages",
        )
