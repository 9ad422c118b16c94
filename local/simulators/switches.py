"""Fault and shape switches: `[[name=value name]]` inside the last user message, or armed through the control API."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=100_000)]
Positive = Annotated[int, Meta(ge=1, le=100_000)]
Seconds = Annotated[float, Meta(ge=0, le=120)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

_DIRECTIVE = re.compile(r"\s*\[\[([^\[\]]*)\]\]")


class SwitchError(Exception):
    """A directive that the simulator does not understand: a mistake in the test, so it must be loud."""


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one request asks of the simulator. ``*_after`` and ``gate_at`` count content events of a stream."""

    id: Name | None = None

    # before the reply
    first_byte_s: Seconds = 0.0
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    code: Annotated[str, Meta(max_length=64)] | None = None
    retry_after: Seconds | None = None
    content_type: Annotated[str, Meta(max_length=100)] | None = None
    garbage: bool = False

    # during the reply
    first_event_s: Seconds = 0.0
    chunk_delay_s: Seconds = 0.0
    split_bytes: Positive | None = None
    gate: Name | None = None
    gate_at: Count = 1
    cut: Literal["before_headers", "mid_event", "between_events", "reset"] | None = None
    cut_after: Count | None = None
    error_after: Count | None = None
    endless: bool = False
    stall: bool = False  # in place of a cut: nothing more comes, and the connection stays
    pings: bool = False

    # what is said
    chunks: Positive | None = None
    repeat: Positive | None = None
    finish: Literal["filter"] | None = None
    linked: bool = False

    # what becomes of a video, and how many looks find it unfinished
    looks: Count = 1
    video: Literal["failed", "moderated", "gone", "page", "stuck"] | None = None
    video_kb: Count = 0
    calls_s: Seconds | None = None  # after so long it is finished, and its provider calls back; no look counts before

    # how long work in the background takes, and what becomes of it
    works_s: Seconds = 1.0
    works: Literal["failed", "gone"] | None = None

    # what becomes of the batch that this is an item of
    batch: Literal["failed", "expired"] | None = None

    # what a realtime session does: it says nothing; it warns that it ends, and when; it is closed with a code
    silent: bool = False
    go_away_s: Seconds | None = None
    hang_up: Annotated[int, Meta(ge=1000, le=4999)] | None = None

    # what is counted
    usage: Literal["none"] | None = None
    prompt_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None
    cached_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    cache_write_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    reasoning_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None
    completion_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None

    @property
    def cut_at(self) -> int | None:
        """Number of whole content events before the connection dies or stalls; None leaves it alone."""
        if self.cut_after is not None:
            return self.cut_after
        return 1 if self.stall or self.cut in ("mid_event", "between_events", "reset") else None


NONE = Switches()


def parse_settings(text: str) -> dict[str, str]:
    """`status=429 endless` -> {"status": "429", "endless": "true"}."""
    return {name: value if equals else "true" for name, equals, value in (w.partition("=") for w in text.split())}


def strip_directives(text: str) -> tuple[str, dict[str, str]]:
    """Text without its directives (and the blanks before them), and the settings they hold."""
    if "[[" not in text:
        return text, {}
    settings: dict[str, str] = {}
    for found in _DIRECTIVE.findall(text):
        settings.update(parse_settings(found))
    return _DIRECTIVE.sub("", text), settings


def build(settings: dict[str, str]) -> Switches:
    """Typed switches. Raises SwitchError on an unknown name or a value out of range."""
    if not settings:
        return NONE
    try:
        return msgspec.convert(settings, Switches, strict=False)
    except msgspec.ValidationError as error:
        raise SwitchError(f"bad simulator directive {settings}: {error}") from None
