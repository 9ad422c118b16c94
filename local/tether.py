"""Runs a module that ends when whoever started it does, however that happens.

    python -m local.tether MODULE [ARGUMENTS]

Standard input is a pipe whose other end the starter holds and never writes to. When the starter is gone, killed even,
the pipe closes and the module gets SIGTERM: it saves what it has and frees its ports.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_STANDARD_INPUT = 0


def watch_starter() -> None:
    while os.read(_STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch_starter, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
