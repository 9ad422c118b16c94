"""What each role may do in the bucket of files, against what the adapter really sends for it: action by prefix.

The local stack knows no IAM, so nothing else finds a key that a function may not touch.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from gateway.adapters.aws.batch_store import S3BatchStore
from gateway.adapters.aws.fetcher import LambdaMediaFetcher
from gateway.adapters.aws.files import S3Files
from gateway.adapters.aws.multipart import PART_BYTES
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.guarded_fetch.fetch import Fetched
from gateway.entry.media_fetch import MediaFetch
from gateway.entry.runtime.client import Invocation
from gateway.model.errors import GatewayError
from gateway.model.file import File, Origin, Purpose, new_file_id
from gateway.model.http import HttpRequest, HttpResponse
from tests.deploy.conftest import Resources, of_type, statements
from tests.fakes import ManualClock
from tests.ports.test_jobs import job

Access = tuple[str, str]
"""An action, and the first part of the keys that it is for; "" for the bucket itself."""


@dataclass
class WatchedBucket(Bucket):
    """`is_there`: whether what is asked for exists. `needed`: what S3 would ask IAM for."""

    is_there: bool = True
    place: Place = field(default_factory=lambda: Place.of("b", "eu-west-1", "http://s3"))
    needed: set[Access] = field(default_factory=set)

    async def send(
        self, request: HttpRequest, *, also: tuple[int, ...] = (), timeout_s: float = 0, max_bytes: int = 0
    ) -> HttpResponse:
        self._need(request)
        if request.method in ("GET", "HEAD") and 404 in also:
            self.needed.add(("s3:ListBucket", ""))  # without it, 403 says that something is not there
        status = 200 if self.is_there or not also else also[0]
        made = {"x-amz-meta-file-id": file("user_data").id, "x-amz-meta-fingerprint": "f"}
        return HttpResponse(status, {"etag": "e", "content-length": "1", **made}, b"<UploadId>u</UploadId>")

    async def presigned(self, request: HttpRequest, lifetime_s: int) -> str:
        self._need(request)
        return request.url

    def _need(self, request: HttpRequest) -> None:
        place = urlsplit(request.url)
        prefix, query = place.path.split("/")[2], parse_qs(place.query, keep_blank_values=True)
        if request.method in ("GET", "HEAD"):
            self.needed.add(("s3:ListBucket", "") if "list-type" in query else ("s3:GetObject", prefix))
        elif request.method == "DELETE":
            self.needed.add(("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", prefix))
        else:
            self.needed.add(("s3:PutObject", prefix))
        if "x-amz-tagging" in request.headers:
            self.needed.add(("s3:PutObjectTagging", prefix))
        if source := request.headers.get("x-amz-copy-source"):
            self.needed.add(("s3:GetObject", source.split("/")[1]))


def file(purpose: Purpose) -> File:
    is_made = purpose == "generated"
    origin = Origin("xai/film", "req_1") if is_made else None
    file_id = new_file_id(purpose, ManualClock().now_s(), bytes(10))
    return File(file_id, "a", "text/plain", 1, 2_000_000_000 if is_made else None, origin=origin)


class Stored:
    async def invoke(self, *_: object) -> bytes:
        return json.dumps({"status": "ok", "content_type": "image/png"}).encode()


async def broken_off() -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES)
    raise ConnectionError


async def two_parts() -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES + 1)


async def read(bucket: WatchedBucket) -> None:
    """What a client sends by its id."""
    await S3Files(bucket, ManualClock()).get("acme", file("user_data").id, 10)


async def measure(bucket: WatchedBucket) -> None:
    """How large it is."""
    await S3Files(bucket, ManualClock()).head("acme", file("user_data").id)


async def read_fetched(bucket: WatchedBucket) -> None:
    await LambdaMediaFetcher(Stored(), "fetch", bucket).fetch("acme", "https://a.example", ("image/",), 10, "url")  # type: ignore[arg-type]  # it answers as Lambda would


async def keep(bucket: WatchedBucket) -> None:
    files = S3Files(bucket, ManualClock())
    await files.put("acme", file("generated"), b"a")
    await files.link("acme", file("generated"))


async def keep_stream(bucket: WatchedBucket) -> None:
    files = S3Files(bucket, ManualClock())
    await files.put_stream("acme", file("generated"), two_parts())
    await files.link("acme", file("generated"))
    with suppress(ConnectionError):
        await files.put_stream("acme", file("generated"), broken_off())


async def delete_made(bucket: WatchedBucket) -> None:
    await S3Files(bucket, ManualClock()).delete("acme", file("generated").id)


async def find_made(bucket: WatchedBucket) -> None:
    await S3Files(bucket, ManualClock()).head("acme", file("generated").id)


async def manage(bucket: WatchedBucket) -> None:
    files, mine, made = S3Files(bucket, ManualClock()), file("user_data"), file("generated")
    await files.claim("acme", "key", "f", mine.id)
    await files.put("acme", made, b"a")
    await files.announce("acme", mine)
    await files.upload_link("acme", mine)
    await files.uploaded("acme", mine.id)
    await files.adopt("acme", mine, "e")
    await files.link("acme", mine)
    await files.page("acme", 10, None, None)
    await files.delete("acme", mine.id)
    await files.delete("acme", made.id)
    await files.head("acme", mine.id)


async def keep_request(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).put(job(), b"{}")


async def drop_request(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).drop(job())


async def take_request(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).get(job())


async def keep_reply(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).keep_reply(job(), b"{}")


async def read_reply(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).reply("replies/acme/job_1")


async def drop_reply(bucket: WatchedBucket) -> None:
    await S3Payloads(bucket).drop_reply("replies/acme/job_1")


async def read_results(bucket: WatchedBucket) -> None:
    store = S3BatchStore(bucket)
    await store.piece("acme", "batch_1", "00-00000", 0)
    await store.errors("acme", "batch_1")


async def keep_lines_and_results(bucket: WatchedBucket) -> None:
    store = S3BatchStore(bucket)
    await store.put_lines("acme", "batch_1", "00-00000", b"")
    await store.put_piece("acme", "batch_1", "00-00000", 0, b"")
    await store.put_crate("acme", "batch_1", "00-00000-000-ab", b"", b"")
    await store.kept("acme", "batch_1", "00-00000-000-ab")
    await store.crate("acme", "batch_1", "00-00000-000-ab")
    await store.drop_crate("acme", "batch_1", "00-00000-000-ab")
    await store.drop_lines("acme", "batch_1", "00-00000")
    await read_results(bucket)


async def read_input(bucket: WatchedBucket) -> None:
    await S3Files(bucket, ManualClock()).stretch("acme", file("batch").id, 0, 10)


async def merge(bucket: WatchedBucket) -> None:
    files = S3Files(bucket, ManualClock())
    merged = replace(file("batch_output"), expires_at_s=2_000_000_000)
    await files.put_stream("acme", merged, two_parts())
    with suppress(ConnectionError):
        await files.put_stream("acme", merged, broken_off())


class Internet:
    async def fetch(self, *_: object) -> Fetched:
        return Fetched("image/png", "0", b"a")


async def put_fetched(bucket: WatchedBucket) -> None:
    fetcher = MediaFetch(Internet(), lambda _: bucket, ManualClock())  # type: ignore[arg-type]  # there is no internet
    put = {"bucket": "files", "key": "fetched/acme/1"}
    order = {"url": "https://a.example", "max_bytes": 10, "timeout_s": 1, "accept": ["image/"], "put": put}
    await fetcher.handle(order, Invocation("1", 0.0))


USED: dict[str, tuple[Callable[[WatchedBucket], Awaitable[None]], ...]] = {
    "ChatRole": (read, measure, read_fetched, keep, delete_made, keep_request, drop_request),
    "EmbeddingsRole": (keep_request,),
    "ImagesRole": (read_fetched, keep, keep_request),
    "SpeechRole": (keep_stream, keep_request),
    "TranscriptionsRole": (read, measure, read_fetched, keep_request),
    "VideosRole": (read, read_fetched, keep_stream, find_made, delete_made, keep_request, drop_request),
    "JobsRole": (measure, find_made, delete_made, keep_request, drop_request, read_reply, drop_reply),
    "JobTaskRole": (
        *(keep, keep_stream, find_made, delete_made),
        *(take_request, keep_request, drop_request, keep_reply, drop_reply),
    ),
    "JobAskRole": (
        *(read, measure, read_fetched, keep, keep_stream, find_made, delete_made),
        *(take_request, keep_request, drop_request, keep_reply),
    ),
    "BatchesRole": (measure, keep_request, drop_request, read_results),
    "BatchTaskRole": (take_request, keep_request, drop_request, read_input, keep_lines_and_results, merge),
    "BatchWorkRole": (read, measure, read_fetched, keep, keep_stream, keep_lines_and_results),
    "FilesRole": (manage,),
    "MediaFetchRole": (put_fetched,),
}
"""What each function does with files."""


def allowed(role: dict[str, object]) -> set[Access]:
    found: set[Access] = set()
    for statement in statements(role):
        resources = statement["Resource"]
        for resource in resources if isinstance(resources, list) else [resources]:
            text = json.dumps(resource)
            if "FilesBucket" in text:
                below = re.search(r"FilesBucket\.Arn}/(\w+)/\*", text)
                found |= {(action, below[1] if below else "") for action in statement["Action"]}
    return found


@pytest.mark.parametrize("name", USED)
async def test_a_role_may_do_with_files_what_its_function_does(deployed: Resources, name: str) -> None:
    needed: set[Access] = set()
    for is_there in (True, False):
        bucket = WatchedBucket(is_there=is_there)
        for use in USED[name]:
            with suppress(GatewayError):
                await use(bucket)
        needed |= bucket.needed
    assert needed == allowed(deployed[name])


def test_every_role_that_touches_files_is_here(deployed: Resources) -> None:
    touching = {name for name, role in of_type(deployed, "AWS::IAM::Role").items() if allowed(role)}
    assert touching == set(USED)


LINES_ONLY = "BatchWorkRole"
"""Of a function that has others' code and carries out lines, which lie with their batch."""
REQUESTS = {"put": keep_request, "get": take_request, "drop": drop_request}
ROOT = Path(__file__).parents[2]


def sources_of(path: Path, found: dict[Path, str]) -> dict[Path, str]:
    """What a function may run: its own modules, and those that they import."""
    if path not in found:
        found[path] = path.read_text()
        for node in ast.walk(ast.parse(found[path])):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    module = ROOT / "layers/gateway" / f"{name.replace('.', '/')}.py"
                    if module.exists():
                        sources_of(module, found)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "functions").glob("*/app.py")), ids=lambda path: path.parent.name)
def test_what_a_function_does_with_requests_of_jobs_is_said_here(path: Path, template: dict[str, Any]) -> None:
    """Read from its code, so that nobody has to think of it."""
    code = "".join(sources_of(path, {}).values())
    used = {use for method, use in REQUESTS.items() if f"payloads.{method}(" in code}
    roles = roles_of(template, path.parent.name)
    assert roles
    for role in roles - {LINES_ONLY}:
        assert set(USED.get(role, ())) & set(REQUESTS.values()) == used, role


def roles_of(template: dict[str, Any], folder: str) -> set[str]:
    found = [one["Properties"] for one in of_type(template["Resources"], "AWS::Serverless::Function").values()]
    return {one["Role"]["Fn::GetAtt"][0] for one in found if one["CodeUri"] == f"functions/{folder}"}
