"""Google's Veo: predictLongRunning and its operations. https://ai.google.dev/gemini-api/docs/veo"""

import re

from local.simulators.callbacks import CALLBACKS
from local.simulators.http1 import Request
from local.simulators.providers.google_files import JSON_UTF8
from local.simulators.providers.videos import VideoAsked
from local.simulators.videos import VIDEOS, MadeVideo, noted, public_url
from local.simulators.wire import Filed, Json, Refused, Reply, encode

OPERATION = re.compile(r"models/(?P<model>[^/]+)/operations/(?P<name>[^/]+)")
DOWNLOAD = re.compile(r"files/(?P<name>[^/]+):download")
HEIGHTS = {"720p": 720, "1080p": 1080, "4k": 2160}
PARAMETERS = {
    *("aspectRatio", "durationSeconds", "resolution", "negativePrompt", "personGeneration", "seed"),
    *("sampleCount", "numberOfVideos", "enhancePrompt", "generateAudio"),
}
GENERATED: Json = {"type": "video.generated", "version": "v1"}
"""https://ai.google.dev/gemini-api/docs/webhooks"""
RESPONSE = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"


def begin(model: str, body: Json) -> VideoAsked:
    """Raises Refused."""
    instances, parameters = body.get("instances"), body.get("parameters") or {}
    if not isinstance(instances, list) or len(instances) != 1 or not isinstance(instances[0].get("prompt"), str):
        raise Refused("missing_parameter", "instances holds one prompt.", param="instances")
    if unknown := set(parameters) - PARAMETERS:
        raise Refused("unknown_parameter", f"Invalid parameter {sorted(unknown)}.", param="parameters")
    seconds, resolution = parameters.get("durationSeconds", 8), parameters.get("resolution", "720p")
    if seconds not in (4, 6, 8) or resolution not in HEIGHTS or (resolution != "720p" and seconds != 8):
        said = f"The number value for `durationSeconds` is out of bound: {seconds} at {resolution}."
        raise Refused("out_of_range", said, param="parameters")
    ratio = parameters.get("aspectRatio", "16:9")
    if ratio not in ("16:9", "9:16"):
        raise Refused("out_of_range", "`aspectRatio` is 16:9 or 9:16.", param="parameters")
    short = HEIGHTS[resolution]
    place = (short * 16 // 9, short) if ratio == "16:9" else (short, short * 16 // 9)

    def begun(made: MadeVideo) -> Json:
        if made.calls_s is not None:
            CALLBACKS.when("google", made.finished(), {**GENERATED, "data": {"id": made.id}})
        return {"name": f"models/{model}/operations/{made.id}"}

    return VideoAsked(model, instances[0]["prompt"], place, seconds, begun)


def read(request: Request, path: str) -> Filed | None:
    """The answer to a GET, None when it is not about a video. Raises Refused."""
    version, _, resource = path[1:].partition("/")
    if operation := OPERATION.fullmatch(resource):
        return look(request, operation["model"], operation["name"], version)
    if found := DOWNLOAD.fullmatch(resource):
        return download(request, found["name"])
    return None


def look(request: Request, model: str, name: str, version: str) -> Filed:
    """Raises Refused."""
    made = VIDEOS.find(name)
    if made is None:
        raise Refused("fault", "Requested entity was not found.", status=404)
    state = made.looked_at()
    body: Json = {"name": f"models/{model}/operations/{name}"}
    if state == "failed":
        body |= {"done": True, "error": {"code": 13, "message": "The simulated video failed."}}
    elif state in ("done", "moderated"):
        url = f"http://{request.headers.get('host', '')}/google/{version}/files/{name}:download?alt=media"
        samples: Json = {"generatedSamples": [{"video": {"uri": url}}]}
        filtered: Json = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["The simulated video was filtered."]}
        made_of = samples if state == "done" else filtered
        body |= {"done": True, "response": {"@type": RESPONSE, "generateVideoResponse": made_of}}
    return Filed(Reply(200, JSON_UTF8, encode(body)), noted(made, state))


def download(request: Request, name: str) -> Filed:
    """Leads on to where it opens without a key. Raises Refused."""
    made = VIDEOS.find(name)
    if made is None:
        raise Refused("fault", f"You do not have permission to access the File {name}.", status=403)
    return Filed(Reply(302, [("location", public_url(made, request))], b""), noted(made, "downloaded"))
