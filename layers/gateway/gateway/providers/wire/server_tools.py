"""Tools that the provider itself runs, which `provider_options` can ask for: how much work they make at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gateway.model.chat import Json
from gateway.providers.contract import ServerWork
from gateway.providers.wire.options import plain

CALLS_OF_A_TOOL = 10
"""That are held for where neither the call nor the provider limits them."""
READERS = frozenset(
    {"mcp_servers", "search_parameters", "data_sources", "connectors", "search_settings", "compound_custom"}
)
"""Members by which a provider reads more than it is sent: Anthropic's, xAI's, Azure's, Cohere's, Groq's."""


class ServerTools(Struct, frozen=True):
    """What one API knows. A tool that is of no kind here may do anything, and cost anything.

    `client`: how the types of tools begin that the client runs, so that they cost nothing. `searching`: of those with a
    fee that the wire counts. `reading`: of those without. `by_member`: whether the type is the name of a member that
    the tool has, as Google has it. `readers`: members of the options that work as reading tools.
    `limit_each`, `limit_all`: the member of a tool, and of the options, by which the provider keeps to a number of
    calls; "" where it has none: a member that it does not know limits nothing.
    `searches_once`: whether what searches find is not read, and paid, again in each turn.
    """

    client: tuple[str, ...] = ("function", "custom")
    searching: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    by_member: bool = False
    readers: frozenset[str] = frozenset()
    limit_each: str = ""
    limit_all: str = ""
    searches_once: bool = False

    def work(self, options: Json, *, is_asked_to_search: bool = False) -> ServerWork:
        """`is_asked_to_search`: by the call's own word for it."""
        unbounded = next((name for name in options if name in READERS - self.readers), None)
        searches, readings = (CALLS_OF_A_TOOL if is_asked_to_search else 0), 0
        readings += sum(CALLS_OF_A_TOOL for name in self.readers if name in options)
        for tool in _tools(options):
            for kind in self._kinds(tool):
                if kind.startswith(self.searching):
                    searches += _limit(tool, self.limit_each)
                elif kind.startswith(self.reading):
                    readings += _limit(tool, self.limit_each)
                elif not kind.startswith(self.client):
                    unbounded = unbounded or "tools"
        return self._limited(options, searches, readings, unbounded)

    def _limited(self, options: Json, searches: int, readings: int, unbounded: str | None) -> ServerWork:
        calls = searches + readings
        most = _limit(options, self.limit_all, calls)
        turns = min(readings if self.searches_once else calls, most) + 1
        told = {self.limit_all: calls} if self.limit_all and calls and options.get(self.limit_all) is None else {}
        return ServerWork(min(searches, most), turns, calls > 0, told, unbounded)

    def _kinds(self, tool: Json) -> Iterator[str]:
        if self.by_member:
            yield from map(plain, tool)
        elif isinstance(kind := tool.get("type"), str):
            yield kind


def _tools(options: Json) -> Iterator[Json]:
    tools = options.get("tools")
    yield from (tool for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict))


def _limit(of: Json, name: str, otherwise: int = CALLS_OF_A_TOOL) -> int:
    value: Any = of.get(name) if name else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
