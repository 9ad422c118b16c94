"""Perplexity: every chunk repeats the text so far, the sources and usage; no [DONE]; a wrong key gets HTML."""

from collections.abc import Iterator

from local.simulators.http1 import Request
from local.simulators.providers.chat import COMMON, FINISH, ChatApi, ChatCall, without_logprobs
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, kind_of, statuses
from local.simulators.providers.perplexity_async import PATH, AsyncCall, look
from local.simulators.script import Answer, Usage
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    Asked,
    Filed,
    Json,
    Refused,
    check_key,
    decode_object,
    integer,
)

HTML_401 = "<html>\n<head><title>401 Authorization Required</title></head>\n<body></body>\n</html>\n"
SOURCE = "https://example.com/simulated-source"
SOURCES: Json = {
    "citations": [SOURCE],
    "search_results": [{"title": "Simulated source", "url": SOURCE, "date": "2026-01-15", "snippet": "An example."}],
}


def error_body(refused: Refused, status: int) -> Json | str:
    """JSON, except that 401 comes from the proxy in front."""
    if status == 401:  # https://github.com/perplexityai/api-discussion/issues/281
        return HTML_401
    kind = "invalid_model" if refused.kind == "model_not_found" else kind_of(status)
    return {"error": {"message": refused.message, "type": kind, "code": status}}


class Perplexity(ChatApi):
    """Perplexity's chat completions."""

    name, prefix = "perplexity", "/perplexity"
    strict = False
    rules = COMMON | {
        "search_domain_filter": LIST,
        "search_recency_filter": TEXT,
        "search_mode": TEXT,
        "web_search_options": OBJECT,
        "return_images": FLAG,
        "return_related_questions": FLAG,
    }
    models = ("sonar", "sonar-pro", "sonar-reasoning-pro", "sonar-deep-research")
    errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))
    embeddings = EmbeddingRules(
        path="/v1/embeddings",
        rules={"model": TEXT, "input": ANY, "dimensions": integer(128), "encoding_format": TEXT},
        max_inputs=512,
        max_tokens=120_000,
        encodings=("base64_int8",),
        int8=True,
    )
    usage_always = True
    role_first = False
    # With a schema too: https://docs.perplexity.ai/guides/structured-outputs
    thinkers = ("sonar-reasoning-pro", "sonar-deep-research")
    reply_extras = chunk_extras = SOURCES
    stream_type = "text/event-stream"
    trailer = ()

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        if not path.startswith(PATH):
            return super().read(request, path)
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if path != PATH:
            return look(request, path.removeprefix(f"{PATH}/"))
        return AsyncCall(self, decode_object(request.body))

    def reasons(self, body: Json) -> bool:
        return body["model"] in self.thinkers

    def reply_id(self, number: int) -> str:
        return f"{number:08x}-0000-4000-8000-000000000000"

    def usage(self, usage: Usage) -> Json:
        cost = {"input_tokens_cost": 0.00001, "output_tokens_cost": 0.00001, "request_cost": 0.005}
        counts = super().usage(usage) | {"search_context_size": "low", "cost": cost | {"total_cost": 0.00502}}
        return counts | ({"reasoning_tokens": usage.reasoning} if usage.reasoning else {})

    def choice(self, at: int, answer: Answer) -> Json:
        return without_logprobs(super().choice(at, answer)) | {"delta": {"role": "assistant", "content": ""}}

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        choice: Json = {"index": at, "delta": {"role": "assistant", "content": ""} | delta}
        return choice | {"finish_reason": finish} if finish else choice

    def decorate(self, chunk: Json, call: ChatCall) -> Json:
        """Adds the sources, and the whole text so far to the choice."""
        choice = chunk["choices"][0]
        call.said += choice["delta"].get("content") or ""
        choice["message"] = {"role": "assistant", "content": call.said}
        return super().decorate(chunk, call)

    def final_chunks(self, call: ChatCall, envelope: Json, answer: Answer) -> Iterator[Json]:
        chunk = envelope | {"choices": [self.chunk_choice(0, {}, FINISH.get(answer.finish, answer.finish))]}
        if answer.usage:
            chunk["usage"] = self.usage(answer.usage)
        yield self.decorate(chunk, call) | {"object": "chat.completion.done"}
