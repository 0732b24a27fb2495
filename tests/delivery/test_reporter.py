"""What people are told, by whom and how often."""

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
from logging_azmon.trouble import REPORT_SECONDS, Trouble, clock_time, count, described
from support.delivering import Bench, a_rule, is_balanced


def trouble(kind="outage", text="away", **more):
    return Trouble(kind=kind, text=text, **more)


class TestOnStderr:
    """Nothing else is there by default."""

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def report(self, clock):
        return Reporter(None, clock.monotonic)

    def test_a_line_says_who_speaks(self, report, capfd):
        report(trouble(text="503 from https://dce"))
        assert capfd.readouterr().err == "logging_azmon: 503 from https://dce\n"

    def test_once_a_minute_a_kind_and_then_with_the_number_held_back(self, report, clock, capfd):
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
        told = [
            trouble("outage", "a", status=503),
            trouble("outage", "b", status=500),
            trouble("outage", "c", status=503, code="Busy"),
            trouble("throttled", "d", status=503),
            trouble("lost", "e", reason="queue_full"),
            trouble("lost", "f", reason="gave_up"),
        ]
        for one in told * 2:
            report(one)
        assert [line[-1] for line in capfd.readouterr().err.splitlines()] == list("abcdef")

    def test_what_is_remembered_for_that_is_bounded(self, report):
        for number in range(10 * _MAX_KEYS):
            report(trouble(code=str(number)))
        assert len(report._silent_until) <= _MAX_KEYS
        assert len(report._held_back) <= _MAX_KEYS

    def test_it_goes_to_the_processs_own_stderr_not_to_one_that_logs(self, report, monkeypatch, capfd):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        report(trouble())
        assert sys.stderr.getvalue() == ""
        assert "away" in capfd.readouterr().err

    @pytest.mark.parametrize("stream", [None, "closed", "closed file", "broken"])
    def test_without_a_stderr_nobody_is_told_and_nothing_happens(self, report, monkeypatch, stream, tmp_path):
        class Broken:
            def write(self, text):
                raise OSError

        streams = {"closed": io.StringIO(), "closed file": (tmp_path / "err").open("w"), "broken": Broken()}
        for name in ("closed", "closed file"):
            streams[name].close()
        monkeypatch.setattr(sys, "__stderr__", streams.get(stream))
        report(trouble())

    def test_a_stderr_of_ones_own_is_written_to(self, monkeypatch):
        monkeypatch.setattr(sys, "__stderr__", io.StringIO())
        print_line("away")
        assert sys.__stderr__.getvalue() == "logging_azmon: away\n"

    def test_what_its_encoding_does_not_have_is_escaped(self, monkeypatch, tmp_path):
        with (tmp_path / "err").open("w", encoding="ascii") as stream:
            monkeypatch.setattr(sys, "__stderr__", stream)
            print_line("caf\u00e9\u2026")
        assert (tmp_path / "err").read_bytes() == b"logging_azmon: caf\\xe9\\u2026\n"

    @pytest.mark.parametrize("flags", [[], ["-u"]])
    def test_a_process_prints_it(self, flags):
        code = "from logging_azmon._delivery.reporter import print_line; print_line('caf\\u00e9')"
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, *flags, "-c", code], env=environment, capture_output=True, timeout=60, check=True
        )
        assert done.stderr.decode().splitlines() == ["logging_azmon: caf\u00e9"]


class TestToACallable:
    def test_it_gets_every_trouble(self, capfd):
        told = []
        report = Reporter(told.append, ManualClock().monotonic)
        troubles = [trouble(text=str(number)) for number in range(100)]
        for one in troubles:
            report(one)
        assert told == troubles
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3)])
    def test_one_that_raises_does_no_harm_and_the_trouble_is_told_all_the_same(self, error, capfd):
        def fail(_):
            raise error

        report = Reporter(fail, ManualClock().monotonic)
        report(trouble(text="503 from https://dce"))
        report(trouble(text="again"))
        assert capfd.readouterr().err == f"logging_azmon: report= raised {error!r} for: 503 from https://dce\n"

    def test_not_even_one_that_raises_what_cannot_be_shown(self, capfd):
        class SilentError(Exception):
            def __repr__(self):
                raise ValueError

        def fail(_):
            raise SilentError

        Reporter(fail, ManualClock().monotonic)(trouble())
        assert "report= raised SilentError for: away" in capfd.readouterr().err

    def test_what_it_logs_breeds_no_rows(self):
        """Also when it logs to the very handler whose trouble it is told."""
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

    def test_it_may_flush_and_close(self):
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

    def test_its_thread_counts_as_delivering_meanwhile(self):
        seen = []
        Reporter(lambda _: seen.append(feedback.is_delivering()), ManualClock().monotonic)(trouble())
        assert seen == [True]
        assert not feedback.is_delivering()


class TestTrouble:
    def test_it_reads_as_its_text_and_does_not_show_rows_in_its_repr(self):
        one = trouble(kind="rejected", text="1 row rejected", rows_json=b'{"secret": 1}\n')
        assert str(one) == "1 row rejected"
        assert "secret" not in repr(one)

    def test_numbers_and_times_are_said_as_people_do(self):
        assert [count(rows) for rows in (0, 1, 2, 1_234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
        assert clock_time(1_800_000_131.9) == "08:02:11"

    def test_errors_are_described(self):
        assert described(ValueError("x")) == "ValueError('x')"

    def test_an_outage_from_beginning_to_end(self):
        """What an operator reads: what is wrong, what to do, what waits, and that it is over."""
        bench = Bench(Answer(status=403, code="OperationFailed", message="no access"))
        bench.put_batch("a", "b")
        bench.run()
        first, last = map(str, bench.troubles)
        assert first.startswith(
            "403 from https://dce.example for Custom-App_CL of dcr-0123 (OperationFailed: no access): the identity"
            " lacks the role Monitoring Metrics Publisher on dcr-0123; once assigned, it can take 30 minutes;"
            " 2 rows are waiting, next try in "
        )
        assert last == "https://dce.example takes rows again"


def test_ctrl_c_in_a_report_is_not_swallowed():
    """It is meant for the program; anything else that a callable raises is told in its stead."""

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Reporter(interrupted, ManualClock().monotonic)(Trouble(kind="lost", text="rows"))
