"""What may not be read in a log or a traceback is not in what is printed there."""

from __future__ import annotations

import pytest

from gateway.model.file import Link
from gateway.model.http import HttpRequest
from gateway.model.unshown import Unshown


def test_what_is_hidden_is_left_out_and_the_rest_is_told() -> None:
    request = HttpRequest("POST", "https://api.openai.com/v1/chat/completions", {}, b"a prompt")
    assert repr(request) == "HttpRequest(method='POST', url='https://api.openai.com/v1/chat/completions', headers={})"
    assert "sesame" not in repr([Link("GET", "https://bucket.example/?sesame", 1)])


@pytest.mark.parametrize("kind", Unshown.__subclasses__(), ids=lambda kind: kind.__name__)
def test_what_is_hidden_is_a_member(kind: type[Unshown]) -> None:
    assert kind.UNSHOWN
    assert set(kind.UNSHOWN) <= set(kind.__struct_fields__)
