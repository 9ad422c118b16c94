"""The Gemini API's files: announced and then sent to an address of their own, looked at, deleted.

https://ai.google.dev/api/files. An unknown file and another's are both a 403, as the real API answers.
"""

import base64
import itertools
import re
from collections import OrderedDict
from typing import Any
from urllib.parse import parse_qs

from local.simulators.files import FileStore, StoredFile
from local.simulators.http1 import Request
from local.simulators.providers.google_request import camel
from local.simulators.wire import Filed, Headers, Json, Refused, Reply, decode_object, encode

VERSION = r"/(?:v1|v1beta|v1alpha)"
UPLOAD = re.compile(rf"/upload{VERSION}/files")
FILE = re.compile(rf"{VERSION}/files/(?P<name>[^/]+)")
JSON_UTF8: Headers = [("content-type", "application/json; charset=UTF-8")]
FAILURE = {"code": 3, "message": "The simulated processing failed."}
MAX_ANNOUNCED = 200
FOR_BATCHES = ("application/jsonl", "jsonl", "application/json-lines", "text/plain")


class GoogleFiles:
    """``announced``: content type and length by upload id."""

    def __init__(self) -> None:
        self._store = FileStore()
        self._announced: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._numbers = itertools.count(1)

    def is_upload(self, request: Request, path: str) -> bool:
        """Whether the request is to an upload's own address, which needs no key."""
        return UPLOAD.fullmatch(path) is not None and "upload_id" in parse_qs(request.query)

    def announce(self, request: Request, path: str) -> Filed:
        """The first request of the resumable protocol. Raises Refused."""
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or headers.get("x-goog-upload-command") != "start":
            raise Refused("missing_parameter", "Only the resumable protocol is simulated.")
        length = headers.get("x-goog-upload-header-content-length", "")
        content_type = headers.get("x-goog-upload-header-content-type", "")
        if not length.isdecimal() or "/" not in content_type:
            raise Refused("missing_parameter", "Length and type of the upload are required.")
        if set(decode_object(request.body)) - {"file"}:
            raise Refused("unknown_parameter", "Invalid JSON payload received.", param="file")
        upload_id = f"simupload{next(self._numbers):08d}"
        self._announced[upload_id] = (content_type, int(length))
        while len(self._announced) > MAX_ANNOUNCED:
            self._announced.popitem(last=False)
        url = f"http://{headers.get('host', '')}/google{path}?upload_id={upload_id}&upload_protocol=resumable"
        return Filed(Reply(200, [("x-goog-upload-status", "active"), ("x-goog-upload-url", url)], b""), {})

    def receive(self, request: Request) -> Filed:
        """The bytes, in one go. Raises Refused."""
        announced = self._announced.pop(parse_qs(request.query)["upload_id"][0], None)
        if announced is None or request.method != "POST":
            raise Refused("no_route", "No such upload.")
        if request.headers.get("x-goog-upload-command", "").replace(" ", "") != "upload,finalize":
            raise Refused("missing_parameter", "Only an upload in one go is simulated.")
        content_type, length = announced
        if request.headers.get("x-goog-upload-offset") != "0" or len(request.body) != length:
            raise Refused("wrong_type", "The upload has another length than was announced.")
        file = self._store.add(content_type, request.body, processed=True, kept=content_type in FOR_BATCHES)
        headers = [*JSON_UTF8, ("x-goog-upload-status", "final")]
        return Filed(Reply(200, headers, encode({"file": _said(file, request)})), file.noted())

    def answer(self, request: Request, name: str) -> Filed:
        """GET and DELETE of one file. Raises Refused."""
        file = self._store.find(name)
        if file is None:
            raise Refused(
                "fault", f"You do not have permission to access the File {name} or it may not exist.", status=403
            )
        if request.method == "GET":
            file.looked_at()
            return Filed(Reply(200, JSON_UTF8, encode(_said(file, request))), file.noted())
        if request.method != "DELETE":
            raise Refused("no_route", "The requested URL was not found on this server.")
        self._store.delete(name)
        return Filed(Reply(200, JSON_UTF8, b"{}\n"), {**file.noted(), "deleted": True})

    def content(self, name: str) -> bytes | None:
        """The bytes of a file that is for batches."""
        file = self._store.find(name)
        return file.data if file is not None and file.content_type in FOR_BATCHES else None

    def resolve(self, body: Json) -> None:
        """Puts what is known of a file beside each reference to one. Raises Refused for one that cannot be used."""
        for content in body.get("contents") or ():
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in parts if isinstance(parts, list) else ():
                self._resolve(part)

    def _resolve(self, part: Any) -> None:
        said = camel(camel(part).get("fileData"))
        uri = said.get("fileUri")
        found = FILE.search(uri) if isinstance(uri, str) else None
        if found is None:
            return
        name = found["name"]
        file = self._store.find(name)
        if file is None:
            raise Refused(
                "fault", f"You do not have permission to access the File {name} or it may not exist.", status=403
            )
        if file.state != "ACTIVE":
            message = f"The File {name} is not in an ACTIVE state and usage is not allowed."
            raise Refused("fault", message, status=400, code="FAILED_PRECONDITION")
        if said.get("mimeType", file.content_type) != file.content_type:
            raise Refused("wrong_type", "The file has another type.", param="file_data.mime_type")
        part["fileData"] = {**said, "storedBytes": file.size_bytes}


def _said(file: StoredFile, request: Request) -> Json:
    """``sha256Hash`` is the base64 of the hexadecimal digits."""
    said: Json = {
        "name": f"files/{file.id}",
        "displayName": "media",
        "mimeType": file.content_type,
        "sizeBytes": str(file.size_bytes),
        "createTime": "2026-01-15T00:00:00.000000Z",
        "updateTime": "2026-01-15T00:00:00.000000Z",
        "expirationTime": "2026-01-17T00:00:00.000000Z",
        "sha256Hash": base64.b64encode(file.sha256.encode()).decode(),
        "uri": f"http://{request.headers.get('host', '')}/google/v1beta/files/{file.id}",
        "state": file.state,
        "source": "UPLOADED",
    }
    return said | ({"error": FAILURE} if file.state == "FAILED" else {})
