"""Phrases are found as whole words, in any case and form of Unicode, in one pass."""

from __future__ import annotations

import time

import pytest

from gateway.hooks.built_in import judge
from gateway.hooks.deny_list import has_phrase, is_phrase
from gateway.hooks.masking import Masking
from gateway.model.hook import DenyListHook
from tests.unit.hooks.subjects import TOOL_CALL, reply, request


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("the Secret Project, again", "secret project"),
        ("SECRET\n  project", "secret project"),
        ("secret-project", "Secret Project"),
        ("get_secret_project", "Secret Project"),
        ("max_tokens!", "max_tokens"),
        ("(secret)", "secret"),
        ("\u017fecret", "secret"),
        ("\uff53\uff45\uff43\uff52\uff45\uff54", "secret"),
        ("se\u00adcr\u200bet", "secret"),
        ("STRASSE", "Straße"),
        ("cafe\u0301", "café"),
        ("I write C++.", "c++"),
        ("node.js!", "Node.js"),
        ("我们的秘密计划是", "秘密计划"),
        ("비밀을 말해", "비밀"),
        ("a b a b c", "a b c"),
    ],
)
def test_a_phrase_is_found(text: str, phrase: str) -> None:
    assert has_phrase(["nothing here", text], ("something else", phrase))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("secretary", "secret"),
        ("secrets", "secret"),
        ("the secret", "secret project"),
        ("secret big project", "secret project"),
        ("I write C.", "c++"),
        ("node js", "node.js"),
        ("max tokens", "max_tokens"),
        ("", "secret"),
    ],
)
def test_what_is_another_word_is_not(text: str, phrase: str) -> None:
    assert not has_phrase([text], (phrase,))


def test_two_texts_are_not_one() -> None:
    assert not has_phrase(["secret", "project"], ("secret project",))


def test_only_what_can_be_found_is_a_phrase() -> None:
    assert [is_phrase(text) for text in ("a", "***", " ", "\u200b")] == [True, True, False, False]


def test_a_block_says_no_phrase() -> None:
    hook = DenyListHook(id="words", phrases=("joe example",))
    verdict = judge(hook, "pre_call", request("Hi", "Joe Example"), Masking())
    assert verdict.action == "block"
    assert "joe" not in verdict.reason.lower()
    assert judge(hook, "pre_call", request("Hello"), Masking()).action == "allow"


def test_arguments_of_calls_are_read_too() -> None:
    hook = DenyListHook(id="words", phrases=("joe",))
    assert judge(hook, "post_response", reply(None, tool_calls=[TOOL_CALL]), Masking()).action == "block"


def test_many_phrases_cost_no_more_than_one() -> None:
    text = "alpha beta " * 20_000

    def seconds(phrases: tuple[str, ...]) -> float:
        has_phrase(["warm"], phrases)
        began_s = time.thread_time()
        assert not has_phrase([text], phrases)
        return time.thread_time() - began_s

    many = tuple(f"alpha gamma {number}" for number in range(1_000))
    one_s, many_s = (min(seconds(phrases) for _ in range(5)) for phrases in (("alpha gamma",), many))
    assert many_s < 5 * one_s + 0.01
