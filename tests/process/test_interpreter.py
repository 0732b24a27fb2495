"""Interpreters on which rows would be lost in silence are refused with a sentence."""

import subprocess
import sys

import pytest

from support.pipelines import LIMIT_SECONDS

FREE_THREADED = "import sys\nsys._is_gil_enabled = lambda: False\n"
USES = {
    "handler": "from logging_azmon import AzureMonitorHandler",
    "handler's module": "from logging_azmon.handler import AzureMonitorHandler",
    "processor": "import logging_azmon\nlogging_azmon.AzureMonitorProcessor",
    "pipeline": "from logging_azmon import Pipeline",
    "dictConfig": """
import logging.config
logging.config.dictConfig({
    "version": 1,
    "handlers": {"azure": {"class": "logging_azmon.AzureMonitorHandler"}},
    "root": {"handlers": ["azure"]},
})
""",
}
SENTENCE = "logging_azmon needs CPython's global interpreter lock, and this is a free-threaded build without it"


def run(source):
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_free_threaded_interpreter_is_refused_with_a_sentence(use):
    """orjson has no wheel there, and the queue relies on the global interpreter lock."""
    done = run(FREE_THREADED + use)

    assert done.returncode == 1
    assert f"ImportError: {SENTENCE}" in done.stderr
    assert "orjson" not in done.stderr


def test_a_free_threaded_build_that_runs_with_the_lock_is_accepted():
    """PYTHON_GIL=1 switches it on, and an extension that needs it does so as well."""
    assert run("import sys\nsys._is_gil_enabled = lambda: True\nfrom logging_azmon import Pipeline").returncode == 0


def test_the_plugin_of_a_package_that_is_merely_installed_disturbs_no_test_run():
    """pytest imports it in every run; only a test that uses a fixture needs more."""
    assert run(FREE_THREADED + "import logging_azmon, logging_azmon.pytest_plugin").returncode == 0
