"""What clients ask of a gateway in a long day: well, wrongly, over their limits, and gone before the answer."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks import race
from gateway.model.money import usd_text

Manner = Literal["whole", "stream", "leaves", "leaves a stream", "job", "cancelled job"]

WELL, FAULTY, LEAVING, RATE, LITTLE, POOR, REVOKED, NOBODY = (
    *("well", "faulty", "leaving", "rate", "little", "poor", "revoked"),
    "nobody",
)
"""Tenants by what becomes of them; the last one is none."""
LITTLE_FITS = 15
RATE_PER_MINUTE = 3
TENANTS: dict[str, dict[str, Any]] = {
    WELL: {"allowance": {"budgets": [{"window": "month", "usd": "1000"}, {"window": "day", "usd": "500"}]}},
    FAULTY: {"allowance": {"budgets": [{"window": "month", "usd": "1000"}]}},
    LEAVING: {"user_allowance": {"budgets": [{"window": "month", "usd": "1000"}]}, "shards": 4},
    RATE: {"allowance": {"limits": [{"requests_per_minute": RATE_PER_MINUTE}]}},
    LITTLE: {"allowance": {"budgets": [{"window": "month", "usd": usd_text(LITTLE_FITS * race.cost_nano_usd())}]}},
    POOR: {"user_allowance": {"budgets": [{"window": "day", "usd": "0.000000001"}]}},
    REVOKED: {},
}
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash")
FAULTY_MODELS = ("mistral/mistral-small-latest", "groq/llama-3.1-8b-instant")
"""Asked by nobody who has to be answered, for their circuits open, and jobs meet those."""
FAILING = "cerebras/gpt-oss-120b"
"""Its provider is down for a while, and silent for a while, whoever asks."""
OUTAGES = ("", "status=503", "", "first_byte_s=30")
SLOW = {"total_ms": 900}


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one kind. `cards`: how many are in a deck. `models`: one of them is asked, by lot. `expected`: every
    way in which one may end, "ok" or the code of its error; "left" where its client is gone. `shown`: those of them
    that a run has to have seen, each at least once; of none, any. `is_recorded`: whether it leaves usage records; what
    is refused before it could cost anything leaves none.
    """

    name: str
    cards: int
    tenant: str
    body: dict[str, Any]
    expected: frozenset[str] = frozenset({"ok"})
    manner: Manner = "whole"
    path: str = "/chat/completions"
    models: tuple[str, ...] = MODELS
    is_recorded: bool = True
    shown: frozenset[str] = frozenset()

    def never_seen(self, outcomes: Collection[str]) -> list[str]:
        """In words, what of it has to be seen and is not among these outcomes, which are of this kind alone."""
        shown = self.shown or (self.expected if len(self.expected) == 1 else frozenset())
        missed = sorted(shown.difference(outcomes))
        return [f"{self.name}: {outcome}" for outcome in missed] or ([] if outcomes else [f"{self.name}: anything"])

    def asked(self, chance: random.Random) -> dict[str, Any]:
        return {"model": chance.choice(self.models), **self.body} if self.models else self.body


def deck(chance: random.Random) -> list[Kind]:
    """All kinds in their shares, in an order that is drawn."""
    cards = [kind for kind in KINDS for _ in range(kind.cards)]
    chance.shuffle(cards)
    return cards


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 60, **more}


def _streamed(text: str, **more: Any) -> dict[str, Any]:
    return says(text, stream=True, **more)


def _fails(name: str, switches: str, code: str, model: str, *, stream: bool = False, **more: Any) -> Kind:
    """A provider that fails in this way, for who names no other. `model`: of this kind alone, whose circuit another
    kind's failures would open before this one is ever asked of its provider.
    """
    body = says(f"[[{switches}]] Hello", stream=stream, **more)
    expected = frozenset({code, "circuit_open"})
    manner: Manner = "stream" if stream else "whole"
    return Kind(name, 1, FAULTY, body, expected, manner, models=(model,), shown=frozenset({code}))


def _falls_back(name: str, *, stream: bool = False) -> Kind:
    """Another model answers while FAILING, whose provider is down or silent for half of the time, does not."""
    body = says("Hello", stream=stream, fallback={"models": [*MODELS]}, timeouts={"total_ms": 2_500})
    return Kind(name, 3, FAULTY, body, manner="stream" if stream else "whole", models=(FAILING,))


_WORDS = "The quick brown fox jumps over the lazy dog. "
_NO_MODEL = ("openai/nothing",)
_VECTORS = ("openai/text-embedding-3-small",)
_LIMITED, _BROKEN, _LATE = "rate_limited", "provider_error", "provider_timeout"
_RATED, _SPENT = frozenset({"ok", _LIMITED}), frozenset({"ok", "budget_exceeded"})
KINDS: tuple[Kind, ...] = (
    Kind("chat", 20, WELL, says(20 * _WORDS)),
    Kind("long chat", 3, WELL, says(700 * _WORDS)),
    Kind("stream", 16, WELL, _streamed("[[chunks=20 chunk_delay_s=0.01]] Hello"), manner="stream"),
    Kind("burst", 2, WELL, _streamed("[[chunks=500]] Hello"), manner="stream", models=MODELS[:1]),
    Kind("embeddings", 8, WELL, {"input": ["one", "two", 10 * _WORDS]}, path="/embeddings", models=_VECTORS),
    Kind(
        "image",
        2,
        WELL,
        {"prompt": "A lighthouse", "quality": "low", "response_format": "b64_json"},
        path="/images/generations",
        models=("openai/gpt-image-1-mini",),
    ),
    Kind(
        "speech",
        2,
        WELL,
        {"input": "Good evening.", "voice": "alloy"},
        path="/audio/speech",
        models=("openai/tts-1",),
    ),
    Kind("job: chat", 3, WELL, says("Hello", **{"async": True}), manner="job"),
    Kind(
        "job: embeddings", 2, WELL, {"input": "one", "async": True}, manner="job", path="/embeddings", models=_VECTORS
    ),
    Kind(
        "job: fails",
        1,
        FAULTY,
        says("[[status=400]] Hello", **{"async": True}),
        frozenset({_BROKEN, "validation_error"}),
        "job",
        models=FAULTY_MODELS,
        shown=frozenset({"validation_error"}),
    ),
    Kind(
        "job: cancelled",
        1,
        WELL,
        says("[[first_byte_s=4]] Hello", **{"async": True}),
        frozenset({"cancelled", "ok"}),
        "cancelled job",
        shown=frozenset({"cancelled"}),
    ),
    _fails("429", "status=429", _LIMITED, "cohere/command-r7b-12-2024"),
    _fails("500", "status=500", _BROKEN, "mistral/mistral-small-latest"),
    _fails("503 of a stream", "status=503", _BROKEN, "groq/llama-3.1-8b-instant", stream=True),
    _fails("slow first byte", "first_byte_s=5", _LATE, "together/Qwen/Qwen2.5-7B-Instruct-Turbo", timeouts=SLOW),
    _fails(
        "slow first byte of a stream",
        "first_byte_s=5",
        _LATE,
        "together/MiniMaxAI/MiniMax-M2.7",
        stream=True,
        timeouts=SLOW,
    ),
    _fails("stalls mid-stream", "stall", _LATE, "deepseek/deepseek-v4-flash", stream=True, timeouts=SLOW),
    _fails("cut mid-event", "cut=mid_event", _BROKEN, "xai/grok-4.3", stream=True),
    _fails("cut before the head", "cut=before_headers", _BROKEN, "fireworks/accounts/fireworks/models/gpt-oss-120b"),
    _fails("reset", "cut=reset", _BROKEN, "openrouter/ai21/jamba-large-1.7", stream=True),
    _fails("garbage", "garbage", _BROKEN, "perplexity/sonar"),
    _fails("error mid-stream", "error_after=2", _BROKEN, "huggingface/MiniMaxAI/MiniMax-M2.5", stream=True),
    _falls_back("falls back"),
    _falls_back("falls back, stream", stream=True),
    Kind(
        "leaves a stream",
        3,
        LEAVING,
        _streamed("[[chunks=40 chunk_delay_s=0.05]] Hello"),
        frozenset({"left"}),
        "leaves a stream",
    ),
    Kind("leaves", 2, LEAVING, says("[[first_byte_s=1]] Hello"), frozenset({"left"}), "leaves"),
    Kind("rate", 5, RATE, says("Hello"), _RATED, shown=_RATED),
    Kind("little", 5, LITTLE, race.request(), _SPENT, models=(), shown=_SPENT),
    Kind("poor", 2, POOR, says("Hello"), frozenset({"budget_exceeded"})),
    Kind("unknown key", 1, NOBODY, says("Hello"), frozenset({"invalid_api_key"}), is_recorded=False),
    Kind("revoked key", 1, REVOKED, says("Hello"), frozenset({"invalid_api_key"}), is_recorded=False),
    Kind("wrong", 2, WELL, {"messages": []}, frozenset({"validation_error"}), is_recorded=False),
    Kind("no such model", 1, WELL, says("Hello"), frozenset({"model_not_found"}), models=_NO_MODEL, is_recorded=False),
)


@dataclass(slots=True)
class Seen:
    """What the client of one request knows. `tenant`: NOBODY's is in no book. `request_id`: None where the client left
    before it was told. `cost_nano_usd`: by the answer's own word. `attempts`: where the answer tells of them.
    `is_recorded`: as of its kind.
    """

    kind: str
    tenant: str
    outcome: str
    request_id: str | None = None
    cost_nano_usd: int | None = None
    attempts: int | None = None
    is_recorded: bool = True

    @classmethod
    def of(cls, kind: Kind, outcome: str, request_id: str | None = None) -> Seen:
        return cls(kind.name, kind.tenant, outcome, request_id, is_recorded=kind.is_recorded)


@dataclass(slots=True)
class Ordered:
    """A batch: its own word of how many lines have ended, and what they cost."""

    batch_id: str
    lines: int
    cost_nano_usd: int


@dataclass(slots=True)
class Gathered:
    """`unexpected`: what no kind allows, each with the body that was answered."""

    seen: list[Seen] = field(default_factory=list)
    batches: list[Ordered] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
