"""Token counts of one reply, the same meaning for every provider."""

from __future__ import annotations

from typing import TypeVar

from msgspec import field
from msgspec.structs import astuple, force_setattr

from gateway.model.units import UnitName
from gateway.model.wire import Outbound

MOST = 10**13
"""Of anything in one answer: no cost that comes of it is too large for a number of the books."""


class _Parts(Outbound, frozen=True, kw_only=True):
    """Counts alone, of which each has a default."""

    def __post_init__(self) -> None:
        counts = astuple(self)
        if min(counts) < 0 or max(counts) > MOST:
            _bound(self)


def _bound(usage: Outbound) -> None:
    """A provider's figures are its word alone: one below nothing or above MOST is taken as the nearest that can be."""
    for name in usage.__struct_fields__:
        count = getattr(usage, name)
        if isinstance(count, int):
            force_setattr(usage, name, type(count)(_nearest(count)))


def _nearest(count: int) -> int:
    return min(max(count, 0), MOST)


class PromptTokensDetails(_Parts, frozen=True, kw_only=True, omit_defaults=False):
    """Parts of `prompt_tokens`.

    `cached_tokens`: read from the provider's cache. `cache_write_tokens`: written to it, of which
    `cache_write_1h_tokens` with the one-hour lifetime. `audio_tokens`, `image_tokens`, `video_tokens`: by modality.
    `cached_audio_tokens`: those that are both of `cached_tokens` and of `audio_tokens`.
    """

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    video_tokens: int = 0
    cached_audio_tokens: int = 0


class CompletionTokensDetails(_Parts, frozen=True, kw_only=True, omit_defaults=False):
    """Parts of `completion_tokens`. `reasoning_tokens`: thought but not shown as the answer."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


D = TypeVar("D", PromptTokensDetails, CompletionTokensDetails)


class TokenUsage(Outbound, frozen=True, kw_only=True):
    """`prompt_tokens` includes cache reads, cache writes and tool-use prompt tokens.

    `completion_tokens` includes reasoning.
    `billed_prompt_tokens`, `billed_completion_tokens`: what the provider charges for, where that is another number.
    `units`: what is charged by another measure, counts by their names (`model/units.py`).
    `stated_cost_nano_usd`: what the provider itself says that it charges, all told.
    `estimated`: counted by the gateway, because the provider gave no figures.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt: PromptTokensDetails = PromptTokensDetails()
    completion: CompletionTokensDetails = CompletionTokensDetails()
    billed_prompt_tokens: int | None = None
    billed_completion_tokens: int | None = None
    units: dict[UnitName, int] = field(default_factory=dict)
    stated_cost_nano_usd: int | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        are_bounded = 0 <= self.prompt_tokens <= MOST and 0 <= self.completion_tokens <= MOST
        told = (self.billed_prompt_tokens, self.billed_completion_tokens, self.stated_cost_nano_usd)
        if not are_bounded or self.units or told != (None, None, None):
            _bound(self)
            force_setattr(self, "units", {name: _nearest(count) for name, count in self.units.items()})

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Of two calls together; estimated if either is. Their cost is stated if that of both is."""
        names = {**self.units, **other.units}
        stated = (self.stated_cost_nano_usd, other.stated_cost_nano_usd)
        return TokenUsage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            prompt=_sum(self.prompt, other.prompt),
            completion=_sum(self.completion, other.completion),
            billed_prompt_tokens=_billed(
                (self.billed_prompt_tokens, self.prompt_tokens), (other.billed_prompt_tokens, other.prompt_tokens)
            ),
            billed_completion_tokens=_billed(
                (self.billed_completion_tokens, self.completion_tokens),
                (other.billed_completion_tokens, other.completion_tokens),
            ),
            units={name: self.units.get(name, 0) + other.units.get(name, 0) for name in names},
            stated_cost_nano_usd=None if None in stated else sum(cost or 0 for cost in stated),
            estimated=self.estimated or other.estimated,
        )


def _sum(one: D, other: D) -> D:
    return type(one)(**{name: getattr(one, name) + getattr(other, name) for name in one.__struct_fields__})


def _billed(*counts: tuple[int | None, int]) -> int | None:
    """Each: what is billed, and what counts where that says nothing."""
    if all(billed is None for billed, _ in counts):
        return None
    return sum(tokens if billed is None else billed for billed, tokens in counts)
