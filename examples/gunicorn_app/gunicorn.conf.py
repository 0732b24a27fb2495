"""gunicorn's settings: its access and error logs go to Azure, with the application's."""

import logging

preload_app = True


class AccessFields(logging.Filter):
    """Take from a request's many particulars those that are to have columns."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put them into the record, in place of all the others."""
        atoms = record.args
        record.client, record.method = atoms["h"], atoms["m"]
        # Not PATH_INFO, which is missing where the application has failed.
        record.path = atoms["r"].split(" ")[1].partition("?")[0]
        record.status, record.size, record.duration_ms = int(atoms["s"]), atoms["B"], atoms["D"] / 1000
        record.msg, record.args = record.getMessage(), ()
        return True


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"access": {"()": AccessFields}},
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
        # gunicorn keeps the records of both to itself, unless it is told to pass them on.
        "gunicorn.error": {"level": "INFO", "propagate": True},
        "gunicorn.access": {"level": "INFO", "propagate": True, "filters": ["access"]},
    },
}
