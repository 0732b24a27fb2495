"""A Celery application whose worker logs to Azure: `celery -A celery_app worker`."""

import logging
import os
from logging.config import dictConfig
from typing import Any

from celery import Celery, current_task
from celery.signals import setup_logging

app = Celery("shop", broker=os.environ.get("BROKER", "redis://localhost"))
log = logging.getLogger("shop")


class TaskContext(logging.Filter):
    """Tell of each record which task it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take what the worker says of a task, or else ask the task that runs here."""
        if said := record.__dict__.pop("data", None):
            record.task_id, record.task_name = said.get("id"), said.get("name")
            record.runtime = said.get("runtime")
            # What it was called with, and the traceback once more, need not be in the row.
            record.msg, record.args = record.getMessage(), ()
        elif current_task:
            record.task_id, record.task_name = current_task.request.id, current_task.name
        return True


# With a receiver for this signal Celery leaves logging alone. Without one it removes the root logger's handlers (or,
# with worker_hijack_root_logger = False, keeps them but sets the level to --loglevel, which is WARNING).
@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Configure the worker, once, before its processes are forked."""
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"task": {"()": TaskContext}},
            "handlers": {
                "azure": {
                    "class": "logging_azmon.AzureMonitorHandler",
                    "filters": ["task"],
                    "columns": {
                        "TimeGenerated": "time",
                        "Level": "level",
                        "Logger": "logger",
                        "Message": "message",
                        "Exception": "exception",
                        "TaskId": "task_id",
                        "TaskName": "task_name",
                        "Seconds": "runtime:real",
                        "Process": "process_name",
                        "Properties": "*",
                        "Instance": "instance",
                        "Sequence": "sequence",
                    },
                }
            },
            "root": {"handlers": ["azure"], "level": "INFO"},
        }
    )


@app.task
def pay(order: int) -> str:
    """Pay an order."""
    log.info("paying", extra={"order": order})
    if order < 0:
        raise ValueError(f"no such order: {order}")
    return "paid"
