"""Something that is done beside something else, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def meanwhile(beside: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What becomes of it is nobody's matter."""
    task = asyncio.create_task(beside)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
