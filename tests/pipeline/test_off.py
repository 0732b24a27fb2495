"""Switched off: no row is taken, nothing is needed or started, and tests still get their rows."""

import contextlib
import gc
import json
import logging
import logging.config
import os
import pickle
import shutil
import subprocess
import sys
import threading

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, ConfigurationError, Pipeline, Stats
from logging_azmon._config.options import DISABLED
from logging_azmon._config.settings import ENVIRONMENT
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock, capture
from support.lifecycle import SCRIPTS
from support.pipelines import LIMIT_SECONDS, NOWHERE, messages

NOTHING = Stats(accepted=0, delivered=0, queued=0, in_flight=0, rejected=0, dropped={})
EXAMPLES = SCRIPTS.parent.parent / "examples"


class Untouchable:
    """Fail if it is used; stands for a credential and for a path."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} is looked at")


@pytest.fixture(autouse=True)
def _no_address(monkeypatch):
    for variable in (*ENVIRONMENT.values(), DISABLED):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=["argument", "variable"])
def off(request, monkeypatch):
    """Return the arguments that switch a front door off; none if the environment does."""
    if request.param == "argument":
        return {"enabled": False}
    monkeypatch.setenv(DISABLED, "1")
    return {}


@pytest.fixture
def logger():
    return logging.Logger("shop")


def assert_idle(front, threads):
    assert front.stats() == NOTHING
    assert front.flush() is True
    assert threading.enumerate() == threads


class TestFrontDoors:
    def test_a_handler_without_an_address_takes_no_row_and_starts_nothing(self, off, logger):
        threads = threading.enumerate()
        handler = AzureMonitorHandler(**off)
        logger.addHandler(handler)
        for _ in range(3):
            logger.error("hello", extra={"order": 7})

        assert_idle(handler, threads)
        assert repr(handler.pipeline) == "<Pipeline, switched off>"
        handler.close()
        logger.error("after close")
        assert handler.stats() == NOTHING

    def test_a_processor_passes_its_events_on_and_takes_no_row(self, off):
        threads = threading.enumerate()
        processor = AzureMonitorProcessor(**off)
        event = {"event": "hello"}

        assert processor(None, "info", event) is event
        assert_idle(processor, threads)

    def test_front_doors_that_share_a_pipeline_are_switched_off_with_it(self, off, logger):
        pipeline = Pipeline(**off)
        logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
        logger.error("hello")
        AzureMonitorProcessor(pipeline=pipeline)(None, "info", {"event": "hello"})

        assert_idle(pipeline, threading.enumerate())

    def test_the_switch_belongs_to_the_pipeline(self):
        """A handler that shares one cannot be switched off alone."""
        with pytest.raises(ConfigurationError, match="enabled= cannot be combined with pipeline="):
            AzureMonitorHandler(pipeline=Pipeline(enabled=False), enabled=False)

    def test_dictconfig_and_fileconfig_can_switch_off(self, tmp_path):
        """JSON and YAML have the value as a word of their own."""
        handler = {"class": "logging_azmon.AzureMonitorHandler"} | json.loads('{"enabled": false}')
        loggers = {"shop.off": {"handlers": ["azure"]}}
        logging.config.dictConfig({"version": 1, "handlers": {"azure": handler}, "loggers": loggers})
        found = logging.getLogger("shop.off").handlers[0]
        ini = tmp_path / "logging.ini"
        ini.write_text(
            "[loggers]\nkeys=root,off\n[handlers]\nkeys=azure\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n"
            "[logger_off]\nqualname=shop.off\nhandlers=azure\n[handler_azure]\n"
            'class=logging_azmon.AzureMonitorHandler\nkwargs={"enabled": False}\n',
            "utf-8",
        )
        logging.config.fileConfig(ini, disable_existing_loggers=False)

        for each in (found, *logging.getLogger("shop.off").handlers):
            assert repr(each.pipeline) == "<Pipeline, switched off>"

    def test_a_pickled_processor_stays_switched_off(self, off, monkeypatch):
        """The other process may have another environment."""
        data = pickle.dumps(AzureMonitorProcessor(**off))
        gc.collect()
        monkeypatch.delenv(DISABLED, raising=False)

        assert repr(pickle.loads(data).pipeline) == "<Pipeline, switched off>"


class TestArguments:
    @pytest.mark.parametrize("value", ["1", "true", "TRUE", "Yes", " yes "])
    def test_the_variable_switches_off_whatever_the_argument_says(self, value, monkeypatch):
        """Production's settings may say True, and the build of an image still has nothing to send to."""
        monkeypatch.setenv(DISABLED, value)

        assert not Pipeline(enabled=True).settings.enabled

    @pytest.mark.parametrize("value", ["", "0", "false", "No"])
    def test_other_words_leave_it_on(self, value, monkeypatch):
        monkeypatch.setenv(DISABLED, value)

        assert Pipeline(NOWHERE, "dcr-1", "Custom-App").settings.enabled

    def test_a_value_that_is_not_understood_is_an_error(self, monkeypatch):
        """It is reported alone: whether an address is needed is not known then."""
        monkeypatch.setenv(DISABLED, "on")
        with pytest.raises(ConfigurationError) as caught:
            AzureMonitorHandler(enabled="no")

        assert caught.value.problems == (
            "enabled='no' is not accepted; give True or False",
            "LOGGING_AZMON_DISABLED='on' is not accepted; set it to 1, true or yes, or unset it",
        )

    def test_address_credential_and_spool_are_not_looked_at(self, off, tmp_path):
        """They may be placeholders where nothing is sent, and the directory may not be writable."""
        directory = tmp_path / "file"
        directory.touch()
        pipeline = Pipeline("not a URL", ["no", "id"], Untouchable(), Untouchable(), spool=directory / "spool", **off)
        pipeline.close()

        assert list(tmp_path.iterdir()) == [directory]
        assert (pipeline.settings.rule_id, pipeline.settings.stream, pipeline.settings.spool) == ("", "", None)

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"columns": "defualt"}, "columns='defualt' is not a preset"),
            ({"columns": {"a b": "message"}}, "column name 'a b' is not valid"),
            ({"batch_bytes": 1}, "batch_bytes=1 is not accepted"),
            ({"colums": {}}, "unknown argument 'colums'"),
            ({"dcr": "nowhere.json"}, "nowhere.json"),
        ],
    )
    def test_columns_and_settings_are_still_checked(self, off, arguments, problem):
        """A mistake shows in the tests, not in production."""
        with pytest.raises(ConfigurationError, match=problem):
            AzureMonitorHandler(**arguments, **off)

    def test_columns_are_read_from_the_rule_if_the_stream_is_known(self, off):
        def declared(*streams):
            return {"streamDeclarations": {s: {"columns": [{"name": f"In{s[-1]}", "type": "string"}]} for s in streams}}

        def names(**arguments):
            return [column.name for column in Pipeline(**arguments, **off).settings.table][:2]

        both = declared("Custom-A", "Custom-B")
        assert names(dcr=declared("Custom-A")) == ["InA"]
        assert names(dcr=both, stream="Custom-B") == ["InB"]
        assert names(dcr=both) == ["TimeGenerated", "Level"]
        assert names(dcr=both, columns={"InB": "message"}) == ["InB"]
        with pytest.raises(ConfigurationError, match="'InC' is not declared for Custom-B"):
            names(dcr=both, stream="Custom-B", columns={"InC": "message"})


class TestTests:
    def test_a_capture_gets_the_rows(self, off, logger):
        handler = AzureMonitorHandler(columns={"Text": "message", "Order": "order:int"}, **off)
        logger.addHandler(handler)
        processor = AzureMonitorProcessor(pipeline=handler)
        logger.error("before")
        with capture() as rows:
            logger.error("within", extra={"order": 7})
            processor(None, "info", {"event": "event"})
        logger.error("after")

        assert rows == [{"Text": "within", "Order": 7}, {"Text": "event"}]
        assert handler.stats() == NOTHING

    def test_a_capture_that_ends_during_a_log_call_leaves_no_row_behind(self, off, logger):
        """The row is then encoded already, and would otherwise enter the queue."""
        handler = AzureMonitorHandler(columns={"Text": "text"}, **off)
        logger.addHandler(handler)
        block = contextlib.ExitStack()
        rows = block.enter_context(capture())

        class Text:
            def __repr__(self):
                block.close()
                return "hello"

        with block:
            logger.error("", extra={"text": Text()})
        logger.error("", extra={"text": "after"})

        assert rows in ([], [{"Text": "hello"}])
        assert handler.stats() == NOTHING

    def test_the_fixtures_work_in_a_fresh_checkout(self, tmp_path):
        """A handler made at import gives its rows to `azmon_rows`; one made in the test sends to `azmon_workspace`."""
        tmp_path.joinpath("conftest.py").write_text(f"import os\nos.environ[{DISABLED!r}] = '1'\n", "utf-8")
        tmp_path.joinpath("test_shop.py").write_text(
            """
import logging
from logging_azmon import AzureMonitorHandler

logging.getLogger("shop").addHandler(AzureMonitorHandler())

def test_rows(azmon_rows):
    logging.getLogger("shop").error("hello")
    assert azmon_rows[-1]["Message"] == "hello"

def test_workspace(azmon_workspace):
    handler = AzureMonitorHandler()
    logging.getLogger("stock").addHandler(handler)
    logging.getLogger("stock").error("hello")
    azmon_workspace.wait_for("App_CL | where Message == 'hello'")
    handler.close()

def test_off_again():
    logging.getLogger("shop").error("nobody listens")
    assert AzureMonitorHandler().stats().accepted == 0
""",
            "utf-8",
        )

        assert_passes(tmp_path, 3)

    def test_a_pytest_run_whose_rows_were_all_captured_does_not_wait_at_its_end(self, tmp_path):
        """The address leads nowhere, and the handler would wait for the limit of this test and longer."""
        tmp_path.joinpath("test_shop.py").write_text(
            f"""
import logging.config
logging.config.dictConfig({{
    "version": 1, "disable_existing_loggers": False, "root": {{"handlers": ["azure"], "level": "DEBUG"}},
    "handlers": {{"azure": {{
        "class": "logging_azmon.AzureMonitorHandler", "endpoint": "https://127.0.0.1:9", "rule_id": "dcr-1",
        "stream": "Custom-App", "close_seconds": {2 * LIMIT_SECONDS}
    }}}},
}})

def test_rows(azmon_rows):
    logging.getLogger("shop").error("hello")
    assert azmon_rows[-1]["Message"] == "hello"
""",
            "utf-8",
        )

        assert_passes(tmp_path, 1)

    def test_a_pipeline_with_a_destination_needs_no_address(self, off, logger):
        """Nothing leaves the process, so the environment does not switch it off; its argument does."""
        with FakeDestination() as destination:
            pipeline = Pipeline(destination=destination, background=False, **off)
            logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
            logger.error("hello")
            assert pipeline.flush()

        assert messages(destination.rows) == ([] if off else ["hello"])

    def test_pipelines_with_a_destination_do_not_share_their_pauses(self, logger):
        """As those of one rule do: one test's outage would delay the rows of another."""
        away = FakeDestination(*[Answer(status=503)] * 100)
        first = Pipeline(destination=away, clock=ManualClock(jumps=True), background=False, report=lambda _: None)
        with FakeDestination() as destination:
            second = Pipeline(destination=destination, clock=ManualClock(), background=False)
            for pipeline in (first, second):
                logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
            logger.error("hello")

            assert not first.flush(10)
            assert second.flush(0.1)

    def test_a_destination_does_not_excuse_a_stream_that_is_not_chosen(self):
        """A table is made of one stream's columns."""
        declared = {"columns": [{"name": "Text", "type": "string"}]}
        rule = {"streamDeclarations": {"Custom-A": declared, "Custom-B": declared}}
        with pytest.raises(ConfigurationError, match="the given dcr declares Custom-A, Custom-B"):
            Pipeline(destination=FakeDestination(), dcr=rule)


def assert_passes(directory, number):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", directory],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{number} passed" in done.stdout
    assert done.stderr == ""


def test_collectstatic_runs_in_an_image_build_that_has_no_settings(tmp_path):
    """Without the variable, Django cannot even configure its logging."""
    project = shutil.copytree(EXAMPLES / "django_shop", tmp_path / "shop")
    with project.joinpath("shop", "settings.py").open("a", encoding="utf-8") as settings:
        settings.write('\nINSTALLED_APPS.append("django.contrib.staticfiles")\nSTATIC_URL = STATIC_ROOT = "static/"\n')

    def collect(**environ):
        return subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--no-input"],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project)} | environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    refused, done = collect(), collect(**{DISABLED: "1"})

    assert "ValueError: Unable to configure handler 'azure'" in refused.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert "static file" in done.stdout


def test_a_row_on_its_way_to_a_capture_that_has_just_ended_goes_nowhere():
    """Another thread may have read the capture's function before."""
    pipeline = Pipeline(enabled=False)
    lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": "late"}), None)

    assert pipeline.stats() == NOTHING
    pipeline.close()
