"""Run the Celery example with files in BROKER_FILES as its broker; print a line once a task's rows are delivered.

So the test need not wait for the worker to shut down, which takes seconds.
"""

import logging
import os

from celery.signals import task_postrun, task_received
from celery_app import app

app.conf.broker_url = "filesystem://"
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["BROKER_FILES"],
    "data_folder_out": os.environ["BROKER_FILES"],
    "control_folder": os.environ["BROKER_FILES"],
    "polling_interval": 0.05,
}
app.conf.broker_connection_retry_on_startup = True


@task_received.connect
@task_postrun.connect
def deliver(signal, **_):
    (azure,) = logging.getLogger().handlers
    assert azure.flush()
    if signal is task_postrun:
        os.write(1, b"done\n")
