"""Unpacked deployment packages, kept by content so that a warm start finds them (and their bytecode) on disk.

On AWS the function's archive is /var/task and the layers, merged in order, are /opt. Here both are folders named by
the hash of what they hold, shared by every environment that runs the same code.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

KEPT_FOLDERS = 16
_DRAFT_PREFIX = "draft-"
_PERMISSION_BITS = 0o777


class PackageCache:
    """Folders below `root`, one per distinct sequence of archives."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[str, asyncio.Lock] = {}

    async def folder(self, archives: Sequence[bytes]) -> Path:
        """The folder that holds `archives` unpacked over each other, later ones on top.

        Raises zipfile.BadZipFile for an unreadable archive.
        """
        name = await asyncio.to_thread(_content_name, archives)
        target = self._root / name
        async with self._locks.setdefault(name, asyncio.Lock()):
            if target.is_dir():
                os.utime(target)
            else:
                await asyncio.to_thread(_unpack, archives, target)
        return target

    def prune(self, kept: int = KEPT_FOLDERS) -> None:
        """Remove half-made folders and all but the `kept` most recently used. Only before any environment runs."""
        self._root.mkdir(parents=True, exist_ok=True)
        drafts = list(self._root.glob(f"{_DRAFT_PREFIX}*"))
        complete = [folder for folder in self._root.iterdir() if folder not in drafts]
        by_age = sorted(complete, key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in [*drafts, *by_age[kept:]]:
            shutil.rmtree(folder, ignore_errors=True)


def _content_name(archives: Sequence[bytes]) -> str:
    joined = hashlib.sha256()
    for archive in archives:
        joined.update(hashlib.sha256(archive).digest())
    return joined.hexdigest()[:32]


def _unpack(archives: Sequence[bytes], target: Path) -> None:
    """Unpack beside `target`, then rename: a folder that exists is always complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=target.parent))
    try:
        for archive in archives:
            with zipfile.ZipFile(io.BytesIO(archive)) as package:
                for entry in package.infolist():
                    _extract(package, entry, draft)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _extract(package: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Extract one entry with its permissions, which ZipFile.extract drops and an exec wrapper needs."""
    path = Path(package.extract(entry, folder))
    permissions = (entry.external_attr >> 16) & _PERMISSION_BITS
    if permissions and not entry.is_dir():
        path.chmod(permissions)
