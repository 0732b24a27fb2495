"""A FastAPI application on uvicorn that logs to Azure: `python fastapi_app.py`. For Starlette it is the same."""

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from logging_azmon import AzureMonitorHandler, Health, exit_on_sigterm

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestId(logging.Filter):
    """Add to each record the request that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the request's id to the record."""
        record.request_id = request_id.get()
        return True


class AccessFields(logging.Filter):
    """Name the arguments of uvicorn's access log, and leave out probes, and query strings, which may hold tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the arguments to the record as extras."""
        record.client, record.method, target, record.http_version, record.status = record.args
        record.path = target.partition("?")[0]
        # The message has the target too.
        record.args = (record.client, record.method, record.path, record.http_version, record.status)
        return record.path != "/healthz"


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
# uvicorn restores the default action of SIGTERM when it has shut down, and raises the signal again.
exit_on_sigterm()


app = FastAPI()


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


@app.get("/healthz")
async def healthz() -> Health:
    """Tell whether rows are delivered. The answer is 200 in any case: the shop works while its logs wait."""
    azure = next(handler for handler in logging.getLogger().handlers if isinstance(handler, AzureMonitorHandler))
    return azure.health()


@app.get("/broken")
def broken() -> str:
    """Raise an exception, on a thread of the pool."""
    return f"{1 / 0}"


if __name__ == "__main__":
    uvicorn.run(app, log_config=LOGGING)
