"""Who is started first, where one small machine starts everything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from local.execution.function import FunctionSpec
from local.execution.package import PackageCache
from local.execution.pool import EnvironmentPool
from local.execution.reply import Failure, Invocation, InvocationFailed


def function(name: str) -> FunctionSpec:
    texts = dict.fromkeys(("arn", "region", "handler", "runtime", "log_group", "log_format", "version", "revision"), "")
    return FunctionSpec(
        **texts, key=name, name=name, memory_mb=1, timeout_s=1.0, variables={}, credentials={}, code=b"", layers=()
    )


class SlowPool(EnvironmentPool):
    """In which no start ends; `begun` are those that have a place."""

    def __init__(self) -> None:
        super().__init__(
            interpreter=Path(),
            packages=cast(PackageCache, None),
            scratch=Path(),
            endpoint_url="",
            report=lambda *_: None,
        )
        self.begun: list[str] = []
        self.ends = asyncio.Event()

    async def _start(self, fleet: Any) -> Any:
        self.begun.append(fleet.function.name)
        await self.ends.wait()
        raise InvocationFailed(Failure.of("Runtime.ExitError", "a test"))


async def test_whoever_is_waited_for_starts_before_what_is_only_warmed_up() -> None:
    pool = SlowPool()
    warming = [asyncio.ensure_future(pool.prestart(function(f"warm-{number}"))) for number in range(1_000)]
    await asyncio.sleep(0)
    pool.invoke(function("asked"), Invocation("1", b"{}", ""))
    for _ in range(10):
        await asyncio.sleep(0)
    begun = list(pool.begun)
    pool.ends.set()
    await asyncio.gather(*warming, return_exceptions=True)
    assert "asked" in begun
    assert 1 < len(begun) < 1_000
    assert len(pool.begun) == 1_001
