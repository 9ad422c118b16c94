"""Many clients at once on tenants that have little: nobody may get more than his limit, nobody less than what fits.

The simulated provider bills exactly what was held for each request, so whatever is admitted is also spent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from gateway.model.catalog import ModelFacts, Prices
from gateway.model.chat import ChatCall
from gateway.pipeline.demand import prompt_tokens_at_most

MODEL = "openai/gpt-4o-mini"
INPUT_NANO_USD, OUTPUT_NANO_USD = 150, 600
"""Of one token of that model, as the catalog has it."""
MAX_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Contest:
    """`api_key`: of the tenant that is raced for. `requests`: how many want it."""

    api_key: str
    requests: int


@dataclass(slots=True)
class Outcome:
    """`spent_nano_usd`: by the replies' own word. `codes`: how many got which error, "ok" for none."""

    codes: Counter[str] = field(default_factory=Counter)
    spent_nano_usd: int = 0
    tokens: int = 0


def request() -> dict[str, Any]:
    """A chat that costs what is held for it: its switches name the prompt tokens that the gateway counts at most, and
    its tier is the one that serves it.
    """
    tokens = 0
    while True:
        text = f"[[prompt_tokens={tokens} completion_tokens={MAX_TOKENS}]] {'word ' * MAX_TOKENS}"
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": MAX_TOKENS,
            "service_tier": "default",
        }
        needed = prompt_tokens_at_most(msgspec.convert(body, ChatCall), _FACTS)
        if needed == tokens:
            return body
        tokens = needed


def cost_nano_usd() -> int:
    """Of one such request."""
    return prompt_tokens() * INPUT_NANO_USD + MAX_TOKENS * OUTPUT_NANO_USD


def prompt_tokens() -> int:
    return prompt_tokens_at_most(msgspec.convert(request(), ChatCall), _FACTS)


_FACTS = ModelFacts(id="gpt-4o-mini", name="", prices=Prices(input=0, output=0), context_tokens=128_000)


async def race(base_url: str, contests: Mapping[str, Contest], at_once: int) -> dict[str, Outcome]:
    """All contests together, their requests in turn, `at_once` of them open at any time. By the contests' names."""
    outcomes = {name: Outcome() for name in contests}
    most = max(contest.requests for contest in contests.values())
    waiting = [name for number in range(most) for name, each in contests.items() if number < each.requests]
    body = msgspec.json.encode(request())
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(base_url=base_url, timeout=120, limits=limits) as client:

        async def run() -> None:
            while waiting:
                name = waiting.pop()
                await _send(client, contests[name].api_key, body, outcomes[name])

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(run())
    return outcomes


async def _send(client: httpx.AsyncClient, api_key: str, body: bytes, outcome: Outcome) -> None:
    headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
    answer = await client.post("/chat/completions", headers=headers, content=body)
    said = answer.json()
    if answer.status_code != 200:
        outcome.codes[said["error"]["code"]] += 1
        return
    outcome.codes["ok"] += 1
    outcome.tokens += said["usage"]["total_tokens"]
    outcome.spent_nano_usd += round(said["usage"]["cost_estimate"] * 1e9)
