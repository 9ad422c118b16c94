"""W3C Trace Context: the trace that a request belongs to, in words that every tracing system knows.

Source: https://www.w3.org/TR/trace-context/#traceparent-header (version 00).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

# Later versions may have more after the flags; version ff there is none.
_TRACEPARENT = re.compile(
    r"(?:00(?!.{53}.)|(?!00|ff)[0-9a-f]{2})"
    r"-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)
_X_RAY_ROOT = re.compile(r"Root=1-(?P<time>[0-9a-f]{8})-(?P<rest>[0-9a-f]{24})")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """`id`: 32 hexadecimal digits. `is_sampled`: the caller may have recorded it."""

    id: str
    is_sampled: bool

    @classmethod
    def of(cls, traceparent: str, x_ray: str) -> Trace:
        """The caller's; without one, or with a malformed one, X-Ray's of the invocation; without that, a new one.

        X-Ray's ids are W3C's written in another way:
        https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
        """
        if given := _TRACEPARENT.fullmatch(traceparent):
            return cls(given["trace"], bool(int(given["flags"], 16) & _SAMPLED))
        if root := _X_RAY_ROOT.search(x_ray):
            return cls(root["time"] + root["rest"], "Sampled=1" in x_ray)
        return cls(secrets.token_hex(16), is_sampled=False)

    def traceparent(self) -> str:
        """For one outgoing request, as a span of its own."""
        return f"00-{self.id}-{secrets.token_hex(8)}-{int(self.is_sampled):02x}"
