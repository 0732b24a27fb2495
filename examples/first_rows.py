"""Log a little through dictConfig and look at the rows, without Azure.

A few lines of http.server on 127.0.0.1 stand in for the service. Everything on this side of the wire is real.
"""

import gzip
import json
import logging
import logging.config
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from operator import itemgetter
from typing import Any

bodies: list[bytes] = []


class Service(BaseHTTPRequestHandler):
    """Accept every upload, as the Logs Ingestion API does: with 204 and no body."""

    def do_POST(self) -> None:
        """Keep the body."""
        bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing: the screen is for the rows."""


def work() -> None:
    """Log as applications do: with extras, and sometimes with an exception."""
    log = logging.getLogger("shop.orders")
    logging.getLogger("shop").info("open for business on port %d", 8080)
    log.info("order %d paid", 1001, extra={"order": 1001, "amount": 59.9, "currency": "EUR"})
    log.warning("payment is slow", extra={"order": 1002, "duration_ms": 4120})
    try:
        {"1001": "paid"}["1003"]
    except KeyError:
        log.exception("order %d is unknown", 1003, extra={"order": 1003, "customer": {"id": 7, "country": "PT"}})


def show(rows: list[dict[str, Any]]) -> None:
    """Print the same four columns of all rows, and all columns of the last one."""
    columns = ("TimeGenerated", "Level", "Logger", "Message")
    widths = [max(len(str(row[column])) for row in [*rows, {column: column}]) for column in columns]
    for cells in (columns, ["-" * width for width in widths], *([row[column] for column in columns] for row in rows)):
        print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())

    print("\nThe last one with all its columns:\n")
    last = {column: rows[-1][column] for column in columns} | rows[-1]
    for column, value in last.items():
        text = value if isinstance(value, str) else json.dumps(value)
        print(f"  {column:<13}  {text.replace(chr(10), chr(10) + ' ' * 17)}")


def main() -> None:
    """Run the service, configure logging, log, flush, show."""
    service = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()

    logging.config.dictConfig(
        {
            "version": 1,
            "handlers": {
                "azure": {
                    "class": "logging_azmon.AzureMonitorHandler",
                    "endpoint": f"http://127.0.0.1:{service.server_port}",
                    "rule_id": "dcr-00000000000000000000000000000000",
                    "stream": "Custom-App",
                }
            },
            "root": {"handlers": ["azure"], "level": "INFO"},
        }
    )
    work()
    (azure,) = logging.getLogger().handlers
    azure.flush()

    rows = [row for body in bodies for row in json.loads(gzip.decompress(body))]
    rows.sort(key=itemgetter("Sequence"))
    print(f"{len(rows)} log calls have become {len(rows)} rows, sent as {sum(map(len, bodies)):,} bytes:\n")
    show(rows)

    stats = azure.stats()
    print(
        f"\nThe ledger: {stats.accepted} accepted = {stats.delivered} delivered + {stats.queued} queued"
        f" + {stats.in_flight} in flight + {stats.rejected} rejected + {sum(stats.dropped.values())} dropped"
    )


if __name__ == "__main__":
    main()
