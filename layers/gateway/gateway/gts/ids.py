"""GTS identifiers: `gts.<vendor>.<package>.<namespace>.<type>.v<major>[.<minor>]`, further segments joined by `~`.

`A~` is a type, `A~B~` a type derived from it, `A~B` an instance of it, `A~<uuid>` an instance without a name.
Spec 0.11, sections 2, 8 and 10: https://github.com/GlobalTypeSystem/gts-spec
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

from msgspec import Struct

MAX_ID_CHARS = 1024
SCHEME = "gts://"  # before an id in `$id` and `$ref`, and nowhere else
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "gts")

_PREFIX = "gts."
_TOKEN = r"[a-z_][a-z0-9_]*"  # noqa: S105 - a part of an id, not a secret
_NUMBER = r"(?:0|[1-9][0-9]*)"
_SEGMENT = re.compile(
    rf"(?P<vendor>{_TOKEN})\.(?P<package>{_TOKEN})\.(?P<namespace>{_TOKEN})\.(?P<type>{_TOKEN})"
    rf"\.v(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a wildcard leaves of the segment it cuts: whole tokens, or all four and the beginning of the version.
_CUT = re.compile(rf"(?:{_TOKEN}\.){{0,4}}|(?:{_TOKEN}\.){{4}}v(?:{_NUMBER}\.)?")


class MalformedId(ValueError):
    """The text is no GTS identifier, or no pattern; says why."""


class Segment(Struct, frozen=True):
    vendor: str
    package: str
    namespace: str
    type: str
    major: int
    minor: int | None

    def __str__(self) -> str:
        version = f"v{self.major}" if self.minor is None else f"v{self.major}.{self.minor}"
        return f"{self.vendor}.{self.package}.{self.namespace}.{self.type}.{version}"

    def covers(self, other: Segment) -> bool:
        """The same, where a version without minor means any minor."""
        mine = (self.vendor, self.package, self.namespace, self.type, self.major)
        theirs = (other.vendor, other.package, other.namespace, other.type, other.major)
        return mine == theirs and self.minor in (None, other.minor)


class GtsId(Struct, frozen=True):
    """`segments`: base first. `uuid_tail`: of an instance without a name, which has no segment of its own."""

    text: str
    segments: tuple[Segment, ...]
    uuid_tail: str | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def is_type(self) -> bool:
        return self.text.endswith("~")

    @property
    def parent(self) -> str | None:
        """The type this derives from, or is an instance of; None for a base type."""
        left, tilde, _ = self.text.removesuffix("~").rpartition("~")
        return left + tilde or None

    @property
    def uuid(self) -> uuid.UUID:
        """Version 5, of the whole id."""
        return uuid.uuid5(NAMESPACE, self.text)


def parse(text: str) -> GtsId:
    """Raises MalformedId."""
    if len(text) > MAX_ID_CHARS:
        raise MalformedId(f"a GTS id has at most {MAX_ID_CHARS} characters")
    if text.startswith(SCHEME):
        raise MalformedId(f"write the id without {SCHEME}")
    if "*" in text:
        raise MalformedId("with a '*' it is a pattern, which names nothing")
    *types, last = _without_prefix(text).split("~")
    if not types:
        raise MalformedId("an instance has its type to the left, and a type ends in '~'")
    if _UUID.fullmatch(last):
        return GtsId(text, tuple(_segment(part) for part in types), last)
    return GtsId(text, tuple(_segment(part) for part in ([*types, last] if last else types)))


def newest_minor(wanted: GtsId, registered: Iterable[str]) -> str | None:
    """Of the ids that add a minor version to the last segment of `wanted`, the one with the highest.

    The spec leaves open what `v1~` means where only `v1.3~` exists; here it is the newest edition of major version 1.
    """
    if (prefix := minor_prefix(wanted)) is None:
        return None
    end = "~" if wanted.is_type else ""
    minors = {}
    for text in registered:
        minor = text.removeprefix(prefix).removesuffix(end)
        if text == f"{prefix}{minor}{end}" and re.fullmatch(_NUMBER, minor):
            minors[int(minor)] = text
    return minors[max(minors)] if minors else None


def minor_prefix(wanted: GtsId) -> str | None:
    """How every id begins that adds a minor version to the last segment; None when none can."""
    if wanted.uuid_tail is not None or wanted.segments[-1].minor is not None:
        return None
    return wanted.text.removesuffix("~") + "."


class Pattern(Struct, frozen=True):
    """An id, or the beginning of one and `*`.

    `cut`: what the wildcard leaves of the segment after `segments`; None without a wildcard.
    A type without wildcard covers itself and what derives from it. `A~*` covers only what derives from it, as the tests
    of spec 0.11 have it; its prose says both, and 0.14 counts the type itself in.
    """

    text: str
    segments: tuple[Segment, ...]
    uuid_tail: str | None = None
    cut: str | None = None

    @property
    def prefix(self) -> str:
        """What every id begins with that matches."""
        before = _PREFIX
        for segment in self.segments:
            before += str(segment)
            if segment.minor is None:
                return before
            before += "~"
        return self.text if self.cut is None else before + self.cut

    def matches(self, candidate: GtsId) -> bool:
        mine, theirs = self.segments, candidate.segments
        if len(mine) > len(theirs) or not all(one.covers(other) for one, other in zip(mine, theirs, strict=False)):
            return False
        beyond = theirs[len(mine) :]
        if self.cut is None:
            return self._covers_end(candidate, bool(beyond))
        if self.cut == "":
            return bool(beyond) or (bool(mine) and candidate.uuid_tail is not None)
        return bool(beyond) and str(beyond[0]).startswith(self.cut)

    def _covers_end(self, candidate: GtsId, goes_on: bool) -> bool:
        if self.text.endswith("~"):
            return goes_on or candidate.is_type or candidate.uuid_tail is not None
        return not goes_on and not candidate.is_type and self.uuid_tail == candidate.uuid_tail


def parse_pattern(text: str) -> Pattern:
    """Raises MalformedId."""
    if "*" not in text:
        exact = parse(text)
        return Pattern(text, exact.segments, exact.uuid_tail)
    if len(text) > MAX_ID_CHARS or text.index("*") != len(text) - 1:
        raise MalformedId("a pattern has one '*', at its end")
    *types, cut = _without_prefix(text[:-1]).split("~")
    if not _CUT.fullmatch(cut):
        raise MalformedId("'*' stands for whole tokens: after a '.' or a '~', or after the 'v' of a version")
    return Pattern(text, tuple(_segment(part) for part in types), cut=cut)


def _without_prefix(text: str) -> str:
    if not text.startswith(_PREFIX):
        raise MalformedId(f"a GTS id begins with '{_PREFIX}'")
    return text.removeprefix(_PREFIX)


def _segment(text: str) -> Segment:
    if (found := _SEGMENT.fullmatch(text)) is None:
        raise MalformedId(f"'{text}' is not <vendor>.<package>.<namespace>.<type>.v<major>[.<minor>]")
    minor = None if found["minor"] is None else int(found["minor"])
    return Segment(found["vendor"], found["package"], found["namespace"], found["type"], int(found["major"]), minor)
