"""A WSGI application that logs while it is loaded and at each request, and answers with its process."""

import logging
import os

from logging_azmon import AzureMonitorHandler

logging.getLogger().setLevel("DEBUG")
logging.getLogger().addHandler(AzureMonitorHandler(close_seconds=20))
log = logging.getLogger("app")
log.info("loaded")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    log.info("request %s", path)
    if path == "/flush":
        logging.getLogger().handlers[0].flush()
    log.info("answered %s", path)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [str(os.getpid()).encode()]
