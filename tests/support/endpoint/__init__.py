"""An ingestion endpoint on 127.0.0.1 that answers uploads with whatever a test scripts: a status, a reset, silence.

It is a product of its own, inside this repository: it imports nothing of logging_azmon, has its own tests beside it,
and also runs as a program, `python tests/support/endpoint --port 0`.

    with Endpoint(status(503, retry_after=1), Reset("answer")) as endpoint:
        ...  # upload to endpoint.url
        endpoint.wait_for_rows(1)

Each request takes the next entry of the script; once the script is used up, `default` answers, a 204 unless changed.
A 204 stores the rows of its request, and so does a fault with `stored=True`; nothing else does.
"""

from .answers import (
    HOLD_SECONDS,
    POINTS,
    STORED,
    Answer,
    Hang,
    Held,
    Point,
    Reset,
    Script,
    Status,
    status,
    when,
)
from .request import Request
from .server import Endpoint

__all__ = [
    "HOLD_SECONDS",
    "POINTS",
    "STORED",
    "Answer",
    "Endpoint",
    "Hang",
    "Held",
    "Point",
    "Request",
    "Reset",
    "Script",
    "Status",
    "status",
    "when",
]
