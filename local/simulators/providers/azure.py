"""Azure OpenAI: the v1 API, the older ones that name the deployment in the path, and Claude beside them.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar
from urllib.parse import parse_qs

from local.simulators.http1 import Request
from local.simulators.providers.anthropic import Anthropic
from local.simulators.providers.chat import ChatCall
from local.simulators.providers.embeddings import Embedded, EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.openai import OpenAI
from local.simulators.script import Answer
from local.simulators.wire import Api, Asked, Call, Event, Filed, Json, Refused, decode_object, encode, sse

V1, DEPLOYMENTS, OLDER, MODELS, CLAUDE = "/openai/v1/", "/openai/deployments/", "/openai/", "/models/", "/anthropic/"
CODES = {"model_not_found": "DeploymentNotFound", "no_route": "404", "missing_key": "401", "wrong_key": "401"}
SAFE = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
PROMPT_FILTERS: list[Json] = [{"prompt_index": 0, "content_filter_results": SAFE}]


class CohereApart(EmbeddingRules):
    """Cohere's models behind the same address answer in numbers only."""

    def read(self, body: Json) -> Embedded:
        if "cohere" in str(body.get("model")).lower() and body.get("encoding_format") not in (None, "float"):
            raise Refused("wrong_type", "encoding_format: not supported by this model", param="encoding_format")
        return super().read(body)


AZURE_EMBEDDINGS = CohereApart(takes_tokens=True, fixed=("ada-002", "v3"))


def error_body(refused: Refused, status: int) -> Json:
    """`{"error": {code, message}}`, and OpenAI's members for what OpenAI's models refuse."""
    if status == 400:
        kind = "invalid_request_error" if refused.code != "content_filter" else None
        return {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}}
    code = CODES.get(refused.kind) or refused.code or ("RateLimitReached" if status == 429 else str(status))
    return {"error": {"code": code, "message": refused.message}}


def with_key(request: Request, header: str) -> Request:
    """The request with Azure's key where another API looks for it."""
    key = request.headers.get("api-key")
    return replace(request, headers={**request.headers, header: key}) if key else request


class AzureClaude(Anthropic):
    """Anthropic's messages on Azure."""

    name = "azure"

    def read(self, request: Request, path: str) -> Call | Json | Filed:
        return super().read(with_key(request, "x-api-key"), path)


class Azure(OpenAI):
    """Chat completions and responses, each at its three kinds of addresses."""

    name, prefix = "azure", "/azure/openai/v1"
    models = ("gpt-4o", "gpt-5-mini", "grok-4-1-fast-non-reasoning")
    errors = ErrorStyle(error_body, statuses({}))
    embeddings = AZURE_EMBEDDINGS
    batched = ()  # only of deployments that are made for it
    id_header = "apim-request-id"
    reply_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0", "prompt_filter_results": PROMPT_FILTERS}
    chunk_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0"}
    preamble = (
        Event(
            sse(
                {
                    "choices": [],
                    "created": 0,
                    "id": "",
                    "model": "",
                    "object": "",
                    "prompt_filter_results": PROMPT_FILTERS,
                }
            )
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._claude = AzureClaude()

    @property
    def root(self) -> str:
        return "/azure"

    def at(self, path: str) -> tuple[Api, str]:
        return (self._claude, path.removeprefix("/anthropic")) if path.startswith(CLAUDE) else (self, path)

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        if key := request.headers.get("api-key"):
            request = replace(request, headers={**request.headers, "authorization": f"Bearer {key}"})
        version = parse_qs(request.query).get("api-version", [""])[0]
        if path.startswith(V1):
            return super().read(request, path.removeprefix("/openai/v1"))
        if not version[:4].isdecimal():
            raise Refused("no_route", "Resource not found")
        if path.startswith(MODELS):
            return super().read(request, path.removeprefix("/models"))
        if path.startswith(DEPLOYMENTS):
            deployment, _, verb = path.removeprefix(DEPLOYMENTS).partition("/")
            body = encode(decode_object(request.body) | {"model": deployment})
            return super().read(replace(request, body=body), f"/{verb}")
        if path == f"{OLDER}responses":
            return super().read(request, "/responses")
        raise Refused("no_route", "Resource not found")

    def choice(self, at: int, answer: Answer) -> Json:
        return super().choice(at, answer) | {"content_filter_results": _filtered(answer)}

    def final_chunks(self, call: ChatCall, envelope: Json, answer: Answer) -> Iterator[Json]:
        for chunk in super().final_chunks(call, envelope, answer):
            for choice in chunk["choices"]:
                choice["content_filter_results"] = _filtered(answer)
            yield chunk


def _filtered(answer: Answer) -> Json:
    return SAFE if answer.finish != "filter" else SAFE | {"violence": {"filtered": True, "severity": "high"}}
