"""Token counts of one reply, the same meaning for every provider."""

from __future__ import annotations

from msgspec import field

from gateway.model.wire import Outbound


class PromptTokensDetails(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """Parts of `prompt_tokens`.

    `cached_tokens`: read from the provider's cache. `cache_write_tokens`: written to it, of which
    `cache_write_1h_tokens` with the one-hour lifetime. `audio_tokens`, `image_tokens`, `video_tokens`: by modality.
    """

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    video_tokens: int = 0


class CompletionTokensDetails(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """Parts of `completion_tokens`. `reasoning_tokens`: thought but not shown as the answer."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class TokenUsage(Outbound, frozen=True, kw_only=True):
    """`prompt_tokens` includes cache reads, cache writes and tool-use prompt tokens.

    `completion_tokens` includes reasoning.
    `billed_prompt_tokens`, `billed_completion_tokens`: what the provider charges for, where that is another number.
    `calls`: of what it bills besides tokens, by the names of `ModelFacts.fees_nano_usd`.
    `stated_cost_nano_usd`: what the provider itself says that it charges, all told.
    `estimated`: counted by the gateway, because the provider gave no figures.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt: PromptTokensDetails = PromptTokensDetails()
    completion: CompletionTokensDetails = CompletionTokensDetails()
    billed_prompt_tokens: int | None = None
    billed_completion_tokens: int | None = None
    calls: dict[str, int] = field(default_factory=dict)
    stated_cost_nano_usd: int | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens
