"""Streams and replies that are cut or damaged anywhere end in a ProviderFailure or in sense, never in anything else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import ChatWire, Target
from tests.providers.framing import EVENT_STREAM, SSE, stream_of
from tests.providers.test_cases import setting

HERE = Path(__file__).parent
STREAMS = sorted(path for name in (SSE, EVENT_STREAM) for path in HERE.glob(f"*/*/{name}"))
ANSWERS = sorted(HERE.glob("*/*/response.json"))
DAMAGES = 60


def read(data: bytes, wire: ChatWire, target: Target) -> Reply | None:
    parser = wire.stream(target)
    try:
        return fold([*parser.feed(data), *parser.close()])
    except ProviderFailure:
        return None


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A few bytes replaced, dropped or doubled."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(result))
        result[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
    return bytes(result)


def _ids(path: Path) -> str:
    return f"{path.parts[-3]}-{path.parts[-2]}"


@pytest.mark.parametrize("path", STREAMS, ids=_ids)
def test_a_stream_cut_anywhere(path: Path) -> None:
    """A cut stream never says more than the whole one."""
    data = stream_of(path.parent) or b""
    _, wire, target = setting(path.parent)
    whole = read(data, wire, target)
    for cut in range(0, len(data), 3):
        part = read(data[:cut], wire, target)
        if part is not None and whole is not None:
            assert len(part.choices) <= len(whole.choices)
            assert (whole.choices[0].message.content or "").startswith(part.choices[0].message.content or "")


@pytest.mark.parametrize("path", STREAMS, ids=_ids)
def test_a_damaged_stream(path: Path) -> None:
    _, wire, target = setting(path.parent)
    chance = random.Random(_ids(path))  # noqa: S311  # damage that is the same in every run
    for _ in range(DAMAGES):
        read(damaged(stream_of(path.parent) or b"", chance), wire, target)


@pytest.mark.parametrize("path", ANSWERS, ids=_ids)
def test_a_damaged_answer(path: Path) -> None:
    _, wire, target = setting(path.parent)
    chance = random.Random(_ids(path))  # noqa: S311  # damage that is the same in every run
    for _ in range(DAMAGES):
        body = damaged(path.read_bytes(), chance)
        assert isinstance(wire.fail(HttpResponse(500, {}, body), target), ProviderFailure)
        try:
            wire.parse(HttpResponse(200, {}, body.partition(b'"body":')[2].rpartition(b"}")[0]), target)
        except ProviderFailure:
            continue
