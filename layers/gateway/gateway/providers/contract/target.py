"""Where a call goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model.catalog import ModelFacts


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes: the provider, the model's facts and the base URL to use (no trailing slash).

    `settings`: what the owner stored with the key, as in `Credential`.
    """

    provider: str
    model: ModelFacts
    base_url: str
    settings: Mapping[str, str] = field(default_factory=dict)
