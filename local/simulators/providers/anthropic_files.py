"""Anthropic's files: uploaded as a form, described, deleted, and named in messages by their ids.

https://platform.claude.com/docs/en/api/files-create. Since 2026-08-19 no beta header is needed; with the old one there
is no expiry.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from local.simulators.files import FileStore, StoredFile
from local.simulators.form import form_fields
from local.simulators.http1 import Request
from local.simulators.wire import JSON_HEADERS, Filed, Json, Refused, Reply, encode

FILES = "/v1/files"
BETA = "files-api-2025-04-14"
MIN_EXPIRY_S, MAX_EXPIRY_S = 3600, 7_776_000
BLOCK_TYPES = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
    "document": ("application/pdf", "text/plain"),
}
UPLOADED = datetime(2026, 1, 15, tzinfo=UTC)
_NAME = re.compile(r'\bname="([^"]*)"')
_FILENAME = re.compile(r'\bfilename="([^"]*)"')
_TYPE = re.compile(r"^content-type:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_FORBIDDEN = re.compile(r'[<>:"|?*\\/\x00-\x1f]')


class AnthropicFiles:
    """Ids look as the real ones do."""

    def __init__(self) -> None:
        self._store = FileStore()

    def answer(self, request: Request, path: str) -> Filed:
        """Everything below ``/v1/files``. Raises Refused."""
        has_expiry = BETA not in request.headers.get("anthropic-beta", "")
        if path == FILES and request.method == "POST":
            file, expires_s, filename = self._upload(request)
            said = _said(file, filename) | ({"expires_at": _time(expires_s)} if has_expiry else {})
            return Filed(Reply(200, JSON_HEADERS, encode(said)), file.noted())
        found = self._store.find(path.removeprefix(f"{FILES}/file_"))
        if found is None:
            raise Refused("fault", f"File not found: {path.rpartition('/')[2]}", status=404)
        if request.method == "GET":
            return Filed(Reply(200, JSON_HEADERS, encode(_said(found, "media"))), found.noted())
        if request.method != "DELETE":
            raise Refused("no_route", "Not found")
        self._store.delete(found.id)
        gone = {"id": f"file_{found.id}", "type": "file_deleted"}
        return Filed(Reply(200, JSON_HEADERS, encode(gone)), {**found.noted(), "deleted": True})

    def _upload(self, request: Request) -> tuple[StoredFile, int | None, str]:
        file: StoredFile | None = None
        expires_s, filename = None, ""
        for head, data in form_fields(request):
            name = _NAME.search(head)
            if name and name[1] == "expires_in_seconds":
                expires_s = _expiry(data)
            elif name and name[1] == "file":
                content_type, named = _TYPE.search(head), _FILENAME.search(head)
                filename = named[1] if named else ""
                if not 1 <= len(filename) <= 255 or _FORBIDDEN.search(filename):
                    raise Refused("wrong_type", "filename: Invalid filename", param="file")
                kind = content_type[1].lower() if content_type else "application/octet-stream"
                file = self._store.add(kind, data, processed=False)
            else:
                raise Refused("unknown_parameter", f"{name[1] if name else ''}: Extra inputs are not permitted")
        if file is None:
            raise Refused("missing_parameter", "file: Field required", param="file")
        return file, expires_s, filename

    def resolve(self, body: Json) -> None:
        """Puts what is known of a file in place of each reference to it. Raises Refused where it cannot be used."""
        for message in body.get("messages") or ():
            content = message.get("content") if isinstance(message, dict) else None
            for block in content if isinstance(content, list) else ():
                inner = block.get("content") if isinstance(block, dict) else None
                for one in [block, *(inner if isinstance(inner, list) else ())]:
                    self._resolve(one)

    def _resolve(self, block: Any) -> None:
        source = block.get("source") if isinstance(block, dict) else None
        if not isinstance(source, dict) or source.get("type") != "file":
            return
        found = self._store.find(str(source.get("file_id")).removeprefix("file_"))
        if found is None:
            raise Refused("fault", f"File not found: {source.get('file_id')}", status=404)
        if found.content_type not in BLOCK_TYPES.get(block.get("type"), ()):
            raise Refused("wrong_type", f"A {block.get('type')} block cannot hold {found.content_type}.")
        block["source"] = {"type": "stored", "media_type": found.content_type, "bytes": found.size_bytes}


def _expiry(data: bytes) -> int:
    if not data.isdigit() or not MIN_EXPIRY_S <= int(data) <= MAX_EXPIRY_S:
        message = f"expires_in_seconds: Input should be between {MIN_EXPIRY_S} and {MAX_EXPIRY_S}"
        raise Refused("out_of_range", message, param="expires_in_seconds")
    return int(data)


def _time(expires_s: int | None) -> str | None:
    return None if expires_s is None else (UPLOADED + timedelta(seconds=expires_s)).isoformat()


def _said(file: StoredFile, filename: str) -> Json:
    return {
        "type": "file",
        "id": f"file_{file.id}",
        "size_bytes": file.size_bytes,
        "created_at": UPLOADED.isoformat(),
        "filename": filename,
        "mime_type": file.content_type,
        "downloadable": False,
    }
