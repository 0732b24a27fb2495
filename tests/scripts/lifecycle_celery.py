"""Run a Celery application that logs to Azure; its broker is files in the directory BROKER."""

import logging
import os
import sys

from celery import Celery
from celery.signals import setup_logging

from logging_azmon import AzureMonitorHandler

app = Celery("app", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["BROKER"],
    "data_folder_out": os.environ["BROKER"],
    "control_folder": os.environ["BROKER"],
    "polling_interval": 0.05,
}
app.conf.broker_connection_retry_on_startup = True
# Output of tasks becomes rows: Celery replaces sys.stderr by a stream that logs.
app.conf.worker_redirect_stdouts = True
log = logging.getLogger("app")


@setup_logging.connect
def set_up(**_):
    root = logging.getLogger()
    root.setLevel("INFO")
    # The first row is sent at once, the others wait for the end.
    root.addHandler(AzureMonitorHandler(batch_seconds=3600, retry_seconds=0.1, close_seconds=40))
    app.log.redirect_stdouts("WARNING")


@app.task
def work(number):
    log.info("task %s begins", number)
    # Later rows wait for the end.
    logging.getLogger().handlers[0].flush()
    print(f"task {number} prints", file=sys.stderr)  # noqa: T201 - Celery logs it
    log.info("task %s ends", number)
    os.write(1, b"done\n")
