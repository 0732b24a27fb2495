"""A WSGI application that logs while it is loaded and at each request."""

import logging

from logging_azmon import AzureMonitorHandler

logging.getLogger().setLevel("DEBUG")
# The first row is sent at once, the others wait for the end.
logging.getLogger().addHandler(AzureMonitorHandler(batch_seconds=3600, close_seconds=40))
log = logging.getLogger("app")
log.info("preloaded")


def application(environ, start_response):
    log.info("request %s", environ["PATH_INFO"])
    # Later rows wait for the end.
    logging.getLogger().handlers[0].flush()
    log.info("request %s answered", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [b"logged"]
