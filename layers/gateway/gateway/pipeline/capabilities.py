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
    Medium,
    NamedToolChoice,
    Part,
    VideoPart,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.pipeline.input_limits import check_context, check_counts
from gateway.pipeline.parts import parts_of
from gateway.pipeline.reasoning import takes_forced_tools
from gateway.pipeline.route import ChatRoute

MEDIA_OF_PART: dict[type[Part], Medium] = {
    ImageUrlPart: "image",
    ImagePart: "image",
    InputAudioPart: "audio",
    AudioPart: "audio",
    VideoPart: "video",
    FilePart: "document",
    DocumentPart: "document",
}


def check_capabilities(call: ChatCall, route: ChatRoute, *, are_read: bool = False) -> None:
    """`are_read`: whether it is known what its media are. Raises CapabilityNotSupported or InvalidRequest (400), naming
    the parameter and the model.
    """
    if not route.facts.is_known:
        return
    for param, capability in _needed(call):
        if not route.facts.can(capability):
            raise CapabilityNotSupported(f"{route.model_id} does not support {capability}.", param=param)
    media = list(_media(call))
    for param, medium in media:
        if medium not in route.facts.input:
            raise CapabilityNotSupported(f"{route.model_id} does not take {medium} input.", param=param)
    for modality in call.modalities or ():
        if modality not in route.facts.output:
            raise CapabilityNotSupported(f"{route.model_id} does not give {modality}.", param="modalities")
    _check_reasoning(call, route)
    _check_output_limit(call, route)
    check_counts(media, route, are_read=are_read)
    check_context(call, route)


def _needed(call: ChatCall) -> Iterator[tuple[str, str]]:
    if call.stream:
        yield "stream", "streaming"
    if call.tools:
        yield "tools", "tools"
    if call.reasoning_effort not in (None, "none"):
        yield "reasoning_effort", "reasoning"


def _media(call: ChatCall) -> Iterator[tuple[str, Medium]]:
    for spot, part in parts_of(call):
        medium = part.medium if isinstance(part, LargePart) else MEDIA_OF_PART.get(type(part))
        if medium:
            yield spot.param, medium


def _check_reasoning(call: ChatCall, route: ChatRoute) -> None:
    effort, levels = call.reasoning_effort, route.facts.reasoning_efforts
    if effort == "none" and route.facts.reasons == "always":
        raise CapabilityNotSupported(f"{route.model_id} always reasons.", param="reasoning_effort")
    if effort not in (None, "none", *levels) and levels:
        raise CapabilityNotSupported(f"{route.model_id} reasons at: {', '.join(levels)}.", param="reasoning_effort")
    is_forced = call.tool_choice == "required" or isinstance(call.tool_choice, NamedToolChoice)
    if is_forced and takes_forced_tools(call, route) is False:
        raise CapabilityNotSupported(
            f"{route.model_id} cannot be made to call a tool while it reasons.", param="tool_choice"
        )


def _check_output_limit(call: ChatCall, route: ChatRoute) -> None:
    wanted, most = call.output_limit_tokens, route.facts.max_output_tokens
    if wanted is not None and most is not None and wanted > most:
        param = "max_tokens" if call.max_tokens is not None else "max_completion_tokens"
        raise InvalidRequest(f"{route.model_id} gives at most {most} tokens, {wanted} were asked for.", param=param)
