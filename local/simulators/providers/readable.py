"""Media that providers refuse for their type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from local.simulators.wire import Json, Refused

WEB_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def check_image(content_type: str, read: Sequence[str], where: str) -> None:
    """Raises Refused."""
    if content_type not in read:
        raise Refused("wrong_type", f"{where}: unsupported image {content_type}, expected one of {read}", param=where)


def check_chat_images(body: Json, read: Sequence[str]) -> None:
    """Raises Refused."""
    for where, part in _parts(body):
        if isinstance(image := part.get("image_url"), dict) and str(image.get("url")).startswith("data:"):
            check_image(_type_of(image["url"]), read, where)


def check_openai_media(body: Json) -> None:
    """Raises Refused. Sources: https://developers.openai.com/api/docs/guides/file-inputs, /images-vision, /audio"""
    check_chat_images(body, WEB_IMAGES)
    for where, part in _parts(body):
        file, audio = part.get("file"), part.get("input_audio")
        if isinstance(file, dict) and (data := file.get("file_data")) and _type_of(data) != "application/pdf":
            message = (
                f"Invalid file data: '{where}.file.file_data'. Expected a base64-encoded data URL with an "
                f"application/pdf MIME type, but got unsupported MIME type '{_type_of(data)}'."
            )
            raise Refused("wrong_type", message, param=where, code="invalid_value")
        if isinstance(audio, dict) and audio.get("format") not in ("wav", "mp3"):
            message = f"Invalid value: '{audio.get('format')}'. Supported values are: 'wav' and 'mp3'."
            raise Refused("wrong_type", message, param=f"{where}.input_audio.format", code="invalid_value")


def _parts(body: Json) -> Iterator[tuple[str, Json]]:
    for number, message in enumerate(body["messages"]):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                yield f"messages[{number}].content[{at}]", part


def _type_of(data_url: str) -> str:
    return data_url.removeprefix("data:").partition(";")[0]
