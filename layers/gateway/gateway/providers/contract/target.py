"""Where a call goes."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from gateway.model.catalog import ModelFacts


class Target(Struct, frozen=True):
    """Where a call goes: the provider, the model's facts and the base URL to use (no trailing slash).

    `settings`: what the owner stored with the key, as in `Credential`.
    """

    provider: str
    model: ModelFacts
    base_url: str
    settings: Mapping[str, str] = field(default_factory=dict)
