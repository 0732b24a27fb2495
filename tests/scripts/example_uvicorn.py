"""Run the FastAPI example on a socket that is already open; print how long the longest turn of its event loop took.

Every turn is timed from the start of the lifespan on.
"""

import asyncio
import runpy
import sys

import uvicorn

script, fd = sys.argv[1:]
real_run = uvicorn.run
longest = [0.0]


def watch(loop):
    last = loop.time()

    def turn():
        nonlocal last
        now = loop.time()
        longest[0] = max(longest[0], now - last)
        last = now
        loop.call_soon(turn)

    turn()


def run(app, **options):
    async def watched(scope, receive, send):
        if scope["type"] == "lifespan":
            watch(asyncio.get_running_loop())
        await app(scope, receive, send)

    real_run(watched, fd=int(fd), **options)


uvicorn.run = run
try:
    runpy.run_path(script, run_name="__main__")
finally:
    print(*longest)  # noqa: T201 - the test reads it
