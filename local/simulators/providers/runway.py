"""Runway: videos of a text or of a picture as tasks. https://docs.dev.runwayml.com/api"""

import re
from collections.abc import Iterable

from local.simulators.http1 import Request
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.videos import VideoAsked
from local.simulators.videos import VIDEOS, MadeVideo, noted, public_url
from local.simulators.wire import (
    JSON_HEADERS,
    TEXT,
    UNKNOWN_MODEL,
    Api,
    Asked,
    Event,
    Filed,
    Json,
    Refused,
    Reply,
    check_key,
    check_parameters,
    decode_object,
    encode,
    integer,
    require,
)

VERSION = "2024-11-06"
TASK = re.compile(r"/v1/tasks/(?P<name>[^/]+)")
RATIOS = ("1280:720", "720:1280")
RULES = {"model": TEXT, "promptText": TEXT, "ratio": TEXT, "duration": integer(2, 10), "seed": integer(0, 2**32 - 1)}
MAX_PROMPT_UNITS = 1000


def error_body(refused: Refused, _status: int) -> Json:
    """`issues` name what of a body is wrong."""
    if refused.kind in ("fault", "no_route", "wrong_key", "missing_key"):
        return {"error": refused.message}
    issue = {"code": refused.kind, "path": [refused.param or ""], "message": refused.message}
    return {"error": "Validation of body failed", "issues": [issue], "docUrl": "https://docs.dev.runwayml.com/api"}


class Runway(Api):
    """`/v1/text_to_video`, `/v1/image_to_video` and `/v1/tasks/{id}`."""

    name, prefix = "runway", "/runway"
    id_header = None
    _errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if request.headers.get("x-runway-version") != VERSION:
            raise Refused("missing_parameter", "X-Runway-Version is required.", param="X-Runway-Version")
        if task := TASK.fullmatch(path):
            return _task(request, task["name"])
        if request.method != "POST" or path not in ("/v1/text_to_video", "/v1/image_to_video"):
            raise Refused("no_route", "Not found")
        return _begin(decode_object(request.body), of_picture=path == "/v1/image_to_video")

    def refuse(self, refused: Refused) -> Reply:
        return self._errors.render(refused)

    def stream_error(self, _status: int) -> Iterable[Event]:
        return ()  # nothing is streamed here


def _begin(body: Json, *, of_picture: bool) -> VideoAsked:
    require(body, "model", "promptText", "ratio", "duration", *(("promptImage",) if of_picture else ()))
    check_parameters(body, RULES | ({"promptImage": TEXT} if of_picture else {}), strict=True)
    if body["model"] == UNKNOWN_MODEL or (body["model"] == "gen4_turbo" and not of_picture):
        raise Refused("model_not_found", "Invalid model for this endpoint.", param="model")
    if not 0 < len(body["promptText"].encode("utf-16-le")) // 2 <= MAX_PROMPT_UNITS:
        raise Refused("out_of_range", f"Prompts have at most {MAX_PROMPT_UNITS} characters.", param="promptText")
    if body["ratio"] not in RATIOS:
        raise Refused("out_of_range", "Invalid ratio.", param="ratio")
    width, height = map(int, body["ratio"].split(":"))
    return VideoAsked(
        body["model"], body["promptText"], (width, height), body["duration"], lambda made: {"id": made.id}
    )


def _task(request: Request, name: str) -> Filed:
    made = VIDEOS.find(name)
    if made is None:
        raise Refused("fault", "Task not found", status=404)
    if request.method == "DELETE":
        made.cancelled = True
        return Filed(Reply(204, [], b""), {**noted(made, "cancelled"), "deleted": True})
    if request.method != "GET":
        raise Refused("no_route", "Not found")
    state = made.looked_at()
    body: Json = {"id": name, "createdAt": "2026-11-29T00:00:00.000Z", **_state(made, state, request)}
    return Filed(Reply(200, JSON_HEADERS, encode(body)), noted(made, state))


def _state(made: MadeVideo, state: str, request: Request) -> Json:
    if state == "waiting":
        return {"status": "PENDING"}
    if state == "running":
        return {"status": "RUNNING", "progress": made.percent / 100}
    if state == "failed":
        return {
            "status": "FAILED",
            "failure": "The simulated video failed.",
            "failureCode": "INTERNAL.BAD_OUTPUT.CODE01",
        }
    if state == "moderated":
        said = "The simulated video did not pass moderation."
        return {"status": "FAILED", "failure": said, "failureCode": "SAFETY.OUTPUT.VIDEO"}
    return {"status": "SUCCEEDED", "output": [public_url(made, request)]}
