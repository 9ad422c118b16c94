"""What a recording says, in the words of the normalised model but computed without the wires."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from gateway.model.provider_errors import ProviderFailure
from gateway.model.usage import TokenUsage


@dataclass(frozen=True)
class ExpectedCall:
    """`arguments`: parsed where they are JSON, else the raw text. `id` None: the provider gave none, any will do."""

    id: str | None
    name: str
    arguments: Any


@dataclass(frozen=True)
class ExpectedChoice:
    """Absent text is the empty string, whether the provider left it out, sent null or sent ""."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ExpectedCall, ...] = ()
    finish_reason: str = "stop"


@dataclass(frozen=True)
class ExpectedError:
    """`status`: of the gateway's error, not of the recording."""

    kind: type[ProviderFailure]
    status: int
    provider_code: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Expected:
    """Either `error` or `choices` in the order of their index. `usage` None: the provider gave no figures."""

    choices: tuple[ExpectedChoice, ...] = ()
    usage: TokenUsage | None = None
    error: ExpectedError | None = None


@dataclass(frozen=True)
class Refused:
    """The wire refuses this call (CapabilityNotSupported) although somebody once sent it."""

    reason: str
    param: str


@dataclass(frozen=True)
class Differs:
    """The body differs at exactly these JSON pointers, each with its reason."""

    pointers: dict[str, str] = field(default_factory=dict)


Allowance: TypeAlias = str | Differs | Refused
"""A plain string is the reason for a difference anywhere in the body; prefer `Differs`."""


def stated_cost_nano_usd(figures: dict[str, Any], provider: str) -> int | None:
    """What the provider itself says that it charges, rounded up; `cost` of OpenRouter is its fee with one's own key."""
    if provider == "xai" and "cost_in_usd_ticks" in figures:
        return math.ceil(Fraction(figures["cost_in_usd_ticks"], 10))
    if provider not in ("openrouter", "perplexity") or "cost" not in figures:
        return None
    told = figures["cost"]["total_cost"] if provider == "perplexity" else figures["cost"]
    beside = figures["cost_details"]["upstream_inference_cost"] if figures.get("is_byok") else 0
    return math.ceil((Fraction(str(told)) + Fraction(str(beside))) * 10**9)


def parsed(arguments: str) -> Any:
    """Tool arguments as data, or the text itself when it is not JSON."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
