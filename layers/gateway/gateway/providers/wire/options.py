"""`provider_options`: members of the provider's own API, laid over the rendered body."""

from __future__ import annotations

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported

RESERVED = frozenset({"model", "messages", "contents", "input", "stream", "stream_options"})

MEASURED = frozenset(
    {
        "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens", "max_new_tokens",
        "max_gen_len", "num_predict", "min_tokens",
        "n", "best_of", "candidateCount", "candidate_count", "num_generations", "sampleCount",
        "web_search_options", "plugins", "cachedContent", "cached_content",
    }
)  # fmt: skip
"""Members by which a reply grows, multiplies, or reads what nobody counted: the call has its own words for them, and
what is held for a request is measured by those."""

NESTED = frozenset(
    {
        "generationConfig", "generation_config", "inferenceConfig", "additionalModelRequestFields", "options",
        "parameters", "extra_body",
    }
)  # fmt: skip
"""Members with members of which the same holds."""


def with_options(body: Json, options: Json | None, provider: str, reserved: frozenset[str] = RESERVED) -> Json:
    """`body` with the `options` that the call has for this provider.

    Raises CapabilityNotSupported (400) for a `reserved` member: those would lead around the gateway's own choice of
    model, its checks of what is said, and its reading of the answer; and for one of MEASURED, which would lead around
    limits and budgets.
    """
    if not options:
        return body
    _check(options, f"provider_options.{provider}", reserved)
    return merged(body, options)


def _check(options: Json, where: str, reserved: frozenset[str]) -> None:
    for name, value in options.items():
        if name in reserved or name in MEASURED:
            raise CapabilityNotSupported(f"'{name}' is not for provider_options to set.", param=f"{where}.{name}")
        if name in NESTED and isinstance(value, dict):
            _check(value, f"{where}.{name}", frozenset())


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
