"""Webhooks: what a provider says by itself of work that it has begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.model.callback import News
from gateway.model.secret import Secret


class Callback(Protocol):
    """How a provider calls back; implementations live in `providers/wire`.

    `waits_s`: the operations of whose ends it tells, each with how long it is worth to wait for that: what has not
    ended by then, or ended otherwise than the provider tells, is asked for. At most half as long as the provider keeps
    what it has made, for a message may be lost.
    """

    @property
    def waits_s(self) -> Mapping[str, int]: ...

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: float) -> News | None:
        """What a message says, None when it is about no end. `headers`: by their names in lower case.

        Raises InvalidSignature (401) for one that none of the secrets signed, or not now; UnreadableBody (400).
        """
        ...

    def name_of(self, remote_id: str) -> str:
        """The name that news has for work of that id."""
        ...
