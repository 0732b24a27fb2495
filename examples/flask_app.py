"""A Flask application whose log goes to Azure: `flask --app flask_app run`."""

import logging
from logging.config import dictConfig

from flask import Flask, Response, abort, has_request_context, request


class RequestContext(logging.Filter):
    """Tell of each record which request it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to the record what columns are to take."""
        if has_request_context():
            record.method = request.method
            record.path = request.path
            record.endpoint = request.endpoint
            record.request_id = request.headers.get("X-Request-Id")
        return True


# Before the application is made: Flask adds a handler of its own if it finds none.
dictConfig(
    {
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
    }
)

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number: int) -> dict[str, int]:
    """Show an order; the higher ones are still to come."""
    if number > 1000:
        abort(404)
    app.logger.info("order %d shown", number, extra={"order": number})
    return {"order": number}


@app.get("/broken")
def broken() -> str:
    """Fail."""
    return f"{1 / 0}"


@app.after_request
def log_request(response: Response) -> Response:
    """Write an access log of our own, whatever server this runs on."""
    app.logger.info(
        "%s %s %d", request.method, request.path, response.status_code, extra={"status": response.status_code}
    )
    return response
