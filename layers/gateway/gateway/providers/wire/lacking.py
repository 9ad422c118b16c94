"""What a provider has no word for: refused by name, unless it asks for what happens anyway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "tool_choice": ("auto",),
}
"""Values that ask for what happens anyway where a parameter does not exist: they are honoured by not being sent."""

GATEWAY_METADATA = frozenset({"conversation_id"})
"""Metadata that is addressed to the gateway, which keeps it with its record. `user` is the gateway's, too."""


def lacking(provider: str, param: str, what: str) -> CapabilityNotSupported:
    return CapabilityNotSupported(f"{provider} does not support {what}.", param=param)


def refuse(call: ChatCall, names: Iterable[str], provider: str, when: str = "") -> None:
    """Raises CapabilityNotSupported for the first of these parameters that asks for something.

    `when`: that the provider lacks it, where it does not always.
    """
    for name in names:
        value = getattr(call, name)
        if value is not None and value not in NEUTRAL.get(name, ()):
            raise lacking(provider, name, f"'{name}'{when}")


def refuse_no_reasoning(call: ChatCall, model: ModelFacts) -> None:
    """For an API that has no other word for it than one of the model's levels. Raises CapabilityNotSupported."""
    levels = model.reasoning_efforts
    if call.reasoning_effort == "none" and levels and "none" not in levels:
        raise CapabilityNotSupported(f"{model.id} reasons at: {', '.join(levels)}.", param="reasoning_effort")


def metadata_to_send(call: ChatCall) -> dict[str, str]:
    """What of `metadata` is addressed to the provider."""
    return {name: value for name, value in (call.metadata or {}).items() if name not in GATEWAY_METADATA}


def refuse_metadata(call: ChatCall, provider: str) -> None:
    """For a provider that keeps none. Raises CapabilityNotSupported."""
    for name in metadata_to_send(call):
        raise lacking(provider, f"metadata.{name}", "metadata")


def refuse_obfuscation(call: ChatCall, provider: str) -> None:
    """Raises CapabilityNotSupported."""
    if call.stream_options is not None and call.stream_options.include_obfuscation:
        raise lacking(provider, "stream_options.include_obfuscation", "obfuscated streams")
