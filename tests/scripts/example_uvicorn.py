"""Run the FastAPI example on a socket that is open already; print the longest time its event loop was busy at a stretch.

The loop is asked at every turn, from the first word of the lifespan on.
"""

import asyncio
import runpy
import sys

import uvicorn

script, fd = sys.argv[1:]
real_run = uvicorn.run
worst = 0.0


def run(app, **options):
    def begin(loop):
        last = loop.time()

        def turn():
            nonlocal last
            global worst
            now = loop.time()
            worst = max(worst, now - last)
            last = now
            loop.call_soon(turn)

        turn()

    async def watched(scope, receive, send):
        if scope["type"] == "lifespan":
            begin(asyncio.get_running_loop())
        await app(scope, receive, send)

    real_run(watched, fd=int(fd), **options)


uvicorn.run = run
try:
    runpy.run_path(script, run_name="__main__")
finally:
    pass
