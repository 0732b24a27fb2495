"""Run the endpoint as a process of its own."""

import argparse
import json
import os
import queue
import sys
import threading
from contextlib import suppress

from .answers import STORED, Status
from .request import Request
from .server import Endpoint


def main() -> None:
    """Serve until stdin closes: print the URL, then every stored row as a line of JSON."""
    parser = argparse.ArgumentParser(prog="endpoint", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0, the default, takes a free one")
    endpoint = Endpoint(port=parser.parse_args().port).start()
    # A thread of its own prints, so that a slow reader holds up no upload.
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def show(request: Request) -> Status:
        lines.put("".join(json.dumps(row) + "\n" for row in request.rows or ()))
        return STORED

    def write() -> None:
        try:
            for line in iter(lines.get, None):
                print(line, end="", flush=True)  # noqa: T201 - the purpose of this process
        except OSError:
            os._exit(1)  # The reader has gone; an orderly exit would complain about stdout.

    lines.put(endpoint.url + "\n")
    endpoint.default = show
    writer = threading.Thread(target=write)
    writer.start()
    with suppress(KeyboardInterrupt):
        sys.stdin.read()
    endpoint.stop()
    lines.put(None)
    writer.join()
