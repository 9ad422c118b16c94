"""How a provider can fail, and what has to come of it: the matrix of docs/reliability.md.

No request is made here: tests/e2e/test_fault_matrix.py proves what this says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from gateway.model.catalog import ModelFacts, ProviderCatalog

CATALOG = Path(__file__).parents[2] / "shared" / "catalog"
Place = Literal["", "closed port", "plain port", "no such name"]
Wire = Literal["chat_completions", "messages", "generate_content", "embeddings"]
TTFT_MS, TOTAL_MS = 500, 900
MOST_MODELS = 100


@dataclass(frozen=True)
class Failure:
    """What a client is told. `is_begun`: after it has had something of the answer. `is_charged`: whether the provider
    may have charged for it, so that it is paid for.
    """

    status: int
    code: str
    phase: str | None = None
    is_retryable: bool = False
    is_begun: bool = False
    is_charged: bool = False

    @property
    def words(self) -> str:
        phase = f", phase `{self.phase}`" if self.phase else ""
        said = f"{self.status} `{self.code}`{phase}"
        return f"what has come, then `{self.code}`{phase}" if self.is_begun else said


UNREACHED = Failure(502, "provider_error", is_retryable=True)
UNREADABLE = Failure(502, "provider_error", is_charged=True)
BROKEN = Failure(502, "provider_error", is_begun=True, is_charged=True)
LIMITED = Failure(429, "rate_limited", is_retryable=True)
SLOW = Failure(504, "provider_timeout", "total", is_charged=True)
NO_CONTENT = Failure(504, "provider_timeout", "ttft", is_charged=True)
STALLED = Failure(504, "provider_timeout", "total", is_begun=True, is_charged=True)


@dataclass(frozen=True)
class Fault:
    """`whole`: None of what is no answer's but a stream's. `switches`: what its simulator is armed with, for as many as
    `times` requests; `place`: where its provider is looked for. `is_slow`: whether a time limit ends it.
    """

    name: str
    whole: Failure | None
    stream: Failure
    switches: str = ""
    place: Place = ""
    times: int = 1
    is_slow: bool = False


FAULTS = (
    Fault("connection refused", UNREACHED, UNREACHED, place="closed port"),
    Fault("TLS fails", UNREACHED, UNREACHED, place="plain port"),
    Fault("no such host", UNREACHED, UNREACHED, place="no such name"),
    Fault("401", UNREACHED, UNREACHED, "status=401", times=3),
    Fault("408", Failure(504, "provider_timeout", "total"), Failure(504, "provider_timeout", "total"), "status=408"),
    Fault("429", LIMITED, LIMITED, "status=429", times=3),
    Fault("429 with `Retry-After`", LIMITED, LIMITED, "status=429 retry_after=2", times=3, is_slow=True),
    Fault("500", UNREACHED, UNREACHED, "status=500"),
    Fault("503", UNREACHED, UNREACHED, "status=503"),
    Fault("529", UNREACHED, UNREACHED, "status=529"),
    Fault("an error whose body stalls", UNREACHED, UNREACHED, "status=500 stall", is_slow=True),
    Fault("slow first byte", SLOW, NO_CONTENT, "first_byte_s=60", is_slow=True),
    Fault("a head, then nothing", SLOW, NO_CONTENT, "endless first_event_s=60", is_slow=True),
    Fault("signs of life without end", SLOW, NO_CONTENT, "pings", is_slow=True),
    Fault("stall mid-stream", SLOW, STALLED, "stall", is_slow=True),
    Fault("cut before the head", UNREADABLE, UNREADABLE, "cut=before_headers", times=2),
    Fault("cut before the first event", UNREADABLE, UNREADABLE, "cut_after=0"),
    Fault("cut mid-event", UNREADABLE, BROKEN, "cut=mid_event"),
    Fault("connection reset", UNREADABLE, BROKEN, "cut=reset"),
    Fault("garbage", UNREADABLE, BROKEN, "garbage"),
    Fault("wrong content type", UNREADABLE, UNREADABLE, "content_type=text/html"),
    Fault("an error event mid-stream", None, BROKEN, "error_after=1"),
    Fault("endless stream", SLOW, STALLED, "endless", is_slow=True),
)
THIN = ("429 with `Retry-After`", "529", "slow first byte", "stall mid-stream", "cut mid-event", "garbage")
"""Those that the other wires are tried with."""


@dataclass(frozen=True)
class Cell:
    """`model`: of no other cell, so that nothing which is known of a model that fails stands in the way of another.
    `well`: one of the same provider, which answers.
    """

    fault: Fault
    wire: Wire
    model: str
    well: str
    spare: str = ""
    stream: bool = False

    @property
    def failure(self) -> Failure:
        found = self.fault.stream if self.stream else self.fault.whole
        assert found is not None
        return found

    @property
    def falls_back(self) -> bool:
        return bool(self.spare) and not self.failure.is_begun

    @property
    def id(self) -> str:
        how = f"{'streamed' if self.stream else 'whole'}-{'fallback' if self.spare else 'none'}"
        return f"{self.wire}-{self.fault.name.replace(' ', '_')}-{how}"


PLACES: Mapping[Place, str] = MappingProxyType(
    {"closed port": "fireworks", "plain port": "huggingface", "no such name": "deepseek"}
)
"""Providers that are looked for elsewhere for a while, and asked by no other cell."""
PROVIDERS: Mapping[Wire, tuple[str, ...]] = MappingProxyType(
    {
        "chat_completions": ("openai", "mistral", "openrouter", "together", "groq", "cerebras"),
        "messages": ("anthropic",),
        "generate_content": ("google", "vertex"),
    }
)
SPARES: Mapping[Wire, str] = MappingProxyType(
    {
        "chat_completions": "anthropic/claude-haiku-4-5",
        "messages": "openai/gpt-4o-mini",
        "generate_content": "openai/gpt-4o-mini",
    }
)
VECTORS = (
    "mistral/mistral-embed",
    "openai/text-embedding-3-small",
    "openai/text-embedding-3-large",
    "voyage/voyage-3.5",
    "google/gemini-embedding-001",
    "openai/text-embedding-ada-002",
)
"""In the order of THIN."""
BUSY = frozenset(
    {
        *("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"),
        *("mistral/mistral-small-latest", "groq/llama-3.3-70b-versatile"),
    }
)
"""Asked by many other tests."""


@cache
def models_of(provider: str, wire: Wire) -> tuple[str, ...]:
    catalog = msgspec.json.decode((CATALOG / f"{provider}.json").read_bytes(), type=ProviderCatalog)
    return tuple(name for one in catalog.models if (name := f"{provider}/{one.id}") not in BUSY and _fits(one, wire))


def _fits(facts: ModelFacts, wire: Wire) -> bool:
    is_plain = "streaming" in facts.capabilities and {*facts.output} <= {"text"}
    is_there = facts.lifecycle != "deprecated" and facts.shutdown is None
    return facts.api == wire and is_there and is_plain and facts.prices is not None


def _in_turn(wire: Wire) -> Iterator[tuple[str, str]]:
    """Models with a well one of their provider, each once, of one provider after the other."""
    for number in range(1, MOST_MODELS):
        for provider in PROVIDERS[wire]:
            well, *others = models_of(provider, wire)
            if number <= len(others):
                yield others[number - 1], well


def _of(provider: str, wire: Wire) -> Iterator[tuple[str, str]]:
    well, *others = models_of(provider, wire)
    return ((model, "") for model in (well, *others))


def _cells() -> Iterator[Cell]:
    in_turn = {wire: _in_turn(wire) for wire in PROVIDERS}
    for fault in FAULTS:
        there = _of(PLACES[fault.place], "chat_completions") if fault.place else in_turn["chat_completions"]
        for stream in (False, True) if fault.whole else (True,):
            for spare in ("", SPARES["chat_completions"]):
                yield Cell(fault, "chat_completions", *next(there), spare, stream)
    for wire in ("messages", "generate_content"):
        for fault in (one for one in FAULTS if one.name in THIN):
            yield Cell(fault, wire, *next(in_turn[wire]))
            yield Cell(fault, wire, *next(in_turn[wire]), SPARES[wire], stream=True)
    for fault, model in zip((one for one in FAULTS if one.name in THIN), VECTORS, strict=True):
        spare = model.replace("openai/", "azure/") if fault.name in ("529", "slow first byte") else ""
        yield Cell(fault, "embeddings", model, "", spare)


CELLS = tuple(_cells())


def table() -> str:
    """The matrix in Markdown."""
    rows = ["| what a provider does | whole answer | stream | paid |", "|---|---|---|---|"]
    for fault in FAULTS:
        paid = "what was held, or came" if fault.stream.is_charged else "nothing"
        whole = fault.whole.words if fault.whole else ""
        rows.append(f"| {fault.name} | {whole} | {fault.stream.words} | {paid} |")
    return "\n".join(rows)
