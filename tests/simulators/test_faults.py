"""Every fault switch, seen from a client's socket, and the events by which a test can wait instead of sleeping."""

import itertools
import time

import httpx
import openai
import pytest

from tests.simulators.process import KEY, Simulator

PREFIX = "/openai/v1"


def ask(simulator: Simulator, text: str, *, stream: bool = False) -> httpx.Response:
    return simulator.chat(PREFIX, text, stream=stream)


def chunks(marks: list[tuple[str, float]]) -> list[float]:
    return [at for kind, at in marks if kind == "chunk"]


def test_directives_are_not_echoed_or_counted(simulator: Simulator) -> None:
    reply = ask(simulator, "Hello [[chunk_delay_s=0]] world [[id=plain]]").json()
    assert reply["choices"][0]["message"]["content"] == "You said: Hello world"
    assert reply["usage"]["prompt_tokens"] == 5


def test_only_the_last_user_message_is_read(simulator: Simulator) -> None:
    turns = [
        {"role": "user", "content": "one [[status=500]]"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    assert simulator.chat(PREFIX, "", messages=turns).status_code == 200


def test_a_misspelt_directive_is_loud(simulator: Simulator) -> None:
    for wrong in ("[[statu=429]]", "[[status=200]]", "[[chunks=many]]", "[[cut=sideways]]"):
        reply = ask(simulator, f"Hi {wrong}")
        assert reply.status_code == 400
        assert "directive" in reply.json()["sim_error"]


@pytest.mark.parametrize("status", [400, 408, 413, 500, 503, 529])
def test_status(simulator: Simulator, status: int) -> None:
    reply = ask(simulator, f"Hi [[status={status}]]")
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_first_byte_is_late(simulator: Simulator) -> None:
    started_s = time.monotonic()
    ask(simulator, "Hi [[first_byte_s=0.2]]")
    assert time.monotonic() - started_s >= 0.2


def test_first_event_is_later_than_the_head(simulator: Simulator) -> None:
    ask(simulator, "Hi [[first_event_s=0.2 id=late-event]]", stream=True)
    marks = dict(reversed(simulator.timeline("late-event")))
    assert marks["event"] - marks["head"] >= 0.2


def test_chunks_are_spread_in_time(simulator: Simulator) -> None:
    ask(simulator, "Hi [[chunks=4 chunk_delay_s=0.05 id=slow]]", stream=True)
    times = chunks(simulator.timeline("slow"))
    assert len(times) == 4
    assert all(later - earlier >= 0.049 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(("words", "events"), [(2, 50), (500, 50)])
def test_exact_number_of_chunks(simulator: Simulator, words: int, events: int) -> None:
    text = "word " * words
    ask(simulator, f"{text}[[chunks={events} id=exact-{words}]]", stream=True)
    assert len(chunks(simulator.timeline(f"exact-{words}"))) == events


def test_repeat(simulator: Simulator) -> None:
    content = ask(simulator, "Hi [[repeat=1000]]").json()["choices"][0]["message"]["content"]
    assert content.count("You said: Hi") == 1000


def test_html_instead_of_json(simulator: Simulator) -> None:
    reply = ask(simulator, "Hi [[content_type=text/html status=502]]")
    assert (reply.status_code, reply.headers["content-type"]) == (502, "text/html")
    assert reply.text.startswith("<html>")
    assert ask(simulator, "Hi [[content_type=text/html]]", stream=True).status_code == 200


def test_garbage(simulator: Simulator) -> None:
    assert ask(simulator, "Hi [[garbage]]").content.endswith(b"\xff\xfe")
    stream = ask(simulator, "Hi [[garbage]]", stream=True).content
    assert b"\xff\xfe\n\n" in stream
    assert stream.endswith(b"data: [DONE]\n\n")


def test_cut_before_the_head(simulator: Simulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(simulator, "Hi [[cut=before_headers]]")


def test_cut_in_a_whole_reply(simulator: Simulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(simulator, "Hi [[cut=mid_event]]")


@pytest.mark.parametrize(
    ("switch", "whole_chunks", "torn"),
    [
        ("cut=mid_event", 1, True),
        ("cut_after=3", 3, False),
        ("cut=mid_event cut_after=2", 2, True),
        ("cut_after=0", 0, False),
    ],
)
def test_cut_in_a_stream(simulator: Simulator, switch: str, whole_chunks: int, torn: bool) -> None:
    received = bytearray()
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"one two three [[{switch}]]"}]}
    headers = {"authorization": f"Bearer {KEY}"}
    stream = simulator.http.stream("POST", f"{PREFIX}/chat/completions", json=body, headers=headers)
    with stream as reply, pytest.raises(httpx.RemoteProtocolError):
        for part in reply.iter_raw():
            received += part
    complete, _, rest = received.rpartition(b"\n\n")
    assert complete.count(b"data: ") - 1 == whole_chunks
    assert bool(rest) == torn


def test_reset(simulator: Simulator) -> None:
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ask(simulator, "one two three [[cut=reset chunk_delay_s=0.01 id=reset]]", stream=True)
    assert simulator.timeline("reset")[-1][0] == "cut"


def test_events_may_arrive_in_slices(simulator: Simulator) -> None:
    whole = ask(simulator, "Grüße 🙂 [[id=whole]]", stream=True)
    sliced = ask(simulator, "Grüße 🙂 [[split_bytes=3]]", stream=True)
    assert "🙂" in sliced.text
    assert len(whole.text.splitlines()) == len(sliced.text.splitlines())


def test_endless_stops_when_the_client_leaves(simulator: Simulator, openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi [[endless id=endless]]"}], stream=True
    ) as stream:
        for at, _ in enumerate(stream):
            if at == 5:
                break
    assert simulator.timeline("endless")[-1][0] == "client_gone"


@pytest.mark.parametrize(
    ("switch", "stream", "received"),
    [
        ("stall", False, b'{"id":'),
        ("stall", True, b'"content":"You"'),
        ("stall cut=mid_event cut_after=0", True, b"data: {"),
        ("stall status=500", False, b'{"error":'),
        ("pings", False, b"\n\n"),
        ("pings", True, b": ping\n\n: ping"),
    ],
)
def test_nothing_more_comes_until_the_client_leaves(
    simulator: Simulator, switch: str, stream: bool, received: bytes
) -> None:
    name = f"held-{switch.replace(' ', '.').replace('=', '-')}-{stream}"
    text = f"one two [[{switch} id={name}]]"
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}
    headers, so_far = {"authorization": f"Bearer {KEY}"}, b""
    with simulator.http.stream("POST", f"{PREFIX}/chat/completions", json=body, headers=headers) as reply:
        parts = reply.iter_raw()
        while received not in so_far:
            so_far += next(parts)
    assert simulator.timeline(name, wait="client_gone")[-1][0] == "client_gone"


def test_client_timeout_is_seen_by_the_provider(simulator: Simulator, openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        openai_client.with_options(timeout=0.2).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi [[first_byte_s=30 id=impatient]]"}]
        )
    assert simulator.timeline("impatient")[-1][0] == "client_gone"


def test_gate_proves_that_the_first_chunk_comes_before_the_second(
    simulator: Simulator, openai_client: openai.OpenAI
) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello [[gate=door id=gated]]"}], stream=True
    )
    said = next(text for chunk in stream if (text := chunk.choices[0].delta.content))
    received_s = time.monotonic()
    assert said == "You"
    assert len(chunks(simulator.timeline("gated", wait="gate_wait"))) == 1
    assert simulator.control("POST", "gates/door") == {"gate": "door", "waiting": 1, "open": True}
    rest = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert rest == " said: Hello"
    assert chunks(simulator.timeline("gated"))[1] > received_s
    simulator.control("DELETE", "gates/door")


def test_gate_holds_a_whole_reply_and_passes_when_open(simulator: Simulator) -> None:
    simulator.control("POST", "gates/open-door")
    assert ask(simulator, "Hi [[gate=open-door]]").status_code == 200
    ask(simulator, "Hi [[gate=open-door gate_at=0 id=open-gate]]", stream=True)
    assert [kind for kind, _ in simulator.timeline("open-gate")].index("gate_open") < 5
    simulator.control("DELETE", "gates/open-door")
