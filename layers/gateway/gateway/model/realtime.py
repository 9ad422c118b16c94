"""What a client says in a session of voice in real time: the client events of OpenAI's Realtime API.

Names and shapes are those of the API as it is generally available, which OpenAI's SDK speaks:
https://developers.openai.com/api/reference/resources/realtime/client-events (2026-11). Every provider's session is
spoken to in these words. Besides there is `session.close`, after which the gateway tells what the session has used.

A member that is left out of `session.update` stays as it was; `null` switches off what can be switched off.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from gateway.model.call import Metadata
from gateway.model.chat import InlineGtsTool, Json, ReferenceTool
from gateway.model.realtime_items import Item
from gateway.model.wire import Inbound

MAX_MESSAGE_BYTES = 128 * 1024
"""Of one message of a client, which is what API Gateway carries:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""
OPENAI_RATE_HZ = 24_000

EventId: TypeAlias = Annotated[str, Meta(max_length=512)] | None
Modality: TypeAlias = Literal["text", "audio"]
Modalities: TypeAlias = Annotated[list[Modality], Meta(min_length=1, max_length=1)]


class Pcm(Inbound, frozen=True, kw_only=True, omit_defaults=False, tag_field="type", tag="audio/pcm"):
    """Samples of 16 bits, little-endian, one channel. `rate`: Hz."""

    rate: Annotated[int, Meta(ge=8_000, le=48_000)] = OPENAI_RATE_HZ


class MuLaw(Inbound, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 mu-law, 8 kHz."""


class ALaw(Inbound, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law, 8 kHz."""


AudioFormat: TypeAlias = Pcm | MuLaw | ALaw


class ServerVad(Inbound, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turns are told apart by how loud it is."""

    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=60_000)] | None = None
    silence_duration_ms: Annotated[int, Meta(ge=0, le=60_000)] | None = None
    idle_timeout_ms: Annotated[int, Meta(ge=0, le=600_000)] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVad(Inbound, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """Turns are told apart by what is said."""

    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


TurnDetection: TypeAlias = ServerVad | SemanticVad


class Transcription(Inbound, frozen=True, kw_only=True):
    """Of what the user says, by a model of its own, which is charged besides. `model`: as its provider
    calls it, or as the gateway does.
    """

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(Inbound, frozen=True, kw_only=True):
    type: Literal["near_field", "far_field"]


class AudioInput(Inbound, frozen=True, kw_only=True):
    """`turn_detection` null: the client itself says when a turn ends. `transcription` null: none."""

    format: AudioFormat | UnsetType = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET


class AudioOutput(Inbound, frozen=True, kw_only=True):
    format: AudioFormat | UnsetType = UNSET
    voice: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class Audio(Inbound, frozen=True, kw_only=True):
    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class ResponseAudio(Inbound, frozen=True, kw_only=True):
    output: AudioOutput | UnsetType = UNSET


class FunctionTool(Inbound, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """`parameters`: a JSON Schema object."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    parameters: Json | None = None


Tool: TypeAlias = FunctionTool | ReferenceTool | InlineGtsTool
"""In any of the three forms; a provider gets functions only."""


class NamedTool(Inbound, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    type: Literal["function"]


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedTool
MaxOutputTokens: TypeAlias = Annotated[int, Meta(ge=1)] | Literal["inf"]


class Reasoning(Inbound, frozen=True, kw_only=True):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class SessionConfig(Inbound, frozen=True, kw_only=True):
    """`model`: accepted where it names the session's own, which cannot be changed. `prompt`, `tracing`: there are none,
    so null is all that may be said.
    """

    type: Literal["realtime"] | UnsetType = UNSET
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: Modalities | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | Json | UnsetType = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET
    prompt: UnsetType | None = UNSET
    tracing: UnsetType | None = UNSET


class ResponseOptions(Inbound, frozen=True, kw_only=True):
    """What holds for one response only, in place of what the session has. `input`: in place of the conversation."""

    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: ResponseAudio | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxOutputTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    conversation: Literal["auto", "none"] | None = None
    input: list[Item] | None = None
    metadata: Metadata | None = None
    prompt: None = None


class SessionUpdate(Inbound, frozen=True, kw_only=True, tag_field="type", tag="session.update"):
    session: SessionConfig
    event_id: EventId = None


class AppendAudio(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.append"):
    """`audio`: base64, in the session's input format."""

    audio: str
    event_id: EventId = None


class CommitAudio(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.commit"):
    event_id: EventId = None


class ClearAudio(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.clear"):
    event_id: EventId = None


class CreateItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.create"):
    """`previous_item_id`: after which it goes; "root": in front of all; None: at the end."""

    item: Item
    previous_item_id: str | None = None
    event_id: EventId = None


class DeleteItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.delete"):
    item_id: str
    event_id: EventId = None


class RetrieveItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.retrieve"):
    item_id: str
    event_id: EventId = None


class TruncateItem(Inbound, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.truncate"):
    """Of what the model said only the first `audio_end_ms` were heard."""

    item_id: str
    audio_end_ms: Annotated[int, Meta(ge=0)]
    content_index: Annotated[int, Meta(ge=0)]
    event_id: EventId = None


class CreateResponse(Inbound, frozen=True, kw_only=True, tag_field="type", tag="response.create"):
    response: ResponseOptions | None = None
    event_id: EventId = None


class CancelResponse(Inbound, frozen=True, kw_only=True, tag_field="type", tag="response.cancel"):
    response_id: str | None = None
    event_id: EventId = None


class CloseSession(Inbound, frozen=True, kw_only=True, tag_field="type", tag="session.close"):
    """The gateway's own: no provider sees it."""

    event_id: EventId = None


ProviderEvent: TypeAlias = (
    SessionUpdate
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | CreateItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
)
"""What is for the provider."""
ClientEvent: TypeAlias = ProviderEvent | CloseSession

REFUSED_EVENTS = {
    "output_audio_buffer.clear": "It is of WebRTC and SIP; over WebSocket the client itself holds what it plays.",
    "transcription_session.update": "Sessions that only transcribe are not offered.",
}
REFUSED_MEMBERS = {
    "prompt": "Prompts that are stored with a provider are not used; send instructions.",
    "tracing": "Sessions are not stored with the provider.",
    "modalities": "It is called output_modalities.",
    "voice": "It is called audio.output.voice.",
    "input_audio_format": "It is called audio.input.format.",
    "output_audio_format": "It is called audio.output.format.",
    "input_audio_transcription": "It is called audio.input.transcription.",
    "turn_detection": "It is called audio.input.turn_detection.",
    "max_response_output_tokens": "It is called max_output_tokens.",
    "temperature": "Voice models of the generally available API take none.",
}
"""Members of `session` and `response` that OpenAI has or had, and why they are not taken."""


def updated(config: SessionConfig, update: SessionConfig) -> SessionConfig:
    """`config` with what `update` says: audio member by member, everything else as a whole."""
    merged: dict[str, Any] = {}
    for name in SessionConfig.__struct_fields__:
        old, new = getattr(config, name), getattr(update, name)
        merged[name] = old if new is UNSET else new
    if isinstance(config.audio, Audio) and isinstance(update.audio, Audio):
        merged["audio"] = Audio(
            input=_laid_over(config.audio.input, update.audio.input),
            output=_laid_over(config.audio.output, update.audio.output),
        )
    return SessionConfig(**merged)


def _laid_over(old: Any, new: Any) -> Any:
    if old is UNSET or new is UNSET:
        return old if new is UNSET else new
    names = type(new).__struct_fields__
    return type(new)(**{n: getattr(old, n) if getattr(new, n) is UNSET else getattr(new, n) for n in names})
