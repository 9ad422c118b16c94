"""Ports whose every call is a moment in which something can happen to whoever makes it, before and after its effect."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec.structs import replace

from gateway.ports import World


class Killed(BaseException):
    """As when the process is ended: nothing catches it, and nothing is called after it."""


@dataclass(frozen=True)
class Moment:
    """`call`: "jobs.change". `is_done`: whether it has had its effect."""

    call: str
    is_done: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_done else 'before'} {self.call}"


Meets: TypeAlias = Callable[[Moment], Awaitable[None]] | None


@dataclass
class Fate:
    """What `meets` whoever comes to the moment `at`: death, if nothing else. `at`: its number, or its name, as it comes
    first. `calls`: whose moments count, if not all. `passed`: the moments before and after. `struck`: the one it was.
    """

    at: int | str | None = None
    meets: Meets = None
    calls: frozenset[str] | None = None
    passed: list[Moment] = field(default_factory=list)
    struck: Moment | None = None
    is_dead: bool = False

    @property
    def steps(self) -> int:
        return len(self.passed)

    async def come_to(self, moment: Moment) -> None:
        if self.is_dead:
            raise Killed
        if self.calls is not None and moment.call not in self.calls:
            return
        if self.struck is None and self.at in (self.steps, str(moment)):
            self.struck = moment
            await self._strike(moment)
        if self.is_dead:
            raise Killed
        self.passed.append(moment)

    async def _strike(self, moment: Moment) -> None:
        if self.meets is None:
            self.is_dead = True
            return
        try:
            await self.meets(moment)
        except Killed:
            self.is_dead = True


class Mortal:
    """A port, or what a port gave, whose async methods, and what they open, are moments of a fate."""

    def __init__(self, port: Any, fate: Fate, name: str = "") -> None:
        self._port, self._name, self._fate = port, name, fate

    def __getattr__(self, name: str) -> Any:
        method, call, fate = getattr(self._port, name), f"{self._name}.{name}", self._fate
        if inspect.iscoroutinefunction(method):

            async def dying(*arguments: Any, **named: Any) -> Any:
                await fate.come_to(Moment(call, is_done=False))
                result = await method(*arguments, **named)
                await fate.come_to(Moment(call, is_done=True))
                return result

            return dying
        if name == "open":
            return lambda *arguments, **named: self._opened(method(*arguments, **named), call)
        return method

    @asynccontextmanager
    async def _opened(self, opening: Any, call: str) -> AsyncIterator[Any]:
        await self._fate.come_to(Moment(call, is_done=False))
        async with opening as opened:
            await self._fate.come_to(Moment(call, is_done=True))
            yield opened if inspect.isasyncgen(opened) else Mortal(opened, self._fate, call)


PORTS = (
    *("access", "callbacks", "credentials", "downloads", "events", "executions", "files", "jobs", "ledger", "outbound"),
    *("payloads", "webhook_sender"),
)


def mortal(world: World, fate: Fate, ports: Iterable[str] = PORTS) -> World:
    dying: dict[str, Any] = {name: Mortal(getattr(world, name), fate, name) for name in ports}
    return replace(world, **dying)
