"""As `test_any_answer.py`, of sound, videos, work in the background, batches and voice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import BackgroundState, BatchState
from gateway.providers.lookup import provider_named
from tests.odd_json import ODD, spoilt
from tests.providers import batched, test_speech_wires, test_transcription_wires
from tests.providers.realtime_exchange import begin
from tests.providers.test_background import TARGET
from tests.providers.test_cases import PROVIDERS
from tests.providers.test_videos import spoken
from tests.unit import answers
from tests.unit.test_any_answer import FAILURES, HALF, HEADERS, check_failure, check_usage, pieces_of, told

PLAIN_SPEECH = ("deepgram", "elevenlabs")
"""What they answer is the recording."""
CUT = st.none() | st.integers(0, 400)


def whole(draw: st.DataObject, seed: Any) -> HttpResponse:
    """A 2xx answer, often like it."""
    body = json.dumps(draw.draw(spoilt(seed) | ODD)).encode()
    return HttpResponse(200, draw.draw(HEADERS), body[: draw.draw(CUT)])


def events(draw: st.DataObject, seeds: list[Any]) -> bytes:
    chosen = draw.draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=4))
    values = [draw.draw(st.just(one) | spoilt(one) | ODD) for one in chosen]
    made = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    return made[: draw.draw(CUT)]


def test_every_wire_is_among_them() -> None:
    def speaking(what: str) -> set[str]:
        return {one.name for one in PROVIDERS if getattr(one, what)}

    assert speaking("transcriptions") == answers.TRANSCRIPTS.keys()
    assert speaking("speech") == {*answers.SPEECH_EVENTS, *PLAIN_SPEECH}
    assert speaking("videos") == answers.VIDEOS.keys()
    assert speaking("background") == answers.BACKGROUND.keys()
    assert speaking("realtime") == answers.REALTIME.keys()
    assert (
        {one.name for one in PROVIDERS if one.batches.chat} == answers.BATCH_STATES.keys() == answers.BATCH_LINES.keys()
    )


@pytest.mark.parametrize("provider", answers.TRANSCRIPTS)
@HALF
@given(data=st.data())
def test_transcripts(provider: str, data: st.DataObject) -> None:
    wire, target = test_transcription_wires.setting(provider)
    told(lambda: wire.parse(whole(data, answers.TRANSCRIPTS[provider]), target))
    check_failure(wire.fail(_failed(data, answers.TRANSCRIPTS[provider]), target))


@HALF
@given(data=st.data())
def test_pictures_of_imagen(data: st.DataObject) -> None:
    google = provider_named("google")
    wire, target = (
        google.images["imagen"],
        replace(spoken("google")[1], model=ModelFacts(id="m", name="", api="imagen")),
    )
    told(lambda: wire.parse(whole(data, answers.IMAGEN), target))
    check_failure(wire.fail(_failed(data, {}), target))


def _failed(data: st.DataObject, seed: Any) -> HttpResponse:
    answer = whole(data, {"error": {"message": "No.", "code": "x", "status": "y", "details": [{"reason": "z"}]}})
    return HttpResponse(data.draw(FAILURES), answer.headers, answer.body or json.dumps(seed).encode())


@pytest.mark.parametrize("provider", answers.TRANSCRIPT_EVENTS)
@HALF
@given(data=st.data())
def test_transcripts_in_pieces(provider: str, data: st.DataObject) -> None:
    wire, target = test_transcription_wires.setting(provider)
    body = events(data, answers.TRANSCRIPT_EVENTS[provider])
    told(lambda: _counted(pieces_of(wire.stream(target), body, [5, 60])))


def _counted(pieces: list[Any]) -> list[Any]:
    for piece in pieces:
        whole = getattr(piece, "transcript", None) or piece
        check_usage(getattr(whole, "usage", None))
    return pieces


@pytest.mark.parametrize("provider", [*answers.SPEECH_EVENTS, *PLAIN_SPEECH])
@HALF
@given(data=st.data())
def test_speech(provider: str, data: st.DataObject) -> None:
    wire, target = test_speech_wires.setting(provider)
    body = events(data, answers.SPEECH_EVENTS.get(provider, [{"detail": {"status": "x", "message": "No."}}]))
    kind = data.draw(st.sampled_from(["text/event-stream", "audio/mpeg", "application/json", "", "x"]))
    call = test_speech_wires.call(response_format="pcm" if provider in ("google", "vertex") else "mp3")
    told(lambda: _counted(pieces_of(wire.parser(call, kind, target), body, [5, 60])))
    check_failure(wire.fail(_failed(data, {}), target))


@pytest.mark.parametrize("provider", answers.VIDEOS)
@HALF
@given(data=st.data())
def test_videos(provider: str, data: st.DataObject) -> None:
    wire, target = spoken(provider)
    answer = whole(data, data.draw(st.sampled_from(answers.VIDEOS[provider])))
    told(lambda: wire.parse(answer, target))
    told(lambda: wire.state(answer, target))
    check_failure(wire.fail(_failed(data, {}), target))


def _of_background(state: BackgroundState) -> Reply | None:
    if state.failure is not None:
        check_failure(state.failure)
    return state.reply


@pytest.mark.parametrize("provider", answers.BACKGROUND)
@HALF
@given(data=st.data())
def test_work_in_the_background(provider: str, data: st.DataObject) -> None:
    (wire,) = provider_named(provider).background.values()
    target = replace(TARGET, provider=provider)
    answer = whole(data, data.draw(st.sampled_from(answers.BACKGROUND[provider])))
    told(lambda: wire.parse(answer, target))
    told(lambda: _of_background(wire.state(answer, target)))
    check_failure(wire.fail(_failed(data, {}), target))


@pytest.mark.parametrize("provider", answers.BATCH_STATES)
@HALF
@given(data=st.data())
def test_batches(provider: str, data: st.DataObject) -> None:
    wire, target = batched.chats(provider), batched.target(provider)
    seed = data.draw(st.sampled_from(answers.BATCH_STATES[provider]))
    told(lambda: _of_batch(wire.state(whole(data, seed), target)))
    listed = {"data": [seed], "batches": [seed], "operations": [seed]}
    told(lambda: wire.labelled(whole(data, listed), "label", target))
    check_failure(wire.fail(_failed(data, {}), target))


def _of_batch(state: BatchState) -> str:
    if state.failure is not None:
        check_failure(state.failure)
    assert all(isinstance(output, str) for output in state.outputs)
    assert min(state.counts.total, state.counts.answered, state.counts.failed) >= 0
    return state.status


@pytest.mark.parametrize("provider", answers.BATCH_LINES)
@HALF
@given(data=st.data())
def test_results_of_batches(provider: str, data: st.DataObject) -> None:
    """A line that cannot be read is counted, and takes no other with it."""
    wire, target = batched.chats(provider), batched.target(provider)
    seeds = answers.BATCH_LINES[provider]
    odd = [data.draw(spoilt(data.draw(st.sampled_from(seeds))) | ODD) for _ in range(2)]
    parser = wire.parser(target)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in [*odd, seeds[0]])
    found = [*parser.feed(body[:50]), *parser.feed(body[50:]), *parser.close()]
    for result in found:
        assert isinstance(result.item_id, str)
        check_usage(result.usage)
        if result.failure is not None:
            check_failure(result.failure)
    assert found[-1].ending == "answered"
    assert len(found) + parser.unreadable == 3


@pytest.mark.parametrize("provider", answers.REALTIME)
@HALF
@given(data=st.data())
def test_voice(provider: str, data: st.DataObject) -> None:
    """Each message means something, or is the provider's failure; the session can be carried on from either."""
    session = begin(provider).session
    seeds = answers.REALTIME[provider]
    for seed in data.draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=6)):
        message = data.draw(st.just(seed) | spoilt(seed) | ODD)
        try:
            step = session.receive(json.dumps(message))
        except ProviderFailure as failure:
            check_failure(failure)
            break
        json.dumps([step.messages, step.events])
        for used in step.used:
            check_usage(used.usage)
        if step.failure is not None:
            check_failure(step.failure)
    session.carried()
