"""Gemini's batches: of a file or of the requests themselves, as operations. https://ai.google.dev/api/batch-api

What Google leaves of a batch that was cancelled is documented nowhere; here it is what was done, as elsewhere. Of one
that expired nothing is left, as documented.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from local.simulators.batches import Batch, BatchStore, Item, answered, noted, raw_lines, reply_to, told
from local.simulators.http1 import Request
from local.simulators.providers.google_embed import read_batched
from local.simulators.providers.google_files import JSON_UTF8, VERSION, GoogleFiles
from local.simulators.providers.google_request import camel
from local.simulators.wire import Api, Filed, Json, Refused, Reply, decode_object, encode

GENERATE, EMBED = "batchGenerateContent", "asyncBatchEmbedContent"
VERBS = (GENERATE, EMBED)
BATCH = re.compile(rf"{VERSION}/batches/(?P<name>[^/:]+)(?::(?P<verb>\w+))?")
LIST = re.compile(rf"{VERSION}/batches")
RESULTS = re.compile(rf"(?:/download)?{VERSION}/files/batch-(?P<name>[^/:]+)(?::(?P<verb>\w+))?")
STATE = {"completed": "SUCCEEDED", "cancelling": "RUNNING"}
TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."


class GoogleBatches:
    """Results stand where the requests stood: in a file, or in the operation."""

    def __init__(self, api: Api, files: GoogleFiles) -> None:
        self._api, self._files = api, files
        self._batches = BatchStore()

    def answer(self, request: Request, path: str) -> Filed | None:
        """None for what is about no batch that was made. Raises Refused."""
        if request.method == "GET" and LIST.fullmatch(path):
            rows = [_operation(batch) for batch in self._batches.newest()]
            return Filed(Reply(200, JSON_UTF8, encode({"operations": rows})), {"batches": len(rows)})
        if found := BATCH.fullmatch(path):
            return self._of(request.method, found["name"], found["verb"] or "")
        if found := RESULTS.fullmatch(path):
            return self._results(request.method, found["name"], found["verb"] or "")
        return None

    def create(self, request: Request, model: str, verb: str) -> Filed:
        """Raises Refused."""
        asked = camel(camel(decode_object(request.body)).get("batch"))
        source = camel(asked.get("inputConfig"))
        if not isinstance(asked.get("displayName", ""), str) or len({"fileName", "requests"} & source.keys()) != 1:
            raise Refused("missing_parameter", "batch.input_config: one source of requests.", param="batch")
        in_file = "fileName" in source
        items, problem = self._from_file(source["fileName"]) if in_file else (_inline(camel(source["requests"])), None)
        facts: Json = {"model": model, "displayName": asked.get("displayName"), "in_file": in_file, "problem": problem}
        answering = self._answering(request, model, verb)
        batch = self._batches.add(items, answering, {**facts, "verb": verb})
        if problem is not None:
            batch.ends = "failed"
        return told(_operation(batch), batch, JSON_UTF8)

    def _answering(self, request: Request, model: str, verb: str) -> Callable[[bytes], Reply]:
        if verb == EMBED:
            return partial(self._embedded, model)
        return partial(answered, self._api, f"/v1beta/models/{model}:generateContent", request.headers)

    def _embedded(self, model: str, body: bytes) -> Reply:
        try:
            return reply_to(self._api, read_batched(model, decode_object(body)))
        except Refused as refused:
            return self._api.refuse(refused)

    def _from_file(self, name: Any) -> tuple[list[tuple[str, bytes]], str | None]:
        data = self._files.content(str(name).removeprefix("files/"))
        if data is None:
            raise Refused("fault", f"You do not have permission to access the File {name}.", status=403)
        try:
            lines = [msgspec.json.decode(line) for line in data.splitlines()]
            return [(line["key"], encode(line["request"])) for line in lines], None if lines else "The file is empty."
        except (msgspec.DecodeError, KeyError, TypeError):
            return [], "Failed to parse the input file as JSON lines of `key` and `request`."

    def _of(self, method: str, name: str, verb: str) -> Filed:
        batch = self._batches.find(name)
        if batch is None:
            raise Refused("fault", "Requested entity was not found.", status=404)
        match method, verb:
            case "GET", "":
                self._batches.look(name)
                return told(_operation(batch), batch, JSON_UTF8)
            case "POST", "cancel":
                batch.cancel()
                return told({}, batch, JSON_UTF8)
            case "DELETE", "":
                self._batches.delete(name)
                return Filed(Reply(200, JSON_UTF8, b"{}\n"), {**noted(batch), "deleted": True})
        raise Refused("no_route", "The requested URL was not found on this server.")

    def _results(self, method: str, name: str, verb: str) -> Filed:
        batch = self._batches.find(name)
        if batch is None or not _has_output(batch) or not batch.facts["in_file"] or batch.facts.get("deleted"):
            raise Refused("fault", f"You do not have permission to access the File batch-{name}.", status=403)
        file = {"id": f"batch-{name}"}
        if (method, verb) == ("DELETE", ""):
            batch.facts["deleted"] = True
            return Filed(Reply(200, JSON_UTF8, b"{}\n"), {**file, "deleted": True})
        if (method, verb) != ("GET", "download"):
            raise Refused("no_route", "The requested URL was not found on this server.")
        lines = raw_lines([{"key": item.name, **_outcome(item)} for item in batch.done])
        return Filed(Reply(200, [("content-type", "application/jsonl")], lines), file)


def _inline(listed: Json) -> list[tuple[str, bytes]]:
    requests = listed.get("requests")
    if not isinstance(requests, list) or not requests:
        raise Refused("empty", "batch.input_config.requests: at least one.", param="batch")
    asked = [camel(one) for one in requests]
    return [
        (str(one.get("metadata", {}).get("key", place)), encode(one.get("request", {})))
        for place, one in enumerate(asked)
    ]


def _outcome(item: Item) -> Json:
    answer = item.answer
    if answer is None:
        return {}
    if answer.status < 400:
        return {"response": Raw(answer.body)}
    error = msgspec.json.decode(answer.body)["error"]
    return {"error": {"code": error["code"], "message": error["message"]}}


def _has_output(batch: Batch) -> bool:
    return batch.state in ("completed", "cancelled") and bool(batch.done)


def _output(batch: Batch) -> Json:
    if not _has_output(batch):
        return {}
    if batch.facts["in_file"]:
        return {"responsesFile": f"files/batch-{batch.id}"}
    in_order = [item for item in batch.items if item.answer]
    listed = [{**_outcome(item), "metadata": {"key": item.name}} for item in in_order]
    return {"inlinedResponses": {"inlinedResponses": listed}}


def _operation(batch: Batch) -> Json:
    """Counts are texts, and those that are none are left out."""
    name = f"batches/{batch.id}"
    counts = {
        "requestCount": len(batch.items),
        "successfulRequestCount": len(batch.done) - batch.failed,
        "failedRequestCount": batch.failed,
        "pendingRequestCount": 0 if batch.is_over else len(batch.undone),
    }
    kind = "EmbedContentBatch" if batch.facts["verb"] == EMBED else "GenerateContentBatch"
    output = _output(batch)
    metadata: Json = {
        "@type": TYPE + kind,
        "model": f"models/{batch.facts['model']}",
        "displayName": batch.facts["displayName"],
        "batchStats": {name: str(count) for name, count in counts.items() if count},
        "state": f"BATCH_STATE_{STATE.get(batch.state, batch.state.upper())}",
        "name": name,
    }
    if not batch.is_over:
        return {"name": name, "metadata": metadata}
    if batch.state == "failed":
        error = {"code": 3, "message": batch.facts["problem"] or "The simulated batch failed."}
        return {"name": name, "metadata": metadata, "done": True, "error": error}
    return {
        "name": name,
        "metadata": metadata | ({"output": output} if output else {}),
        "done": True,
        **({"response": {"@type": f"{TYPE}{kind}Output", **output}} if output else {}),
    }
