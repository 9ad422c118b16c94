"""Chunks put together make the reply they came from."""

from __future__ import annotations

import msgspec

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.fold import fold
from gateway.model.reply import Choice, Chunk, ChunkChoice, Delta, FunctionCallDelta, Reply, ReplyMessage, ToolCallDelta
from gateway.model.unfold import unfold
from gateway.model.usage import TokenUsage


def piece(delta: Delta | None = None, index: int = 0, **members: object) -> Chunk:
    choice = msgspec.convert({"index": index, "delta": {}, **members}, ChunkChoice)
    return Chunk(choices=[msgspec.structs.replace(choice, delta=delta or Delta())])


def call(index: int, arguments: str, name: str | None = None, **extra_content: object) -> Delta:
    piece = ToolCallDelta(
        index=index,
        id=f"id_{index}" if name else None,
        type="function" if name else None,
        function=FunctionCallDelta(name=name, arguments=arguments),
        extra_content=extra_content or None,
    )
    return Delta(tool_calls=[piece])


def message_of(*chunks: Chunk) -> ReplyMessage:
    return fold(chunks).choices[0].message


def test_texts_join_and_the_latest_facts_and_figures_count() -> None:
    chunks = [
        Chunk(choices=[], id="", model="", extra={"a": 1}),
        Chunk(
            choices=[ChunkChoice(index=0, delta=Delta(role="assistant", content=""))], id="c", model="m", created_s=5
        ),
        Chunk(choices=[ChunkChoice(index=0, delta=Delta(content="Li"))], id="c", usage=TokenUsage(prompt_tokens=1)),
        Chunk(choices=[ChunkChoice(index=0, delta=Delta(content="ma"), finish_reason="length")], service_tier="flex"),
        Chunk(choices=[], usage=TokenUsage(prompt_tokens=2), extra={"b": 2}, system_fingerprint="f"),
        Chunk(choices=[]),
    ]
    assert fold(chunks) == Reply(
        choices=[Choice(index=0, message=ReplyMessage(content="Lima"), finish_reason="length")],
        id="c",
        created_s=5,
        model="m",
        usage=TokenUsage(prompt_tokens=2),
        service_tier="flex",
        system_fingerprint="f",
        extra={"a": 1, "b": 2},
    )


def test_choices_keep_apart_and_stand_in_order() -> None:
    reply = fold(
        [piece(Delta(content="b"), 1), piece(Delta(content="a"), 0), piece(Delta(content="B"), 1, finish_reason="stop")]
    )
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in reply.choices] == [
        (0, "a", "stop"),
        (1, "bB", "stop"),
    ]


def test_tool_calls_join_by_index() -> None:
    message = message_of(
        piece(call(1, "{", "g", sign="s")), piece(call(0, "{}", "f")), piece(call(1, "}")), piece(call(1, "", more=1))
    )
    assert message.tool_calls == [
        ToolCall(id="id_0", function=FunctionCall(name="f", arguments="{}")),
        ToolCall(id="id_1", function=FunctionCall(name="g", arguments="{}"), extra_content={"sign": "s", "more": 1}),
    ]
    assert message.content is None


def test_a_stream_that_never_finished_a_choice_gets_a_reason() -> None:
    assert fold([piece(call(0, "{}", "f"))]).choices[0].finish_reason == "tool_calls"
    assert fold([piece(Delta(content="x"))]).choices[0].finish_reason == "stop"


def test_content_is_null_only_when_there_was_none() -> None:
    assert message_of(piece(Delta(content=""))).content == ""
    assert message_of(piece(Delta(refusal="N")), piece(Delta(refusal="o"))) == ReplyMessage(content=None, refusal="No")


def test_pieces_of_one_reasoning_block_join_and_whole_blocks_stay() -> None:
    details: list[Json] = [
        {"type": "reasoning.text", "text": "Hm", "index": 0, "format": "x"},
        {"type": "reasoning.text", "text": "m", "index": 0, "format": "x", "signature": None},
        {"type": "reasoning.text", "signature": "c2ln", "index": 0},
        {"type": "reasoning.encrypted", "data": "ZW5j", "index": 0, "id": "r"},
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "thinking", "thinking": "a", "signature": "s"},
    ]
    chunks = [
        piece(Delta(reasoning_content="Hm", reasoning_details=details[:2])),
        piece(Delta(reasoning_details=details[2:])),
    ]
    message = message_of(*chunks)
    assert message.reasoning_content == "Hm"
    assert message.reasoning_details == [
        {"type": "reasoning.text", "text": "Hmm", "index": 0, "format": "x", "signature": "c2ln"},
        *details[3:],
    ]
    assert details[0]["text"] == "Hm"  # what came in is not changed


def test_audio_annotations_media_and_logprobs_join() -> None:
    reply = fold(
        [
            piece(Delta(audio={"id": "a", "transcript": "Li"}, annotations=[{"n": 1}], media=[{"url": "1"}])),
            piece(
                Delta(audio={"id": "a", "transcript": "ma", "data": "AA"}, annotations=[{"n": 2}], media=[{"url": "2"}])
            ),
            piece(Delta(audio={"data": "BB", "expires_at": 5}), logprobs={"content": [1], "refusal": None}),
            piece(logprobs={"content": [2]}),
        ]
    )
    assert reply.choices[0].message.audio == {"id": "a", "transcript": "Lima", "data": "AABB", "expires_at": 5}
    assert reply.choices[0].message.annotations == [{"n": 1}, {"n": 2}]
    assert reply.choices[0].message.media == [{"url": "1"}, {"url": "2"}]
    assert reply.choices[0].logprobs == {"content": [1, 2], "refusal": None}


def test_no_chunks_make_an_empty_reply() -> None:
    assert fold([]) == Reply(choices=[])


def test_a_reply_taken_apart_and_put_together_is_the_same() -> None:
    said = ReplyMessage(
        content="Hi",
        refusal="No",
        tool_calls=[
            ToolCall(id=f"c{index}", function=FunctionCall(name="f", arguments="{}"), extra_content={"s": index})
            for index in range(2)
        ],
        reasoning_content="Hm",
        reasoning_details=[{"type": "a", "signature": "s"}, {"type": "b"}],
        annotations=[{"type": "url_citation"}],
        audio={"id": "a", "data": "AA", "transcript": "Hi"},
        media=[{"type": "image"}],
    )
    silent = ReplyMessage(content=None, tool_calls=said.tool_calls)
    reply = Reply(
        choices=[
            Choice(index=0, message=said, finish_reason="stop", logprobs={"content": [{"token": "Hi"}]}),
            Choice(index=2, message=silent, finish_reason="tool_calls"),
        ],
        id="r",
        created_s=5,
        model="m",
        usage=TokenUsage(prompt_tokens=1),
        service_tier="default",
        system_fingerprint="fp",
        extra={"citations": ["x"]},
    )
    assert fold(unfold(reply)) == reply
    assert [chunk.choices[0].finish_reason for chunk in unfold(reply)[:4]] == [None, "stop", None, "tool_calls"]
