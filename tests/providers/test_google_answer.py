"""What comes back from Gemini: finish reasons, usage, errors, and nonsense."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderLacksModel, ProviderRejected
from gateway.model.reply import Reply
from tests.providers.google_exchange import (
    PIXEL,
    SERVER,
    WIRE,
    Members,
    called,
    candidate,
    parsed,
    streamed,
    target,
    text,
)

FINISHES = [
    ("STOP", "stop", "tool_calls"),
    ("MAX_TOKENS", "length", "length"),
    *((reason, "content_filter", "content_filter") for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "SPII")),
    *((reason, "content_filter", "content_filter") for reason in ("PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR")),
    *((reason, "stop", "tool_calls") for reason in ("OTHER", "NEVER_HEARD_OF")),
]


@pytest.mark.parametrize(("reason", "plain", "with_calls"), FINISHES)
def test_finish_reasons(reason: str, plain: str, with_calls: str) -> None:
    for parts, wanted in (([text("x")], plain), ([called("f")], with_calls)):
        answer = candidate(parts, reason, safetyRatings=[{"category": "C", "blocked": True}])
        whole, stream = parsed(answer), fold(streamed({"candidates": [answer]}))
        assert [whole.choices[0].finish_reason, stream.choices[0].finish_reason] == [wanted, wanted]
        assert whole.extra == stream.extra
        told = (whole.extra or {"candidates": [{}]})["candidates"][0]
        assert told.get("finishReason") == (None if reason in ("STOP", "MAX_TOKENS") else reason)
        assert ("safetyRatings" in told) is (reason in ("SAFETY", "IMAGE_SAFETY"))


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (candidate([text("")]), ""),
        ({"finishReason": "MAX_TOKENS"}, ""),
        ({"content": {"role": "model"}, "finishReason": "STOP"}, ""),
        ({"content": None, "finishReason": "SAFETY", "groundingMetadata": None}, None),
        (candidate([called("f")]), None),
        (candidate([{"inlineData": PIXEL}]), None),
    ],
)
def test_content_of_an_answer_without_text(answer: Members, content: str | None) -> None:
    assert parsed(answer).choices[0].message.content == content


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "MALFORMED_FUNCTION_CALL"),
        ([text("}}")], "MALFORMED_FUNCTION_CALL"),
        ([called("f")], "UNEXPECTED_TOOL_CALL"),
        ([], "OTHER"),
        ([text("")], "NO_IMAGE"),
    ],
)
def test_an_answer_that_was_broken_off_is_an_error(parts: list[Members], reason: str) -> None:
    broken_off, figures = candidate(parts, reason), {"promptTokenCount": 9}
    for take in (
        lambda: parsed(broken_off, usageMetadata=figures),
        lambda: streamed({"candidates": [broken_off], "usageMetadata": figures}),
    ):
        with pytest.raises(ProviderError) as broken:
            take()
        assert (broken.value.provider_code, broken.value.retryable) == (reason, True)
        assert broken.value.charged is not None
        assert broken.value.charged.prompt_tokens == 9


def test_a_block_in_the_middle_of_a_stream_filters_what_is_unfinished() -> None:
    blocked = {"promptFeedback": {"blockReason": "OTHER"}}
    reply = fold(streamed({"candidates": [candidate([text("Hal")], None)]}, blocked))
    assert reply.choices[0].message.content == "Hal"
    assert reply.choices[0].finish_reason == "content_filter"
    assert reply.extra == {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": None}}


def test_safety_ratings_of_the_prompt_alone_block_nothing() -> None:
    reply = parsed(candidate([text("x")]), promptFeedback={"safetyRatings": []})
    assert reply.choices[0].finish_reason == "stop"
    assert reply.extra is None


def test_usage_of_a_stream_is_the_latest_of_each_count() -> None:
    """As seen with server-side search: the prompt grows, and the last event leaves the candidates' count out."""
    figures = [
        {"promptTokenCount": 9, "candidatesTokenCount": 15, "thoughtsTokenCount": 78},
        {"promptTokenCount": 9},
        {"promptTokenCount": 87, "toolUsePromptTokenCount": 3, "trafficType": "ON_DEMAND"},
    ]
    chunks = streamed(*({"candidates": [candidate([text("x")])], "usageMetadata": one} for one in figures))
    usages = [(chunk.usage.prompt_tokens, chunk.usage.completion_tokens) for chunk in chunks if chunk.usage]
    assert usages == [(9, 93), (9, 93), (90, 93), (90, 93)]


def test_no_counts_are_no_usage() -> None:
    assert parsed(candidate([text("x")]), usageMetadata={"trafficType": "ON_DEMAND"}).usage is None


def test_vertex_ai_tells_when_it_answered() -> None:
    assert parsed(candidate([]), createTime="2026-02-17T04:29:24.806325Z").created_s == 1771302564
    assert parsed(candidate([]), createTime="yesterday").created_s == 0


def test_candidates_of_a_stream_are_kept_apart() -> None:
    chunks = streamed(
        {"candidates": [candidate([text("a")], None, index=1)]},
        {"candidates": [candidate([text("b")], None, index=0), candidate([text("c")], index=1)]},
        {"candidates": [candidate([text("d")], "MAX_TOKENS", index=0)]},
    )
    said = [(choice.message.content, choice.finish_reason) for choice in fold(chunks).choices]
    assert said == [("bd", "length"), ("ac", "stop")]


def test_one_unfinished_candidate_is_an_early_end() -> None:
    with pytest.raises(ProviderError, match="ended early"):
        streamed({"candidates": [candidate([text("a")], index=0), candidate([text("b")], None, index=1)]})


def test_an_empty_stream_ended_early() -> None:
    with pytest.raises(ProviderError, match="ended early"):
        streamed()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 400, "status": "FAILED_PRECONDITION", "message": "Enable billing in your project."}, ProviderError),
        ({"code": 400, "status": "FAILED_PRECONDITION", "message": "The file is not ACTIVE."}, ProviderRejected),
        ({"code": 404, "status": "NOT_FOUND"}, ProviderLacksModel),
        ({"code": None, "details": None}, ProviderError),
    ],
)
def test_an_error_in_a_200_is_an_error(error: Members, kind: type[ProviderFailure]) -> None:
    body = json.dumps({"error": error}).encode()
    with pytest.raises(ProviderFailure) as failed:
        WIRE.parse(HttpResponse(200, {}, body), target())
    assert type(failed.value) is kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"<html>",
        b'{"error": "x"}',
        b'[{"error": {"code": "x"}}]',
        b"\xff",
        b'{"error": {"message": "\xff"}}',
    ],
)
def test_an_unreadable_error_keeps_its_status(body: bytes) -> None:
    assert type(WIRE.fail(HttpResponse(503, {}, body), target())) is ProviderError


RICH = {
    "candidates": [
        candidate(
            [text("ä", "eA=="), called("f"), {"inlineData": PIXEL}, SERVER, {"text": "Hm", "thought": True}],
            index=0,
            groundingMetadata={
                "groundingChunks": [{"web": {"uri": "https://x.example", "title": "t"}}],
                "groundingSupports": [{"segment": {"endIndex": 2, "text": "ä"}, "groundingChunkIndices": [0]}],
            },
            citationMetadata={"citationSources": [{"endIndex": 1, "uri": "https://y.example"}]},
            logprobsResult={"chosenCandidates": [{"token": "ä", "logProbability": -1}], "topCandidates": []},
            safetyRatings=[{"category": "C"}],
        )
    ],
    "promptFeedback": {"blockReason": "SAFETY"},
    "usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
    "responseId": "r",
    "createTime": "2026-02-17T04:29:24Z",
}


def _spoiled(value: Any, chance: random.Random) -> Any:
    """`value` with one place in it replaced by something else."""
    if isinstance(value, dict | list) and value and chance.random() < 0.9:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        place = chance.choice(places)
        copy = value.copy()
        copy[place] = _spoiled(value[place], chance)
        return copy
    return chance.choice([None, "", "x", -1, 3.5, True, [], {}, [None], {"x": 1}, 10**30])


def _outcome(read: Callable[[Any], Reply], answer: Any) -> str:
    try:
        return "reply" if msgspec.json.encode(read(answer)) else ""
    except ProviderFailure:
        return "failure"


def _whole(answer: Any) -> Reply:
    return WIRE.parse(HttpResponse(200, {}, json.dumps(answer).encode()), target())


def _stream(answer: Any) -> Reply:
    return fold(streamed(answer))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("read", [_whole, _stream])
def test_nonsense_is_a_reply_or_a_provider_failure(read: Callable[[Any], Reply], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # not for secrets
    outcomes = {_outcome(read, _spoiled(RICH, chance)) for _ in range(100)}
    assert outcomes == {"reply", "failure"}


def test_nonsense_nested_without_end_is_a_provider_failure() -> None:
    deep = b'{"candidates": [{"groundingMetadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}]}"
    with pytest.raises(ProviderError):
        WIRE.parse(HttpResponse(200, {}, deep), target())
