"""What a hook is asked about: a request or a reply of one operation. Each operation brings its own two classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.errors import Detail
from gateway.model.hook import Action

Change: TypeAlias = Callable[[str], str]
# Numbers with fewer digits are nobody's card, account or telephone.
SHORTEST_NUMBER = 10**6


class Fixed(NamedTuple):
    """A string that must stay as it is. `member`: of the body, in which it stands."""

    member: str
    text: str


class Subject(Protocol):
    """Never changes; `with_texts` and `patched` give another one, or the same where nothing is different."""

    def with_texts(self, change: Change) -> Self:
        """With everything changed that people or models wrote, one text after the other, in the same order always."""
        ...

    def fixed(self) -> Iterable[Fixed]:
        """All other strings that clients or models chose: names, and values that something is compared with."""
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


class Verdict(Struct, Generic[S], frozen=True):
    """What a hook says. `subject`: as it is to go on. `reason`, `details`: of a block, for the client."""

    action: Action
    subject: S
    reason: str = ""
    details: tuple[Detail, ...] = ()


def texts_of(subject: Subject) -> list[str]:
    """Everything in it that people or models wrote, names too."""
    return [*changeable_texts(subject), *(fixed.text for fixed in subject.fixed())]


def changeable_texts(subject: Subject) -> list[str]:
    """Those that `with_texts` changes, in its order."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    subject.with_texts(keep)
    return found


def json_with(value: Any, change: Change) -> Any:
    """A JSON value with its strings and names changed; a long number only where it turns into something else."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [json_with(item, change) for item in value]
    if isinstance(value, dict):
        return _members_with(value, change)
    if _is_long(value):
        changed = change(str(value))
        return value if changed == str(value) else changed
    return value


def options_with(value: Any, change: Change) -> Any:
    """The same of members of an API, whose names have to stay, and whose `type` says what they are."""
    if isinstance(value, list):
        return [options_with(item, change) for item in value]
    if isinstance(value, dict):
        return {name: item if _is_type(name, item) else options_with(item, change) for name, item in value.items()}
    return json_with(value, change)


def options_fixed(value: Any) -> Iterator[str]:
    """The strings that `options_with` leaves."""
    if isinstance(value, list):
        for item in value:
            yield from options_fixed(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from [item] if _is_type(name, item) else options_fixed(item)


def strings_of(value: Any) -> Iterator[str]:
    """Of a JSON value: strings, names and long numbers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings_of(item)
    elif _is_long(value):
        yield str(value)


def unless_changed(text: str | None, change: Change) -> str | None:
    """None in place of what would be another text: for a label that says nothing any more when it is changed."""
    return text if text is None or change(text) == text else None


def _members_with(members: Json, change: Change) -> Json:
    """No member is lost where two names become one."""
    changed: Json = {}
    for name, item in members.items():
        new = change(name)
        while new in changed:
            new += "_"
        changed[new] = json_with(item, change)
    return changed


def _is_type(name: str, value: Any) -> bool:
    return name == "type" and isinstance(value, str)


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= SHORTEST_NUMBER
