"""Send audit rows to one table, security events to Azure's CommonSecurityLog, and all else to a third, by logger.

`rule.json` declares the three streams. The environment names the endpoint and the rule; each handler names its stream.
"""

import logging
import logging.config

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "app": {"class": "logging_azmon.AzureMonitorHandler", "stream": "Custom-App", "columns": "lean"},
        "audit": {
            "class": "logging_azmon.AzureMonitorHandler",
            "stream": "Custom-Audit",
            "columns": {
                "TimeGenerated": "time",
                "Actor": "actor",
                "Action": "message",
                "Subject": "subject",
                "Details": "*",
                "Instance": "instance",
                "Sequence": "sequence",
            },
        },
        "security": {
            "class": "logging_azmon.AzureMonitorHandler",
            "stream": "Custom-Security",
            "columns": "common_security_log",  # an extra that has a column's name goes there: SourceIP
        },
    },
    "root": {"handlers": ["app"], "level": "INFO"},
    "loggers": {
        "audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
        "security": {"handlers": ["security"], "level": "INFO", "propagate": False},
    },
}


def main() -> None:
    """Log a little to each."""
    logging.config.dictConfig(LOGGING)
    logging.getLogger("shop.orders").info("order %d paid", 1001, extra={"order": 1001})
    logging.getLogger("audit.orders").info("refund", extra={"actor": "ada", "subject": "order 1001", "amount": 59.9})
    logging.getLogger("security.login").warning(
        "login refused for %s",
        "ada",
        extra={
            "DeviceVendor": "Shop",
            "DeviceProduct": "Web",
            "Activity": "login refused",
            "SourceIP": "10.0.0.7",
            "SourceUserName": "ada",
            "DeviceAction": "block",
            "tries": 3,
        },
    )


if __name__ == "__main__":
    main()
