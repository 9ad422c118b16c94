"""Finished media at URLs that a provider gave, read under the same rules as a stranger's, and never held as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.model.provider_errors import ProviderError, ProviderGone, is_gone

if TYPE_CHECKING:
    from gateway.adapters.guarded_fetch.address import Exempt
    from gateway.adapters.guarded_fetch.fetch import GuardedFetch


class GuardedDownloads:
    """No credential goes along. `exempt`: as text, addresses and ports of the local stack."""

    def __init__(self, exempt: str = "") -> None:
        self._exempt = exempt
        self._fetch: GuardedFetch | None = None

    @asynccontextmanager
    async def open(self, url: str, max_bytes: int, timeout_s: float) -> AsyncIterator[AsyncIterator[bytes]]:
        from gateway.adapters.guarded_fetch.refusal import NotFetched  # noqa: PLC0415 - most functions download nothing

        try:
            async with self._guarded().opened(url, max_bytes, timeout_s) as parts:
                yield parts
        except NotFetched as refusal:
            said = f"What the provider made cannot be read: {refusal.reason}"
            kind = ProviderGone if is_gone(refusal.http_status or 0) else ProviderError
            raise kind(said, provider_code=refusal.code) from refusal

    def _guarded(self) -> GuardedFetch:
        if self._fetch is None:
            from gateway.adapters.guarded_fetch.address import read_exempt  # noqa: PLC0415 - as above
            from gateway.adapters.guarded_fetch.fetch import GuardedFetch  # noqa: PLC0415

            exempt: Exempt = read_exempt(self._exempt)
            self._fetch = GuardedFetch(exempt=exempt)
        return self._fetch
