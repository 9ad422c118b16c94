"""Anthropic's message batches. https://platform.claude.com/docs/en/api/messages/batches"""

import re
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
from msgspec import Raw

from local.simulators.batches import Batch, BatchStore, answered, noted, raw_lines, told
from local.simulators.http1 import Request
from local.simulators.wire import JSON_HEADERS, Api, Filed, Json, Refused, Reply, decode_object, encode

BATCHES = "/v1/messages/batches"
MAX_ITEMS = 100_000
STATUS = {"pending": "in_progress", "running": "in_progress", "cancelling": "canceling"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class AnthropicBatches:
    """Every request in the body of one; the results at an address of their own, as soon as all have ended."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._batches = BatchStore()

    def answer(self, request: Request, path: str) -> Filed:
        """Everything below ``/v1/messages/batches``. Raises Refused."""
        name, _, verb = path.removeprefix(BATCHES).removeprefix("/").partition("/")
        match request.method, bool(name), verb:
            case "POST", False, "":
                return self._create(request)
            case "GET", False, "":
                rows = [_body(batch, request) for batch in self._batches.newest()]
                ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {}
                body = {"data": rows, "has_more": False, "first_id": None, "last_id": None, **ends}
                return Filed(Reply(200, JSON_HEADERS, encode(body)), {"batches": len(rows)})
            case "GET", True, "":
                batch = self._find(name)
                self._batches.look(batch.id)
                return told(_body(batch, request), batch)
            case "POST", True, "cancel":
                batch = self._find(name)
                if not batch.is_over:
                    batch.facts["cancel_initiated_at"] = _now()
                batch.cancel()
                return told(_body(batch, request), batch)
            case "GET", True, "results":
                return self._results(name)
            case "DELETE", True, "":
                return self._delete(name)
        raise Refused("no_route", "Not found")

    def _create(self, request: Request) -> Filed:
        asked = decode_object(request.body).get("requests")
        if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_ITEMS:
            raise Refused("missing_parameter", f"requests: 1 to {MAX_ITEMS} items", param="requests")
        items = [_item(one, place) for place, one in enumerate(asked)]
        if len({name for name, _ in items}) < len(items):
            raise Refused("wrong_type", "requests: custom_id must be unique", param="requests")
        answering = partial(answered, self._api, "/v1/messages", request.headers)
        batch = self._batches.add(items, answering, {"cancel_initiated_at": None})
        return told(_body(batch, request), batch)

    def _find(self, name: str) -> Batch:
        batch = self._batches.find(name.removeprefix("msgbatch_"))
        if batch is None:
            raise Refused("fault", f"Batch {name} was not found", status=404)
        return batch

    def _results(self, name: str) -> Filed:
        batch = self._find(name)
        if not batch.is_over:
            raise Refused("fault", f"Batch {name} has no available results", status=400)
        ended = [_line(item.name, item.answer) for item in batch.done if item.answer]
        kind = "canceled" if batch.state == "cancelled" else "expired"
        ended += [{"custom_id": item.name, "result": {"type": kind}} for item in batch.undone]
        return Filed(Reply(200, [("content-type", "application/x-jsonl")], raw_lines(ended)), noted(batch))

    def _delete(self, name: str) -> Filed:
        batch = self._find(name)
        if not batch.is_over:
            raise Refused("fault", "A batch in progress cannot be deleted", status=400)
        self._batches.delete(batch.id)
        gone = {"id": name, "type": "message_batch_deleted"}
        return Filed(Reply(200, JSON_HEADERS, encode(gone)), {**noted(batch), "deleted": True})


def _item(one: object, place: int) -> tuple[str, bytes]:
    fields: Json = one if isinstance(one, dict) else {}
    name, params = fields.get("custom_id"), fields.get("params")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or not isinstance(params, dict):
        raise Refused("wrong_type", f"requests.{place}: custom_id and params are required", param="requests")
    return name, encode(params)


def _line(name: str, answer: Reply) -> Json:
    if answer.status >= 400:
        return {"custom_id": name, "result": {"type": "errored", "error": Raw(answer.body)}}
    message = msgspec.json.decode(answer.body)
    if "usage" in message:
        message["usage"]["service_tier"] = "batch"
    return {"custom_id": name, "result": {"type": "succeeded", "message": message}}


def _body(batch: Batch, request: Request) -> Json:
    """Until all have ended nothing is counted but what is processing."""
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    if batch.is_over:
        counts |= {"succeeded": len(batch.done) - batch.failed, "errored": batch.failed}
        counts["canceled" if batch.state == "cancelled" else "expired"] = len(batch.undone)
    else:
        counts["processing"] = len(batch.items)
    place = f"http://{request.headers.get('host', '')}/anthropic{BATCHES}/msgbatch_{batch.id}"
    made = datetime.fromtimestamp(batch.made_s, UTC)
    return {
        "id": f"msgbatch_{batch.id}",
        "type": "message_batch",
        "processing_status": STATUS.get(batch.state, "ended"),
        "request_counts": counts,
        "created_at": made.isoformat(),
        "expires_at": (made + timedelta(days=1)).isoformat(),
        "ended_at": _now() if batch.is_over else None,
        "archived_at": None,
        "results_url": f"{place}/results" if batch.is_over else None,
        **batch.facts,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()
