"""What a hook is asked about: a request or a reply of one operation. Each operation brings its own two classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from gateway.model.chat import Json
from gateway.model.errors import Detail
from gateway.model.hook import Action

Change: TypeAlias = Callable[[str], str]
# Numbers with fewer digits are nobody's card, account or telephone.
SHORTEST_NUMBER = 10**6


class Subject(Protocol):
    """Never changes; `with_texts` and `patched` give another one, or the same where nothing is different."""

    def with_texts(self, change: Change) -> Self:
        """With everything changed that people or models wrote, one text after the other, in the same order always."""
        ...

    def written(self) -> Self:
        """Without what a model gets back as it said it: tokens that stand there are those of an earlier masking."""
        ...

    def documents(self) -> Iterable[bytes]:
        """What a JSON Schema can be held against, as JSON."""
        ...

    def body(self) -> Json:
        """As the client sends it or gets it, without bytes of media."""
        ...

    def patched(self, patch: Json) -> Self:
        """With the members of a patch in place of its own. Raises HookFailed for a patch that does not fit."""
        ...


class ReplySubject(Subject, Protocol):
    def restored(self, change: Change) -> Self:
        """With tokens in its texts turned back into what they stand for: the same said, in other letters."""
        ...


S = TypeVar("S", bound=Subject)
R = TypeVar("R", bound=ReplySubject)


@dataclass(frozen=True, slots=True)
class Verdict(Generic[S]):
    """What a hook says. `subject`: as it is to go on. `reason`, `details`: of a block, for the client."""

    action: Action
    subject: S
    reason: str = ""
    details: tuple[Detail, ...] = ()


def texts_of(subject: Subject) -> list[str]:
    """Everything in it that people or models wrote."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    subject.with_texts(keep)
    return found


def json_with(value: Any, change: Change) -> Any:
    """A JSON value with its strings changed; a long number only where it turns into something else."""
    return _json_with(value, change, frozenset())


def options_with(value: Any, change: Change) -> Any:
    """The same of members of an API, whose `type` says what they are."""
    return _json_with(value, change, frozenset({"type"}))


def _json_with(value: Any, change: Change, kept: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_json_with(item, change, kept) for item in value]
    if isinstance(value, dict):
        return {name: item if name in kept else _json_with(item, change, kept) for name, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= SHORTEST_NUMBER:
        changed = change(str(value))
        return value if changed == str(value) else changed
    return value


def schema_with(schema: Any, change: Change) -> Any:
    """A JSON Schema with what it tells the model changed, its descriptions; what it demands stays."""
    if isinstance(schema, list):
        return [schema_with(item, change) for item in schema]
    if isinstance(schema, dict):
        return {
            name: change(item) if name == "description" and isinstance(item, str) else schema_with(item, change)
            for name, item in schema.items()
        }
    return schema
