"""Where an answer comes from and how sure it is, in OpenAI's shapes.

Sources: https://ai.google.dev/api/generate-content#GroundingMetadata, #CitationMetadata, #LogprobsResult (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.providers.wire.gemini_answer import given


class Lenient(Struct, frozen=True, rename="camel"):
    """Base: names in camel case."""


class Segment(Lenient, frozen=True):
    """Offsets in bytes of UTF-8."""

    start_index: int = 0
    end_index: int = 0
    text: str = ""


class Source(Lenient, frozen=True):
    uri: str = ""
    title: str | None = None


class GroundingChunk(Lenient, frozen=True):
    web: Source | None = None
    retrieved_context: Source | None = None
    maps: Source | None = None

    @property
    def source(self) -> Source:
        return self.web or self.retrieved_context or self.maps or Source()


class GroundingSupport(Lenient, frozen=True):
    segment: Segment = Segment()
    grounding_chunk_indices: list[int] = msgspec.field(default_factory=list)


class GroundingMetadata(Lenient, frozen=True):
    grounding_chunks: list[GroundingChunk] = msgspec.field(default_factory=list)
    grounding_supports: list[GroundingSupport] = msgspec.field(default_factory=list)


class Citation(Segment, frozen=True):
    uri: str = ""
    title: str | None = None
    license: str = ""


class CitationMetadata(Lenient, frozen=True):
    """The list is called `citations` on Vertex AI."""

    citation_sources: list[Citation] = msgspec.field(default_factory=list)
    citations: list[Citation] = msgspec.field(default_factory=list)


class Token(Lenient, frozen=True):
    token: str = ""
    log_probability: float = 0.0

    def entry(self) -> Json:
        return {"token": self.token, "logprob": self.log_probability, "bytes": list(self.token.encode())}


class TopTokens(Lenient, frozen=True):
    candidates: list[Token] = msgspec.field(default_factory=list)


class LogprobsResult(Lenient, frozen=True):
    chosen_candidates: list[Token] = msgspec.field(default_factory=list)
    top_candidates: list[TopTokens] = msgspec.field(default_factory=list)


_GROUNDING = msgspec.json.Decoder(GroundingMetadata)
_CITATIONS = msgspec.json.Decoder(CitationMetadata)
_LOGPROBS = msgspec.json.Decoder(LogprobsResult)


def url_citations(grounding: Raw, citations: Raw, text: str) -> list[Json]:
    """`url_citation`s of `text`, the content so far. Raises MsgspecError for undocumented members."""
    found: list[Json] = []
    if given(grounding):
        found += _grounded(_GROUNDING.decode(grounding), text)
    if given(citations):
        metadata = _CITATIONS.decode(citations)
        found += [
            _url_citation(cited, Source(cited.uri, cited.title), text, cited.license)
            for cited in (*metadata.citation_sources, *metadata.citations)
            if cited.uri
        ]
    return found


def logprobs(result: Raw) -> Json | None:
    """Raises MsgspecError for undocumented members."""
    if not given(result):
        return None
    read = _LOGPROBS.decode(result)
    tops: Iterable[TopTokens] = read.top_candidates or (TopTokens() for _ in read.chosen_candidates)
    return {
        "content": [
            {**chosen.entry(), "top_logprobs": [token.entry() for token in top.candidates]}
            for chosen, top in zip(read.chosen_candidates, tops, strict=False)
        ],
        "refusal": None,
    }


def _grounded(metadata: GroundingMetadata, text: str) -> Iterator[Json]:
    for support in metadata.grounding_supports:
        for position in support.grounding_chunk_indices:
            if 0 <= position < len(metadata.grounding_chunks):
                yield _url_citation(support.segment, metadata.grounding_chunks[position].source, text)


def _url_citation(segment: Segment, source: Source, text: str, licence: str = "") -> Json:
    start, end = _span(segment, text)
    cited: Json = {"start_index": start, "end_index": end, "url": source.uri, "title": source.title}
    return {"type": "url_citation", "url_citation": {**cited, "license": licence} if licence else cited}


def _span(segment: Segment, text: str) -> tuple[int, int]:
    """In characters. The segment's own text wins, because its offsets were seen to drift after non-ASCII text."""
    start, end = _characters(segment.start_index, text), _characters(segment.end_index, text)
    if segment.text and text[start:end] != segment.text:
        found = text.find(segment.text)
        if found >= 0:
            return found, found + len(segment.text)
    return start, end


def _characters(offset: int, text: str) -> int:
    if text.isascii():
        return offset
    data = text.encode()
    return len(data[:offset].decode(errors="ignore")) + max(0, offset - len(data))
