"""What Gemini says in a Live session: https://ai.google.dev/api/live#bidigeneratecontentservermessage (2026-11)."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from gateway.model.chat import Json
from gateway.model.usage import TokenUsage
from gateway.providers.wire.gemini_answer import Figures, ModalityCount


class _Said(Struct, frozen=True, rename="camel"):
    """Members that are not listed are passed over."""


class Blob(_Said, frozen=True):
    data: str = ""


class Part(_Said, frozen=True):
    text: str | None = None
    thought: bool = False
    inline_data: Blob | None = None


class ModelTurn(_Said, frozen=True):
    parts: list[Part] = field(default_factory=list)


class Transcript(_Said, frozen=True):
    text: str | None = None
    finished: bool = False


class ServerContent(_Said, frozen=True):
    """Transcripts come in no order with the turns that they belong to."""

    model_turn: ModelTurn | None = None
    turn_complete: bool = False
    interrupted: bool = False
    input_transcription: Transcript | None = None
    output_transcription: Transcript | None = None
    turn_complete_reason: str | None = None


class Call(_Said, frozen=True):
    name: str
    id: str | None = None
    args: Json | None = None


class ToolCall(_Said, frozen=True):
    function_calls: list[Call] = field(default_factory=list)


class Cancellation(_Said, frozen=True):
    ids: list[str] = field(default_factory=list)


class GoAway(_Said, frozen=True):
    """`time_left`: a duration of protobuf's JSON, "9.5s"."""

    time_left: str | None = None

    @property
    def seconds(self) -> float:
        """0 where it is not said, or not understood."""
        try:
            return max(0.0, float((self.time_left or "").removesuffix("s")))
        except ValueError:
            return 0.0


class Resumption(_Said, frozen=True):
    new_handle: str | None = None
    resumable: bool = False


class LiveFigures(_Said, frozen=True):
    """Thoughts are in no other count: https://discuss.ai.google.dev/t/188765 (2026-11) and recorded traffic."""

    prompt_token_count: int | None = None
    response_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    response_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None

    def tokens(self) -> TokenUsage | None:
        named = {name: getattr(self, name) for name in self.__struct_fields__ if not name.startswith("response")}
        return Figures(
            candidates_token_count=self.response_token_count,
            candidates_tokens_details=self.response_tokens_details,
            **named,
        ).tokens()


class Message(_Said, frozen=True):
    setup_complete: Json | None = None
    server_content: ServerContent | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: Cancellation | None = None
    go_away: GoAway | None = None
    session_resumption_update: Resumption | None = None
    usage_metadata: LiveFigures | None = None


MESSAGE = msgspec.json.Decoder(Message)
