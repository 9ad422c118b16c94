"""Whether a webhook's URL may be called, as far as the URL itself says; where its name leads is seen at each call."""

from __future__ import annotations

from msgspec import Struct

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Exempt
from gateway.adapters.guarded_fetch.refusal import Refused
from gateway.adapters.guarded_fetch.target import read_target


class GuardedUrls(Struct, frozen=True):
    """`exempt`: addresses and ports of the local stack that may be called, over http too."""

    exempt: Exempt = NONE_EXEMPT

    def refusal(self, url: str) -> str | None:
        try:
            read_target(url, self.exempt)
        except Refused as refused:
            return refused.reason
        return None
