"""Which ports a run takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports
from local.console import Problem


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path, taken: int) -> None:
    with pytest.raises(Problem, match=rf"Port {taken} is taken.*make run PORT={taken + 10}"):
        ports.choose(taken, tmp_path / "ports.json")


def test_the_ports_of_the_last_run_are_taken_again(tmp_path: Path) -> None:
    memory = tmp_path / "state" / "ports.json"
    first = ports.choose(0, memory)
    assert len({first.front, first.stack, first.simulators}) == 3
    assert ports.choose(0, memory) == first


def test_an_inner_port_that_went_to_another_program_is_replaced(tmp_path: Path, taken: int) -> None:
    memory = tmp_path / "ports.json"
    front = ports.choose(0, memory).front
    memory.write_text(f'{{"front": {front}, "stack": {taken}, "simulators": {taken}}}')
    chosen = ports.choose(front, memory)
    assert chosen.front == front
    assert taken not in {chosen.stack, chosen.simulators}


@pytest.mark.parametrize("damage", ["", "[]", '{"front": 1}'])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: str) -> None:
    memory = tmp_path / "ports.json"
    memory.write_text(damage)
    assert ports.is_free(ports.choose(0, memory).front)
