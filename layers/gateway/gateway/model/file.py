"""Files of a tenant: what is known of one, and ids that say when and what for it was made."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, TypeAlias, get_args

from msgspec import Struct, field

from gateway.model.unshown import Unshown

ClientPurpose: TypeAlias = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
Purpose: TypeAlias = Literal[ClientPurpose, "assistants_output", "batch_output", "generated"]

MAX_FILE_BYTES = 512 * 1024 * 1024
# Lambda takes 6 MB of event, and a binary body comes as base64, which is a third longer:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_DIRECT_BYTES = 4_400_000
MAX_CHECKED_BYTES = 16 * 1024 * 1024
PENDING_S = CLAIMED_S = 24 * 3600
GENERATED_KEPT_S = 30 * 24 * 3600

_LETTERS: dict[Purpose, str] = {
    "assistants": "a",
    "assistants_output": "o",
    "batch": "b",
    "batch_output": "r",
    "evals": "e",
    "fine-tune": "f",
    "generated": "g",
    "user_data": "u",
    "vision": "v",
}
_CLIENT_PURPOSES = frozenset(get_args(ClientPurpose))
_PURPOSES = {letter: purpose for purpose, letter in _LETTERS.items()}
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TIME_DIGITS, _NOISE_DIGITS = 9, 16
_LAST_MS: int = 32**_TIME_DIGITS - 1
_ID = re.compile(f"file_[{_DIGITS}]{{{_TIME_DIGITS}}}[{''.join(_PURPOSES)}][{_DIGITS}]{{{_NOISE_DIGITS}}}")
_TIME = slice(len("file_"), len("file_") + _TIME_DIGITS)


def new_file_id(purpose: Purpose, now_s: float, noise: bytes) -> str:
    """Newer ids sort before older ones. `noise`: 10 random bytes."""
    time = _text(_LAST_MS - int(now_s * 1000), _TIME_DIGITS)
    return f"file_{time}{_LETTERS[purpose]}{_text(int.from_bytes(noise), _NOISE_DIGITS)}"


def is_file_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def purpose_of(file_id: str) -> Purpose:
    return _PURPOSES[file_id[_TIME.stop]]


def may_be_uploaded(file_id: str) -> bool:
    """Whether clients make files of its purpose, in steps; all others are stored whole by the gateway."""
    return purpose_of(file_id) in _CLIENT_PURPOSES


def created_at_s(file_id: str) -> int:
    return (_LAST_MS - int(file_id[_TIME], 32)) // 1000


def is_forgotten(claimed_id: str, now_s: float) -> bool:
    """Whether an idempotency key that made this file id may make another one."""
    return created_at_s(claimed_id) + CLAIMED_S <= now_s


def _text(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))


class NewFile(Struct, frozen=True):
    """What a client says of a file. `content_type`: a media type without parameters.

    `expires_after_s`: seconds after creation, None for as long as its purpose says.
    """

    filename: str
    content_type: str
    purpose: Purpose
    expires_after_s: int | None = None


class Origin(Struct, frozen=True):
    """What a generated file came of. `model`: "provider/model". `request_id`: of the gateway."""

    model: str
    request_id: str


class File(Struct, frozen=True):
    """`expires_at_s`: Unix seconds, None when it is kept until deleted. `origin`: None for what a client brought.

    `is_pending`: announced, and its bytes are not checked yet; it stays so for a day.
    """

    id: str
    filename: str
    content_type: str
    size_bytes: int
    expires_at_s: int | None = None
    is_pending: bool = False
    origin: Origin | None = None

    @property
    def purpose(self) -> Purpose:
        return purpose_of(self.id)

    @property
    def created_at_s(self) -> int:
        return created_at_s(self.id)

    def is_expired(self, now_s: float) -> bool:
        if self.is_pending and self.created_at_s + PENDING_S <= now_s:
            return True
        return self.expires_at_s is not None and self.expires_at_s <= now_s


class StoredFile(Unshown, frozen=True):
    """A file's bytes with what a provider wants to know of them."""

    UNSHOWN: ClassVar = ("data",)

    data: bytes
    content_type: str
    filename: str


class Link(Unshown, frozen=True):
    """A URL that opens without a key until `expires_at_s`. `headers`: to be sent exactly so."""

    UNSHOWN: ClassVar = ("url",)

    method: Literal["GET", "PUT"]
    url: str
    expires_at_s: int
    headers: dict[str, str] = field(default_factory=dict)


class Uploaded(Unshown, frozen=True):
    """What a client put by an upload link.

    `start`: its first MAX_CHECKED_BYTES. `version`: another one when the bytes change.
    """

    UNSHOWN: ClassVar = ("start",)

    size_bytes: int
    start: bytes
    version: str


class FilePage(Struct, frozen=True):
    """Newest first. `has_more`: older ones follow."""

    files: list[File]
    has_more: bool
