"""`provider_options`: members of the provider's own API, laid over the rendered body."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported, InvalidRequest


def plain(name: str) -> str:
    """A name however it is spelled: Google takes maxOutputTokens and max_output_tokens for the same."""
    return name.replace("_", "").lower()


@cache
def plainly(names: frozenset[str]) -> frozenset[str]:
    return frozenset(plain(name) for name in names)


RESERVED = frozenset({"model", "fallbacks", "messages", "contents", "input", "stream", "stream_options"})

MEASURED = plainly(
    frozenset(
        {
            "max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens",
            "max_gen_len", "num_predict", "min_tokens",
            "n", "best_of", "candidate_count", "num_generations", "sample_count",
            "web_search_options", "plugins", "cached_content",
        }
    )
)  # fmt: skip
"""Members by which a reply grows, multiplies, or reads what nobody counted: the call has its own words for them, and
what is held for a request is measured by those."""

NESTED = plainly(
    frozenset(
        {
            "generation_config", "inference_config", "additional_model_request_fields", "options", "parameters",
            "extra_body",
        }
    )
)  # fmt: skip
"""Members with members of which the same holds."""


def with_options(
    body: Json,
    options: Json | None,
    provider: str,
    reserved: frozenset[str] = RESERVED,
    reserved_inside: frozenset[str] = frozenset(),
) -> Json:
    """`body` with the `options` that the call has for this provider. Names are compared however they are spelled.

    Raises CapabilityNotSupported (400) for a `reserved` member, or one that is `reserved_inside` one of NESTED: those
    would lead around the gateway's own choice of model, its checks of what is said, and its reading of the answer; for
    one of MEASURED, which would lead around limits and budgets; and for one that the body has by another spelling,
    because nobody says which of the two counts. Raises InvalidRequest (400) for one of NESTED that is no object.
    """
    if not options:
        return body
    _check(options, body, f"provider_options.{provider}", plainly(reserved), plainly(reserved_inside))
    return merged(body, options)


def _check(options: Json, body: Json, where: str, reserved: frozenset[str], inside: frozenset[str]) -> None:
    known = _spelled(body)
    for name, value in options.items():
        if plain(name) in reserved or plain(name) in MEASURED:
            raise CapabilityNotSupported(f"'{name}' is not for provider_options to set.", param=f"{where}.{name}")
        if (spelled := known.setdefault(plain(name), name)) != name:
            raise CapabilityNotSupported(f"'{name}' is written '{spelled}' here.", param=f"{where}.{name}")
        if plain(name) in NESTED:
            if not isinstance(value, dict):
                raise InvalidRequest(f"'{name}' is an object.", param=f"{where}.{name}")
            _check(value, _object(body.get(name)), f"{where}.{name}", inside, inside)


def _spelled(names: Iterable[str]) -> dict[str, str]:
    return {plain(name): name for name in names}


def _object(value: Any) -> Json:
    value = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    return value if isinstance(value, dict) else {}


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
