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
    """Add to each record the task that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the task that the worker's record names, or else the one that runs in this process."""
        if data := record.__dict__.pop("data", None):
            record.task_id, record.task_name = data.get("id"), data.get("name")
            record.runtime = data.get("runtime")
            # Leave out the task's arguments, and the traceback, which the row has already.
            record.msg, record.args = record.getMessage(), ()
        elif current_task:
            record.task_id, record.task_name = current_task.request.id, current_task.name
        return True


LOGGING = {
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


# If something is connected to this signal, Celery leaves logging alone. Otherwise it removes the root logger's handlers
# (or, with worker_hijack_root_logger = False, keeps them but sets the level to --loglevel, by default WARNING).
@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Configure the worker, once, before its processes are forked."""
    dictConfig(LOGGING)


@app.task
def pay(order: int) -> str:
    """Pay an order."""
    log.info("paying", extra={"order": order})
    if order < 0:
        raise ValueError(f"no such order: {order}")
    return "paid"
