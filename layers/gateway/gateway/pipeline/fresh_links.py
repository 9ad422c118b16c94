"""A reply that was kept says where its media are; the links in it, which open them for minutes, are signed anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from gateway.file_ports import Files
from gateway.model.errors import FileNotFound
from gateway.model.file import Link


async def with_fresh_links(body: Any, tenant_id: str, files: Files) -> Any:
    """The same reply with links of now, to the tenant's own files only. One whose file is gone stays as it was.

    Raises StorageUnavailable (503).
    """
    found = sorted({told["file_id"] for told in _told(body, files)})
    links = dict(
        zip(found, await asyncio.gather(*(_link(tenant_id, file_id, files) for file_id in found)), strict=True)
    )
    return _again(body, links, files) if links else body


def _told(part: Any, files: Files) -> Iterator[dict[str, Any]]:
    if _is_told(part, files):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _told(inner, files)


def _is_told(part: Any, files: Files) -> bool:
    """As `KeptMedia.told` says it: a link that was signed here, of a file that stands beside it."""
    if not isinstance(part, dict) or not isinstance(part.get("url"), str) or "url_expires_at" not in part:
        return False
    return part.get("file_id") is not None and files.id_in(part["url"]) == part["file_id"]


def _again(part: Any, links: dict[str, Link | None], files: Files) -> Any:
    if isinstance(part, list):
        return [_again(inner, links, files) for inner in part]
    if not isinstance(part, dict):
        return part
    again = {name: _again(inner, links, files) for name, inner in part.items()}
    link = links[part["file_id"]] if _is_told(part, files) else None
    return again if link is None else {**again, "url": link.url, "url_expires_at": link.expires_at_s}


async def _link(tenant_id: str, file_id: str, files: Files) -> Link | None:
    try:
        return await files.link(tenant_id, await files.head(tenant_id, file_id))
    except FileNotFound:  # its owner has deleted it
        return None
