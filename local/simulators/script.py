"""What a simulated model says: a pure function from a neutral prompt to a neutral answer.

A token is one word with the white space before it; a message costs 3 tokens on top, a media part 100, tool
definitions one token for 4 bytes of JSON. The rules are in the README.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from local.simulators.schema_sample import sample
from local.simulators.switches import Switches

TOKENS_PER_MESSAGE = 3
TOKENS_PER_MEDIA = 100
MAX_PIECES = 200_000

Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "filter"]

_PIECE = re.compile(r"\s*\S+")
_CALL = re.compile(r"^\s*call ([A-Za-z0-9_.-]+)\s*(\{.*\})?\s*$", re.MULTILINE)
_ids = itertools.count(1)


def next_id() -> int:
    """A number that is unique in this process; every provider dresses it in its own id format."""
    return next(_ids)


@dataclass(slots=True, kw_only=True)
class Prompt:
    """A request reduced to what the script needs. ``user_text`` has its directives already removed."""

    model: str
    user_text: str = ""
    media: list[str] = field(default_factory=list)
    tool_results: list[str] = field(default_factory=list)
    input_tokens: int = 0
    tools: dict[str, Any] = field(default_factory=dict)
    tool_choice: str | None = None
    must_call: bool = False
    schema: Any = None
    json_object: bool = False
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    n: int = 1
    reasoning: bool = False


@dataclass(slots=True)
class ToolCall:
    """One call of a tool; ``arguments`` is JSON text."""

    number: int
    name: str
    arguments: str


@dataclass(slots=True)
class Usage:
    """Token counts. ``prompt`` includes ``cached`` and ``cache_write``; ``reply`` excludes ``reasoning``."""

    prompt: int
    cached: int
    cache_write: int
    reply: int
    reasoning: int


@dataclass(slots=True)
class Answer:
    """A reply before any provider's format. ``pieces`` never ends when the request asked for an endless stream."""

    number: int
    pieces: Iterable[str]
    reasoning: list[str]
    calls: list[ToolCall]
    finish: Finish
    stop_sequence: str | None
    usage: Usage | None
    n: int

    @property
    def text(self) -> str:
        """The whole text; only for replies that end."""
        return "".join(self.pieces)

    @property
    def reasoning_text(self) -> str:
        """The whole reasoning text, empty when none was asked for."""
        return "".join(self.reasoning)


def split_pieces(text: str) -> list[str]:
    """Words with their leading white space; joined they are the text again."""
    pieces = _PIECE.findall(text)
    rest = text[sum(map(len, pieces)) :]
    if rest:
        pieces[-1:] = [(pieces[-1] if pieces else "") + rest]
    return pieces


def count_tokens(text: str) -> int:
    """Tokens of a text by the simulators' rule."""
    return len(split_pieces(text))


def compose(prompt: Prompt, switches: Switches) -> Answer:
    """Decide the reply to a prompt: tool calls, the echo of a tool result, a schema instance, or the echo."""
    calls = _tool_calls(prompt)
    reasoning = split_pieces(f"Considering: {prompt.user_text[:120]}") if prompt.reasoning else []
    text = "" if calls else _text(prompt)
    if switches.repeat:
        text = " ".join([text] * switches.repeat)
    pieces = _spread(split_pieces(text), switches.chunks)
    pieces, finish, stop_sequence = _stop(pieces, prompt.stop)
    if prompt.max_tokens is not None and len(pieces) + len(reasoning) > prompt.max_tokens:
        reasoning = reasoning[: prompt.max_tokens]
        pieces, finish, stop_sequence = pieces[: prompt.max_tokens - len(reasoning)], "length", None
    if calls:
        finish = "tool_calls"
    if switches.finish:
        finish = "filter"
    usage = _usage(prompt, switches, pieces, reasoning, calls)
    said: Iterable[str] = itertools.cycle([" again"]) if switches.endless else pieces
    return Answer(next_id(), said, reasoning, calls, finish, stop_sequence, usage, prompt.n)


def fragments(text: str, size: int = 8) -> Iterator[str]:
    """Slices of tool arguments, as providers that stream them do."""
    return (text[at : at + size] for at in range(0, len(text), size))


def _text(prompt: Prompt) -> str:
    said = " ".join([part for part in (prompt.user_text, *prompt.media) if part])
    if prompt.schema is not None:
        return msgspec.json.encode(sample(prompt.schema)).decode()
    said = f"Tool said: {' '.join(prompt.tool_results)}" if prompt.tool_results else f"You said: {said}"
    return msgspec.json.encode({"text": said}).decode() if prompt.json_object else said


def _tool_calls(prompt: Prompt) -> list[ToolCall]:
    if not prompt.tools or prompt.tool_results or prompt.tool_choice == "none":
        return []
    asked = [(name, text or "{}") for name, text in _CALL.findall(prompt.user_text) if name in prompt.tools]
    if not asked and (prompt.must_call or prompt.tool_choice in prompt.tools):
        name = prompt.tool_choice if prompt.tool_choice in prompt.tools else next(iter(prompt.tools))
        asked = [(name, msgspec.json.encode(sample(prompt.tools[name] or {"type": "object"})).decode())]
    return [ToolCall(next_id(), name, arguments) for name, arguments in asked]


def _spread(pieces: list[str], events: int | None) -> list[str]:
    """Exactly ``events`` pieces: the text is repeated when too short, and grouped when too long."""
    if events is None:
        return pieces[:MAX_PIECES]
    if len(pieces) >= events:
        edges = [len(pieces) * at // events for at in range(events + 1)]
        return ["".join(pieces[start:end]) for start, end in itertools.pairwise(edges)]
    again = [" " + pieces[0].lstrip(), *pieces[1:]] if pieces else [" again"]
    return [*pieces, *itertools.islice(itertools.cycle(again), events - len(pieces))]


def _stop(pieces: list[str], stops: list[str]) -> tuple[list[str], Finish, str | None]:
    text = "".join(pieces) if stops else ""
    found = min(((text.find(stop), stop) for stop in stops if stop and stop in text), default=None)
    if found is None:
        return pieces, "stop", None
    return split_pieces(text[: found[0]]), "stop_sequence", found[1]


def _usage(
    prompt: Prompt, switches: Switches, pieces: list[str], reasoning: list[str], calls: list[ToolCall]
) -> Usage | None:
    if switches.usage == "none":
        return None
    reply = len(pieces) + sum(1 + count_tokens(call.arguments) for call in calls)
    prompt_tokens = prompt.input_tokens if switches.prompt_tokens is None else switches.prompt_tokens
    return Usage(
        prompt=max(prompt_tokens, switches.cached_tokens + switches.cache_write_tokens),
        cached=switches.cached_tokens,
        cache_write=switches.cache_write_tokens,
        reply=reply * prompt.n if switches.completion_tokens is None else switches.completion_tokens,
        reasoning=len(reasoning) if switches.reasoning_tokens is None else switches.reasoning_tokens,
    )
