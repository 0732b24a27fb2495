"""Fork a process for each name on stdin; each logs as fast as it goes, until it is killed.

Each row whose log call has returned is noted in a file of the process's own. The SDK is imported before the fork, or
each process would spend its life on that.
"""

import logging
import os
import signal
import sys

import requests  # noqa: F401 - as above

from logging_azmon import AzureMonitorHandler
from logging_azmon._spool import recovery

# Orphans are looked for often, to keep the test short.
recovery.LOOK_SECONDS = 0.3

url, directory = sys.argv[1:3]


def log(name):
    handler = AzureMonitorHandler(
        url,
        "dcr-1",
        "Custom-App_CL",
        columns={"Message": "message"},
        spool=f"{directory}/spool",
        batch_bytes=20_000,
        batch_seconds=0.02,
        retry_seconds=0.05,
        report=lambda _: None,
    )
    logger = logging.Logger("app")
    logger.addHandler(handler)
    # In the kernel's hands, too, when the process is killed.
    returned = os.open(f"{directory}/notes-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    while True:
        logger.warning("%s-%d", name, number)
        os.write(returned, b"%d\n" % number)
        number += 1
        if number == 50:
            print(os.getpid(), flush=True)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        log(line.strip())
