"""Ids of tool calls that another provider made, as this one takes them.

A conversation may change its provider between a call and its result, and each demands another form of id.
"""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct


class CallIds(Struct, frozen=True):
    """`taken`: a regular expression of the ids that go as they are; any other becomes `length` letters and digits."""

    taken: str
    length: int

    def of(self, call_id: str) -> str:
        """The same for the same id, so that calls and their results stay together without a memory of them."""
        if re.fullmatch(self.taken, call_id, re.DOTALL):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[: self.length]
