"""`python -m local.simulators --port N`: serve until SIGINT or SIGTERM."""

import argparse
import asyncio
import signal
import sys

from local.simulators.app import App
from local.simulators.http1 import listen


async def serve(port: int) -> None:
    """Listen on 127.0.0.1 and print the address; port 0 takes a free one. Raises OSError when the port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server, connections = await listen(App(), port)
    bound = server.sockets[0].getsockname()[1]
    print(f"simulators listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    server.close()
    for connection in tuple(connections):
        connection.close(reset=True)


def main() -> int:
    """Command line entry. Exit code 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m local.simulators", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 (default) takes a free one")
    port = parser.parse_args().port
    try:
        asyncio.run(serve(port))
    except OSError as error:
        print(f"simulators cannot listen on 127.0.0.1:{port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
