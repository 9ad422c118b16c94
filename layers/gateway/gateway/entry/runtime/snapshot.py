"""Hooks around a SnapStart snapshot.

Every environment restored from one snapshot starts with the same memory: connections, random state and anything
secret or short-lived belong after the restore. Outside SnapStart no hook runs.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable

Hook = Callable[[], Awaitable[None] | None]

_before: list[Hook] = []
_after: list[Hook] = []


def before_snapshot(hook: Hook) -> Hook:
    """Run `hook`, plain or async, before the snapshot: warm up, close connections. Last registered runs first."""
    _before.append(hook)
    return hook


def after_restore(hook: Hook) -> Hook:
    """Run `hook`, plain or async, in each restored environment before its first event. First registered runs first.

    Lambda allows all of them together 10 s.
    """
    _after.append(hook)
    return hook


async def run_before_snapshot() -> None:
    for hook in reversed(_before):
        await _run(hook)


async def run_after_restore() -> None:
    random.seed()
    for hook in _after:
        await _run(hook)


async def _run(hook: Hook) -> None:
    pending = hook()
    if inspect.isawaitable(pending):
        await pending
