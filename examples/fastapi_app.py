"""A FastAPI application on uvicorn that logs to Azure: `python fastapi_app.py`. For Starlette it is the same."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestId(logging.Filter):
    """Add to each record the request that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the request's id to the record."""
        record.request_id = request_id.get()
        return True


class AccessFields(logging.Filter):
    """Name the arguments of uvicorn's access log, and leave out query strings, which may hold tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the arguments to the record as extras."""
        record.client, record.method, target, record.http_version, record.status = record.args
        record.path = target.partition("?")[0]
        # The message has the target too.
        record.args = (record.client, record.method, record.path, record.http_version, record.status)
        return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"access": {"()": AccessFields}, "request": {"()": RequestId}},
    "handlers": {
        "azure": {
            "class": "logging_azmon.AzureMonitorHandler",
            "filters": ["request"],
            "columns": {
                "TimeGenerated": "time",
                "Level": "level",
                "Logger": "logger",
                "Message": "message",
                "Exception": "exception",
                "Client": "client",
                "Method": "method",
                "Path": "path",
                "Status": "status:int",
                "RequestId": "request_id",
                "Properties": "*",
            },
        }
    },
    "root": {"handlers": ["azure"], "level": "INFO"},
    "loggers": {
        "uvicorn.access": {"filters": ["access"], "level": "INFO"},
    },
}

log = logging.getLogger("shop")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Deliver the rows that wait before uvicorn stops: after a signal, Python's exit handlers do not run."""
    yield
    for handler in logging.getLogger().handlers:
        await asyncio.to_thread(handler.flush)


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def remember(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Remember the request's id for everything that is logged while it is handled."""
    request_id.set(request.headers.get("x-request-id"))
    return await call_next(request)


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    """Show an order; numbers above 1000 do not exist yet."""
    if number > 1000:
        raise HTTPException(404)
    log.info("order %d shown", number, extra={"order": number})
    return {"order": number}


@app.get("/broken")
def broken() -> str:
    """Raise an exception, on a thread of the pool."""
    return f"{1 / 0}"


if __name__ == "__main__":
    # When uvicorn has shut down, it raises the signal again. Handling it lets the exit handlers run, so that uvicorn's
    # last lines arrive too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(app, log_config=LOGGING)
