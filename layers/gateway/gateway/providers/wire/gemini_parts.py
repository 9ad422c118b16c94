"""From the parts of a Gemini candidate to the members of a normalised message, whole or chunk by chunk.

Sources: https://ai.google.dev/api/caching#Part, https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.gemini_answer import (
    TOLD_BY_FINISH_REASON,
    Blob,
    Call,
    Candidate,
    Figures,
    Part,
    given,
    is_broken_off,
)
from gateway.providers.wire.gemini_sources import logprobs, url_citations

_ANY = msgspec.json.Decoder(dict[str, Any])
_ORDER = {"gemini.text": 0, "gemini.media": 1, "gemini.call": 2}
FILTERED = ("SAFETY", "IMAGE_SAFETY")


class Places:
    """Keeps where parts stood that a normalised message holds apart: text, media, calls and opaque parts.

    The kinds stand in that order unless marks in `reasoning_details` say otherwise: `gemini.text` for so many
    characters of the content, `gemini.media` for the next entry of the media, `gemini.call` for that call.
    A mark may hold the signature of its part, which has to come back at the same place. `gemini.part` is a part that
    only Gemini understands, as it came.
    """

    def __init__(self) -> None:
        self._marks: list[Json] = []

    def text(self, chars: int, signature: str | None) -> list[Json]:
        if signature is not None:
            return self._told({"type": "gemini.text", "chars": chars, "thought_signature": signature})
        if not chars:
            return []
        told = self._ordered("gemini.text")
        if self._marks and self._marks[-1]["type"] == "gemini.text":
            self._marks[-1]["chars"] += chars
        else:
            self._marks.append({"type": "gemini.text", "chars": chars})
        return told

    def media(self, signature: str | None) -> list[Json]:
        if signature is not None:
            return self._told({"type": "gemini.media", "thought_signature": signature})
        told = self._ordered("gemini.media")
        self._marks.append({"type": "gemini.media"})
        return told

    def call(self, call_id: str) -> None:
        self._marks.append({"type": "gemini.call", "id": call_id})

    def opaque(self, part: Json) -> list[Json]:
        return self._told({"type": "gemini.part", "part": part})

    def _ordered(self, kind: str) -> list[Json]:
        """The marks so far, when a part of this kind would otherwise be put before them."""
        if not self._marks or _ORDER[self._marks[-1]["type"]] <= _ORDER[kind]:
            return []
        told, self._marks = self._marks, []
        return told

    def _told(self, mark: Json) -> list[Json]:
        told, self._marks = [*self._marks, mark], []
        return told


class Gathered:
    """What one candidate of one answer or chunk brings; empty members are None."""

    __slots__ = ("annotations", "calls", "details", "logprobs", "media", "reasoning", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.reasoning: str | None = None
        self.calls: list[ToolCall] | None = None
        self.media: list[Json] | None = None
        self.details: list[Json] | None = None
        self.annotations: list[Json] | None = None
        self.logprobs: Json | None = None


class CandidateReader:
    """One candidate as it grows. `facts`: what only Google tells, in its own words."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = 0
        self.finished: str | int | None = None
        self.is_empty = True
        self.facts: Json = {}
        self._texts: list[str] = []
        self._places = Places()
        self._cited: list[Json] = []

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def take(self, candidate: Candidate, data: bytes, position: int, response_id: str | None) -> Gathered:
        """`data`: the JSON of the answer, in which the candidate stands at `position`.

        Raises MsgspecError for members that are not what Google documents.
        """
        gathered = Gathered()
        for at, part in enumerate(candidate.parts):
            signature = part.thought_signature or None
            if part.text is not None and not part.thought:
                self._add_text(gathered, part.text, signature)
            elif part.function_call is not None:
                self._add_call(gathered, part.function_call, signature, response_id)
            elif part.inline_data is not None and not part.thought:
                _extend(gathered, "media", [_media(part.inline_data)])
                _extend(gathered, "details", self._places.media(signature))
            else:
                self._add_other(gathered, part, data, (position, at))
        self.is_empty = self.is_empty and not (gathered.text or gathered.calls or gathered.media)
        self._add_metadata(gathered, candidate)
        return gathered

    def check(self, provider: str, figures: Figures | None) -> None:
        """Raises ProviderError for an answer that is none."""
        if is_broken_off(self.finished, is_empty=self.is_empty):
            raise broke_off(provider, str(self.finished), figures.tokens() if figures else None)

    def _add_text(self, gathered: Gathered, text: str, signature: str | None) -> None:
        self._texts.append(text)
        gathered.text = text if gathered.text is None else gathered.text + text
        if details := self._places.text(len(text), signature):
            _extend(gathered, "details", details)

    def _add_call(self, gathered: Gathered, call: Call, signature: str | None, response_id: str | None) -> None:
        """Gemini 2 gives calls no id; ours is unique in a conversation as far as answers have ids."""
        answer = f"{response_id}_" if response_id else ""
        call_id = call.id or f"call_{answer}{self.index}_{self.calls}"
        arguments = msgspec.json.format(call.args, indent=-1).decode()
        function = FunctionCall(name=call.name, arguments="{}" if arguments == "null" else arguments)
        extra = None if signature is None else {"google": {"thought_signature": signature}}
        _extend(gathered, "calls", [ToolCall(id=call_id, function=function, extra_content=extra)])
        self._places.call(call_id)
        self.calls += 1

    def _add_other(self, gathered: Gathered, part: Part, data: bytes, place: tuple[int, int]) -> None:
        """Thoughts are readable and need not come back, unless signed; images among them are drafts, and never do.

        Source: https://ai.google.dev/gemini-api/docs/image-generation#thought-signatures (2026-11)
        """
        if part.thought:
            if part.text:
                gathered.reasoning = part.text if gathered.reasoning is None else gathered.reasoning + part.text
            if not part.thought_signature or part.inline_data is not None:
                return
        raw = _ANY.decode(data)["candidates"][place[0]]["content"]["parts"][place[1]]
        if raw:
            _extend(gathered, "details", self._places.opaque(raw))

    def _add_metadata(self, gathered: Gathered, candidate: Candidate) -> None:
        if candidate.finish_reason is not None:
            self.finished = candidate.finish_reason
            self._tell_finish(candidate)
        if given(candidate.logprobs_result):
            gathered.logprobs = logprobs(candidate.logprobs_result)
        if given(candidate.url_context_metadata):
            self.facts["urlContextMetadata"] = msgspec.json.decode(candidate.url_context_metadata)
        if given(candidate.grounding_metadata):
            self.facts["groundingMetadata"] = msgspec.json.decode(candidate.grounding_metadata)
        if given(candidate.grounding_metadata) or given(candidate.citation_metadata):
            found = url_citations(candidate.grounding_metadata, candidate.citation_metadata, self.text)
            if fresh := [annotation for annotation in found if annotation not in self._cited]:
                self._cited += fresh
                gathered.annotations = fresh

    def _tell_finish(self, candidate: Candidate) -> None:
        """Where the normalised finish reason blurs it."""
        if self.finished in TOLD_BY_FINISH_REASON or isinstance(self.finished, int):
            return
        self.facts["finishReason"] = self.finished
        if candidate.finish_message:
            self.facts["finishMessage"] = candidate.finish_message
        if self.finished in FILTERED and given(candidate.safety_ratings):
            self.facts["safetyRatings"] = msgspec.json.decode(candidate.safety_ratings)


def searches(facts: list[Json]) -> int:
    """Queries of Google Search behind the candidates of which these facts are told."""
    found = [fact["groundingMetadata"] for fact in facts if isinstance(fact.get("groundingMetadata"), dict)]
    return sum(len(grounding.get("webSearchQueries") or ()) for grounding in found)


def _extend(gathered: Gathered, member: str, items: list[Any]) -> None:
    if items:
        known = getattr(gathered, member)
        setattr(gathered, member, items if known is None else known + items)


def _media(blob: Blob) -> Json:
    kind = blob.mime_type.partition("/")[0]
    return {
        "type": kind if kind in ("image", "audio", "video") else "file",
        "content_type": blob.mime_type,
        "data": blob.data,
    }
