"""The contract with hooks outside the gateway: what they are sent, what they may answer, and what it does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.hooks.call_subject import CallSubject
from gateway.hooks.chat_reply import ChatReply
from gateway.hooks.chat_request import ChatRequest
from gateway.hooks.embeddings_reply import EmbeddingsReply
from gateway.hooks.embeddings_request import EmbeddingsRequest
from gateway.hooks.images import ImagesReply, ImagesRequest
from gateway.hooks.remote import MAX_BYTES, Circumstances, question, verdict
from gateway.hooks.speech import SpeechReply, SpeechRequest
from gateway.hooks.transcription import TranscriptionRequest, TranscriptReply
from gateway.hooks.videos import VideoPrompt
from gateway.model.hook import HookFailed, LambdaHook
from gateway.model.images import MadeImage
from gateway.model.reply import Reply
from gateway.model.transcription import Segment, Transcript, Word
from tests.unit.facts.contract import Validator, component, problems
from tests.unit.facts.facts import SHARED, read_json
from tests.unit.hooks.subjects import TOOL_CALL, called, reply, request, said

HOOK = LambdaHook(id="dlp", function="gateway-hook-dlp")
ABOUT = Circumstances("req_1", "chat", "acme", "alice", "c-7", "smart")
QUESTION = Validator(read_json(SHARED / "schemas" / "hook-question.schema.json"))
ANSWER_SCHEMA = read_json(SHARED / "schemas" / "hook-answer.schema.json")
ANSWER = Validator(ANSWER_SCHEMA)
IMAGE = "data:image/png;base64," + "A" * 400


def asked(stage: Any, subject: Any) -> Any:
    sent = question(HOOK, stage, subject, ABOUT)
    assert sent is not None
    return json.loads(sent)


def answered(subject: Any, **answer: Any) -> Any:
    return verdict(HOOK, subject, json.dumps(answer).encode())


def test_a_question_about_a_request_keeps_the_contract() -> None:
    sent = asked("pre_call", request("Hi", {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, stop="x"))
    assert problems(QUESTION, sent) == []
    assert problems(component("ChatCompletionRequest"), sent["request"]) == []
    assert (sent["stage"], sent["hook"], sent["tenant_id"], sent["model"]) == ("pre_call", "dlp", "acme", "smart")
    assert sent["request"]["messages"][0] == {"role": "user", "content": "Hi"}


def test_a_question_about_a_reply_keeps_the_contract() -> None:
    sent = asked("post_response", reply("Hi", tool_calls=[TOOL_CALL], reasoning_details=[{"signature": "s"}]))
    assert problems(QUESTION, sent) == []
    [choice] = sent["response"]["choices"]
    assert choice["message"]["content"] == "Hi"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "send"
    assert "reasoning_details" not in choice["message"]


def test_bytes_of_media_stay_here_and_come_back_where_they_stood() -> None:
    picture = {"type": "image_url", "image_url": {"url": IMAGE}}
    sound = {"type": "input_audio", "input_audio": {"data": "B" * 400, "format": "wav"}}
    link = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    text = {"type": "text", "text": "data:" + "x" * 400}
    subject = request({"role": "user", "content": [text, picture, sound, link]})
    content = asked("pre_call", subject)["request"]["messages"][0]["content"]
    assert content == [
        text,
        {"type": "image_url", "image_url": {"url": "gateway:media/0"}},
        {"type": "input_audio", "input_audio": {"data": "gateway:media/1", "format": "wav"}},
        link,
    ]
    patch = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, content[2], content[1]]}]}
    changed = answered(subject, action="modify", patch=patch).subject
    assert changed.call == request({"role": "user", "content": [{"type": "text", "text": "Look"}, sound, picture]}).call


@pytest.mark.parametrize("url", ["gateway:media/7", "gateway:media/99999"])
def test_a_reference_that_was_never_given_is_no_patch(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(HookFailed, match="patch_media"):
        answered(request("Hi"), action="modify", patch={"messages": [{"role": "user", "content": [part]}]})


def test_more_than_can_be_sent_is_not() -> None:
    with pytest.raises(HookFailed, match="too_large"):
        question(HOOK, "pre_call", request("x" * MAX_BYTES), ABOUT)


def test_allow_lets_the_same_pass() -> None:
    subject = request("Hi")
    found = answered(subject, action="allow", reason=None, patch=None)
    assert (found.action, found.subject is subject) == ("allow", True)


def test_block_has_its_reason_or_ours() -> None:
    assert answered(request("Hi"), action="block", reason="No.").reason == "No."
    assert "dlp" in answered(request("Hi"), action="block").reason


def test_a_patch_replaces_members_and_null_takes_them_out() -> None:
    patch = {"messages": [{"role": "user", "content": "Bye"}], "temperature": None, "max_tokens": 5}
    changed = answered(request("Hi", temperature=0.5), action="modify", patch=patch)
    assert changed.action == "modify"
    assert changed.subject.call == request("Bye", max_tokens=5).call


def test_a_patch_that_changes_nothing_is_no_modification() -> None:
    subject = request("Hi", temperature=0.5)
    assert answered(subject, action="modify", patch={"temperature": 0.5}).action == "allow"


@pytest.mark.parametrize(
    "member", ["model", "user", "stream", "metadata", "provider_options", "service_tier", "tenant_id"]
)
def test_whose_request_it_is_and_what_answers_it_no_hook_may_change(member: str) -> None:
    with pytest.raises(HookFailed, match="patch_member"):
        answered(request("Hi"), action="modify", patch={member: "x"})


@pytest.mark.parametrize(
    "patch",
    [
        {"messages": []},
        {"messages": "Hi"},
        {"messages": [{"role": "user", "content": [{"type": "magic"}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "large", "file": {}, "medium": "image", "content_type": "x"}]}
            ]
        },
        {"temperature": 9},
        {"tool_choice": "auto"},
        {"max_tokens": 1, "max_completion_tokens": 2},
    ],
)
def test_a_request_that_would_be_refused_is_no_patch(patch: Any) -> None:
    with pytest.raises(HookFailed, match="patch_request"):
        answered(request("Hi"), action="modify", patch=patch)


def patched(subject: Any, **message: Any) -> Any:
    return answered(subject, action="modify", patch={"choices": [{"index": 0, "message": message}]}).subject


def test_texts_of_a_reply_may_change() -> None:
    subject = reply("Hi", "Ho", reasoning_content="hm", reasoning_details=[{"a": 1}], tool_calls=[TOOL_CALL])
    call = {"id": "call_1", "function": {"arguments": '{"to": "nobody"}'}}
    changed = patched(subject, content="Bye", tool_calls=[call])
    assert said(changed) == ["Bye", "Ho"]
    assert called(changed) == [{"to": "nobody"}]
    assert changed.reply.choices[0].message.reasoning_details == [{"a": 1}]
    thought = patched(subject, reasoning_content=None)
    assert thought.reply.choices[0].message.reasoning_details is None


def test_what_spells_the_old_text_out_goes_with_it() -> None:
    subject = reply("Hi", annotations=[{"type": "url_citation"}])
    subject.reply.choices[0] = replace(subject.reply.choices[0], logprobs={"content": [{"token": "Hi"}]})
    [choice] = patched(subject, content="Bye").reply.choices
    assert (choice.logprobs, choice.message.annotations) == (None, None)
    [choice] = patched(subject, refusal="No").reply.choices
    assert choice.logprobs is not None


@pytest.mark.parametrize(
    ("patch", "cause"),
    [
        ({"choices": [{"index": 3, "message": {"content": "x"}}]}, "patch_choice"),
        (
            {"choices": [{"index": 0, "message": {"tool_calls": [{"id": "c", "function": {"arguments": ""}}]}}]},
            "patch_call",
        ),
        ({"usage": {"prompt_tokens": 0}}, "patch_member"),
        ({"choices": [{"index": 0, "message": {"role": "user"}}]}, "patch_member"),
        ({"choices": [{"index": 0, "finish_reason": "stop", "message": {}}]}, "patch_member"),
    ],
)
def test_nothing_else_of_a_reply_may(patch: Any, cause: str) -> None:
    with pytest.raises(HookFailed, match=cause):
        answered(reply("Hi"), action="modify", patch=patch)


GOOD: list[tuple[Any, dict[str, Any]]] = [
    (request("Hi"), {"action": "allow"}),
    (request("Hi"), {"action": "allow", "reason": "fine", "patch": None}),
    (request("Hi"), {"action": "block", "reason": "x" * 1000}),
    (request("Hi"), {"action": "modify", "patch": {"stop": ["x"]}}),
    (reply("Hi"), {"action": "modify", "patch": {"choices": [{"index": 0, "message": {"content": None}}]}}),
]
BAD: list[tuple[Any, Any]] = [
    (request("Hi"), {}),
    (request("Hi"), []),
    (request("Hi"), "allow"),
    (request("Hi"), {"action": "permit"}),
    (request("Hi"), {"action": "allow", "score": 1}),
    (request("Hi"), {"action": "block", "reason": 5}),
    (request("Hi"), {"action": "block", "reason": "x" * 1001}),
    (request("Hi"), {"action": "modify"}),
    (request("Hi"), {"action": "modify", "patch": {}}),
    (request("Hi"), {"action": "modify", "patch": "x"}),
    (request("Hi"), {"action": "modify", "patch": {"model": "m"}}),
    (request("Hi"), {"action": "block", "patch": {"stop": "x"}}),
    (reply("Hi"), {"action": "modify", "patch": {"choices": []}}),
    (reply("Hi"), {"action": "modify", "patch": {"choices": [{"index": "0", "message": {}}]}}),
    (reply("Hi"), {"action": "modify", "patch": {"choices": [{"index": 0, "message": {"tool_calls": None}}]}}),
]


@pytest.mark.parametrize(("subject", "answer"), GOOD)
def test_what_the_schema_takes_the_gateway_takes(subject: Any, answer: Any) -> None:
    assert problems(ANSWER, answer) == []
    assert verdict(HOOK, subject, json.dumps(answer).encode()).action in ("allow", "block", "modify")


@pytest.mark.parametrize(("subject", "answer"), BAD)
def test_what_the_schema_refuses_the_gateway_refuses(subject: Any, answer: Any) -> None:
    assert problems(ANSWER, answer) != []
    with pytest.raises(HookFailed):
        verdict(HOOK, subject, json.dumps(answer).encode())


@pytest.mark.parametrize("answer", [b"", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_no_answer(answer: bytes) -> None:
    with pytest.raises(HookFailed, match="answer"):
        verdict(HOOK, request("Hi"), answer)


PATCHES: dict[str, type[CallSubject[Any]]] = {
    "request_patch": ChatRequest,
    "embeddings_patch": EmbeddingsRequest,
    "images_patch": ImagesRequest,
    "speech_patch": SpeechRequest,
    "videos_patch": VideoPrompt,
    "transcriptions_patch": TranscriptionRequest,
}


def test_the_schema_names_what_may_be_patched() -> None:
    described = {name: set(each["properties"]) for name, each in ANSWER_SCHEMA["$defs"].items()}
    del described["response_patch"], described["transcript_patch"]
    assert described == {name: subject.PATCHED for name, subject in PATCHES.items()}


@pytest.mark.parametrize(
    "patch", [{"prompt": "A", "n": 2}, {"voice": "alloy"}, {"seconds": "4"}, {"language": "de"}, {"text": "A"}]
)
def test_the_schema_takes_patches_of_every_operation(patch: dict[str, Any]) -> None:
    assert problems(ANSWER, {"action": "modify", "patch": patch}) == []
    assert problems(ANSWER, {"action": "modify", "patch": {**patch, "model": "other"}}) != []


REPLIES = [
    EmbeddingsReply(2, "openai/m"),
    ImagesReply((MadeImage(b"x", content_type="image/png"),), "openai/m"),
    SpeechReply("openai/m", "audio/mpeg", 9),
    TranscriptReply(Transcript("A"), "openai/m"),
    TranscriptReply(
        Transcript("A", segments=(Segment(id=0, start=0, end=1, text="A"),), words=(Word(word="A", start=0, end=1),)),
        "openai/m",
    ),
]


@pytest.mark.parametrize("reply", REPLIES)
def test_the_schema_takes_replies_of_every_operation(reply: Any) -> None:
    assert problems(QUESTION, asked("post_response", reply)) == []


def test_a_reply_without_choices_can_be_asked_about() -> None:
    empty = ChatReply(Reply(choices=[]), "openai/gpt-4o")
    assert asked("post_response", empty)["response"]["choices"] == []


def test_no_patch_changes_what_is_signed() -> None:
    said = {"role": "assistant", "content": "Hi", "reasoning_details": [{"type": "thinking", "signature": "s"}]}
    subject = request("Hello", said)
    forged = {**said, "reasoning_details": [{"type": "thinking", "signature": "t"}]}
    user = {"role": "user", "content": "Hello"}
    for kept in (said, {**said, "content": "Ho"}, {**said, "reasoning_details": None}):
        answered(subject, action="modify", patch={"messages": [user, kept]})
    with pytest.raises(HookFailed) as failed:
        answered(subject, action="modify", patch={"messages": [user, forged]})
    assert failed.value.cause == "patch_details"
