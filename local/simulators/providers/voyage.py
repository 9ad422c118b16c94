"""Voyage AI: embeddings and nothing else; tokens in one total, errors as `detail`.

https://docs.voyageai.com/reference/embeddings-api, https://docs.voyageai.com/docs/error-codes
"""

from collections.abc import Iterable

from local.simulators.http1 import Request
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.wire import (
    ANY,
    FLAG,
    TEXT,
    Api,
    Asked,
    Event,
    Json,
    Refused,
    Reply,
    check_key,
    decode_object,
    integer,
)

MAX_TOKENS = 120_000
"""Of the models that take the fewest."""


def error_body(refused: Refused, _status: int) -> Json:
    """`{"detail": <message>}`."""
    return {"detail": refused.message}


class Voyage(Api):
    """The embeddings endpoint."""

    name, prefix = "voyage", "/voyage/v1"
    _errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))
    _embeddings = EmbeddingRules(
        rules={
            "model": TEXT,
            "input": ANY,
            "input_type": TEXT,
            "truncation": FLAG,
            "output_dimension": integer(1),
            "output_dtype": TEXT,
            "encoding_format": TEXT,
        },
        max_inputs=1000,
        max_tokens=MAX_TOKENS,
        dimensions="output_dimension",
        fixed=("finance", "law"),
        encodings=("float", "base64"),
        total_only=True,
    )

    def read(self, request: Request, path: str) -> Asked:
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if request.method != "POST" or path != "/embeddings":
            raise Refused("no_route", "Not Found")
        body = decode_object(request.body)
        if body.get("encoding_format") == "float":  # left out, or base64
            raise Refused("wrong_type", "Value 'float' is not a valid encoding_format.", param="encoding_format")
        if body.get("input_type") not in (None, "query", "document"):
            raise Refused("wrong_type", "input_type must be query, document or null.", param="input_type")
        return self._embeddings.read(body)

    def refuse(self, refused: Refused) -> Reply:
        return self._errors.render(refused)

    def stream_error(self, _status: int) -> Iterable[Event]:
        return ()  # nothing is streamed here
