"""`provider_options`: members of the provider's own API, laid over the rendered body."""

from __future__ import annotations

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported

RESERVED = frozenset({"model", "messages", "contents", "input", "stream", "stream_options"})


def with_options(body: Json, options: Json | None, provider: str, reserved: frozenset[str] = RESERVED) -> Json:
    """`body` with the `options` that the call has for this provider.

    Raises CapabilityNotSupported (400) for a `reserved` member: those would lead around the gateway's own choice of
    model, its checks of what is said, and its reading of the answer.
    """
    if not options:
        return body
    for name in options:
        if name in reserved:
            param = f"provider_options.{provider}.{name}"
            raise CapabilityNotSupported(f"'{name}' is not for provider_options to set.", param=param)
    return merged(body, options)


def merged(body: Json, options: Json) -> Json:
    """`options` over `body`: objects member by member, `tools` after the call's own, everything else replaced."""
    result = dict(body)
    for name, value in options.items():
        known = result.get(name)
        if isinstance(value, dict) and isinstance(known, msgspec.Struct):
            known = msgspec.to_builtins(known)
        if isinstance(value, dict) and isinstance(known, dict):
            result[name] = merged(known, value)
        elif name == "tools" and isinstance(value, list) and isinstance(known, list):
            result[name] = known + value
        else:
            result[name] = value
    return result
