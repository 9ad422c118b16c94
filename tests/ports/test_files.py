"""What the gateway relies on of a file storage, in memory and in S3."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import boto3
import httpx
import pytest
from msgspec.structs import replace

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.files import S3Files
from gateway.adapters.aws.multipart import PART_BYTES
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.http_client import HttpClient
from gateway.file_ports import Files
from gateway.model.errors import FileNotFound, PayloadTooLarge, StorageUnavailable
from gateway.model.file import CLAIMED_S, PENDING_S, File, Link, Origin, Purpose, created_at_s, new_file_id
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.model.provider_errors import ProviderError
from tests.fakes import ManualClock, MemoryFiles
from tests.ports.conftest import REGION

BUCKET = "gw-files"
Upload = Callable[[Link, bytes], Awaitable[None]]


@dataclass
class Storage:
    """`upload`: what a client does with an upload link."""

    files: Files
    clock: ManualClock
    upload: Upload
    made: int = 0

    def file(
        self, name: str = "a.txt", purpose: Purpose = "user_data", *, size: int = 5, kept_s: int | None = None
    ) -> File:
        """Each a second younger than the one before."""
        self.made += 1
        file_id = new_file_id(purpose, self.clock.now_s() - 1000 + self.made, self.made.to_bytes(10))
        return File(file_id, name, "text/plain", size, None if kept_s is None else created_at_s(file_id) + kept_s)

    async def keep(self, tenant_id: str, file: File, data: bytes = b"bytes") -> File:
        await self.files.put(tenant_id, file, data)
        return file


@pytest.fixture
def bucket(aws_url: str, aws_keys: None) -> Iterator[Place]:
    bucket = boto3.resource("s3", endpoint_url=aws_url, region_name=REGION).Bucket(BUCKET)
    bucket.create(CreateBucketConfiguration={"LocationConstraint": REGION})
    yield Place.of(BUCKET, REGION, aws_url)
    bucket.objects.delete()
    bucket.delete()


def s3_files(place: Place, client: HttpClient, clock: ManualClock) -> S3Files:
    return S3Files(Bucket(place, keys=RoleKeys(client, clock), client=client, clock=clock), clock)


@pytest.fixture(params=["memory", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    clock = ManualClock()
    if request.param == "memory":
        memory = MemoryFiles(clock)

        async def remember(link: Link, data: bytes) -> None:
            tenant_id, _, file_id = link.url.partition("/uploads/")[2].partition("/")
            memory.uploads[tenant_id, file_id] = data

        return Storage(memory, clock, remember)
    place, client = request.getfixturevalue("bucket"), request.getfixturevalue("http_client")
    return Storage(s3_files(place, client, clock), clock, put_by_link)


async def put_by_link(link: Link, data: bytes) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(link.method, link.url, content=data)
        assert response.status_code == 200


async def test_a_file_comes_back_as_it_was_stored(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file("Grüße & 100% ✓.txt", kept_s=7200), b"bytes")
    assert await storage.files.head("acme", file.id) == file
    stored = await storage.files.get("acme", file.id, max_bytes=5)
    assert (stored.data, stored.content_type, stored.filename) == (b"bytes", "text/plain", file.filename)


async def test_a_file_can_be_stored_again(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file())
    await storage.keep("acme", file)
    assert (await storage.files.page("acme", 10, None, None)).files == [file]


@pytest.mark.parametrize("size", [0, 5, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 77])
async def test_a_stream_becomes_a_file(storage: Storage, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    file = replace(storage.file(purpose="generated", size=size, kept_s=7200), origin=Origin("xai/a b:c", "req_1"))
    assert await storage.files.put_stream("acme", file, in_pieces(data, 1_000_003)) == size
    assert await storage.files.head("acme", file.id) == file
    stored = await storage.files.get("acme", file.id, max_bytes=max(size, 1))
    assert (stored.data == data, stored.content_type) == (True, "text/plain")


@pytest.mark.parametrize("before", [0, 5, PART_BYTES + 1])
async def test_a_stream_that_breaks_leaves_nothing(storage: Storage, before: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(before)
        raise ProviderError("broken off")

    file = storage.file(purpose="generated")
    with pytest.raises(ProviderError):
        await storage.files.put_stream("acme", file, broken())
    with pytest.raises(FileNotFound):
        await storage.files.head("acme", file.id)


async def test_a_stretch_of_a_file_is_read_and_no_more(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file(kept_s=7200), b"0123456789")
    stretches = [await storage.files.stretch("acme", file.id, start, 4) for start in (0, 4, 8, 10, 12)]
    assert stretches == [b"0123", b"4567", b"89", b"", b""]
    for tenant_id, file_id in (("other", file.id), ("acme", storage.file().id), ("acme", "no-id")):
        with pytest.raises(FileNotFound):
            await storage.files.stretch(tenant_id, file_id, 0, 4)


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("how", ["broken", "cancelled"])
async def test_the_parts_of_a_stream_that_breaks_are_aborted(
    bucket: Place, aws_url: str, http_client: HttpClient, how: str
) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(PART_BYTES + 1)
        started.set()
        if how == "broken":
            raise ProviderError("broken off")
        await asyncio.Event().wait()

    file = File(new_file_id("generated", 0, bytes(10)), "a.mp4", "video/mp4", 0)
    storing = asyncio.create_task(s3_files(bucket, http_client, ManualClock()).put_stream("acme", file, endless()))
    async with asyncio.timeout(10):
        await started.wait()
        if how == "cancelled":
            storing.cancel()
        with pytest.raises((ProviderError, asyncio.CancelledError)):
            await storing
    client = boto3.client("s3", endpoint_url=aws_url, region_name=REGION)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)


@pytest.mark.parametrize("file_id", ["file_0", "", "../acme", "file_" + "0" * 25 + "z"])
async def test_what_is_not_there_is_not_found(storage: Storage, file_id: str) -> None:
    for known in (file_id, storage.file().id):
        with pytest.raises(FileNotFound):
            await storage.files.head("acme", known)
        with pytest.raises(FileNotFound):
            await storage.files.get("acme", known, 10)
        await storage.files.delete("acme", known)


async def test_a_file_above_the_callers_limit_is_refused(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file(), b"bytes")
    with pytest.raises(PayloadTooLarge, match="larger than 4 bytes"):
        await storage.files.get("acme", file.id, max_bytes=4)


@pytest.mark.parametrize("other", ["acm", "acme/x", "acme%2Fx", "..", "Acme"])
async def test_no_tenant_sees_anothers_file(storage: Storage, other: str) -> None:
    file = await storage.keep("acme", storage.file())
    theirs = await storage.keep(other, storage.file())
    for stranger, owned in ((other, file), ("acme", theirs)):
        with pytest.raises(FileNotFound):
            await storage.files.head(stranger, owned.id)
        with pytest.raises(FileNotFound):
            await storage.files.get(stranger, owned.id, 10)
        await storage.files.delete(stranger, owned.id)
    assert (await storage.files.page("acme", 10, None, None)).files == [file]
    assert (await storage.files.page(other, 10, None, None)).files == [theirs]


async def test_an_expired_file_is_not_found(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file(kept_s=3600))
    storage.clock.unix_s = created_at_s(file.id) + 3599
    assert (await storage.files.head("acme", file.id)).expires_at_s == created_at_s(file.id) + 3600
    storage.clock.unix_s += 1
    with pytest.raises(FileNotFound):
        await storage.files.head("acme", file.id)
    with pytest.raises(FileNotFound):
        await storage.files.get("acme", file.id, 10)


async def test_a_deleted_file_is_gone(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file())
    await storage.files.delete("acme", file.id)
    with pytest.raises(FileNotFound):
        await storage.files.head("acme", file.id)


async def test_pages_are_newest_first_and_leave_nothing_out(storage: Storage) -> None:
    files = [await storage.keep("acme", storage.file(f"{number}.txt")) for number in range(5)]
    seen, after, sizes = list[File](), None, list[int]()
    while True:
        page = await storage.files.page("acme", 2, after, None)
        seen += page.files
        sizes.append(len(page.files))
        after = page.files[-1].id
        if not page.has_more:
            break
    assert (seen, sizes) == (files[::-1], [2, 2, 1])


async def test_a_page_can_be_of_one_purpose(storage: Storage) -> None:
    batches = [await storage.keep("acme", storage.file(purpose="batch")) for _ in range(3)]
    await storage.keep("acme", storage.file(purpose="vision"))
    page = await storage.files.page("acme", 2, None, "batch")
    assert (page.files, page.has_more) == (batches[:0:-1], True)
    page = await storage.files.page("acme", 2, page.files[-1].id, "batch")
    assert (page.files, page.has_more) == (batches[:1], False)


async def test_a_page_is_filled_past_expired_files(storage: Storage) -> None:
    old = await storage.keep("acme", storage.file())
    for _ in range(3):
        await storage.keep("acme", storage.file(kept_s=60))
    page = await storage.files.page("acme", 1, None, None)
    assert (page.files, page.has_more) == ([old], False)


async def test_an_upload_becomes_a_file_only_when_it_is_adopted(storage: Storage) -> None:
    file = replace(storage.file("big.txt", size=7), is_pending=True)
    await storage.files.announce("acme", file)
    assert await storage.files.head("acme", file.id) == file
    assert await storage.files.uploaded("acme", file.id) is None

    await storage.upload(await storage.files.upload_link("acme", file), b"content")
    with pytest.raises(FileNotFound):
        await storage.files.get("acme", file.id, 10)
    assert (await storage.files.page("acme", 10, None, None)).files == []

    uploaded = await storage.files.uploaded("acme", file.id)
    assert uploaded is not None
    assert (uploaded.size_bytes, uploaded.start) == (7, b"content")
    whole = replace(file, content_type="text/csv", expires_at_s=created_at_s(file.id) + 9999, is_pending=False)
    await storage.files.adopt("acme", whole, uploaded.version)
    assert await storage.files.head("acme", file.id) == whole
    assert (await storage.files.get("acme", file.id, 10)).data == b"content"
    assert await storage.files.uploaded("acme", file.id) is None


async def test_a_link_used_after_the_file_is_whole_changes_nothing(storage: Storage) -> None:
    file = replace(storage.file(size=7), is_pending=True)
    await storage.files.announce("acme", file)
    link = await storage.files.upload_link("acme", file)
    await storage.upload(link, b"content")
    uploaded = await storage.files.uploaded("acme", file.id)
    assert uploaded is not None
    await storage.files.adopt("acme", replace(file, is_pending=False), uploaded.version)
    await storage.upload(link, b"changed")
    assert (await storage.files.get("acme", file.id, 10)).data == b"content"


async def test_an_announcement_is_forgotten_after_a_day(storage: Storage) -> None:
    file = replace(storage.file(), is_pending=True)
    await storage.files.announce("acme", file)
    storage.clock.unix_s = created_at_s(file.id) + PENDING_S
    with pytest.raises(FileNotFound):
        await storage.files.head("acme", file.id)


async def test_an_announcement_can_be_deleted_with_its_upload(storage: Storage) -> None:
    file = replace(storage.file(), is_pending=True)
    await storage.files.announce("acme", file)
    await storage.upload(await storage.files.upload_link("acme", file), b"bytes")
    await storage.files.delete("acme", file.id)
    with pytest.raises(FileNotFound):
        await storage.files.head("acme", file.id)
    assert await storage.files.uploaded("acme", file.id) is None


async def test_an_empty_upload_has_no_bytes(storage: Storage) -> None:
    file = replace(storage.file(), is_pending=True)
    await storage.files.announce("acme", file)
    await storage.upload(await storage.files.upload_link("acme", file), b"")
    uploaded = await storage.files.uploaded("acme", file.id)
    assert uploaded is not None
    assert (uploaded.size_bytes, uploaded.start) == (0, b"")


async def test_an_idempotency_key_makes_one_file(storage: Storage) -> None:
    first, second = storage.file().id, storage.file().id
    assert await storage.files.claim("acme", "key", "print", first) == first
    assert await storage.files.claim("acme", "key", "print", second) == first
    assert await storage.files.claim("other", "key", "print", second) == second
    with pytest.raises(IdempotencyConflict):
        await storage.files.claim("acme", "key", "another print", second)


async def test_an_idempotency_key_is_free_again_after_a_day(storage: Storage) -> None:
    first = storage.file().id
    await storage.files.claim("acme", "key", "print", first)
    storage.clock.unix_s = created_at_s(first) + CLAIMED_S
    fresh = new_file_id("vision", storage.clock.now_s(), bytes(10))
    assert await storage.files.claim("acme", "key", "another print", fresh) == fresh
    assert await storage.files.claim("acme", "key", "another print", first) == fresh


async def test_claims_at_once_agree(storage: Storage) -> None:
    ids = [storage.file().id for _ in range(8)]
    async with asyncio.timeout(10):
        claimed = await asyncio.gather(*(storage.files.claim("acme", "key", "print", one) for one in ids))
    assert len(set(claimed)) == 1


async def test_a_url_of_the_storage_names_its_file(storage: Storage) -> None:
    file = await storage.keep("acme", storage.file())
    url = (await storage.files.link("acme", file)).url
    assert storage.files.id_in(url) == file.id
    for other in (url.replace(file.id, "file_x"), f"https://elsewhere.example/files/acme/{file.id}", file.id, ""):
        assert storage.files.id_in(other) is None


async def test_a_link_opens_without_a_key_as_an_attachment(bucket: Place, http_client: HttpClient) -> None:
    files, clock = s3_files(bucket, http_client, ManualClock()), ManualClock()
    file = File(new_file_id("vision", clock.now_s(), bytes(10)), 'naïve "a".txt', "text/plain", 5)
    await files.put("acme", file, b"bytes")
    link = await files.link("acme", file)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(link.url)
    assert (answer.content, answer.headers["content-type"]) == (b"bytes", "text/plain")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''na%C3%AFve%20%22a%22.txt"
    assert link.expires_at_s - clock.now_s() == 600


async def test_a_missing_bucket_is_a_storage_that_does_not_answer(
    aws_url: str, aws_keys: None, http_client: HttpClient
) -> None:
    files = s3_files(Place.of("no-such-bucket", REGION, aws_url), http_client, ManualClock())
    file = File(new_file_id("vision", 0, bytes(10)), "a", "text/plain", 1)
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await files.put("acme", file, b"b")


@asynccontextmanager
async def scripted_s3(*answers: bytes) -> AsyncIterator[tuple[Place, list[bytes]]]:
    """A server that gives these answers in turn, one a connection; the list collects heads of requests."""
    heads: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(length_in(heads[-1]))
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Place(BUCKET, REGION, f"http://127.0.0.1:{port}/{BUCKET}"), heads


def length_in(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def said(status: str, body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


SLOW_DOWN = said("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>")
FAILED_COPY = said("200 OK", b'<?xml version="1.0"?>\n  <Error><Code>InternalError</Code></Error>')


BEGUN = said("200 OK", b"<UploadId>u1</UploadId>")
PART = b'HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
GONE = said("404 Not Found", b"<Error><Code>NoSuchUpload</Code></Error>")


async def whole_part() -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES)


async def test_a_completion_whose_answer_was_lost_has_happened(aws_keys: None, http_client: HttpClient) -> None:
    file = File(new_file_id("generated", 0, bytes(10)), "a", "video/mp4", 0)
    async with scripted_s3(BEGUN, PART, SLOW_DOWN, GONE, said("200 OK")) as (place, heads):
        size = await s3_files(place, http_client, ManualClock()).put_stream("acme", file, whole_part())
    assert (size, [head.partition(b" ")[0] for head in heads]) == (
        PART_BYTES,
        [b"POST", b"PUT", b"POST", b"POST", b"HEAD"],
    )


async def test_a_completion_that_fails_in_its_body_is_aborted_and_told(aws_keys: None, http_client: HttpClient) -> None:
    file = File(new_file_id("generated", 0, bytes(10)), "a", "video/mp4", 0)
    async with scripted_s3(BEGUN, PART, FAILED_COPY, said("204 No Content")) as (place, heads):
        with pytest.raises(StorageUnavailable, match="InternalError"):
            await s3_files(place, http_client, ManualClock()).put_stream("acme", file, whole_part())
    assert heads[-1].startswith(b"DELETE")


async def test_a_fault_is_tried_once_more(aws_keys: None, http_client: HttpClient) -> None:
    file = File(new_file_id("vision", 0, bytes(10)), "a", "text/plain", 1)
    async with scripted_s3(SLOW_DOWN, said("200 OK")) as (place, heads):
        await s3_files(place, http_client, ManualClock()).put("acme", file, b"b")
        assert len(heads) == 2


async def test_two_faults_are_told(aws_keys: None, http_client: HttpClient) -> None:
    file = File(new_file_id("vision", 0, bytes(10)), "a", "text/plain", 1)
    async with scripted_s3(SLOW_DOWN, SLOW_DOWN) as (place, _):
        with pytest.raises(StorageUnavailable, match="SlowDown"):
            await s3_files(place, http_client, ManualClock()).put("acme", file, b"b")


async def test_another_upload_than_the_checked_one_is_not_adopted(aws_keys: None, http_client: HttpClient) -> None:
    """moto does not know the condition, so this much of S3 is scripted."""
    file = File(new_file_id("vision", 0, bytes(10)), "a", "text/plain", 1)
    changed = said("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
    async with scripted_s3(changed) as (place, heads):
        with pytest.raises(StorageUnavailable, match="PreconditionFailed"):
            await s3_files(place, http_client, ManualClock()).adopt("acme", file, '"checked"')
        assert b'x-amz-copy-source-if-match: "checked"' in heads[0]


async def test_a_copy_that_fails_after_its_status_has_failed(aws_keys: None, http_client: HttpClient) -> None:
    file = File(new_file_id("vision", 0, bytes(10)), "a", "text/plain", 1)
    async with scripted_s3(FAILED_COPY) as (place, heads):
        with pytest.raises(StorageUnavailable, match="InternalError"):
            await s3_files(place, http_client, ManualClock()).adopt("acme", file, '"etag"')
        assert len(heads) == 1  # the upload is still there for another try
