"""JSON lines, of which never more than one is held: https://jsonlines.org/"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.provider_errors import ProviderError

MAX_LINE_BYTES = 64 * 2**20
"""Of one item; the largest are several images in base64."""


class JsonLines:
    """Cuts bytes into lines, wherever they are cut themselves. Blank ones are left out."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._begun: list[bytes] = []
        self._begun_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises ProviderError (502) for a line that is too long."""
        first, *others = data.split(b"\n")
        self._hold(first)
        for other in others:
            yield from self.close()
            self._hold(other)

    def close(self) -> Iterator[bytes]:
        """The last one needs no end."""
        line, self._begun, self._begun_bytes = b"".join(self._begun).strip(), [], 0
        if line:
            yield line

    def _hold(self, data: bytes) -> None:
        self._begun.append(data)
        self._begun_bytes += len(data)
        if self._begun_bytes > MAX_LINE_BYTES:
            raise ProviderError(f"{self._provider} sent a result of a batch that is too large")
