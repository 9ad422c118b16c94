"""What `POST /v1/batches` takes: OpenAI's order of a file, or the requests themselves."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from gateway.model.batch import KEPT_S, MAX_LINES, Processing
from gateway.model.call import Metadata
from gateway.model.errors import InvalidRequest
from gateway.model.webhook import WebhookUrl
from gateway.model.wire import Inbound
from gateway.pipeline.batch_endpoints import LINE_ENDPOINTS
from gateway.pipeline.decode import check_json_type, decoded


class ExpiresAfter(Inbound, frozen=True, kw_only=True):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3_600, le=KEPT_S)]


class BatchOrder(Inbound, frozen=True, kw_only=True):
    """`endpoint`: of all lines; of `requests` each may have its own. `webhook_url`: where the end is told.
    `output_expires_after`: when its files are gone, counted from their making. `processing`: our own.

    Source: https://platform.openai.com/docs/api-reference/batch/create
    """

    input_file_id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    requests: Annotated[list[Raw], Meta(min_length=1)] | None = None
    endpoint: str | None = None
    completion_window: Literal["24h"] = "24h"
    metadata: Metadata | None = None
    webhook_url: WebhookUrl | None = None
    output_expires_after: ExpiresAfter | None = None
    processing: Processing = "auto"

    @property
    def user(self) -> str | None:
        return None

    @property
    def async_(self) -> bool:
        return True

    @property
    def model(self) -> str:
        """Each line names its own."""
        return ""

    @property
    def conversation_id(self) -> str | None:
        return (self.metadata or {}).get("conversation_id")


_ORDER = msgspec.json.Decoder(BatchOrder)


def read_batch_order(content_type: str, body: bytes) -> BatchOrder:
    """Raises UnsupportedMediaType (415), UnreadableBody, InvalidRequest (400)."""
    check_json_type(content_type)
    order = decoded(body, _ORDER)
    if (order.input_file_id is None) == (order.requests is None):
        raise InvalidRequest("Send either input_file_id or requests.", param="input_file_id")
    if order.endpoint is not None and order.endpoint not in LINE_ENDPOINTS:
        raise InvalidRequest(f"endpoint is one of {', '.join(LINE_ENDPOINTS)}.", param="endpoint")
    if order.input_file_id is not None and order.endpoint is None:
        raise InvalidRequest("Missing required parameter, at 'endpoint'.", param="endpoint")
    if len(order.requests or ()) > MAX_LINES:
        raise InvalidRequest(f"A batch has at most {MAX_LINES} requests.", param="requests")
    return order
