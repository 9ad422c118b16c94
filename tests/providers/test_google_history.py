"""Earlier answers go back to Gemini as they came: every part at its place, every signature with its part."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.model.errors import InvalidRequest
from gateway.model.fold import fold
from gateway.providers.wire.gemini import Gemini
from tests.providers.google_exchange import (
    DRAFT,
    HELLO,
    PIXEL,
    SERVER,
    Members,
    call,
    called,
    candidate,
    parsed,
    rendered,
    sent_back,
    streamed,
    target,
    text,
)

CODE: Members = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}

IN_PLACE: dict[str, list[Members]] = {
    "text": [text("Hello")],
    "signed text": [text("Hello", "eA==")],
    "signature at the end": [text("Hällo ✓"), text("", "eA==")],
    "signature at the start": [text("", "eA=="), text("Hello")],
    "calls": [called("one", "eA=="), called("two")],
    "text and calls": [text("Look"), called("one", "eA=="), called("two")],
    "call and text": [called("one", "eA=="), text("Look")],
    "text between calls": [text("a"), called("one"), text("b"), called("two"), text("c")],
    "image": [{"inlineData": PIXEL}],
    "signed images": [text("a", "eA=="), {"inlineData": PIXEL, "thoughtSignature": "eQ=="}],
    "image before text": [{"inlineData": PIXEL}, text("a")],
    "image after a call": [called("one"), {"inlineData": PIXEL}],
    "server tools": [text("a"), SERVER, text("b", "eA=="), called("one"), CODE],
    "signed thought": [{"text": "Hm", "thought": True, "thoughtSignature": "eA=="}, text("a")],
}


@pytest.mark.parametrize("parts", IN_PLACE.values(), ids=IN_PLACE.keys())
def test_parts_come_back_as_they_were(parts: list[Members]) -> None:
    assert sent_back(parsed(candidate(parts))) == parts


@pytest.mark.parametrize("parts", IN_PLACE.values(), ids=IN_PLACE.keys())
def test_parts_come_back_as_they_were_streamed(parts: list[Members]) -> None:
    chunks = streamed(*({"candidates": [candidate([part], None)]} for part in parts), {"candidates": [candidate([])]})
    assert sent_back(fold(chunks)) == parts


def test_pieces_of_one_text_come_back_as_one() -> None:
    answers = [{"candidates": [candidate([text(said)], None)]} for said in ("One, ", "two, ", "three")]
    chunks = streamed(*answers, {"candidates": [candidate([text("", "eA==")])]})
    assert sent_back(fold(chunks)) == [text("One, two, three"), text("", "eA==")]


def test_thoughts_and_drafts_do_not_come_back() -> None:
    reply = parsed(candidate([{"text": "Hm", "thought": True}, DRAFT, text("So")]))
    assert reply.choices[0].message.reasoning_content == "Hm"
    assert reply.choices[0].message.media is None
    assert sent_back(reply) == [text("So")]


def test_changed_content_keeps_what_is_signed() -> None:
    message = msgspec.to_builtins(parsed(candidate([text("Hello"), text("", "eA==")])).choices[0].message)
    message["content"] = "Hi"
    assert rendered(call(messages=[*HELLO, message]))["contents"][1]["parts"] == [text("Hi"), text("", "eA==")]


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "thinking", "thinking": "x", "signature": "y"},
        {"type": "gemini.text", "chars": -1},
        {"type": "gemini.call", "id": "unknown"},
        {"type": "gemini.media"},
        {},
    ],
)
def test_details_that_are_not_ours_are_left_out(detail: Members) -> None:
    message = {"role": "assistant", "content": "Hi", "reasoning_details": [detail]}
    assert rendered(call(messages=[*HELLO, message]))["contents"][1]["parts"] == [text("Hi")]


def test_only_models_that_demand_signatures_get_the_stand_in() -> None:
    reply = parsed(candidate([called("one"), called("two")]))
    assert sent_back(reply, reasoning_by="budget") == [called("one"), called("two")]
    stand_in = called("one", "skip_thought_signature_validator")
    assert sent_back(reply, reasoning_by="effort") == [stand_in, called("two")]


def test_call_ids_are_made_up_alike_in_both_forms() -> None:
    parts: list[Members] = [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "args": {}}}]
    whole = parsed(candidate(parts), candidate(parts[:1], index=1))
    chunks = streamed({"candidates": [candidate(parts), candidate(parts[:1], index=1)], "responseId": "r"})
    for reply in (whole, fold(chunks)):
        ids = [[made.id for made in choice.message.tool_calls or ()] for choice in reply.choices]
        assert ids == [["call_r_0_0", "call_r_0_1"], ["call_r_1_0"]]


def test_earlier_media_are_sent_by_their_data() -> None:
    media = [{"type": "image", "content_type": "image/png", "data": "cG5n"}]
    message = {"role": "assistant", "content": None, "media": media}
    assert rendered(call(messages=[*HELLO, message]))["contents"][1]["parts"] == [{"inlineData": PIXEL}]


def test_a_result_is_named_by_its_call_or_by_itself() -> None:
    named = {"role": "tool", "tool_call_id": "lost", "name": "f", "content": [{"type": "text", "text": '{"a":[1]}'}]}
    result = rendered(call(messages=[*HELLO, named]))["contents"][0]["parts"][1]["functionResponse"]
    assert result == {"id": "lost", "name": "f", "response": {"a": [1]}}
    with pytest.raises(InvalidRequest) as refused:
        rendered(call(messages=[*HELLO, {**named, "name": None}]))
    assert refused.value.param == "messages[1].tool_call_id"


@pytest.mark.parametrize(
    "said",
    [
        '{"parameters": {"$ref": "#/$defs/X", "$defs": {}}}',
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        '{"a": [{"b": [{"$ref": 1}]}]}',
        '{"\\u0024ref": "x"}',
    ],
)
def test_a_result_with_a_reference_in_it_goes_as_text(said: str) -> None:
    """Google takes "$ref" in a structure for the name of a medium, and refuses the conversation from then on."""
    result = {"role": "tool", "tool_call_id": "lost", "name": "f", "content": said}
    part = rendered(call(messages=[*HELLO, result]))["contents"][0]["parts"][1]
    assert part["functionResponse"]["response"] == {"output": said}


def test_a_result_that_only_speaks_of_one_goes_as_it_is() -> None:
    result = {"role": "tool", "tool_call_id": "lost", "name": "f", "content": '{"a": "$ref"}'}
    part = rendered(call(messages=[*HELLO, result]))["contents"][0]["parts"][1]
    assert part["functionResponse"]["response"] == {"a": "$ref"}


def test_an_answer_without_parts_is_left_out_of_the_history() -> None:
    body = rendered(call(messages=[*HELLO, {"role": "assistant", "content": None}, *HELLO]))
    assert body["contents"] == [{"role": "user", "parts": [text("Hello"), text("Hello")]}]


def test_without_call_ids_results_go_in_the_order_of_their_calls() -> None:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("first", "second")]
    results = [{"role": "tool", "tool_call_id": i, "content": i} for i in ("second", "first")]
    asked = call(messages=[*HELLO, {"role": "assistant", "content": None, "tool_calls": calls}, *results, *HELLO])
    contents = json.loads(Gemini(call_ids=False).render(asked, target()).body)["contents"]
    assert contents[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}] * 2
    responses = [{"name": "f", "response": {"output": said}} for said in ("first", "second")]
    assert contents[2]["parts"] == [*({"functionResponse": response} for response in responses), text("Hello")]


@pytest.mark.parametrize("by", ["effort", "budget"])
def test_media_of_results_go_inside_where_models_take_them(by: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
    sound = {"type": "input_audio", "input_audio": {"data": "bXAz", "format": "mp3"}}
    linked = {"type": "image", "url": "https://files.example/x.png"}
    result = {"role": "tool", "tool_call_id": "a", "name": "f", "content": [image, sound, linked, image]}
    parts = rendered(call(messages=[*HELLO, result]), reasoning_by=by)["contents"][0]["parts"][1:]
    response = {"id": "a", "name": "f", "response": {"output": ""}}
    png, mp3 = {"inlineData": PIXEL}, {"inlineData": {"mimeType": "audio/mp3", "data": "bXAz"}}
    far = {"fileData": {"mimeType": "image/png", "fileUri": "https://files.example/x.png"}}
    if by == "effort":
        assert parts == [{"functionResponse": {**response, "parts": [png, png]}}, mp3, far]
    else:
        assert parts == [{"functionResponse": response}, png, mp3, far, png]


@pytest.mark.parametrize("url", ["https://youtu.be/x", "gs://bucket/a.mp4", "gs://bucket/a"])
@pytest.mark.parametrize("kind", ["image", "image_url"])
def test_what_is_no_image_by_its_address_is_not_taken_for_one(kind: str, url: str) -> None:
    """It would be read, and paid, as a video that the model may not even take."""
    part = {"type": kind, "url": url} if kind == "image" else {"type": kind, kind: {"url": url}}
    with pytest.raises(InvalidRequest) as refused:
        rendered(call(messages=[{"role": "user", "content": [part]}]))
    assert (refused.value.param or "").startswith("messages[0].content[0].")
