"""The service's limits are those that Azure documents, and are defined in one module."""

import ast
import datetime as dt
from pathlib import Path

import logging_azmon
from logging_azmon._config import service_limits

PACKAGE = Path(logging_azmon.__file__).parent


def test_limits_are_those_that_azure_documents():
    """A change here means that the service has changed, and needs a source."""
    found = {name: value for name, value in vars(service_limits).items() if name.isupper()}

    assert found == {
        "MAX_VALUE_BYTES": 64 * 1024,
        "MAX_BODY_BYTES": 1024 * 1024,
        "MAX_DECOMPRESSED_BYTES": 50 * 1024 * 1024,
        "QUOTA_REQUESTS": 12_000,
        "QUOTA_BYTES": 2_000_000_000,
        "MAX_AGE": dt.timedelta(days=2),
        "MAX_LEAD": dt.timedelta(days=1),
        "MAX_TIME_RANGE_SECONDS": 1_800,
        "MAX_TRANSFORM_LENGTH": 15_360,
    }


def test_no_other_module_repeats_a_limit():
    """A limit that Azure changes needs one edit. A chunk of 64 KB read from a socket is not a limit."""
    limits = {service_limits.MAX_BODY_BYTES, service_limits.QUOTA_REQUESTS, service_limits.QUOTA_BYTES, 15_360}
    repeated = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "service_limits.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in limits
    ]

    assert repeated == []
