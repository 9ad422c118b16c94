"""A transcript in the forms that are no JSON. Sources: https://www.w3.org/TR/webvtt1/ and OpenAI's own output."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.transcription import Segment, Transcript, TranscriptFormat

CONTENT_TYPES: dict[TranscriptFormat, str] = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def written(made: Transcript, response_format: TranscriptFormat) -> str:
    if response_format == "srt":
        return srt(made.segments)
    return vtt(made.segments) if response_format == "vtt" else f"{made.text}\n"


def srt(segments: Sequence[Segment]) -> str:
    blocks = (
        f"{number}\n{_time(one.start, ',')} --> {_time(one.end, ',')}\n{_line(one)}\n\n"
        for number, one in enumerate(segments, start=1)
    )
    return "".join(blocks)


def vtt(segments: Sequence[Segment]) -> str:
    """What would be a mark in WebVTT is written as itself."""
    blocks = (f"{_time(one.start, '.')} --> {_time(one.end, '.')}\n{_escaped(_line(one))}\n\n" for one in segments)
    return "WEBVTT\n\n" + "".join(blocks)


def _line(one: Segment) -> str:
    """An empty line would end the block."""
    return " ".join(one.text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, mark: str) -> str:
    """01:02:03,004"""
    whole_s, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole_s // 3600:02}:{whole_s // 60 % 60:02}:{whole_s % 60:02}{mark}{ms:03}"
