"""Google's Veo: predictLongRunning begins an operation, which is looked at until it is done.

Sources: https://ai.google.dev/gemini-api/docs/veo, https://ai.google.dev/api/models#method:-models.predictlongrunning
(2026-11). The finished video is downloaded with the key, from where Google redirects to its storage. What it blocks is
not charged: "You will not be charged if your video is blocked from generating".
"""

from __future__ import annotations

import base64
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.video import VideoOrder, VideoState
from gateway.providers.contract import Target
from gateway.providers.wire.failures import public_reason
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.video_answer import WITHOUT_VIDEO, decoded, with_allowed

OPTIONS = ("negativePrompt", "personGeneration", "seed")
"""Members of `parameters`."""


class Status(Struct):
    code: int = 0
    message: str = ""


class Located(Struct):
    uri: str | None = None


class Sample(Struct):
    video: Located


class Generated(Struct, rename="camel"):
    generated_samples: list[Sample] = field(default_factory=list)
    rai_media_filtered_reasons: list[str] = field(default_factory=list)


class Outcome(Struct, rename="camel"):
    generate_video_response: Generated = field(default_factory=Generated)


class Operation(Struct):
    """`name`: "models/{model}/operations/{id}"."""

    name: str
    done: bool = False
    error: Status | None = None
    response: Outcome | None = None


_OPERATION = msgspec.json.Decoder(Operation)
_INVALID_ARGUMENT, _FAILED_PRECONDITION = 3, 9  # google.rpc.Code
_FILTERED = "filtered"


class Veo:
    """Only what is asked for is sent: the model's own defaults are those of the catalog."""

    def render(self, order: VideoOrder, target: Target) -> HttpRequest:
        instance: Json = {"prompt": order.prompt}
        if order.picture is not None:
            encoded = base64.b64encode(order.picture.data).decode()
            instance["image"] = {"bytesBase64Encoded": encoded, "mimeType": order.picture.content_type}
        parameters: Json = {
            "durationSeconds": order.seconds,
            "resolution": order.resolution,
            "aspectRatio": order.aspect_ratio,
        }
        parameters = with_allowed(parameters, order, target, OPTIONS)
        url = f"{target.base_url}/v1beta/models/{quote(target.model.id, safe='')}:predictLongRunning"
        body = msgspec.json.encode({"instances": [instance], "parameters": parameters})
        return HttpRequest("POST", url, {"content-type": "application/json"}, body)

    def parse(self, response: HttpResponse, target: Target) -> str:
        return decoded(_OPERATION, response, target).name

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/v1beta/{quote(remote_id, safe='/')}", {})

    def state(self, response: HttpResponse, target: Target) -> VideoState:
        operation = decoded(_OPERATION, response, target)
        if not operation.done:
            return VideoState("running")
        if operation.error is not None:
            message = public_reason(operation.error.message)
            is_refused = operation.error.code in (_INVALID_ARGUMENT, _FAILED_PRECONDITION)
            return VideoState("failed", message=message, code=str(operation.error.code), is_refused=is_refused)
        made = operation.response.generate_video_response if operation.response else Generated()
        for sample in made.generated_samples:
            if sample.video.uri:
                return VideoState("completed", 100, sample.video.uri)
        if made.rai_media_filtered_reasons:
            reason = public_reason(made.rai_media_filtered_reasons[0])
            return VideoState("failed", message=reason, code=_FILTERED, is_refused=True)
        return VideoState("failed", message=WITHOUT_VIDEO, code="done")

    def download(self, source: str, target: Target) -> HttpRequest | None:
        """The key goes to Google's own address only."""
        return HttpRequest("GET", source, {}) if source.startswith(f"{target.base_url}/") else None

    def cancel(self, _remote_id: str, _target: Target) -> HttpRequest | None:
        return None

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
