"""Long lists of numbers leave an answer before it is decoded and come back as they were, whatever else is in it."""

from __future__ import annotations

import time

import msgspec
import pytest
from msgspec import Raw, Struct

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract import Target
from gateway.providers.wire.embeddings_answer import LONG_BYTES, Vectors, decoded, without_vectors

NUMBERS = ",".join(str(number / 7 - 9) for number in range(200))
TARGET = Target("acme", ModelFacts(id="m", name="M", api="openai_embeddings"), "https://acme.test")


class Answer(Struct):
    vectors: list[Raw]
    texts: list[str] = []
    model: str = ""


def read(text: str) -> tuple[Answer, list[str]]:
    answer, vectors = decoded(msgspec.json.Decoder(Answer), HttpResponse(200, {}, text.encode()), TARGET)
    return answer, [bytes(one).decode() for one in vectors.back(answer.vectors)]


@pytest.mark.parametrize(
    "vectors",
    [
        [f"[{NUMBERS}]"],
        [f"[{NUMBERS}]", "[1,2]", f"[-1e-9,{NUMBERS}]"],
        [f"[\n    {NUMBERS}\n  ]", f"[ {NUMBERS}]"],
        ["[]", "[1]", '"AAAA"', f'"{"A" * 400}"'],
        [f"[{NUMBERS}, null]", f"[{NUMBERS}, [1]]", f'[{NUMBERS}, "[1]"]'],
    ],
    ids=["one", "long and short", "spaced", "none long", "other things within"],
)
def test_vectors_come_back_as_they_were(vectors: list[str]) -> None:
    answer, back = read(f'{{"vectors":[{",".join(vectors)}],"model":"m"}}')
    assert back == vectors
    assert answer.model == "m"


@pytest.mark.parametrize(
    "text", ["[1, 2", "1, 2]", "[" * 300, "]" * 300, "[[0]]", f"[{'1' * LONG_BYTES}"], ids=lambda text: text[:6]
)
def test_brackets_in_texts_change_nothing(text: str) -> None:
    document = {"texts": [text, text], "vectors": [], "model": text}
    before = msgspec.json.encode(document).decode()
    answer, back = read(before.replace('"vectors":[]', f'"vectors":[[{NUMBERS}],[{NUMBERS}]]'))
    assert back == [f"[{NUMBERS}]"] * 2
    assert (answer.texts, answer.model) == ([text, text], text)


def test_numbers_in_a_text_leave_the_vectors_alone() -> None:
    answer, back = read(f'{{"texts":["see [{NUMBERS}]"],"vectors":[[{NUMBERS}]],"model":"m"}}')
    assert back == [f"[{NUMBERS}]"]
    assert answer.model == "m"


@pytest.mark.parametrize("body", ["", "[", "{", f'{{"vectors":[[{NUMBERS}]', f'{{"vectors":[{NUMBERS}', f"[{NUMBERS}]"])
def test_what_is_no_answer_is_refused(body: str) -> None:
    with pytest.raises(ProviderError, match="acme sent something that is no list of embeddings"):
        read(body)


def test_an_answer_without_long_lists_is_not_copied() -> None:
    body = b'{"vectors":[[1,2],[3]]}'
    assert without_vectors(body) == (body, Vectors({}))
    assert without_vectors(body)[0] is body


@pytest.mark.parametrize("unit", ["[1", "[", "1]", f"[{'1' * 300}", '"[1"]'], ids=lambda unit: unit[:5])
def test_a_body_that_is_made_to_be_slow_is_not(unit: str) -> None:
    body = unit.encode() * (1_000_000 // len(unit))
    began_s = time.process_time()
    without_vectors(body)
    assert time.process_time() - began_s < 2.0, "seconds; a search from each bracket to the end takes minutes"
