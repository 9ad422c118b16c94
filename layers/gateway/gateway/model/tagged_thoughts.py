"""Reasoning in front of an answer, in `<think>` tags, taken apart piece by piece."""

from __future__ import annotations

BEGIN, END = "<think>", "</think>"


class TaggedThoughts:
    """Of one text: what it thinks, and what it says. Only what may be a tag, or white space beside one, waits."""

    def __init__(self) -> None:
        self._waiting = ""
        self._where = "before"
        self._thinks = False

    def take(self, piece: str) -> tuple[str, str]:
        """What is certain by now: of the thoughts, and of the answer."""
        thought = ""
        text, self._waiting = self._waiting + piece, ""
        if self._where == "before":
            text = self._begun(text)
        if self._where == "within":
            thought, text = self._thought(text)
        if self._where == "after" and (text := text.lstrip()):
            self._where = "answer"
        return thought, text if self._where == "answer" else ""

    def finish(self) -> tuple[str, str]:
        """The rest, once the text is at its end."""
        rest, self._waiting = self._waiting, ""
        return (rest.rstrip(), "") if self._where == "within" else ("", rest)

    def _begun(self, text: str) -> str:
        """The text after the tag, where there is one."""
        bare = text.lstrip()
        if bare.startswith(BEGIN):
            self._where = "within"
            return bare[len(BEGIN) :]
        if BEGIN.startswith(bare):
            self._waiting = text
            return ""
        self._where = "answer"
        return text

    def _thought(self, text: str) -> tuple[str, str]:
        """What of the thought is certain, and the text after its end."""
        if not self._thinks:
            text = text.lstrip()
        thought, end, after = text.partition(END)
        if end:
            self._where = "after"
            return thought.rstrip(), after
        certain = text[: len(text) - _begun_chars(text)].rstrip()
        self._waiting, self._thinks = text[len(certain) :], self._thinks or bool(certain)
        return certain, ""


def _begun_chars(text: str) -> int:
    """How much of the end of the text may be the beginning of the tag."""
    return next((size for size in range(min(len(text), len(END) - 1), 0, -1) if END.startswith(text[-size:])), 0)


def taken_apart(text: str) -> tuple[str, str]:
    """The thoughts of a whole text, and its answer."""
    whole = TaggedThoughts()
    parts = (whole.take(text), whole.finish())
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)
