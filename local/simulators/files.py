"""What clients uploaded to one simulated provider: facts of each file, and the bytes of those that are for batches.

Bounded.
"""

import hashlib
import itertools
from collections import OrderedDict
from dataclasses import dataclass

from local.simulators.wire import Json

MAX_FILES = 200
MAX_KEPT_BYTES = 128 * 1024 * 1024
"""Of the files of one provider whose bytes are kept."""
FAILED, ENDLESS = b"sim:failed", b"sim:processing"


@dataclass(slots=True)
class StoredFile:
    """`state`: as the Gemini API calls it. `looks`: how many more find it PROCESSING, None: all. `data`: where kept."""

    id: str
    content_type: str
    size_bytes: int
    sha256: str
    state: str = "ACTIVE"
    looks: int | None = 0
    data: bytes = b""

    def looked_at(self) -> None:
        """A look may find that the processing is over."""
        if self.state == "PROCESSING" and self.looks is not None:
            self.looks -= 1
            if self.looks < 0:
                self.state = "ACTIVE"

    def noted(self) -> Json:
        """For the request log."""
        return {"id": self.id, "content_type": self.content_type, "bytes": self.size_bytes, "sha256": self.sha256}


class FileStore:
    """Files by id, oldest first."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._numbers = itertools.count(1)

    def add(self, content_type: str, data: bytes, *, processed: bool, kept: bool = False) -> StoredFile:
        """``processed``: videos are PROCESSING until the first look; words in the bytes make it fail, or never end.
        ``kept``: the bytes too.
        """
        name = f"sim{next(self._numbers):012d}"
        file = StoredFile(name, content_type, len(data), hashlib.sha256(data).hexdigest())
        file.data = data if kept else b""
        if processed and content_type.startswith("video/"):
            file.state, file.looks = "PROCESSING", None if ENDLESS in data else 0
        if processed and FAILED in data:
            file.state = "FAILED"
        self._files[name] = file
        while len(self._files) > MAX_FILES or self._kept_bytes > MAX_KEPT_BYTES:
            self._files.popitem(last=False)
        return file

    @property
    def _kept_bytes(self) -> int:
        return sum(len(file.data) for file in self._files.values())

    def find(self, name: str) -> StoredFile | None:
        """None when it was never there, or is no longer."""
        return self._files.get(name)

    def delete(self, name: str) -> StoredFile | None:
        """The file that was there."""
        return self._files.pop(name, None)
