"""JSON out of a Markdown fence, piece by piece: many models fence it however they are asked not to."""

from __future__ import annotations

FENCE = "```"


class Unfenced:
    """Of one text: without white space around it, and without a fence around that. Only what may be the fence waits."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._begun = self._is_fenced = False

    def take(self, piece: str) -> str:
        """What is certain by now."""
        if self._begun and not piece.strip():
            self._waiting.append(piece)
            return ""
        text = "".join((*self._waiting, piece))
        if not self._begun:
            text = self._opened(text.lstrip())
            if not self._begun:
                self._waiting = [text]
                return ""
        certain = self._without_end(text)
        self._waiting = [text[len(certain) :]]
        return certain

    def finish(self) -> str:
        """The rest, once the text is at its end."""
        rest = "".join(self._waiting).strip() if not self._begun else "".join(self._waiting).rstrip()
        self._waiting = []
        return rest.removesuffix(FENCE).rstrip() if self._begun and self._is_fenced else rest

    def _opened(self, text: str) -> str:
        """Without the line that opens the fence, which is known at its end."""
        if not self._is_fenced and text.startswith(FENCE):
            _, line_end, after = text.partition("\n")
            if not line_end:
                return text
            self._is_fenced, text = True, after.lstrip()
        self._begun = bool(text) and (self._is_fenced or not FENCE.startswith(text))
        return text

    def _without_end(self, text: str) -> str:
        bare = text.rstrip()
        if not self._is_fenced:
            return bare
        ticks = len(bare) - len(bare.rstrip("`"))
        return bare[: len(bare) - min(ticks, len(FENCE))].rstrip() if ticks else bare


def unfenced(text: str) -> str:
    whole = Unfenced()
    return whole.take(text) + whole.finish()
