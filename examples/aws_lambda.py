"""An AWS Lambda function that delivers its rows before it returns, because its process is frozen afterwards."""

import logging
from typing import Any

from logging_azmon import AzureMonitorHandler

azure = AzureMonitorHandler()
# In addition to Lambda's own handler, which writes to CloudWatch.
logging.getLogger().addHandler(azure)
log = logging.getLogger("shop")
log.setLevel("INFO")

# The time that delivery may take, and the time to spare for the function's answer.
FLUSH_SECONDS, SPARE_SECONDS = 3.0, 0.5


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take an order."""
    try:
        order = int(event["order"])
        log.info("order %d came in", order, extra={"order": order, "request": context.aws_request_id})
    except Exception:
        log.exception("bad event", extra={"request": context.aws_request_id})
        raise
    else:
        return {"statusCode": 202}
    finally:
        left = context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
        # Rows that are not delivered in time wait in this process for the next invocation, if there is one.
        azure.flush(timeout=max(0.0, min(FLUSH_SECONDS, left)))
