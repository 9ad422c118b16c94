"""What the client's last chunk carries, whatever order the provider says things in."""

from __future__ import annotations

import pytest

from gateway.gts.naming import Names
from gateway.model.chat import ChatCall, StreamOptions, UserMessage
from gateway.model.completion import CompletionChunk
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta
from gateway.model.trace import Trace
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import Counted, account_interrupted
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.respond import ChunkResponder
from gateway.pipeline.route import Route
from gateway.pipeline.structured import Promise
from gateway.providers.lookup import provider_named
from gateway.providers.wire.failures import broke_off
from tests.fakes import ManualClock
from tests.unit.conftest import FACTS

PROVIDER = provider_named("openai")
TEXT = Chunk(choices=[ChunkChoice(index=0, delta=Delta(content="Hi"))])
FINISH = Chunk(choices=[ChunkChoice(index=0, delta=Delta(), finish_reason="stop")], extra={"a": 1})
LATE = Chunk(choices=[], usage=TokenUsage(prompt_tokens=4, completion_tokens=2), extra={"citations": ["x"]})


def exchange() -> Exchange:
    route = Route(PROVIDER, FACTS, PROVIDER.wires["chat_completions"])
    attempt = Attempt(route, started_s=100.0, trace_headers={})
    return Exchange("req_1", "chat", started_s=100.0, trace=Trace.of("", ""), attempts=[attempt])


def responder(*, include_usage: bool) -> ChunkResponder:
    options = StreamOptions(include_usage=True) if include_usage else None
    call = ChatCall(model="m", messages=[UserMessage(content="Hello")], stream=True, stream_options=options)
    made = exchange()
    return ChunkResponder(call, Promise(Names({}, {})), made.attempts[0], made, ManualClock())


def taken(made: ChunkResponder, *chunks: Chunk) -> list[CompletionChunk]:
    return made.take(made.read(chunks))


def ending(made: ChunkResponder) -> list[CompletionChunk]:
    return made.finish(made.account())


def test_the_finish_waits_for_what_follows_it_and_carries_it() -> None:
    made = responder(include_usage=False)
    assert [chunk.choices[0].delta.content for chunk in taken(made, TEXT, FINISH)] == ["Hi"]
    assert taken(made, LATE) == []
    (last,) = ending(made)
    assert last.choices[0].finish_reason == "stop"
    assert last.usage is not None
    assert last.usage.total_tokens == 6
    assert last.provider_data == {"a": 1, "citations": ["x"]}


def test_asked_for_usage_has_a_chunk_of_its_own() -> None:
    made = responder(include_usage=True)
    taken(made, TEXT, FINISH, LATE)
    finish, last = ending(made)
    assert (finish.choices[0].finish_reason, finish.usage) == ("stop", None)
    assert (last.choices, last.provider_data) == ([], {"citations": ["x"]})


def test_with_several_choices_only_the_last_finish_waits() -> None:
    made = responder(include_usage=False)
    other = Chunk(choices=[ChunkChoice(index=1, delta=Delta(), finish_reason="length")])
    assert [chunk.choices[0].index for chunk in taken(made, FINISH, other)] == [0]
    (last,) = ending(made)
    assert last.choices[0].index == 1


def test_a_stream_that_says_nothing_still_ends_with_usage() -> None:
    (last,) = ending(responder(include_usage=False))
    assert last.usage is not None
    assert last.usage.estimated


def test_a_provider_that_broke_off_its_answer_is_paid_for_what_it_used() -> None:
    made = exchange()
    failed = broke_off("openai", "error", TokenUsage(prompt_tokens=4, completion_tokens=2))
    made.attempts[0].error = failed
    with pytest.raises(ProviderError), account_interrupted(made.attempts[0], lambda: Counted(TokenUsage()), made):
        raise failed
    assert made.usage == failed.charged
    assert made.cost_nano_usd
