"""W3C Trace Context: the trace that a request belongs to, in words that every tracing system knows.

Source: https://www.w3.org/TR/trace-context/#traceparent-header (version 00) and #tracestate-header.
"""

from __future__ import annotations

import re
import secrets

from msgspec import Struct

# Later versions may have more after the flags; version ff there is none.
_TRACEPARENT = re.compile(
    r"(?:00(?!.{53}.)|(?!00|ff)[0-9a-f]{2})"
    r"-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)
_X_RAY_ROOT = re.compile(r"Root=1-(?P<time>[0-9a-f]{8})-(?P<rest>[0-9a-f]{24})")
_SAMPLED = 1
_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,240}(?:@[a-z][a-z0-9_\-*/]{0,13})?"
_STATE_MEMBER = re.compile(rf"(?P<key>{_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MAX_STATE_MEMBERS = 32
_MAX_STATE_CHARS = 512
"""What everybody has to pass on; who sends more cannot rely on it."""


class Trace(Struct, frozen=True):
    """`id`: 32 hexadecimal digits. `is_sampled`: the caller may have recorded it. `state`: what tracing systems on the
    way have to tell each other, as `tracestate` has it.
    """

    id: str
    is_sampled: bool
    state: str = ""

    @classmethod
    def of(cls, traceparent: str, x_ray: str, tracestate: str = "") -> Trace:
        """The caller's; without one, or with a malformed one, X-Ray's of the invocation; without that, a new one.

        A malformed `tracestate` is dropped, as is one of a trace that does not go on.

        X-Ray's ids are W3C's written in another way:
        https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
        """
        if given := _TRACEPARENT.fullmatch(traceparent):
            return cls(given["trace"], bool(int(given["flags"], 16) & _SAMPLED), _state(tracestate))
        if root := _X_RAY_ROOT.search(x_ray):
            return cls(root["time"] + root["rest"], "Sampled=1" in x_ray)
        return cls(secrets.token_hex(16), is_sampled=False)

    def headers(self) -> dict[str, str]:
        """For one outgoing request, as a span of its own."""
        parent = {"traceparent": f"00-{self.id}-{secrets.token_hex(8)}-{int(self.is_sampled):02x}"}
        return {**parent, "tracestate": self.state} if self.state else parent


def _state(tracestate: str) -> str:
    members = [member.strip(" \t") for member in tracestate.split(",")]
    found = [_STATE_MEMBER.fullmatch(member) for member in members if member]
    keys = {member["key"] for member in found if member}
    is_well_formed = len(keys) == len(found) <= _MAX_STATE_MEMBERS and len(tracestate) <= _MAX_STATE_CHARS
    return ",".join(member for member in members if member) if is_well_formed else ""
