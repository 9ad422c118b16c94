"""Videos: the normalised call, how a provider gets on with one, and what the client receives.

Source of names and bounds: https://platform.openai.com/docs/api-reference/videos (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gateway.model.call import Call
from gateway.model.completion import AttemptReport, LeftOut
from gateway.model.unshown import Unshown
from gateway.model.wire import Inbound, Outbound

MAX_PROMPT_CHARACTERS = 32_000

Progress: TypeAlias = Literal["pending", "running", "completed", "failed"]
Size: TypeAlias = Annotated[str, Meta(pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}\Z")]


class InputReference(Inbound, frozen=True, kw_only=True):
    """A picture that the video begins with: a file of the tenant, or a URL (https, or data: with base64)."""

    file_id: str | None = None
    image_url: Annotated[str, Meta(max_length=8_000_000)] | None = None


class VideoCall(Call, frozen=True, kw_only=True):
    """`seconds`, `size` (width x height): None takes the model's own. `async_`: false waits for the video."""

    prompt: Annotated[str, Meta(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
    seconds: Annotated[int, Meta(ge=1, le=600)] | Annotated[str, Meta(pattern=r"^[1-9]\d{0,2}\Z")] | None = None
    size: Size | None = None
    input_reference: InputReference | None = None


class Picture(Unshown, frozen=True):
    """`content_type`: by the bytes."""

    UNSHOWN: ClassVar = ("data",)

    data: bytes
    content_type: str


class VideoOrder(Struct, frozen=True):
    """A call as the chosen model takes it. `resolution` ("720p"), `aspect_ratio` ("16:9"): what `size` means there."""

    prompt: str
    seconds: int
    size: str
    resolution: str
    aspect_ratio: str
    picture: Picture | None = None
    options: dict[str, Any] = field(default_factory=dict)


class VideoState(Struct, frozen=True):
    """What a provider says of a video. `percent`: None where it does not say.

    `source`: where the finished one is. `seconds`: how long it is, None for as long as was asked for.
    `message`, `code`: why there is none. `is_refused`: whether it refuses the request itself. `is_charged`: whether it
    charges for what it does not give. `stated_cost_nano_usd`: what it says that it charges, whatever came of it.
    """

    progress: Progress
    percent: int | None = None
    source: str | None = None
    seconds: int | None = None
    message: str = ""
    code: str | None = None
    is_refused: bool = False
    is_charged: bool = False
    stated_cost_nano_usd: int | None = None


class VideoFailure(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    code: str
    message: str


class VideoUsage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`cost_estimate`: USD, null when the model's price is unknown. `units`: counts by name (`model/units.py`)."""

    units: dict[str, int]
    cost_estimate: float | None


class VideoReport(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """The `gateway` member: who makes it and, when it is finished, where it is. `url_expires_at`: Unix seconds.

    `fallback_used`, `attempts`, `left_out`: as in every `gateway` member; the time of the one that makes it is that
    until it had begun, its cost unknown until the end.
    """

    request_id: str
    provider: str
    model_requested: str
    model_used: str
    fallback_used: bool
    attempts: list[AttemptReport]
    left_out: Sequence[LeftOut] | UnsetType = UNSET
    url: str | None = None
    url_expires_at: int | None = None
    file_id: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None


class Video(Outbound, frozen=True, kw_only=True, omit_defaults=False, tag_field="object", tag="video"):
    """`seconds`: a string, as at OpenAI. `usage`: null until the video is finished. `prompt` is never kept."""

    id: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    model: str
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    seconds: str
    size: str
    error: VideoFailure | None
    usage: VideoUsage | None
    gateway: VideoReport
    prompt: None = None
    remixed_from_video_id: None = None


class VideoList(Outbound, frozen=True, kw_only=True, omit_defaults=False, tag_field="object", tag="list"):
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(Outbound, frozen=True, kw_only=True, omit_defaults=False, tag_field="object", tag="video.deleted"):
    id: str
    deleted: bool = True
