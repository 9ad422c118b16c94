"""What a whole Gemini answer means."""

from __future__ import annotations

import msgspec

from gateway.model.chat import Json
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Choice, Reply, ReplyMessage
from gateway.providers.wire.gemini_answer import ANSWER, Answer, Candidate, finish_reason, given
from gateway.providers.wire.gemini_failures import failure_in
from gateway.providers.wire.gemini_parts import CandidateReader, searches


def parse_answer(response: HttpResponse, provider: str) -> Reply:
    """Raises ProviderError for a body that is no answer, and the right failure for an error in a 200."""
    facts: list[Json] = []
    try:
        answer = ANSWER.decode(response.body)
        choices = [
            _choice(answer, position, response.body, facts, provider)
            for position in range(len(answer.candidates or ()))
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"{provider} answered with something that is not documented") from error
    if given(answer.error):
        raise failure_in(response.body, provider) or ProviderError(f"{provider} reported an unnamed error")
    blocked = answer.blocked
    if blocked is not None:
        choices = [Choice(index=0, message=ReplyMessage(content=None), finish_reason="content_filter")]
    elif not choices:
        raise ProviderError(f"{provider} answered without a candidate")
    figures = answer.usage_metadata
    return Reply(
        id=answer.response_id or "",
        model=answer.model_version or "",
        created_s=answer.created_s,
        choices=choices,
        usage=figures.tokens(searches(facts)) if figures else None,
        service_tier=figures.tier if figures else None,
        extra=blocked.facts() if blocked else told(facts),
    )


def told(facts: list[Json]) -> Json | None:
    """What the candidates tell beside their content; the ones without anything are left out."""
    return {"candidates": facts} if facts else None


def index_of(candidate: Candidate, position: int) -> int:
    """Zero and the only index are left out on Vertex AI."""
    return position if candidate.index is None else candidate.index


def _choice(answer: Answer, position: int, body: bytes, facts: list[Json], provider: str) -> Choice:
    candidate = (answer.candidates or [])[position]
    reader = CandidateReader(index_of(candidate, position))
    gathered = reader.take(candidate, body, position, answer.response_id)
    reader.check(provider, answer.usage_metadata)
    if reader.facts:
        facts.append({"index": reader.index, **reader.facts})
    reason = finish_reason(reader.finished, has_calls=reader.calls > 0)
    nothing = None if gathered.calls or gathered.media or reason == "content_filter" else ""
    return Choice(
        index=reader.index,
        finish_reason=reason,
        logprobs=gathered.logprobs,
        message=ReplyMessage(
            content=gathered.text or nothing,
            tool_calls=gathered.calls,
            reasoning_content=gathered.reasoning,
            reasoning_details=gathered.details,
            annotations=gathered.annotations,
            media=gathered.media,
        ),
    )
