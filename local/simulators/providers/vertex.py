"""Vertex AI: Gemini and Claude below a project and its location; Gemini with an API key alone, too.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from local.simulators.http1 import Request
from local.simulators.providers.anthropic import Anthropic, MessagesCall
from local.simulators.providers.anthropic_request import check
from local.simulators.providers.google import GenerateCall, Google
from local.simulators.providers.google_embed import read_content, read_predict
from local.simulators.providers.google_images import read_imagen, read_picture, wants_image
from local.simulators.providers.google_request import camel
from local.simulators.script import Answer
from local.simulators.wire import UNKNOWN_MODEL, Api, Asked, Call, Json, Refused, Reply, check_key, decode_object

PATH = re.compile(
    r"/(?P<version>v1|v1beta1)(?P<project>/projects/[^/]+/locations/[^/]+)?"
    r"/publishers/(?P<publisher>google|anthropic)/models/(?P<model>[^/:]+):(?P<verb>\w+)"
)
EMBED_VERBS = {"embedContent": read_content, "predict": read_predict}
VERBS = ("generateContent", "streamGenerateContent", *EMBED_VERBS)
NO_ROUTE = "The requested URL was not found on this server."
# Versions of the body, and as which of Anthropic's own they are checked. The newer one is what Anthropic's SDK sends.
CLAUDE_VERSIONS = {"vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21"}


def _key(request: Request) -> str:
    """An access token, or an API key."""
    return request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("x-goog-api-key", "")


def _place(path: str) -> re.Match[str]:
    """Raises Refused (no_route)."""
    found = PATH.fullmatch(path)
    if found is None:
        raise Refused("no_route", NO_ROUTE)
    return found


class Vertex(Google):
    """Gemini; a wrong or missing key is a 401 here."""

    name, prefix = "vertex", "/vertex"
    settings: ClassVar[Mapping[str, str]] = {"project": "simulated", "location": "global"}

    def __init__(self) -> None:
        self._claude = VertexClaude()

    def at(self, path: str) -> tuple[Api, str]:
        return (self._claude if "/publishers/anthropic/" in path else self), path

    def read(self, request: Request, path: str) -> Asked | Json:
        check_key(_key(request))
        place = _place(path)
        body = decode_object(request.body)
        if place["verb"] not in VERBS or request.method != "POST":
            raise Refused("no_route", NO_ROUTE)
        if place["model"] == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"Publisher Model `{UNKNOWN_MODEL}` not found.")
        if place["verb"] in EMBED_VERBS or (place["verb"] == "generateContent" and wants_image(body)):
            return _made(place["verb"], place["model"], body)
        if "store" in body:
            message = 'Invalid JSON payload received. Unknown name "store": Cannot find field.'
            raise Refused("unknown_parameter", message, param="store")
        _check_files(body)
        stream = place["verb"] == "streamGenerateContent"
        return VertexCall(place["model"], body, stream, sse="alt=sse" in request.query)

    def refuse(self, refused: Refused) -> Reply:
        if refused.kind in ("missing_key", "wrong_key"):
            refused = Refused("fault", "Request had invalid authentication credentials.", status=401)
        return super().refuse(refused)


def _made(verb: str, model: str, body: Json) -> Asked:
    """Of what is no chat."""
    if verb == "generateContent":
        return read_picture(model, body)
    if verb == "predict" and "imagen" in model:
        return read_imagen(model, body)
    return EMBED_VERBS[verb](model, body)


def _check_files(body: Json) -> None:
    """Raises Refused for a file without its type."""
    contents: list[Any] = body.get("contents") or []
    parts = [part for content in contents if isinstance(content, dict) for part in content.get("parts") or ()]
    for part in parts:
        file = camel(camel(part).get("fileData"))
        if file and not file.get("mimeType"):
            raise Refused("missing_parameter", "Unable to submit request because it must have a mimeType.")


class VertexCall(GenerateCall):
    """A checked request; Vertex leaves out the index of the only candidate and tells its kind of traffic."""

    def _response(self, answer: Answer, candidates: list[Json], said: int) -> Json:
        response = super()._response(answer, candidates, said)
        for candidate in candidates:
            if candidate.get("index") == 0:
                del candidate["index"]
        if "usageMetadata" in response:
            del response["usageMetadata"]["serviceTier"]
            response["usageMetadata"]["trafficType"] = "ON_DEMAND"
        return response | {"createTime": "2026-01-15T00:00:00.000000Z"}


class VertexClaude(Anthropic):
    """Anthropic's messages: the model in the path, the version in the body, two methods."""

    name = "vertex"

    def read(self, request: Request, path: str) -> Call | Json:
        check_key(_key(request))
        place = _place(path)
        body = decode_object(request.body)
        if request.method != "POST" or place["project"] is None or place["version"] != "v1":
            raise Refused("no_route", "Not found")
        if place["verb"] != ("streamRawPredict" if body.get("stream") else "rawPredict"):
            raise Refused("no_route", "Not found")
        if "model" in body:
            raise Refused("unknown_parameter", "model: Extra inputs are not permitted", param="model")
        version = CLAUDE_VERSIONS.get(body.pop("anthropic_version", None))
        if version is None:
            raise Refused("missing_parameter", "anthropic_version: Field required", param="anthropic_version")
        _refuse_urls(body)
        body["model"] = place["model"]
        check(body, version)
        return MessagesCall(body, count_thinking=False)


def _refuse_urls(body: Json) -> None:
    """https://github.com/anthropics/anthropic-sdk-typescript/issues/1038"""
    for at, message in enumerate(body.get("messages") or ()):
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(source := block.get("source"), dict) and source.get("type") == "url":
                raise Refused("wrong_type", f"messages.{at}: URL sources are not supported", param="messages")
