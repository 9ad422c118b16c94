"""The rules by which the simulators speak, without a server."""

from typing import Any

import jsonschema
import pytest

from local.simulators.schema_sample import sample
from local.simulators.script import Prompt, compose, split_pieces
from local.simulators.switches import NONE, SwitchError, Switches, build, strip_directives


@pytest.mark.parametrize("text", ["", "one", " one  two\n", "one\n\ntwo", "   ", "ü 🙂"])
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(split_pieces(text)) == text


def test_max_tokens_covers_reasoning() -> None:
    prompt = Prompt(model="m", user_text="Hello", reasoning=True, max_tokens=3)
    answer = compose(prompt, NONE)
    assert (answer.reasoning_text, answer.text, answer.finish) == ("Considering: Hello", "You", "length")
    prompt.max_tokens = 1
    assert (compose(prompt, NONE).reasoning_text, compose(prompt, NONE).text) == ("Considering:", "")


def test_the_earliest_stop_wins() -> None:
    answer = compose(Prompt(model="m", user_text="a b c", stop=["c", "b"]), NONE)
    assert (answer.text, answer.finish, answer.stop_sequence) == ("You said: a ", "stop_sequence", "b")


def test_json_object_mode() -> None:
    assert compose(Prompt(model="m", user_text="Hi", json_object=True), NONE).text == '{"text":"You said: Hi"}'


def test_counts_never_go_below_the_cache() -> None:
    usage = compose(Prompt(model="m", input_tokens=5), Switches(cached_tokens=100)).usage
    assert usage
    assert usage.prompt == 100


def test_directives() -> None:
    assert strip_directives("a [[status=429 retry_after=2]] b[[endless]]") == (
        "a b",
        {"status": "429", "retry_after": "2", "endless": "true"},
    )
    assert build({"endless": "true", "retry_after": "0.5"}) == Switches(endless=True, retry_after=0.5)
    with pytest.raises(SwitchError):
        build({"status": "9000"})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
        {"type": "array", "items": {"type": "integer", "minimum": 5}, "minItems": 3},
        {"enum": ["x", "y"]},
        {"const": 7},
        {"type": ["null", "number"], "maximum": 1},
        {"anyOf": [{"type": "string", "minLength": 10}, {"type": "null"}]},
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        },
        {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "boolean"}}}]},
        {"type": "object", "allOf": [True, {"properties": {"a": {"const": 1}}, "required": ["a"]}]},
    ],
)
def test_samples_are_valid(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


def test_a_schema_that_requires_itself_ends() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert sample(endless)["next"]["next"]
