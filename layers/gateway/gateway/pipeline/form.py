"""A form (multipart/form-data) as the members of an object, and the files in it."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from msgspec import Struct, field
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from gateway.model.errors import InvalidRequest, UnreadableBody
from gateway.model.unshown import Unshown

MAX_MEMBERS = 64
_IN_MEMORY = {"MAX_MEMORY_FILE_SIZE": float("inf")}
_NESTED = re.compile(r"(?P<name>\w+)(?P<members>(\[[\w.-]+\]){0,8})(?P<list>\[\])?")
_MEMBER = re.compile(r"\[([\w.-]+)\]")


class FormFile(Unshown, frozen=True):
    UNSHOWN: ClassVar = ("data",)

    filename: str
    data: bytes


class Form(Struct):
    """`members`: texts, in objects where they were named `object[member]` or deeper, in lists where `list[]`, as client
    libraries do.
    """

    members: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FormFile] = field(default_factory=dict)


def read_form(content_type: str, body: bytes) -> Form:
    """Raises UnreadableBody, InvalidRequest (400)."""
    _, options = parse_options_header(content_type)
    form = Form()
    ended: list[bool] = []

    def take_text(field: Field) -> None:
        _put(form, _name(field.field_name), (field.value or b"").decode())

    def take_file(file: File) -> None:
        file.file_object.seek(0)
        name = _name(file.field_name)
        if name in form.files:
            raise InvalidRequest(f"The form has '{name}' twice.", param=name)
        form.files[name] = FormFile(_name(file.file_name or b""), file.file_object.read())

    try:
        parser = FormParser(
            "multipart/form-data",
            take_text,
            take_file,
            on_end=lambda: ended.append(True),
            boundary=options.get(b"boundary"),
            config=_IN_MEMORY,
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, UnicodeDecodeError, ValueError) as error:
        raise UnreadableBody("The request body is not a form (multipart/form-data) that can be read.") from error
    if not ended:
        raise UnreadableBody("The form is not complete.")
    return form


def _name(name: bytes | None) -> str:
    return (name or b"").decode()


def _put(form: Form, name: str, text: str) -> None:
    if len(form.members) >= MAX_MEMBERS:
        raise InvalidRequest(f"A form has at most {MAX_MEMBERS} fields.")
    if (nested := _NESTED.fullmatch(name)) is None:
        form.members[name] = text
        return
    *way, last = [nested["name"], *_MEMBER.findall(nested["members"])]
    within: Any = form.members
    for member in way:
        within = _of_kind(dict, within.setdefault(member, {}), nested["name"])
    if nested["list"]:
        _of_kind(list, within.setdefault(last, []), nested["name"]).append(text)
    else:
        within[last] = text


def _of_kind(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidRequest(f"'{name}' is of several kinds.", param=name)
    return value
