"""A Flask application that logs to Azure: `flask --app flask_app run`."""

import logging
from dataclasses import asdict
from logging.config import dictConfig
from typing import Any

from flask import Flask, Response, abort, has_request_context, request

from logging_azmon import AzureMonitorHandler


class RequestContext(logging.Filter):
    """Add to each record the request that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the extras that columns take."""
        if has_request_context():
            record.method = request.method
            record.path = request.path
            record.endpoint = request.endpoint
            record.request_id = request.headers.get("X-Request-Id")
        return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": RequestContext}},
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
                "Method": "method",
                "Path": "path",
                "Endpoint": "endpoint",
                "RequestId": "request_id",
                "Status": "status:int",
                "Properties": "*",
            },
        }
    },
    "root": {"handlers": ["azure"], "level": "INFO"},
    # The development server's access log has query strings, which may hold tokens; the example writes its own.
    "loggers": {"werkzeug": {"level": "WARNING"}},
}

# Configure before the application is made: Flask adds a handler of its own if it finds none.
dictConfig(LOGGING)

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number: int) -> dict[str, int]:
    """Show an order; numbers above 1000 do not exist yet."""
    if number > 1000:
        abort(404)
    app.logger.info("order %d shown", number, extra={"order": number})
    return {"order": number}


@app.get("/broken")
def broken() -> str:
    """Raise an exception."""
    return f"{1 / 0}"


@app.get("/healthz")
def healthz() -> dict[str, Any]:
    """Tell whether rows are delivered. The answer is 200 in any case: the shop works while its logs wait."""
    azure = next(handler for handler in logging.getLogger().handlers if isinstance(handler, AzureMonitorHandler))
    return asdict(azure.health())


@app.after_request
def log_request(response: Response) -> Response:
    """Write an access log that does not depend on the server, without the probes."""
    if request.path != "/healthz":
        app.logger.info(
            "%s %s %d", request.method, request.path, response.status_code, extra={"status": response.status_code}
        )
    return response
