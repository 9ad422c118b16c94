"""Where files of tenants are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from gateway.model.file import File, FilePage, Link, Purpose, StoredFile, Uploaded


class Files(Protocol):
    """Files of tenants. Another tenant's file and an expired one are not found; every method but `id_in` raises
    StorageUnavailable (503).

    A file is stored in one go by `put`, or in three steps, in which its bytes do not pass the gateway: `announce`, an
    upload by its `upload_link`, and `adopt` once what was `uploaded` has been checked.
    """

    async def head(self, tenant_id: str, file_id: str) -> File:
        """A whole file or, failing that, an announced one (`is_pending`). Raises FileNotFound (404)."""
        ...

    async def get(self, tenant_id: str, file_id: str, max_bytes: int) -> StoredFile:
        """A whole file. Raises FileNotFound (404), PayloadTooLarge (413)."""
        ...

    async def stretch(self, tenant_id: str, file_id: str, start: int, size_bytes: int) -> bytes:
        """So many bytes of a whole file, fewer at its end. Raises FileNotFound (404)."""
        ...

    async def put(self, tenant_id: str, file: File, data: bytes) -> None:
        """Stores a whole file, again if it is there already."""
        ...

    async def put_stream(self, tenant_id: str, file: File, chunks: AsyncIterator[bytes]) -> int:
        """Stores a whole file of unknown size, holding a small part of it at a time; gives its size in bytes.

        It is there when all of it is. What reading `chunks` raises is passed on, and nothing is left behind.
        """
        ...

    async def delete(self, tenant_id: str, file_id: str) -> None:
        """Removes a file, whole or announced; nothing happens when there is none."""
        ...

    async def page(self, tenant_id: str, limit: int, after: str | None, purpose: Purpose | None) -> FilePage:
        """At most `limit` whole files, newest first, older than the file id `after`."""
        ...

    async def link(self, tenant_id: str, file: File) -> Link:
        """Downloads a whole file for some minutes, as an attachment of its name."""
        ...

    def id_in(self, url: str) -> str | None:
        """The file that a URL of this storage names, whether it still opens or not; None for any other URL."""
        ...

    async def announce(self, tenant_id: str, file: File) -> None:
        """Keeps what the client says of a file that it will upload."""
        ...

    async def upload_link(self, tenant_id: str, file: File) -> Link:
        """Takes exactly the announced number of bytes for some minutes."""
        ...

    async def uploaded(self, tenant_id: str, file_id: str) -> Uploaded | None:
        """What came by the upload link so far."""
        ...

    async def adopt(self, tenant_id: str, file: File, version: str) -> None:
        """Makes that version of the upload the whole file, and forgets the announcement."""
        ...

    async def claim(self, tenant_id: str, key: str, fingerprint: str, file_id: str) -> str:
        """The file id that this idempotency key made first: the given one, unless it was claimed in the last day.

        Raises IdempotencyConflict (409) when it was claimed with another fingerprint.
        """
        ...
