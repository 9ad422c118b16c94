"""What an Idempotency-Key stands for: the first request that came with it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

KEPT_S = 24 * 3600
"""How long a key is remembered."""


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`request_hash`: SHA-256 of the request, hex. `job_id`: of the job that it is answered with, None for one that is
    answered at once. Unix seconds: `until_s`, after which nobody can be working on the request; `ends_at_s`, when the
    key is forgotten.

    `is_asked`: whether a provider may have been asked, so that nobody asks again. `is_over`: whether it has its answer.
    """

    request_hash: str
    request_id: str
    ends_at_s: int
    until_s: int = 0
    job_id: str | None = None
    is_asked: bool = False
    is_over: bool = False
    is_freed: bool = False

    @property
    def free_at_s(self) -> int:
        """From when on another may have the key."""
        if self.is_freed:
            return 0
        return self.ends_at_s if self.is_asked or self.job_id is not None else self.until_s

    def freed(self) -> Claim:
        """Nothing came of the request, and nothing was charged for it."""
        return replace(self, is_freed=True)


class Claimed(Struct, frozen=True):
    """A request's own claim. `is_sure`: False while nobody knows whether it stands, since a write was not answered;
    then `before` may stand in its place.
    """

    tenant_id: str
    key_hash: str
    claim: Claim
    is_sure: bool = True
    before: Claim | None = None

    @property
    def may_stand(self) -> list[Claim]:
        return [claim for claim in (self.claim, self.before) if claim is not None]
