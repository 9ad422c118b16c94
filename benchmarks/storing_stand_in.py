"""The world of one finished video: its job, its provider, as many bytes as one likes, a bucket that keeps none."""

from __future__ import annotations

import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.aws_stand_in import STACK, AwsStandIn

BUCKET = "bench-files"
PIECE = bytes(64 * 1024)
_TARGET = re.compile(rb"\r\nx-amz-target: \w+\.(\w+)", re.IGNORECASE)
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp41"


class StoringStandIn:
    """Listens on loopback until the block ends. `size_bytes`: of the video. `stored_bytes`: what the bucket got."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.stored_bytes = 0
        self.largest_request_bytes = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._aws = AwsStandIn("")

    def __enter__(self) -> Self:
        self._aws.__enter__()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aws.__exit__(kind, error, trace)
        self._server.shutdown()
        self._server.server_close()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def answer(self, head: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        """Of an AWS JSON API."""
        operation, request = _operation(head), json.loads(body)
        if operation == "GetSecretValue" and request["SecretId"] == f"{STACK}/providers/xai":
            return 200, {"SecretString": json.dumps({"api_key": "sim-xai", "base_url": f"{self.url}/xai"})}
        if operation == "GetItem":
            return 200, {"Item": {"document": {"S": _job(request["Key"]["sk"]["S"])}}}
        return (200, {}) if operation == "PutItem" else self._aws.answer(head, body)


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections; bodies are counted and forgotten."""

    protocol_version = "HTTP/1.1"

    def __init__(self, world: StoringStandIn, *arguments: Any) -> None:
        self._world = world
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path == "/video.mp4":
            self._send_video()
        else:
            found = {"url": f"{self._world.url}/video.mp4", "duration": 1}
            self._say(200, json.dumps({"status": "done", "video": found}).encode())

    def do_POST(self) -> None:
        if "x-amz-target" in self.headers:
            head = "".join(f"\r\n{name}: {value}" for name, value in self.headers.items()) + "\r\n"
            status, answer = self._world.answer(head.encode(), self._body())
            self._say(status, json.dumps(answer).encode())
        else:
            self._body()
            asked = urlsplit(self.path).query
            self._say(200, b"<UploadId>1</UploadId>" if asked == "uploads=" else b"<ETag>e</ETag>")

    def do_PUT(self) -> None:
        left = size = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, len(PIECE))))
        self._world.stored_bytes += size
        self._world.largest_request_bytes = max(self._world.largest_request_bytes, size)
        self._say(200, b"")

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def _send_video(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(self._world.size_bytes))
        self.end_headers()
        self.wfile.write(MP4)
        left = self._world.size_bytes - len(MP4)
        while left:
            left -= self.wfile.write(PIECE[: min(left, len(PIECE))])

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"e"')
        self.end_headers()
        self.wfile.write(body)


def _operation(head: bytes) -> str:
    found = _TARGET.search(head)
    return found[1].decode() if found else ""


def _job(job_id: str) -> str:
    """A video that its provider has begun."""
    remote = {"provider": "xai", "model": "grok-imagine-video", "id": "r-1"}
    asked = {"seconds": 1, "size": "1280x720", "resolution": "720p", "units": {"video_ms:720p": 1000}}
    job = {
        "id": job_id,
        "tenant_id": "acme",
        "user_id": "alice",
        "key_id": "key_1",
        "request_id": "req_" + "0" * 32,
        "endpoint": "/v1/videos",
        "operation": "videos",
        "model": "xai/grok-imagine-video",
        "status": "running",
        "created_at_s": 1,
        "expires_at_s": 2**40,
        "remote": remote,
        "facts": {**asked, "trace_id": "0" * 32},
    }
    return json.dumps(job)
