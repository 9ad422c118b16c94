"""OpenAI's files for batches and the batches made of them, which Groq has, too.

https://developers.openai.com/api/reference/resources/batches, https://developers.openai.com/api/docs/guides/batch
"""

import re
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from local.simulators.batches import Batch, BatchStore, answered, raw_lines, told
from local.simulators.files import FileStore, StoredFile
from local.simulators.form import form_fields
from local.simulators.http1 import Request
from local.simulators.wire import JSON_HEADERS, Api, Filed, Json, Refused, Reply, decode_object, encode, require

MAX_ITEMS = 50_000
WINDOW_S = 86_400
CONTENT_TYPE = "application/jsonl"
STATUS = {"pending": "validating", "running": "in_progress"}
_NAME = re.compile(r'\bname="([^"]*)"')
_FILENAME = re.compile(r'\bfilename="([^"]*)"')


class OpenAiBatches:
    """``endpoints``: what a batch can be of. ``expires``: whether files can have an expiry."""

    def __init__(self, api: Api, endpoints: tuple[str, ...], *, expires: bool = True) -> None:
        self._api, self._endpoints, self._expires = api, endpoints, expires
        self._files, self._batches = FileStore(), BatchStore()
        self._facts: dict[str, Json] = {}

    def holds(self, path: str) -> bool:
        """Whether it answers there."""
        return path.startswith(("/files", "/batches"))

    def answer(self, request: Request, path: str) -> Filed:
        """Everything below ``/files`` and ``/batches``. Raises Refused."""
        kind, _, rest = path[1:].partition("/")
        name, _, verb = rest.partition("/")
        match request.method, kind, bool(name), verb:
            case "POST", "files", False, "":
                return self._upload(request)
            case "GET", "files", True, "":
                return self._said(self._file(name))
            case "GET", "files", True, "content":
                file = self._file(name)
                return Filed(Reply(200, [("content-type", "application/octet-stream")], file.data), file.noted())
            case "DELETE", "files", True, "":
                return self._forget(name)
            case "POST", "batches", False, "":
                return self._create(request)
            case "GET", "batches", False, "":
                return self._list(request)
            case "GET", "batches", True, "":
                return self._look(name)
            case "POST", "batches", True, "cancel":
                batch = self._batch(name)
                batch.cancel()
                return told(self._body(batch), batch)
        raise Refused("no_route", f"Invalid URL ({request.method} {request.path})")

    # -- files ------------------------------------------------------------------------------------------------------

    def _upload(self, request: Request) -> Filed:
        fields: dict[str, bytes] = {}
        filename = ""
        for head, data in form_fields(request):
            name = _NAME.search(head)
            fields[name[1] if name else ""] = data
            if named := _FILENAME.search(head):
                filename = named[1]
        allowed = {"purpose", "file"} | (
            {"expires_after[anchor]", "expires_after[seconds]"} if self._expires else set()
        )
        if unknown := set(fields) - allowed:
            raise Refused("unknown_parameter", f"Unknown parameter: '{min(unknown)}'.", param=min(unknown))
        require(fields, "file", "purpose")
        if fields["purpose"] != b"batch":
            raise Refused("wrong_type", "Only files for batches are simulated.", param="purpose")
        return self._said(self._keep(fields["file"], filename, fields.get("expires_after[seconds]")))

    def _keep(self, data: bytes, filename: str, seconds: bytes | None = None, purpose: str = "batch") -> StoredFile:
        if seconds is not None and not (seconds.isdigit() and 3600 <= int(seconds) <= 2_592_000):
            raise Refused("out_of_range", "Invalid 'expires_after'.", param="expires_after")
        file = self._files.add(CONTENT_TYPE, data, processed=False, kept=True)
        self._facts = {name: facts for name, facts in self._facts.items() if self._files.find(name)}
        self._facts[file.id] = {"filename": filename, "purpose": purpose}
        if seconds is not None:
            self._facts[file.id]["expires_at"] = 1_768_435_200 + int(seconds)
        return file

    def _file(self, name: str) -> StoredFile:
        file = self._files.find(name.removeprefix("file-"))
        if file is None:
            raise Refused("fault", f"No such File object: {name}", status=404)
        return file

    def _said(self, file: StoredFile) -> Filed:
        facts = self._facts.get(file.id, {})
        size: Json = {"id": f"file-{file.id}", "object": "file", "bytes": file.size_bytes, "status": "processed"}
        body = {**size, "created_at": 1_768_435_200, "expires_at": None, "status_details": None, **facts}
        return Filed(Reply(200, JSON_HEADERS, encode(body)), file.noted())

    def _forget(self, name: str) -> Filed:
        file = self._file(name)
        self._files.delete(file.id)
        body = {"id": name, "object": "file", "deleted": True}
        return Filed(Reply(200, JSON_HEADERS, encode(body)), {**file.noted(), "deleted": True})

    # -- batches ----------------------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Filed:
        body = decode_object(request.body)
        require(body, "input_file_id", "endpoint", "completion_window")
        if body["endpoint"] not in self._endpoints or body["completion_window"] != "24h":
            raise Refused("wrong_type", "Invalid value for 'endpoint' or 'completion_window'.", param="endpoint")
        items, errors = read_lines(self._file(body["input_file_id"]).data, body["endpoint"])
        answering = partial(answered, self._api, body["endpoint"].removeprefix("/v1"), request.headers)
        asked = {name: body.get(name) for name in ("input_file_id", "endpoint", "completion_window", "metadata")}
        batch = self._batches.add([] if errors else items, answering, {**asked, "errors": None, "files": {}})
        if errors:
            batch.ends, batch.facts["errors"] = "failed", {"object": "list", "data": errors}
        return told(self._body(batch), batch)

    def _batch(self, name: str) -> Batch:
        batch = self._batches.find(name.removeprefix("batch_"))
        if batch is None:
            raise Refused("fault", f"No batch found with id '{name}'.", status=404)
        return batch

    def _look(self, name: str) -> Filed:
        batch = self._batch(name)
        self._batches.look(batch.id)
        if batch.is_over and batch.state != "failed" and not batch.facts["files"]:
            batch.facts["files"] = self._written(batch)
        return told(self._body(batch), batch)

    def _list(self, request: Request) -> Filed:
        query = parse_qs(request.query)
        found = [self._body(batch) for batch in self._batches.newest()]
        after = query.get("after", [""])[0]
        start = next((place + 1 for place, one in enumerate(found) if one["id"] == after), 0)
        limit = int(query.get("limit", ["20"])[0])
        page = found[start : start + limit]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        body = {"object": "list", "data": page, **ends, "has_more": start + limit < len(found)}
        return Filed(Reply(200, JSON_HEADERS, encode(body)), {"batches": len(page)})

    def _written(self, batch: Batch) -> Json:
        """The two files, each if there is something in it."""
        good = [_line(item.name, item.answer) for item in batch.done if item.answer and item.answer.status < 400]
        bad = [_line(item.name, item.answer) for item in batch.done if item.answer and item.answer.status >= 400]
        code = f"batch_{batch.state}"
        bad += [
            {**_head(item.name), "response": None, "error": {"code": code, "message": "Not run."}}
            for item in batch.undone
        ]
        files: Json = {}
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                kept = self._keep(raw_lines(lines), f"batch_{batch.id}_{name[:-8]}.jsonl", purpose="batch_output")
                files[name] = f"file-{kept.id}"
        return files

    def _body(self, batch: Batch) -> Json:
        facts = {name: value for name, value in batch.facts.items() if name != "files"}
        status = STATUS.get(batch.state, batch.state)
        times: Json = {f"{name}_at": batch.made_s if name == status else None for name in _TIMES}
        counts = {"total": len(batch.items), "completed": len(batch.done) - batch.failed, "failed": batch.failed}
        return {
            "id": f"batch_{batch.id}",
            "object": "batch",
            "status": status,
            "created_at": batch.made_s,
            "expires_at": batch.made_s + WINDOW_S,
            **times,
            "output_file_id": batch.facts["files"].get("output_file_id"),
            "error_file_id": batch.facts["files"].get("error_file_id"),
            "request_counts": counts if batch.looked or batch.is_over else dict.fromkeys(counts, 0),
            **facts,
        }


_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def _head(name: str) -> Json:
    return {"id": f"batch_req_{name}", "custom_id": name}


def _line(name: str, answer: Reply | None) -> Json:
    if answer is None:
        raise ValueError(name)
    response = {"status_code": answer.status, "request_id": "req_sim", "body": Raw(answer.body)}
    return {**_head(name), "response": response, "error": None}


def read_lines(data: bytes, endpoint: str | None) -> tuple[list[tuple[str, bytes]], list[Json]]:
    """The items of an input, and what is wrong with it. ``endpoint``: None where lines name none."""
    items: list[tuple[str, bytes]] = []
    errors: list[Json] = []
    names: set[str] = set()
    models: set[Any] = set()
    for number, line in enumerate(data.splitlines(), 1):
        problem, name, body = _item(line, endpoint)
        if problem is None and name in names:
            problem = "duplicate_custom_id", "The custom_id for this request is a duplicate of another request."
        if problem is not None:
            errors.append({"code": problem[0], "message": problem[1], "param": None, "line": number})
            continue
        names.add(name)
        models.add(body["model"])
        items.append((name, encode(body)))
    if len(models) > 1:
        errors.append(
            {"code": "mismatched_model", "message": "All requests need one model.", "param": None, "line": None}
        )
    if (not items and not errors) or len(items) > MAX_ITEMS:
        errors.append({"code": "invalid_request_count", "message": "1 to 50000 requests.", "param": None, "line": None})
    return items, errors


def _item(line: bytes, endpoint: str | None) -> tuple[tuple[str, str] | None, str, Json]:
    try:
        read = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return ("invalid_json_line", "This line is not parseable as valid JSON."), "", {}
    if (
        not isinstance(read, dict)
        or not isinstance(read.get("body"), dict)
        or not isinstance(read.get("custom_id"), str)
    ):
        return ("missing_required_parameter", "custom_id and body are required."), "", {}
    if endpoint is not None and (read.get("method") != "POST" or read.get("url") != endpoint):
        return ("mismatched_endpoint", "The url does not match the batch's endpoint."), "", {}
    if not isinstance(read["body"].get("model"), str):
        return ("missing_required_parameter", "model is required."), "", {}
    return None, read["custom_id"], read["body"]
