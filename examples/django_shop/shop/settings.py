"""Django's settings; logging comes first."""

import logging
import os
import re
from pathlib import Path

DEBUG = os.environ.get("DEBUG") == "1"


class WithoutQuery(logging.Filter):
    """Leave query strings, which may hold tokens, out of the development server's access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the arguments that name a target."""
        record.args = tuple(re.sub(r"\?\S*", "", arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"without_query": {"()": WithoutQuery}},
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "azure": {
            "class": "logging_azmon.AzureMonitorHandler",
            "columns": {
                "TimeGenerated": "time",
                "Level": "level",
                "Logger": "logger",
                "Message": "message",
                "Exception": "exception",
                "Method": "request.method",
                "Path": "request.path",
                "UserId": "request.user:long",  # only if the view has loaded it: logging makes no queries
                "Status": "status_code:int",
                "Properties": "*",
                "Instance": "instance",
                "Sequence": "sequence",
            },
        },
    },
    "root": {"handlers": ["console", "azure"], "level": "INFO"},
    "loggers": {
        # By default these two have handlers of Django's own, and the second does not propagate. Configured here, they
        # lose the handlers, and their records go to the root logger.
        "django": {"level": "INFO"},
        "django.server": {"level": "INFO", "propagate": True, "filters": ["without_query"]},
    },
}

SECRET_KEY = os.environ.get("SECRET_KEY", "for this example only")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).parent.parent / "db.sqlite3",
    }
}
USE_TZ = True
