"""A WSGI application that logs at each request, and answers /metrics with the metrics of all workers."""

import logging
import os

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from logging_azmon import AzureMonitorHandler, metrics

log = logging.getLogger("app")
log.setLevel("DEBUG")
log.addHandler(AzureMonitorHandler(close_seconds=20))
collector = metrics.collector()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        registry.register(collector)
        return [generate_latest(registry)]
    log.info("request %s", environ["PATH_INFO"])
    log.info("answered %s", environ["PATH_INFO"])
    return [str(os.getpid()).encode()]
