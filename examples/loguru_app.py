"""Send loguru's records: what is bound becomes extras, and `format` keeps loguru's own layout out of the message."""

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
# A function, because to a text loguru adds the traceback, which has a column.
logger.add(handler, level="INFO", format=lambda _: "{message}")


def main() -> None:
    """Log in loguru's ways."""
    logger.bind(order=1001).success("order {} paid", 1001)
    with logger.contextualize(request="r-17"):
        logger.info("paid with {method}", method="card")
        try:
            {"1001": "paid"}["1003"]
        except KeyError:
            logger.exception("order is unknown")


if __name__ == "__main__":
    main()
