"""How a conversation is told to Bedrock, and that what it said comes back to it unchanged."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.fold import fold
from gateway.model.reply import Reply
from tests.providers.bedrock_exchange import (
    HELLO,
    STOP,
    WIRE,
    Members,
    call,
    delta,
    end,
    parsed,
    rendered,
    start,
    streamed,
    target,
    turns,
)

SIGNED = {"reasoningText": {"text": "Hmm.", "signature": "c2lnbmVk+/=="}}
SEALED = {"redactedContent": "c2VhbGVk"}
SERVER_USE = {"toolUseId": "s", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}
SERVER_RESULT = {"toolUseId": "s", "status": "success", "type": "nova_grounding_result", "content": [{"text": "r"}]}
BLOCKS: list[Members] = [
    {"reasoningContent": SIGNED},
    {"text": "Let me "},
    {"text": "look."},
    {"toolUse": SERVER_USE},
    {"toolResult": SERVER_RESULT},
    {"reasoningContent": SEALED},
    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"a": 1}}},
    {"reasoningContent": SIGNED},
    {"text": "And"},
    {"toolUse": {"toolUseId": "t2", "name": "weather", "input": {}}},
]


def sent_back(reply: Reply) -> list[Members]:
    """The blocks of a reply's message, after it went through a client's JSON and came back as history."""
    message = msgspec.json.decode(msgspec.json.encode(reply.choices[0].message))
    blocks: list[Members] = turns(*HELLO, message, *HELLO)[1]["content"]
    return blocks


def cut(index: int, block: Members) -> list[tuple[str, Members]]:
    """The events in which a block of a whole answer would be streamed."""
    if "text" in block:
        return [delta(index, text=block["text"][:2]), delta(index, text=block["text"][2:]), end(index)]
    if "toolUse" in block:
        use = {name: value for name, value in block["toolUse"].items() if name != "input"}
        text = json.dumps(block["toolUse"]["input"])
        return [start(index, toolUse=use), delta(index, toolUse={"input": text[:1]}), *rest(index, text), end(index)]
    if "toolResult" in block:
        result = {name: value for name, value in block["toolResult"].items() if name != "content"}
        return [start(index, toolResult=result), delta(index, toolResult=block["toolResult"]["content"]), end(index)]
    thought = block["reasoningContent"]
    if "reasoningText" not in thought:
        return [delta(index, reasoningContent=thought), end(index)]
    pieces = [{"text": "Hm"}, {"text": "m."}, {"signature": "c2lnbm"}, {"signature": "Vk+/=="}]
    return [*(delta(index, reasoningContent=piece) for piece in pieces), end(index)]


def rest(index: int, text: str) -> list[tuple[str, Members]]:
    return [delta(index, toolUse={"input": text[1:]})]


def test_every_block_goes_back_where_it_stood() -> None:
    assert sent_back(parsed(*BLOCKS)) == BLOCKS


def test_a_streamed_reply_goes_back_as_a_whole_one() -> None:
    events = [event for index, block in enumerate(BLOCKS) for event in cut(index, block)]
    assert sent_back(fold(streamed(*events, STOP))) == BLOCKS


def test_unsealed_reasoning_stays_with_the_client() -> None:
    reply = parsed({"reasoningContent": {"reasoningText": {"text": "Hmm."}}}, {"text": "Yes."})
    assert reply.choices[0].message.reasoning_content == "Hmm."
    assert sent_back(reply) == [{"text": "Yes."}]


def test_a_turn_of_nothing_but_reasoning_is_left_out() -> None:
    thought = {
        "role": "assistant",
        "content": "",
        "reasoning_details": [{"type": "reasoningContent", "reasoningContent": SEALED}],
    }
    assert turns(*HELLO, thought, *HELLO) == [{"role": "user", "content": [{"text": "Hello"}, {"text": "Hello"}]}]


def test_another_hosts_claude_may_have_signed_the_thought() -> None:
    thought = {"type": "thinking", "thinking": "Hmm.", "signature": "c2lnbmVk"}
    message = {"role": "assistant", "content": "Yes.", "reasoning_details": [thought, {"type": "other"}]}
    signed = {"reasoningContent": {"reasoningText": {"text": "Hmm.", "signature": "c2lnbmVk"}}}
    assert turns(*HELLO, message, dialect="anthropic")[1]["content"] == [signed, {"text": "Yes."}]
    assert turns(*HELLO, message, dialect="nova")[1]["content"] == [{"text": "Yes."}]


def test_results_of_parallel_calls_share_a_turn() -> None:
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in ("a", "b")]
    found = turns(*HELLO, *results, *HELLO)
    assert [next(iter(block)) for block in found[0]["content"]] == ["text", "toolResult", "toolResult", "text"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"b":1, "a":2.50}', {"b": 1, "a": 2.5}),
        ("", {}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ("{", {"INVALID_JSON": "{"}),
    ],
)
def test_arguments_are_sent_as_they_were_written(arguments: str, sent: Any) -> None:
    use = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    asked = call(
        messages=[*HELLO, {"role": "assistant", "tool_calls": [use]}],
        tools=[{"type": "function", "function": {"name": "weather"}}],
    )
    body = WIRE.render(asked, target()).body
    assert json.loads(body)["messages"][1]["content"][0]["toolUse"]["input"] == sent
    assert arguments.encode() in body or sent == {"INVALID_JSON": "{"} or arguments == "[1]"


def test_a_result_may_show_a_picture_but_no_sound() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,eA=="}}
    sound = {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}
    result: Members = {"role": "tool", "tool_call_id": "t", "content": [picture]}
    content = turns(*HELLO, result)[0]["content"][1]["toolResult"]["content"]
    assert content == [{"image": {"format": "webp", "source": {"bytes": "eA=="}}}]
    with pytest.raises(CapabilityNotSupported):
        turns(*HELLO, {**result, "content": [sound]})


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,eA=="}}, "image_url.url"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA==", "detail": "low"}},
            "image_url.detail",
        ),
        ({"type": "video", "url": "s3://bucket/no-ending"}, "url"),
        ({"type": "audio", "url": "data:audio/x-unheard;base64,eA=="}, "url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,eA=="}}, "file.file_data"),
    ],
)
def test_media_that_cannot_be_given_is_refused_by_name(part: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        WIRE.render(call(messages=[{"role": "user", "content": [part]}]), target())
    assert refused.value.param == f"messages[0].content[0].{param}"


@pytest.mark.parametrize("url", ["nothing", "data:image/png,raw", "data:;base64,eA=="])
def test_a_broken_url_is_the_clients_fault(url: str) -> None:
    with pytest.raises(InvalidRequest):
        rendered(call(messages=[{"role": "user", "content": [{"type": "image", "url": url}]}]))


def test_only_text_in_system_messages() -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(messages=[{"role": "system", "content": [{"type": "image", "url": "s3://b/a.png"}]}, *HELLO]))
    assert refused.value.param == "messages[0].content[0]"


def test_documents_have_names_of_their_own() -> None:
    names = ["a.pdf", "A.docx", "分期.pdf", "分.pdf", f"{'x' * 250}.pdf", f"{'x' * 250}.pdf"]
    parts = [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": name}} for name in names
    ]
    content = turns({"role": "user", "content": parts})[0]["content"]
    found = [block["document"]["name"] for block in content if "document" in block]
    assert found == ["a", "A 2", "document", "document 2", "x" * 200, f"{'x' * 198} 2"]


def test_a_document_never_stands_without_words() -> None:
    """As Bedrock demands of every message that has one; those of a tool's result are not the message's own."""
    paper = {"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": "a.pdf"}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}
    mark = {"cache_control": {"type": "ephemeral"}}
    asked: dict[str, Any] = {
        "paper": [paper],
        "marked": [{**paper, **mark}],
        "blank": [{"type": "text", "text": " "}, paper],
        "words": [{"type": "text", "text": "See"}, paper],
        "picture": [picture],
    }
    kinds = {
        name: [next(iter(block)) for block in turns({"role": "user", "content": content})[0]["content"]]
        for name, content in asked.items()
    }
    assert kinds == {
        "paper": ["document", "text"],
        "marked": ["document", "cachePoint", "text"],
        "blank": ["document", "text"],
        "words": ["text", "document"],
        "picture": ["image"],
    }


def test_an_assistants_parts_keep_their_cache_marks() -> None:
    parts = [
        {"type": "text", "text": "Yes.", "cache_control": {"type": "ephemeral"}},
        {"type": "refusal", "refusal": "But no more."},
        {"type": "text", "text": " "},
    ]
    sealed = {"type": "reasoningContent", "reasoningContent": SEALED}
    use = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": parts, "reasoning_details": [sealed], "tool_calls": [use]}
    assert turns(*HELLO, message)[1]["content"] == [
        {"reasoningContent": SEALED},
        *({"text": "Yes."}, {"cachePoint": {"type": "default"}}, {"text": "But no more."}),
        {"toolUse": {"toolUseId": "t", "name": "weather", "input": {}}},
    ]


def test_earlier_audio_cannot_be_referred_to() -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        turns(*HELLO, {"role": "assistant", "audio": {"id": "audio-1"}})
    assert refused.value.param == "messages[1].audio"


def test_a_file_part_may_hold_a_picture() -> None:
    part = {"type": "file", "file": {"file_data": "data:image/gif;base64,eA==", "filename": "a.gif"}}
    content = turns({"role": "user", "content": [part]})[0]["content"]
    assert content == [{"image": {"format": "gif", "source": {"bytes": "eA=="}}}]
