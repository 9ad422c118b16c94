"""What wires for embeddings share: the inputs as texts, and what is addressed to the gateway alone."""

from __future__ import annotations

from gateway.model.embeddings import EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target

GATEWAY_METADATA = "conversation_id"


def texts(call: EmbeddingsCall, target: Target) -> str | list[str]:
    """The input as it was given. Raises CapabilityNotSupported (400) for one in tokens."""
    if isinstance(call.input, str):
        return call.input
    strings = [one for one in call.input if isinstance(one, str)]
    if len(strings) != len(call.input):
        raise CapabilityNotSupported(f"{target.model.id} of {target.provider} takes texts, not tokens.", param="input")
    return strings


def text_list(call: EmbeddingsCall, target: Target) -> list[str]:
    given = texts(call, target)
    return [given] if isinstance(given, str) else given


def other_metadata(call: EmbeddingsCall, target: Target, *, is_taken: bool = False) -> dict[str, str]:
    """What is not for the gateway itself. Raises CapabilityNotSupported (400) where the provider does not take it."""
    metadata = {name: value for name, value in (call.metadata or {}).items() if name != GATEWAY_METADATA}
    if metadata and not is_taken:
        raise CapabilityNotSupported(f"{target.provider} does not support 'metadata'.", param="metadata")
    return metadata
