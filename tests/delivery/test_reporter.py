"""The places where trouble is reported, and how often."""

# ruff: noqa: SLF001 - what is remembered must be bounded

import io
import logging
import os
import subprocess
import sys

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._delivery.reporter import _MAX_KEYS, Reporter, print_line
from logging_azmon._process import feedback
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from logging_azmon.trouble import REPORT_SECONDS, Trouble
from support.delivering import a_rule, is_balanced


def trouble(kind="outage", text="away", **more):
    return Trouble(kind=kind, text=text, **more)


class TestOnStderr:
    """Without `report`, trouble is printed on stderr."""

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def report(self, clock):
        return Reporter(None, clock.monotonic)

    def test_line_on_stderr_begins_with_the_name_of_the_library(self, report, capfd):
        report(trouble(text="503 from https://dce"))
        assert capfd.readouterr().err == "logging_azmon: 503 from https://dce\n"

    def test_same_trouble_is_printed_once_a_minute_with_the_number_held_back(self, report, clock, capfd):
        for number in range(1_235):
            report(trouble(text=f"away {number}"))
        clock.advance(REPORT_SECONDS - 0.1)
        report(trouble(text="still away"))
        clock.advance(0.1)
        report(trouble(text="away again"))
        clock.advance(REPORT_SECONDS)
        report(trouble(text="and again"))
        assert capfd.readouterr().err.splitlines() == [
            "logging_azmon: away 0",
            "logging_azmon: away again (1,235 more like this since the last line)",
            "logging_azmon: and again",
        ]

    def test_different_troubles_do_not_hold_each_other_back(self, report, capfd):
        reports = [
            trouble("outage", "a", status=503),
            trouble("outage", "b", status=500),
            trouble("outage", "c", status=503, code="Busy"),
            trouble("throttled", "d", status=503),
            trouble("lost", "e", reason="queue_full"),
            trouble("lost", "f", reason="gave_up"),
        ]
        for one in reports * 2:
            report(one)
        assert [line[-1] for line in capfd.readouterr().err.splitlines()] == list("abcdef")

    def test_memory_of_printed_troubles_is_bounded(self, report):
        for number in range(10 * _MAX_KEYS):
            report(trouble(code=str(number)))
        assert len(report._silent_until) <= _MAX_KEYS
        assert len(report._held_back) <= _MAX_KEYS

    def test_line_goes_to_the_process_stderr_not_to_a_replaced_sys_stderr(self, report, monkeypatch, capfd):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        report(trouble())
        assert sys.stderr.getvalue() == ""
        assert "away" in capfd.readouterr().err

    @pytest.mark.parametrize("stream", [None, "closed", "closed file", "broken"])
    def test_missing_or_broken_stderr_is_ignored(self, report, monkeypatch, stream, tmp_path):
        class Broken:
            def write(self, text):
                raise OSError

        streams = {"closed": io.StringIO(), "closed file": (tmp_path / "err").open("w"), "broken": Broken()}
        for name in ("closed", "closed file"):
            streams[name].close()
        monkeypatch.setattr(sys, "__stderr__", streams.get(stream))
        report(trouble())

    def test_stderr_without_a_buffer_is_written_to(self, monkeypatch):
        monkeypatch.setattr(sys, "__stderr__", io.StringIO())
        print_line("away")
        assert sys.__stderr__.getvalue() == "logging_azmon: away\n"

    def test_characters_missing_in_the_encoding_of_stderr_are_escaped(self, monkeypatch, tmp_path):
        with (tmp_path / "err").open("w", encoding="ascii") as stream:
            monkeypatch.setattr(sys, "__stderr__", stream)
            print_line("caf\u00e9\u2026")
        assert (tmp_path / "err").read_bytes() == b"logging_azmon: caf\\xe9\\u2026\n"

    @pytest.mark.parametrize("flags", [[], ["-u"]])
    def test_line_is_printed_by_a_process_with_and_without_buffering(self, flags):
        code = "from logging_azmon._delivery.reporter import print_line; print_line('caf\\u00e9')"
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, *flags, "-c", code], env=environment, capture_output=True, timeout=60, check=True
        )
        assert done.stderr.decode().splitlines() == ["logging_azmon: caf\u00e9"]


class TestToACallable:
    def test_callable_receives_every_trouble(self, capfd):
        reports = []
        report = Reporter(reports.append, ManualClock().monotonic)
        troubles = [trouble(text=str(number)) for number in range(100)]
        for one in troubles:
            report(one)
        assert reports == troubles
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3)])
    def test_trouble_is_printed_if_the_callable_raises(self, error, capfd):
        def fail(_):
            raise error

        report = Reporter(fail, ManualClock().monotonic)
        report(trouble(text="503 from https://dce"))
        report(trouble(text="again"))
        assert capfd.readouterr().err == f"logging_azmon: report= raised {error!r} for: 503 from https://dce\n"

    def test_trouble_is_printed_if_the_error_of_the_callable_has_no_repr(self, capfd):
        class SilentError(Exception):
            def __repr__(self):
                raise ValueError

        def fail(_):
            raise SilentError

        Reporter(fail, ManualClock().monotonic)(trouble())
        assert "report= raised SilentError for: away" in capfd.readouterr().err

    def test_records_that_the_callable_logs_become_no_rows(self):
        """That holds even if it logs to the handler whose trouble it receives."""
        destination = FakeDestination(Answer(status=503), Answer(status=429))
        logger = logging.Logger("app")
        handler = AzureMonitorHandler(
            pipeline=Pipeline(
                **a_rule(),
                destination=destination,
                clock=ManualClock(jumps=True),
                background=False,
                report=lambda trouble: logger.error("%s", trouble),
            )
        )
        logger.addHandler(handler)
        logger.warning("mine")
        assert handler.flush()
        assert [row["Message"] for row in destination.rows] == ["mine"]
        handler.pipeline.close()

    def test_callable_may_flush_and_close(self):
        destination = FakeDestination(Answer(status=503))

        def report(_):
            handler.flush()
            handler.close()

        pipeline = Pipeline(
            **a_rule(), destination=destination, clock=ManualClock(jumps=True), background=False, report=report
        )
        handler = AzureMonitorHandler(pipeline=pipeline)
        logger = logging.Logger("app")
        logger.addHandler(handler)
        logger.warning("mine")
        handler.flush()
        assert is_balanced(handler.stats())
        pipeline.close()

    def test_callable_runs_marked_as_delivering(self):
        seen = []
        Reporter(lambda _: seen.append(feedback.is_delivering()), ManualClock().monotonic)(trouble())
        assert seen == [True]
        assert not feedback.is_delivering()


def test_ctrl_c_in_the_callable_is_raised():
    """Ctrl-C is meant for the program; any other exception of the callable is printed instead."""

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Reporter(interrupted, ManualClock().monotonic)(Trouble(kind="lost", text="rows"))
