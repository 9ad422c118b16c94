"""multipart/form-data, as official clients send files: fields by name, and one file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.model.errors import InvalidRequest, UnreadableBody

MAX_PARTS = 64
_MEMBER = re.compile(r"(?P<name>\w+)\[(?P<member>[\w-]*)\]")


@dataclass(slots=True)
class Part:
    """`filename`: None of a plain field."""

    headers: dict[str, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    name: str = ""
    filename: str | None = None

    def named(self) -> None:
        _, options = parse_options_header(self.headers.get("content-disposition", b""))
        self.name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self.filename = None if filename is None else filename.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Form:
    """`fields`: as a JSON object would have them, every value a text. `file`: the bytes of the field `file`."""

    fields: dict[str, Any]
    file: bytes | None


def read_form(content_type: str, body: bytes) -> Form:
    """Raises UnreadableBody, InvalidRequest (400)."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise UnreadableBody("The form names no boundary.")
    parts = _parts(boundary, body)
    files = [part for part in parts if part.filename is not None]
    if len(files) > 1 or any(part.name != "file" for part in files):
        other = next((part.name for part in files if part.name != "file"), "file")
        raise InvalidRequest("Send one file, in the form field 'file'.", param=other or "file")
    fields: dict[str, Any] = {}
    for part in parts:
        if part.filename is None:
            _enter(fields, part.name, _text(part))
    return Form(fields, bytes(files[0].data) if files else None)


def _parts(boundary: bytes, body: bytes) -> list[Part]:
    gathered = _Gathered()
    try:
        parser = MultipartParser(boundary, gathered.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise UnreadableBody("The request body is no multipart form.") from None
    if not gathered.is_whole:
        raise UnreadableBody("The form is not complete.")
    return gathered.parts


class _Gathered:
    """What the parser calls while it reads."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._header = self._value = b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1].data.extend(data[start:end]),
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._named,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise UnreadableBody(f"The form has more than {MAX_PARTS} fields.")
        self.parts.append(Part())

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self.parts[-1].headers[self._header.decode("latin-1").lower()] = self._value
        self._header = self._value = b""

    def _named(self) -> None:
        self.parts[-1].named()

    def _end(self) -> None:
        self.is_whole = True


def _text(part: Part) -> str:
    try:
        return part.data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The field is no text.", param=part.name or None) from None


def _enter(fields: dict[str, Any], name: str, value: str) -> None:
    """`a[]` is an item of a list, `a[b]` a member of an object: so clients write both into a form."""
    member = _MEMBER.fullmatch(name)
    if member is None:
        fields[name] = value
        return
    known = fields.setdefault(member["name"], {} if member["member"] else [])
    if member["member"] and isinstance(known, dict):
        known[member["member"]] = value
    elif not member["member"] and isinstance(known, list):
        known.append(value)
    else:
        raise InvalidRequest("The field is a list and an object.", param=member["name"])
