"""The normalised chat call: OpenAI's request, plus the parts and members of this gateway.

`null` for an optional member means the same as leaving it out, as it does at OpenAI.
Source of names and bounds: https://platform.openai.com/docs/api-reference/chat/create (2026-11).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field
from msgspec.structs import force_setattr

from gateway.model.call import Call, Count, Name
from gateway.model.wire import Inbound

Json: TypeAlias = dict[str, Any]
Medium: TypeAlias = Literal["image", "audio", "video", "document"]
ToolName = Annotated[str, Meta(min_length=1, max_length=1024)]  # a function's, or the GTS id that stands for one
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class TextPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str
    cache_control: Json | None = None


class ImageUrl(Inbound, frozen=True, kw_only=True):
    """`url`: https, or a `data:` URL with base64."""

    url: Annotated[str, Meta(min_length=1)]
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImageUrlPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    image_url: ImageUrl
    cache_control: Json | None = None


class InputAudio(Inbound, frozen=True, kw_only=True):
    """`data`: base64 without a prefix."""

    data: str
    format: str


class InputAudioPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    input_audio: InputAudio
    cache_control: Json | None = None


class FileRef(Inbound, frozen=True, kw_only=True):
    """Exactly one of `file_id` and `file_data` (a base64 `data:` URL)."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class FilePart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="file"):
    file: FileRef
    cache_control: Json | None = None


class ImagePart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="image"):
    url: str


class AudioPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    url: str


class VideoPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="video"):
    url: str


class DocumentPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="document"):
    url: str
    name: str | None = None


class RefusalPart(Inbound, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    refusal: str


class LargePart(FilePart, frozen=True, kw_only=True, tag_field="type", tag="large"):
    """Media that the provider gets by its own API for files. Only the gateway makes one: a client cannot name the type.

    `data`: the bytes, until `file.file_id` is the provider's reference to them. `detail`: of an image.
    """

    medium: Medium
    content_type: str
    data: bytes = b""
    detail: str | None = None


Part: TypeAlias = (
    TextPart | ImageUrlPart | InputAudioPart | FilePart | ImagePart | AudioPart | VideoPart | DocumentPart | RefusalPart
)
Content: TypeAlias = str | list[Part]


class FunctionCall(Inbound, frozen=True, kw_only=True):
    """`arguments`: the JSON text exactly as the model wrote it, which need not parse.

    `parsed_arguments`: what OpenAI's SDK adds to the calls of a reply, and sends back; accepted and forgotten.
    """

    name: str
    arguments: str
    parsed_arguments: Any = None

    def __post_init__(self) -> None:
        if self.parsed_arguments is not None:
            force_setattr(self, "parsed_arguments", None)


class ToolCall(Inbound, frozen=True, kw_only=True):
    """`extra_content`: opaque provider data (a Gemini call signature) to be sent back unchanged.

    `index`: what OpenAI's SDK leaves in the calls of a streamed reply; accepted and forgotten.
    """

    id: str
    function: FunctionCall
    type: Literal["function"] = field(default_factory=lambda: "function")
    index: int | None = None
    extra_content: Json | None = None

    def __post_init__(self) -> None:
        if self.index is not None:
            force_setattr(self, "index", None)


class SystemMessage(Inbound, frozen=True, kw_only=True, tag_field="role", tag="system"):
    content: Content
    name: str | None = None


class DeveloperMessage(Inbound, frozen=True, kw_only=True, tag_field="role", tag="developer"):
    content: Content
    name: str | None = None


class UserMessage(Inbound, frozen=True, kw_only=True, tag_field="role", tag="user"):
    content: Content
    name: str | None = None


class AssistantMessage(Inbound, frozen=True, kw_only=True, tag_field="role", tag="assistant"):
    """A reply message may be sent back as it came: the members that only replies have are accepted.

    `reasoning_details`: opaque blocks (thinking with signatures) of an earlier reply, passed on unchanged.
    """

    content: Content | UnsetType | None = UNSET
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Json] | None = None
    audio: Json | None = None
    annotations: list[Json] | None = None
    media: list[Json] | None = None
    function_call: None = None
    parsed: Any = None
    prefix: bool | None = None


class ToolMessage(Inbound, frozen=True, kw_only=True, tag_field="role", tag="tool"):
    content: Content
    tool_call_id: str
    name: str | None = None


Message: TypeAlias = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class Function(Inbound, frozen=True, kw_only=True):
    """`parameters`: a JSON Schema object."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class FunctionTool(Inbound, frozen=True, kw_only=True, tag_field="type", tag="function"):
    function: Function
    cache_control: Json | None = None


class ReferenceTool(Inbound, frozen=True, kw_only=True, tag_field="type", tag="reference"):
    schema_id: ToolName


class InlineGtsTool(Inbound, frozen=True, kw_only=True, tag_field="type", tag="inline_gts"):
    schema: Json


Tool: TypeAlias = FunctionTool | ReferenceTool | InlineGtsTool


class NamedFunction(Inbound, frozen=True, kw_only=True):
    name: ToolName


class NamedToolChoice(Inbound, frozen=True, kw_only=True):
    """Forces the one named tool."""

    function: NamedFunction
    type: Literal["function"] = field(default_factory=lambda: "function")


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedToolChoice


class TextFormat(Inbound, frozen=True, kw_only=True, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Inbound, frozen=True, kw_only=True, tag_field="type", tag="json_object"):
    pass


class NamedSchema(Inbound, frozen=True, kw_only=True):
    name: Name
    schema: Json | None = None
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Inbound, frozen=True, kw_only=True, tag_field="type", tag="json_schema"):
    json_schema: NamedSchema


ResponseFormat: TypeAlias = TextFormat | JsonObjectFormat | JsonSchemaFormat


class StreamOptions(Inbound, frozen=True, kw_only=True):
    """Usage ends every stream, asked for or not; `include_usage` only chooses OpenAI's separate last chunk for it."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCall(Call, frozen=True, kw_only=True):
    """One chat completion to be made, the same for every provider.

    `max_tokens` and `max_completion_tokens` mean the same here: the most tokens to generate, reasoning included.
    """

    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Count | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=16)] | None = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    modalities: list[Literal["text", "audio", "image"]] | None = None
    audio: Json | None = None
    prediction: Json | None = None
    web_search_options: Json | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    store: bool | None = None
    response_schema: Json | None = None

    @property
    def is_streamed(self) -> bool:
        return bool(self.stream)

    @property
    def output_limit_tokens(self) -> int | None:
        """The most tokens to generate, whichever name the client used; None when it set no limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_sequences(self) -> list[str]:
        if self.stop is None:
            return []
        return [self.stop] if isinstance(self.stop, str) else self.stop
