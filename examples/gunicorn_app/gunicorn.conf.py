"""gunicorn's settings: its access log and error log go to Azure, together with the application's log."""

import logging

preload_app = True


class AccessFields(logging.Filter):
    """Keep the arguments of the access log that have columns, and drop the others."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Turn these arguments into extras."""
        atoms = record.args
        record.client, record.method = atoms["h"], atoms["m"]
        # Not from PATH_INFO, which is missing if the application has failed.
        record.path = atoms["r"].split(" ")[1].partition("?")[0]
        record.status, record.size, record.duration_ms = int(atoms["s"]), atoms["B"], atoms["D"] / 1000
        # The message would have the query string and the referrer, which may hold tokens.
        record.msg, record.args = "%s %s %d", (record.method, record.path, record.status)
        return True


class WithoutQuery(logging.Filter):
    """Leave query strings out of the error log, which names the target of a request that has failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the arguments."""
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"access": {"()": AccessFields}, "without_query": {"()": WithoutQuery}},
    "handlers": {
        "azure": {
            "class": "logging_azmon.AzureMonitorHandler",
            "columns": {
                "TimeGenerated": "time",
                "Level": "level",
                "Logger": "logger",
                "Message": "message",
                "Exception": "exception",
                "Client": "client",
                "Method": "method",
                "Path": "path",
                "Status": "status:int",
                "Bytes": "size:long",
                "DurationMs": "duration_ms:real",
                "ProcessId": "process_id",
                "Properties": "*",
                "Instance": "instance",
                "Sequence": "sequence",
            },
        }
    },
    "root": {"handlers": ["azure"], "level": "INFO"},
    "loggers": {
        # By default, gunicorn does not let the records of these two propagate.
        "gunicorn.error": {"level": "INFO", "propagate": True, "filters": ["without_query"]},
        "gunicorn.access": {"level": "INFO", "propagate": True, "filters": ["access"]},
    },
}
