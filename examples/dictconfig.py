"""Send to your own rule, which three environment variables name.

DATA_COLLECTION_ENDPOINT   the ingestion endpoint of the rule or of its DCE, https://...
LOGS_DCR_RULE_ID           the rule's immutable id, dcr-...
LOGS_DCR_STREAM_NAME       the stream, Custom-...
"""

import logging
import logging.config

from logging_azmon import Pipeline

pipeline = Pipeline()

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "azure": {"class": "logging_azmon.AzureMonitorHandler", "pipeline": pipeline},
        },
        "root": {"handlers": ["console", "azure"], "level": "INFO"},
    }
)

logging.getLogger("app").info("hello %s", "table", extra={"answer": 42})

pipeline.flush(timeout=30)
stats = pipeline.stats()
print(f"{stats.delivered} delivered, {stats.rejected} rejected, {stats.queued + stats.in_flight} still waiting")
if stats.delivered:
    print("It can take some minutes until a query sees a row.")
