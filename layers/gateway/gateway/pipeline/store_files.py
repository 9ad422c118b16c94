"""Files of one tenant: stored in one go, or announced, uploaded past the gateway and checked."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.file_ports import Files
from gateway.model.errors import FileNotFound, InvalidRequest, PayloadTooLarge
from gateway.model.file import (
    MAX_DIRECT_BYTES,
    MAX_FILE_BYTES,
    File,
    FilePage,
    Link,
    NewFile,
    Purpose,
    created_at_s,
    new_file_id,
)
from gateway.pipeline.file_types import checked_type, stored_type
from gateway.ports import Clock

BATCH_KEPT_S = 30 * 24 * 3600  # what OpenAI promises: https://platform.openai.com/docs/api-reference/files/create
UPLOAD_ROUTE = (
    "POST /v1/files with JSON {filename, content_type, bytes, purpose}, PUT the bytes to upload.url, "
    "then POST /v1/files/{id}/complete"
)


class TenantFiles:
    """Every method raises StorageUnavailable (503); those with a file id raise FileNotFound (404)."""

    def __init__(self, tenant_id: str, files: Files, clock: Clock) -> None:
        self._tenant_id, self._files, self._clock = tenant_id, files, clock

    async def store(self, new: NewFile, data: bytes, idempotency_key: str | None) -> File:
        """Raises PayloadTooLarge (413), InvalidRequest (400), IdempotencyConflict (409)."""
        if len(data) > MAX_DIRECT_BYTES:
            said = f"A file of more than {MAX_DIRECT_BYTES} bytes does not fit into a request"
            raise PayloadTooLarge(f"{said}: {UPLOAD_ROUTE}.", param="file")
        if not data:
            raise InvalidRequest("The file is empty.", param="file")
        file = self._file(replace(new, content_type=stored_type(new, data)), len(data))
        if idempotency_key is not None:
            fingerprint = _fingerprint("store", new, hashlib.sha256(data).hexdigest())
            file, is_there = await self._claimed(file, new, idempotency_key, fingerprint)
            if is_there:
                return file
        await self._files.put(self._tenant_id, file, data)
        return file

    async def announce(self, new: NewFile, size_bytes: int, idempotency_key: str | None) -> File:
        """Raises PayloadTooLarge (413), IdempotencyConflict (409)."""
        if size_bytes > MAX_FILE_BYTES:
            raise PayloadTooLarge(f"A file has at most {MAX_FILE_BYTES} bytes.", param="bytes")
        file = replace(self._file(new, size_bytes), is_pending=True)
        if idempotency_key is not None:
            fingerprint = _fingerprint("announce", new, size_bytes)
            file, is_there = await self._claimed(file, new, idempotency_key, fingerprint)
            if is_there:
                return file
        await self._files.announce(self._tenant_id, file)
        return file

    async def complete(self, file_id: str) -> File:
        """The whole file, also when it was completed before.

        Raises InvalidRequest (400) when what was uploaded is not what was announced.
        """
        file = await self._files.head(self._tenant_id, file_id)
        if not file.is_pending:
            return file
        uploaded = await self._files.uploaded(self._tenant_id, file_id)
        if uploaded is None:
            raise InvalidRequest("Nothing has been uploaded: PUT the bytes to upload.url first.", param="file_id")
        if uploaded.size_bytes != file.size_bytes:
            said = f"{file.size_bytes} bytes were announced and {uploaded.size_bytes} uploaded"
            raise InvalidRequest(f"{said}. Upload the file again.", param="bytes")
        whole = replace(file, content_type=checked_type(file, uploaded.start), is_pending=False)
        await self._files.adopt(self._tenant_id, whole, uploaded.version)
        return whole

    async def find(self, file_id: str) -> File:
        return await self._files.head(self._tenant_id, file_id)

    async def page(self, limit: int, after: str | None, purpose: Purpose | None) -> FilePage:
        return await self._files.page(self._tenant_id, limit, after, purpose)

    async def delete(self, file_id: str) -> None:
        await self._files.head(self._tenant_id, file_id)
        await self._files.delete(self._tenant_id, file_id)

    async def content(self, file_id: str) -> tuple[File, Link]:
        """Raises InvalidRequest (400) for a file that is not completed."""
        file = await self._files.head(self._tenant_id, file_id)
        if file.is_pending:
            raise InvalidRequest(f"The upload is not completed: POST /v1/files/{file_id}/complete.", param="file_id")
        return file, await self._files.link(self._tenant_id, file)

    async def describe(self, file: File) -> dict[str, Any]:
        """An OpenAI file object, with the link that is of use now: to download, or to upload what is pending."""
        if file.is_pending:
            return described(file, upload=await self._files.upload_link(self._tenant_id, file))
        return described(file, download=await self._files.link(self._tenant_id, file))

    def _file(self, new: NewFile, size_bytes: int) -> File:
        file_id = new_file_id(new.purpose, self._clock.now_s(), secrets.token_bytes(10))
        return File(file_id, new.filename, new.content_type, size_bytes, _expiry(file_id, new))

    async def _claimed(self, file: File, new: NewFile, key: str, fingerprint: str) -> tuple[File, bool]:
        """The file as the key's first request made it and whether it is there: that one may have broken off."""
        file_id = await self._files.claim(self._tenant_id, key, fingerprint, file.id)
        if file_id == file.id:
            return file, False
        try:
            return await self._files.head(self._tenant_id, file_id), True
        except FileNotFound:
            return replace(file, id=file_id, expires_at_s=_expiry(file_id, new)), False


def described(file: File, *, download: Link | None = None, upload: Link | None = None) -> dict[str, Any]:
    """An OpenAI file object; the content type and the links are members of this gateway."""
    gateway: dict[str, Any] = {"content_type": file.content_type}
    if file.origin is not None:
        gateway |= {"model": file.origin.model, "request_id": file.origin.request_id}
    if download is not None:
        gateway |= {"url": download.url, "url_expires_at": download.expires_at_s}
    told = {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_at_s,
        "expires_at": file.expires_at_s,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "pending" if file.is_pending else "processed",
        "gateway": gateway,
    }
    if upload is not None:
        link = {"method": upload.method, "url": upload.url, "headers": upload.headers}
        told["upload"] = {**link, "expires_at": upload.expires_at_s}
    return told


def _expiry(file_id: str, new: NewFile) -> int | None:
    kept_s = BATCH_KEPT_S if new.expires_after_s is None and new.purpose == "batch" else new.expires_after_s
    return None if kept_s is None else created_at_s(file_id) + kept_s


def _fingerprint(*parts: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
