"""Error statuses and bodies of the OpenAI family: the common frame; each provider's file has its own body.

Shapes follow recorded traffic where there is some; where there is none, the source is named. Messages are our own.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from local.simulators.wire import JSON_HEADERS, Headers, Json, Kind, Refused, Reply

STATUSES: Mapping[Kind, int] = {"missing_key": 401, "wrong_key": 401, "model_not_found": 404, "no_route": 404}
VALIDATION: tuple[Kind, ...] = (
    "missing_parameter",
    "unknown_parameter",
    "unsupported_parameter",
    "wrong_type",
    "out_of_range",
    "empty",
)


def _no_headers(_refused: Refused, _status: int) -> Headers:
    return []


class ErrorStyle(NamedTuple):
    """How one provider says no: the body (a string is HTML), statuses other than 400, extra headers."""

    body: Callable[[Refused, int], Json | str]
    statuses: Mapping[Kind, int] = STATUSES
    headers: Callable[[Refused, int], Headers] = _no_headers

    def render(self, refused: Refused) -> Reply:
        """The whole error reply."""
        status = refused.status if refused.kind == "fault" else self.statuses.get(refused.kind, 400)
        body = self.body(refused, status)
        headers = self.headers(refused, status)
        if refused.retry_after_s is not None:
            headers = [*headers, ("retry-after", f"{refused.retry_after_s:g}")]
        if isinstance(body, str):
            return Reply(status, [("content-type", "text/html"), *headers], body.encode())
        return Reply(status, [*JSON_HEADERS, *headers], msgspec.json.encode(body))


def statuses(changes: Mapping[Kind, int], *, validation: int | None = None) -> Mapping[Kind, int]:
    """The default statuses with a few changed; ``validation`` is the status of every refused parameter."""
    checked = dict.fromkeys(VALIDATION, validation) if validation else {}
    return {**STATUSES, **checked, **changes}


def kind_of(status: int) -> str:
    """The `type` that most of the family uses for a status."""
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def code_of(refused: Refused, status: int) -> str | None:
    """The `code` a validation brought along, the one a fault asked for, or the usual one of a 429."""
    if refused.code or refused.kind != "fault":
        return refused.code
    return "rate_limit_exceeded" if status == 429 else None
