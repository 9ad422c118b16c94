"""Runway's tasks: a video of a text or of a picture is begun, looked at until it is there, and can be stopped.

Sources: https://docs.dev.runwayml.com/api, https://github.com/runwayml/sdk-python (2026-11). What is moderated costs
the same as what is made: https://docs.dev.runwayml.com/api-details/moderation
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.video import VideoOrder, VideoState
from gateway.providers.contract import Target
from gateway.providers.wire.failures import failure, public_reason
from gateway.providers.wire.video_answer import WITHOUT_VIDEO, data_url, decoded, with_allowed

VERSION = {"x-runway-version": "2024-11-06"}
OPTIONS = ("contentModeration", "seed")
_WAITING, _SAFETY = ("PENDING", "THROTTLED"), "SAFETY."


class Begun(Struct):
    id: str


class Task(Struct, rename="camel"):
    """`failure_code`: "SAFETY.INPUT.TEXT", the general before the special. `output`: URLs."""

    status: str
    progress: float | None = None
    output: list[str] = field(default_factory=list)
    failure: str | None = None
    failure_code: str | None = None


class Issue(Struct):
    message: str = ""


class Refusal(Struct):
    error: str | None = None
    issues: list[Issue] = field(default_factory=list)


_BEGUN = msgspec.json.Decoder(Begun)
_TASK = msgspec.json.Decoder(Task)
_REFUSAL = msgspec.json.Decoder(Refusal)


class RunwayTasks:
    def render(self, order: VideoOrder, target: Target) -> HttpRequest:
        body: Json = {
            "model": target.model.id,
            "promptText": order.prompt,
            "ratio": order.size.replace("x", ":"),
            "duration": order.seconds,
        }
        if order.picture is not None:
            body["promptImage"] = data_url(order.picture)
        body = with_allowed(body, order, target, OPTIONS)
        path = "text_to_video" if order.picture is None else "image_to_video"
        headers = {"content-type": "application/json", **VERSION}
        return HttpRequest("POST", f"{target.base_url}/v1/{path}", headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> str:
        return decoded(_BEGUN, response, target).id

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", _task_url(remote_id, target), VERSION)

    def state(self, response: HttpResponse, target: Target) -> VideoState:
        task = decoded(_TASK, response, target)
        if task.status in _WAITING:
            return VideoState("pending")
        if task.status == "RUNNING":
            return VideoState("running", None if task.progress is None else int(task.progress * 100))
        if task.status == "SUCCEEDED" and task.output:
            return VideoState("completed", 100, task.output[0])
        if task.status == "SUCCEEDED":
            return VideoState("failed", message=WITHOUT_VIDEO, code=task.status, is_charged=True)
        if task.status in ("FAILED", "CANCELLED"):
            message, code = public_reason(task.failure or ""), task.failure_code or task.status
            is_moderated = code.startswith(_SAFETY)
            return VideoState("failed", message=message, code=code, is_refused=is_moderated, is_charged=is_moderated)
        raise ProviderError(f"{target.provider} sent something that is no state of a video.")

    def download(self, _source: str, _target: Target) -> HttpRequest | None:
        return None

    def cancel(self, remote_id: str, target: Target) -> HttpRequest | None:
        return HttpRequest("DELETE", _task_url(remote_id, target), VERSION)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        try:
            said = _REFUSAL.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = Refusal()
        reason = "; ".join([said.error or "", *(issue.message for issue in said.issues)]).strip("; ")
        return failure(target.provider, response, code=None, reason=reason)


def _task_url(remote_id: str, target: Target) -> str:
    return f"{target.base_url}/v1/tasks/{quote(remote_id, safe='')}"
