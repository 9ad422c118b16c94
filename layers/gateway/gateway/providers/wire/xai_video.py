"""xAI's videos: one request begins a video, another one asks for it until its URL is there.

Sources: https://docs.x.ai/developers/rest-api-reference/inference/videos, https://docs.x.ai/developers/cost-tracking
(2026-11). The URL opens without a key.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.video import VideoOrder, VideoState
from gateway.providers.contract import Target
from gateway.providers.wire.failures import failure, public_reason
from gateway.providers.wire.video_answer import WITHOUT_VIDEO, data_url, decoded, with_allowed

OPTIONS = ("user",)


class Begun(Struct):
    request_id: str


class Located(Struct):
    url: str | None = None
    duration: float | None = None
    respect_moderation: bool = True


class Problem(Struct):
    code: str | None = None
    message: str = ""


class Answer(Struct):
    """`status`: "pending", "done", "failed" or "expired". `usage`: {"cost_in_usd_ticks": …}, what is billed."""

    status: str | None = None
    progress: float | None = None
    video: Located | None = None
    error: Problem | str | None = None
    usage: Any = None


class Refusal(Struct):
    code: str | None = None
    error: str | None = None


_BEGUN = msgspec.json.Decoder(Begun)
_ANSWER = msgspec.json.Decoder(Answer)
_REFUSAL = msgspec.json.Decoder(Refusal)
_UNMODERATED = "respect_moderation"
TICKS_PER_NANO_USD = 10  # 10,000,000,000 ticks are 1 USD


class XaiVideo:
    def render(self, order: VideoOrder, target: Target) -> HttpRequest:
        """With a picture the video has the picture's own aspect ratio, which another one would stretch."""
        body: Json = {
            "model": target.model.id,
            "prompt": order.prompt,
            "duration": order.seconds,
            "resolution": order.resolution,
        }
        if order.picture is None:
            body["aspect_ratio"] = order.aspect_ratio
        else:
            body["image"] = {"url": data_url(order.picture)}
        body = with_allowed(body, order, target, OPTIONS)
        headers = {"content-type": "application/json"}
        return HttpRequest("POST", f"{target.base_url}/videos/generations", headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> str:
        return decoded(_BEGUN, response, target).request_id

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/videos/{quote(remote_id, safe='')}", {})

    def state(self, response: HttpResponse, target: Target) -> VideoState:
        answer = decoded(_ANSWER, response, target)
        if answer.status == "pending":
            return VideoState("running", None if answer.progress is None else int(answer.progress))
        if answer.status == "done":
            return replace(_done(answer.video or Located()), stated_cost_nano_usd=_stated(answer.usage))
        if answer.status in ("failed", "expired"):
            return replace(_failed(answer, answer.status), stated_cost_nano_usd=_stated(answer.usage))
        raise ProviderError(f"{target.provider} sent something that is no state of a video.")

    def download(self, _source: str, _target: Target) -> HttpRequest | None:
        return None

    def cancel(self, _remote_id: str, _target: Target) -> HttpRequest | None:
        return None

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        try:
            said = _REFUSAL.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = Refusal()
        return failure(target.provider, response, code=said.code, reason=said.error)


def _done(video: Located) -> VideoState:
    """A video that moderation stopped is "done", without a URL, and charged as if it were there:
    https://fal.ai/models/xai/grok-imagine-video/text-to-video
    """
    if video.url:
        return VideoState("completed", 100, video.url, _whole(video.duration))
    if video.respect_moderation:
        return VideoState("failed", message=WITHOUT_VIDEO, code="done", is_charged=True)
    said = "The video was stopped by the provider's moderation."
    return VideoState("failed", message=said, code=_UNMODERATED, is_refused=True, is_charged=True)


def _failed(answer: Answer, status: str) -> VideoState:
    """One that expired was made."""
    problem = answer.error if isinstance(answer.error, Problem) else Problem(message=answer.error or "")
    message, code = public_reason(problem.message), problem.code or status
    return VideoState("failed", message=message, code=code, is_charged=status == "expired")


def _stated(usage: Any) -> int | None:
    """In nano-USD, rounded up."""
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, dict) else None
    return -(-ticks // TICKS_PER_NANO_USD) if isinstance(ticks, int) and ticks >= 0 else None


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None or seconds <= 0 else -int(-seconds // 1)
