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
        """Ask the task that runs here, or what the worker itself says of one."""
        said = record.__dict__.pop("data", None)  # the arguments once more
        if current_task:
            record.task_id, record.task_name = current_task.request.id, current_task.name
        elif said:
            record.task_id, record.task_name = said.get("id"), said.get("name")
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
