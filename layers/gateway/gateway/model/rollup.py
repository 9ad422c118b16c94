"""Usage summed up: for each tenant and day (UTC) a row of counts for each user, key, operation, provider and model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from gateway.model.ledger import day_of
from gateway.model.record import UsageRecord
from gateway.model.usage import TokenUsage

Counts: TypeAlias = Mapping[str, int]
"""By name, as `counts_of` gives them; a name that is missing counts 0."""

Dimension: TypeAlias = Literal["day", "user", "key", "operation", "provider", "model"]
DIMENSIONS: tuple[Dimension, ...] = ("day", "user", "key", "operation", "provider", "model")
UNITS = "units."
"""Before the name of a unit that is not a token."""


class Group(Struct, frozen=True, order=True):
    """What a row is about, in the order of DIMENSIONS. `provider`, `model`: empty for requests that came to none."""

    day: str
    user: str
    key: str
    operation: str
    provider: str
    model: str


def group_of(record: UsageRecord) -> Group:
    """The day is the one on which the call ended."""
    of = record.of
    day = day_of(record.at_s)
    return Group(day, of.user_id, of.key_id, of.operation, record.provider or "", record.model or "")


def counts_of(record: UsageRecord) -> dict[str, int]:
    """What one record adds to its row.

    requests         1 with the first attempt of a request, so that a request counts once
    attempts         calls to a provider
    errors, refused, lost    records of that outcome
    unpriced         replies whose price is unknown: their cost is missing in `cost_nano_usd`
    estimated        replies whose tokens were counted by the gateway
    *_tokens         as in TokenUsage, parts of the prompt and of the completion under names of their own
    units.<name>     what is not counted in tokens
    """
    usage = record.usage
    counts = {
        "requests": int(record.attempt <= 1),
        "attempts": int(record.attempt > 0),
        "errors": int(record.outcome == "error"),
        "refused": int(record.outcome == "refused"),
        "lost": int(record.outcome == "lost"),
        "unpriced": int(record.cost_nano_usd is None),
        "estimated": int(usage is not None and usage.estimated),
        "cost_nano_usd": record.cost_nano_usd or 0,
        **(token_counts(usage) if usage else {}),
        **{f"{UNITS}{name}": amount for name, amount in record.units.items()},
    }
    return {name: count for name, count in counts.items() if count}


def token_counts(usage: TokenUsage) -> dict[str, int]:
    prompt, completion = usage.prompt, usage.completion
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": prompt.cached_tokens,
        "cache_write_tokens": prompt.cache_write_tokens,
        "cache_write_1h_tokens": prompt.cache_write_1h_tokens,
        "prompt_audio_tokens": prompt.audio_tokens,
        "prompt_image_tokens": prompt.image_tokens,
        "prompt_video_tokens": prompt.video_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": completion.reasoning_tokens,
        "completion_audio_tokens": completion.audio_tokens,
        "completion_image_tokens": completion.image_tokens,
        "accepted_prediction_tokens": completion.accepted_prediction_tokens,
        "rejected_prediction_tokens": completion.rejected_prediction_tokens,
    }


def summed(records: Iterable[UsageRecord]) -> dict[Group, dict[str, int]]:
    sums: dict[Group, dict[str, int]] = {}
    for record in records:
        add_to(sums.setdefault(group_of(record), {}), counts_of(record))
    return sums


def add_to(sums: dict[str, int], counts: Counts) -> None:
    for name, count in counts.items():
        sums[name] = sums.get(name, 0) + count


def units_in(counts: Counts) -> Iterator[tuple[str, int]]:
    """By their own names."""
    return ((name.removeprefix(UNITS), count) for name, count in sorted(counts.items()) if name.startswith(UNITS))
