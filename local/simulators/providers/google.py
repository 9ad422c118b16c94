"""Google's Gemini API: generateContent and streamGenerateContent, with google.rpc errors."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

import msgspec

from local.simulators.http1 import Request
from local.simulators.live import Live
from local.simulators.providers import google_videos
from local.simulators.providers.google_batches import VERBS as BATCH_VERBS
from local.simulators.providers.google_batches import GoogleBatches
from local.simulators.providers.google_embed import read_batch
from local.simulators.providers.google_files import FILE, JSON_UTF8, UPLOAD, GoogleFiles
from local.simulators.providers.google_images import read_imagen, read_picture, wants_image
from local.simulators.providers.google_live import LiveSession
from local.simulators.providers.google_request import read_request
from local.simulators.providers.google_speech import read_speech, wants_speech
from local.simulators.script import Answer, ToolCall, Usage
from local.simulators.wire import (
    UNKNOWN_MODEL,
    Api,
    Asked,
    Call,
    Event,
    Filed,
    Json,
    Kind,
    Refused,
    Reply,
    check_key,
    decode_object,
    encode,
)

MODELS = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-flash-preview")
VERBS = ("generateContent", "streamGenerateContent", "batchEmbedContents", "predict", "predictLongRunning")
VERSIONS = ("v1", "v1beta", "v1alpha")
FINISH = {"length": "MAX_TOKENS", "filter": "SAFETY"}
# a wrong key is a 400 and no key a 403: seen in recorded traffic
STATUSES: dict[Kind, int] = {"missing_key": 403, "model_not_found": 404, "no_route": 404}
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
LIVE = "/ws/google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContent"
MAX_REQUEST_BYTES = 20 * 1024 * 1024
RPC = "type.googleapis.com/google.rpc."


class Google(Api):
    """The Gemini API. Its errors are google.rpc statuses; the wait of a 429 is in the body, not in a header."""

    name, prefix = "google", "/google"
    id_header = None

    def __init__(self) -> None:
        self._files = GoogleFiles()
        self._batches = GoogleBatches(self, self._files)

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        if self._files.is_upload(request, path):
            return self._files.receive(request)
        query = parse_qs(request.query)
        check_key(request.headers.get("x-goog-api-key") or query.get("key", [""])[0])
        if UPLOAD.fullmatch(path) and request.method == "POST":
            return self._files.announce(request, path)
        if of_batch := self._batches.answer(request, path):
            return of_batch
        if request.method == "GET" and (of_video := google_videos.read(request, path)):
            return of_video
        if file := FILE.fullmatch(path):
            return self._files.answer(request, file["name"])
        return self._call(request, path)

    def live(self, request: Request, path: str, armed: Callable[[str], dict[str, str]], /) -> Live:
        """What the model is, the first message says."""
        query = parse_qs(request.query)
        check_key(request.headers.get("x-goog-api-key") or query.get("key", [""])[0])
        if path not in map(LIVE.format, VERSIONS):
            return super().live(request, path, armed)
        return LiveSession(armed)

    def _call(self, request: Request, path: str) -> Asked | Json | Filed:
        """Of a model. Raises Refused."""
        version, _, resource = path[1:].partition("/")
        if version not in VERSIONS:
            raise Refused("no_route", "The requested URL was not found on this server.")
        if request.method == "GET" and resource == "models":
            return _model_list()
        model, _, verb = resource.removeprefix("models/").partition(":")
        if request.method != "POST" or verb not in (*VERBS, *BATCH_VERBS):
            raise Refused("no_route", "The requested URL was not found on this server.")
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"models/{model} is not found for API version {version}.")
        if len(request.body) > MAX_REQUEST_BYTES:
            raise Refused("out_of_range", f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
        if verb in BATCH_VERBS:
            return self._batches.create(request, model, verb)
        query = parse_qs(request.query)
        stream, body = verb == "streamGenerateContent", decode_object(request.body)
        if (other := _read_other(verb, model, body)) is not None:
            return other
        self._files.resolve(body)
        return GenerateCall(model, body, stream, sse=query.get("alt") == ["sse"])

    def refuse(self, refused: Refused) -> Reply:
        status = refused.status if refused.kind == "fault" else STATUSES.get(refused.kind, 400)
        code = CODES.get(status, "UNAVAILABLE" if status > 500 else "UNKNOWN")
        error: Json = {
            "code": status,
            "message": refused.message,
            "status": refused.code if refused.kind == "fault" and refused.code else code,
        }
        details = _details(refused)
        return Reply(status, JSON_UTF8, encode({"error": error | ({"details": details} if details else {})}))

    def stream_error(self, status: int) -> Iterable[Event]:
        reply = self.refuse(Refused("fault", "The server had an error while streaming.", status=status))
        return (Event(b"data: " + reply.body + b"\r\n\r\n"),)


def _read_other(verb: str, model: str, body: Json) -> Asked | None:
    """What is no chat. Raises Refused."""
    if verb == "batchEmbedContents":
        return read_batch(model, body)
    if verb == "predict":
        return read_imagen(model, body)
    if verb == "predictLongRunning":
        return google_videos.begin(model, body)
    if verb == "streamGenerateContent" and wants_speech(body):
        return read_speech(model, body)
    return read_picture(model, body) if verb == "generateContent" and wants_image(body) else None


class GenerateCall(Call):
    """A checked request to generateContent or streamGenerateContent."""

    body_type = "application/json; charset=UTF-8"

    def __init__(self, model: str, body: Json, stream: bool, *, sse: bool) -> None:
        """Raises Refused."""
        self.stream = stream
        self.stream_type = "text/event-stream" if sse else self.body_type
        self._sse = sse
        self.prompt, self.settings, self._show_thoughts = read_request(model, body)

    def body(self, answer: Answer) -> Json:
        thoughts = [{"text": answer.reasoning_text, "thought": True}] if self._thoughts(answer) else []
        text = [{"text": answer.text}] if not answer.calls else []
        parts: list[Json] = [*thoughts, *text, *(self._call(call, at) for at, call in enumerate(answer.calls))]
        candidates = [self._candidate(at, parts, answer) for at in range(answer.n)]
        return self._response(answer, candidates, answer.usage.reply if answer.usage else 0)

    def events(self, answer: Answer) -> Iterator[Event]:
        """Server-sent events, or without alt=sse the elements of one JSON array."""
        before = b"["
        for chunk, content in self._chunks(answer):
            if self._sse:
                yield Event(b"data: " + encode(chunk) + b"\r\n\r\n", content)
            else:
                yield Event(before + encode(chunk), content)
                before = b",\r\n"
        if not self._sse:
            yield Event(b"]")

    def _chunks(self, answer: Answer) -> Iterator[tuple[Json, bool]]:
        said = 0
        for part in self._stream_parts(answer):
            said += "text" in part and not part.get("thought")
            candidates = [self._candidate(at, [part], None) for at in range(answer.n)]
            yield self._response(answer, candidates, said * answer.n), True
        candidates = [self._candidate(at, [{"text": ""}], answer) for at in range(answer.n)]
        yield self._response(answer, candidates, answer.usage.reply if answer.usage else 0), False

    def _stream_parts(self, answer: Answer) -> Iterator[Json]:
        for piece in self._thoughts(answer):
            yield {"text": piece, "thought": True}
        for piece in answer.pieces:
            yield {"text": piece}
        for at, call in enumerate(answer.calls):
            yield self._call(call, at)

    def _thoughts(self, answer: Answer) -> list[str]:
        return answer.reasoning if self._show_thoughts else []

    def _call(self, call: ToolCall, at: int) -> Json:
        function: Json = {"name": call.name, "args": _arguments(call)}
        if not self.prompt.model.startswith("gemini-3"):
            return {"functionCall": function}
        part: Json = {"functionCall": function | {"id": f"sim{call.number:05d}"}}
        return part | ({"thoughtSignature": f"c2ltdWxhdGVk{call.number:08d}"} if at == 0 else {})

    def _candidate(self, at: int, parts: list[Json], ended: Answer | None) -> Json:
        """One candidate; with ``ended`` it carries the reason why the reply ended."""
        candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": at}
        if ended:
            candidate["finishReason"] = FINISH.get(ended.finish, "STOP")
            if ended.finish == "filter":
                del candidate["content"]
        return candidate

    def _response(self, answer: Answer, candidates: list[Json], said: int) -> Json:
        response: Json = {"candidates": candidates}
        if answer.usage:
            response["usageMetadata"] = _usage(answer.usage, said)
        return response | {"modelVersion": self.prompt.model, "responseId": f"sim{answer.number:017d}"}


def _usage(usage: Usage, said: int) -> Json:
    """`candidatesTokenCount` excludes thoughts; the total has both."""
    counts: Json = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": said,
        "totalTokenCount": usage.prompt + said + usage.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.prompt}],
        "serviceTier": "standard",
    }
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
        counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
    return counts


def _arguments(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return {}


def _details(refused: Refused) -> list[Json]:
    if refused.kind == "wrong_key":
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        return [{"@type": RPC + "ErrorInfo", **reason, "metadata": {"service": "generativelanguage.googleapis.com"}}]
    if refused.retry_after_s is not None:
        return [{"@type": RPC + "RetryInfo", "retryDelay": f"{refused.retry_after_s:g}s"}]
    if refused.param:
        violation = {"field": refused.param, "description": refused.message}
        return [{"@type": RPC + "BadRequest", "fieldViolations": [violation]}]
    return []


def _model_list() -> Json:
    methods = ["generateContent", "countTokens"]
    rows = [{"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods} for name in MODELS]
    return {"models": rows}
