"""The loopback ports of a run. They are remembered with the state: a deployment names the stack's own port."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from local.console import Problem

HOST = "127.0.0.1"
_STACK_OFFSET, _SIMULATORS_OFFSET = 10_000, 20_000
_HIGHEST = 65_535


@dataclass(frozen=True)
class Ports:
    front: int
    stack: int
    simulators: int


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: one just closed is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(front: int, memory: Path) -> Ports:
    """The asked front port (0: the remembered one or any) and two more, kept in `memory`.

    Raises Problem when the asked front port is taken.
    """
    before = _remembered(memory)
    if front and not is_free(front):
        raise Problem(
            f"Port {front} is taken by another program. Stop that, or choose another: make run PORT={front + 10}"
        )
    front = front or _first_free(before.front if before else 0)
    stack, simulators = (before.stack, before.simulators) if before else (0, 0)
    ports = Ports(
        front,
        _first_free(stack, front + _STACK_OFFSET),
        _first_free(simulators, front + _SIMULATORS_OFFSET),
    )
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps(asdict(ports)))
    return ports


def _remembered(memory: Path) -> Ports | None:
    try:
        return Ports(**json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _first_free(*wished: int) -> int:
    for port in wished:
        if 0 < port <= _HIGHEST and is_free(port):
            return port
    with socket.socket() as any_free:
        any_free.bind((HOST, 0))
        return int(any_free.getsockname()[1])
