"""Send loguru's records: bound values become extras, and `format` keeps loguru's own layout out of the message."""

import sys

from loguru import logger

from logging_azmon import AzureMonitorHandler

handler = AzureMonitorHandler(
    columns={
        "TimeGenerated": "time",
        "Level": "level",
        "Logger": "logger",
        "Message": "message",
        "Exception": "exception",
        "Function": "function",
        "Line": "line",
        "OrderId": "order:long",
        "Properties": "*",
    }
)
logger.remove()
logger.add(sys.stderr, level="WARNING")
# A function, because loguru appends the traceback to a format that is a string, and the traceback has a column.
logger.add(handler, level="INFO", format=lambda _: "{message}")


def main() -> None:
    """Log in each of loguru's ways."""
    logger.bind(order=1001).success("order {} paid", 1001)
    with logger.contextualize(request="r-17"):
        logger.info("paid with {method}", method="card")
        try:
            {"1001": "paid"}["1003"]
        except KeyError:
            logger.exception("order is unknown")


if __name__ == "__main__":
    main()
