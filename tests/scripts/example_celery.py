"""Run the Celery example with a broker of files, in BROKER_FILES, and say when a task has ended."""

import os

from celery.signals import task_postrun
from celery_app import app

app.conf.broker_url = "filesystem://"
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["BROKER_FILES"],
    "data_folder_out": os.environ["BROKER_FILES"],
    "control_folder": os.environ["BROKER_FILES"],
    "polling_interval": 0.05,
}
app.conf.broker_connection_retry_on_startup = True


@task_postrun.connect
def say(**_):
    os.write(1, b"done\n")
