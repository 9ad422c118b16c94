"""xAI's videos. https://docs.x.ai/developers/rest-api-reference/inference/videos"""

from local.simulators.http1 import Request
from local.simulators.providers.videos import VideoAsked
from local.simulators.videos import VIDEOS, noted, public_url
from local.simulators.wire import (
    JSON_HEADERS,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Filed,
    Json,
    Refused,
    Reply,
    Rule,
    check_parameters,
    encode,
    integer,
    require,
)

RULES: dict[str, Rule] = {
    "model": TEXT,
    "prompt": TEXT,
    "duration": integer(1, 15),
    "resolution": TEXT,
    "aspect_ratio": TEXT,
    "image": OBJECT,
    "user": TEXT,
}
HEIGHTS = {"480p": 480, "720p": 720}
TICKS_A_SECOND = {480: 500_000_000, 720: 700_000_000}
"""What is billed, of moderated videos too, in ten-billionths of a USD: https://docs.x.ai/developers/cost-tracking"""
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")


def begin(body: Json) -> VideoAsked:
    """Raises Refused."""
    require(body, "model", "prompt")
    check_parameters(body, RULES, strict=True)
    if body["model"] == UNKNOWN_MODEL:
        raise Refused("model_not_found", f"The model {UNKNOWN_MODEL} does not exist.", param="model")
    ratio, resolution = body.get("aspect_ratio", "16:9"), body.get("resolution", "480p")
    if ratio not in RATIOS or resolution not in HEIGHTS:
        raise Refused("out_of_range", "aspect_ratio or resolution is none that is made.", param="aspect_ratio")
    across, down = map(int, ratio.split(":"))
    short = HEIGHTS[resolution]
    place = (short * across // down, short) if across >= down else (short, short * down // across)
    seconds = body.get("duration", 8)
    return VideoAsked(body["model"], body["prompt"], place, seconds, lambda made: {"request_id": made.id})


def look(request: Request, name: str) -> Filed:
    """Raises Refused."""
    made = VIDEOS.find(name)
    if made is None:
        raise Refused("fault", "The video was not found.", status=404)
    state = made.looked_at()
    if state in ("waiting", "running"):
        return Filed(
            Reply(202, JSON_HEADERS, encode({"status": "pending", "progress": made.percent})), noted(made, state)
        )
    if state == "failed":
        error = {"code": "internal_error", "message": "The simulated video failed."}
        return Filed(Reply(200, JSON_HEADERS, encode({"status": "failed", "error": error})), noted(made, state))
    moderated = state == "moderated"
    video = {
        "url": None if moderated else public_url(made, request),
        "duration": made.seconds,
        "respect_moderation": not moderated,
    }
    ticks = TICKS_A_SECOND[min(made.width, made.height)] * made.seconds
    usage = {"cost_in_usd_ticks": ticks}
    body = {"status": "done", "video": video, "model": "grok-imagine-video", "usage": usage, "progress": 100}
    return Filed(Reply(200, JSON_HEADERS, encode(body)), noted(made, state))
