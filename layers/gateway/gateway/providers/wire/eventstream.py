"""AWS event stream messages from bytes that may be cut anywhere, both checksums verified.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias
from zlib import crc32

from gateway.model.provider_errors import ProviderError

HeaderValue: TypeAlias = bool | int | bytes | str

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
REMEMBERED_HEADERS = 64

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_CHECKED_PRELUDE_BYTES = 8
_FRAME_BYTES = _PRELUDE.size + _CHECKSUM.size

_NUMBERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}
_TIMESTAMP, _UUID_BYTES = 8, 16
_LENGTH = struct.Struct(">H")


class Message(NamedTuple):
    """`headers`: by name, ":event-type" and its like included; not to be changed. A timestamp is in milliseconds."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class EventStreamDecoder:
    """Feed it bytes, get whole messages, never a cut one. The same headers come back as the same mapping."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._wanted_bytes = _PRELUDE.size
        self._known: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes. Raises ProviderError (502) for bytes that are not an event stream."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted_bytes:  # a long message is put together once, not with every piece
                return
            data = bytes(self._rest)
        start, size = 0, len(data)
        self._wanted_bytes = _PRELUDE.size
        while size - start >= _PRELUDE.size:
            total_bytes, headers_bytes, checksum = _PRELUDE.unpack_from(data, start)
            _check_prelude(data, start, total_bytes, headers_bytes, checksum)
            if size - start < total_bytes:
                self._wanted_bytes = total_bytes
                break
            yield self._message(data, start, start + total_bytes, headers_bytes, checksum)
            start += total_bytes
        self._rest = bytearray(data[start:])

    @property
    def pending(self) -> bool:
        """Whether a message has begun and its end has not come."""
        return bool(self._rest)

    def _message(self, data: bytes, start: int, end: int, headers_bytes: int, checksum: int) -> Message:
        """`checksum`: of the prelude, with which that of the message begins."""
        body_end = end - _CHECKSUM.size
        view = memoryview(data)[start + _CHECKED_PRELUDE_BYTES : body_end]
        if crc32(view, checksum) != _CHECKSUM.unpack_from(data, body_end)[0]:
            raise ProviderError("The provider sent a damaged event stream.")
        headers_start = start + _PRELUDE.size
        payload_start = headers_start + headers_bytes
        return Message(self._headers(data[headers_start:payload_start]), data[payload_start:body_end])

    def _headers(self, raw: bytes) -> Mapping[str, HeaderValue]:
        if (known := self._known.get(raw)) is None:
            known = _read_headers(raw)
            if len(self._known) < REMEMBERED_HEADERS:
                self._known[raw] = known
        return known


def _check_prelude(data: bytes, start: int, total_bytes: int, headers_bytes: int, checksum: int) -> None:
    if crc32(data[start : start + _CHECKED_PRELUDE_BYTES]) != checksum:
        raise ProviderError("The provider sent a damaged event stream.")
    payload_bytes = total_bytes - headers_bytes - _FRAME_BYTES
    if headers_bytes > MAX_HEADERS_BYTES or not 0 <= payload_bytes <= MAX_PAYLOAD_BYTES:
        raise ProviderError("The provider sent an event stream message of an impossible size.")


def _read_headers(raw: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(raw):
            name_end = at + 1 + raw[at]
            name = raw[at + 1 : name_end].decode()
            headers[name], at = _value(raw, raw[name_end], name_end + 1)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ProviderError("The provider sent an event stream message with broken headers.") from error
    return headers


def _value(raw: bytes, kind: int, at: int) -> tuple[HeaderValue, int]:
    """The value of this type and where it ends."""
    if kind in (0, 1):
        return kind == 0, at
    if kind in (6, 7):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(raw, at)[0]
        data = _exactly(raw, start, end)
        return data.decode() if kind == 7 else data, end
    if kind == 9:
        return _exactly(raw, at, at + _UUID_BYTES), at + _UUID_BYTES
    number = _NUMBERS.get(5 if kind == _TIMESTAMP else kind)
    if number is None:
        raise ProviderError("The provider sent an event stream header of an unknown type.")
    value: int = number.unpack_from(raw, at)[0]
    return value, at + number.size


def _exactly(raw: bytes, start: int, end: int) -> bytes:
    if end > len(raw):
        raise IndexError(end)
    return raw[start:end]
