"""The command `logging-azmon spool` shows a spool directory, delivers its rows, and requeues rejected rows."""

import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import threading

import pytest

from logging_azmon import AzureMonitorHandler
from logging_azmon._spool.file_lock import FileLock
from logging_azmon._spool.segment import Target, new_owner, segment_name
from logging_azmon.cli import main
from support.delivering import leave_in_spool
from support.endpoint import STORED, Endpoint, status

POISON = status(400, error=("InvalidPayload", "The row is not accepted."))


@pytest.fixture(scope="module")
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _fresh(endpoint):
    endpoint.default = STORED
    endpoint.rows.clear()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool"


def log(endpoint, path, *rows, stream="Custom-App_CL", **options):
    """Log as a process that ends at once; return its handler."""
    handler = AzureMonitorHandler(
        endpoint.url, "dcr-1", stream, spool=path, columns={"Message": "message"}, report=lambda _: None, **options
    )
    logger = logging.Logger("app")
    logger.addHandler(handler)
    for row in rows:
        logger.warning("%s", row)
    handler.close()
    return handler


def leave(endpoint, path, *rows, **options):
    leave_in_spool(path, endpoint.url, *rows, **options)


def spool(capsys, *arguments):
    code = main(["spool", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def sent(endpoint):
    return sorted(row["Message"] for row in endpoint.rows)


class TestShow:
    def test_segments_are_listed_with_rows_size_age_and_owner(self, endpoint, path, capsys):
        """Oldest first, with the owner's state; rejected rows by the service's answer."""
        leave(endpoint, path, *range(1_200))
        endpoint.default = POISON
        log(endpoint, path, "bad", stream="Custom-Bad_CL")
        path.joinpath("notes.txt").touch()
        owner = new_owner()
        other = Target(endpoint="https://other.example", rule_id="dcr-2", stream="Custom-Other_CL", cloud="usgov")
        path.joinpath(segment_name(0, owner, 1)).write_bytes(other.header() + b"{}\n" * 2_000_000)
        path.joinpath(segment_name(1, new_owner(), 1)).write_bytes(b"binary\n")
        lock = FileLock.take(str(path / f"{owner}.lock"))

        code, out, err = spool(capsys, path)
        lock.release()

        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].startswith(f"{path}: 3 segments, 2,001,200 rows, 6.")
        assert lines[2].split() == ["stream", "rows", "size", "age", "owner"]
        assert lines[3].split()[:4] == ["Custom-Other_CL", "2,000,000", "6.0", "MB"]
        assert lines[3].split()[-2:] == ["d", "alive"]
        assert lines[4].split()[:6] == ["cannot", "be", "read", "0", "7", "B"]
        assert lines[5].split()[0:2] == ["Custom-App_CL", "1,200"]
        assert lines[5].split()[-1] == "dead"
        assert "Custom-Other_CL: rule dcr-2 at https://other.example, cloud usgov" in lines
        assert f"Custom-App_CL: rule dcr-1 at {endpoint.url}, cloud public" in lines
        assert f"Rejected: 1 row in {path}/rejected" in lines
        assert "        1  400 InvalidPayload: The row is not accepted." in lines
        assert "Ignored, not files of a spool: 'notes.txt'" in lines

    @pytest.mark.parametrize("option", [(), ("--send",)])
    def test_file_contents_cannot_control_the_terminal(self, path, capsys, option):
        """Any process with access to the directory may write anything there."""
        odd = "\x1b]0;gotcha\x07\x1b[2J"
        target = Target(endpoint=f"https://a.example/{odd}", rule_id=f"dcr-{odd}", stream=f"Custom-{odd}", cloud=odd)
        path.joinpath("rejected").mkdir(parents=True)
        path.joinpath(segment_name(1, new_owner(), 1)).write_bytes(target.header() + b"{}\n")
        refused = json.dumps({"answer": {"status": 400, "code": odd, "message": odd}}) + "\n"
        path.joinpath("rejected", "a.ndjson").write_text(refused)
        code, out, err = spool(capsys, path, *option)
        assert code == bool(option)
        assert (out + err).replace("\n", "").isprintable()
        assert "Custom-\\x1b]0;gotcha" in out

    def test_showing_changes_nothing(self, endpoint, path, capsys):
        leave(endpoint, path, "row")
        before = {each.name: each.stat().st_mtime_ns for each in path.iterdir()}
        spool(capsys, path)
        assert {each.name: each.stat().st_mtime_ns for each in path.iterdir()} == before

    def test_an_empty_spool_is_shown_as_empty(self, tmp_path, capsys):
        assert spool(capsys, tmp_path) == (0, f"{tmp_path}: 0 segments, 0 rows, 0 B\n", "")

    def test_only_the_first_of_many_foreign_files_are_named(self, tmp_path, capsys):
        """A user may give the wrong directory."""
        for number in range(14):
            tmp_path.joinpath(f"file{number:02}").touch()

        _, out, _ = spool(capsys, tmp_path)
        assert out.endswith("'file08', 'file09' and 4 more\n")

    def test_a_missing_directory_is_reported_with_exit_code_2(self, path, capsys):
        hint = "give the handler's spool=, a directory that its first row creates"
        assert spool(capsys, path) == (2, "", f"logging-azmon spool: {path} is not a directory: {hint}\n")

    def test_an_odd_lock_does_not_hide_the_other_segments(self, endpoint, path, capsys):
        """Such as a directory in its place: the owner's segments count as a live one's, because they cannot be sent."""
        leave(endpoint, path, "a")
        owner = new_owner()
        target = Target(endpoint="https://other.example", rule_id="dcr-2", stream="Custom-Other_CL", cloud="public")
        path.joinpath(segment_name(0, owner, 1)).write_bytes(target.header() + b"{}\n")
        path.joinpath(f"{owner}.lock").mkdir()

        code, out, _ = spool(capsys, path)

        assert code == 0
        assert "2 segments, 2 rows" in out
        assert [line.split()[-1] for line in out.splitlines()[3:5]] == ["alive", "dead"]

    def test_a_segment_without_a_lock_or_from_the_future_is_listed(self, path, capsys):
        """The owner's lock has been removed, and the segment's time is in the future."""
        path.mkdir()
        target = Target(endpoint="https://a.example", rule_id="dcr-1", stream="Custom-A", cloud="public")
        path.joinpath(segment_name(4e9, new_owner(), 1)).write_bytes(target.header() + b"{}\n")
        assert spool(capsys, path)[1].splitlines()[3].split()[-3:] == ["0", "s", "dead"]


class TestSend:
    def test_send_delivers_the_rows_of_dead_processes(self, endpoint, path, capsys):
        """The rows of each target go to that target, and none are left."""
        leave(endpoint, path, *range(300))
        leave(endpoint, path, "audit", stream="Custom-Audit_CL")

        code, out, err = spool(capsys, path, "--send")

        assert (code, err) == (0, "")
        assert f"Custom-App_CL of dcr-1 at {endpoint.url}: 300 rows\n" in out
        assert "300 of 300 rows delivered\n" in out
        assert "1 of 1 row delivered\n" in out
        assert sent(endpoint) == sorted([*map(str, range(300)), "audit"])
        assert list(path.iterdir()) == []
        assert spool(capsys, path, "--send") == (0, "There is nothing to send.\n", "")

    def test_send_refuses_where_sending_is_switched_off(self, endpoint, path, capsys, monkeypatch):
        """The rows stay where they are; looking at them is allowed."""
        leave(endpoint, path, "row")
        before = len(endpoint.requests)
        monkeypatch.setenv("LOGGING_AZMON_DISABLED", "1")
        code, _, err = spool(capsys, path, "--send")

        assert (code, len(endpoint.requests)) == (2, before)
        assert "LOGGING_AZMON_DISABLED=1 switches the handler off, so that no row is sent: remove it first" in err
        assert "1 segment, 1 row" in spool(capsys, path)[1]

    def test_send_delivers_the_rows_of_more_owners_than_one_adoption_takes(self, endpoint, path, capsys):
        for number in range(20):
            leave(endpoint, path, f"row {number}")
        assert spool(capsys, path, "--send")[0] == 0
        assert len(endpoint.rows) == 20

    def test_send_leaves_the_rows_of_live_processes(self, endpoint, path, capsys):
        leave(endpoint, path, "row")
        (segment,) = path.glob("*-*.ndjson")
        lock = FileLock.take(str(next(path.glob("*.lock"))))
        assert spool(capsys, path, "--send")[1] == "There is nothing to send.\n"
        assert segment.exists()
        lock.release()

    def test_send_reports_rejected_and_torn_rows(self, endpoint, path, capsys):
        leave(endpoint, path, "bad")
        (segment,) = path.glob("*-*.ndjson")
        with segment.open("ab") as file:
            file.write(b'{"torn')
        endpoint.default = POISON
        code, out, err = spool(capsys, path, "--send")
        assert code == 0
        assert "\r0 of 1 row delivered, 1 rejected, 1 could not be read\n" in out
        assert "1 row rejected: 400" in err

    def test_stopping_send_reports_the_targets_with_rows_left(self, endpoint, path, capsys):
        leave(endpoint, path, "row")

        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

        def stop(_):
            if not timer.ident:
                timer.start()
            return status(503)

        endpoint.default = stop
        code, out, err = spool(capsys, path, "--send")
        assert code == 1
        assert "0 of 1 row delivered" in out
        assert f"logging-azmon spool: rows for Custom-App_CL of dcr-1 at {endpoint.url} are still in the spool\n" in err
        assert len(list(path.glob("*-*.ndjson"))) == 1

    def test_a_target_that_a_handler_would_refuse_is_reported(self, path, capsys):
        path.mkdir()
        target = Target(endpoint="http://far.example", rule_id="dcr-1", stream="Custom-A", cloud="public")
        path.joinpath(segment_name(0, new_owner(), 1)).write_bytes(target.header() + b"{}\n")
        code, _, err = spool(capsys, path, "--send")
        assert code == 1
        assert "would send a token in clear text" in err

    def test_progress_is_shown_on_a_terminal(self, endpoint, path):
        leave(endpoint, path, *range(3))
        reader, writer = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "logging_azmon", "spool", path, "--send"], stdout=writer, timeout=60, check=False
        )
        os.close(writer)
        shown = os.read(reader, 10_000).decode()
        os.close(reader)
        assert done.returncode == 0
        assert "\r3 of 3 delivered" in shown

    def test_a_report_on_a_terminal_begins_on_a_cleared_line(self, endpoint, path):
        """It does not run on from the progress, and breaks between words."""
        leave(endpoint, path, "row")
        answers = iter([status(503)] * 3)
        endpoint.default = lambda _: next(answers, STORED)
        reader, writer = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "logging_azmon", "spool", path, "--send"],
            env=os.environ | {"COLUMNS": "80"},
            stdout=writer,
            stderr=writer,
            timeout=60,
            check=False,
        )
        os.close(writer)
        shown = os.read(reader, 10_000).decode().replace("\r\n", "\n")
        os.close(reader)
        assert done.returncode == 0
        assert shown.count("logging-azmon spool: ") == shown.count("\r\x1b[Klogging-azmon spool: ") >= 3
        assert "0 of 1 delivered\r\x1b[K" in shown
        assert max(len(line) for line in re.split(r"[\r\n]", shown) if "logging-azmon" in line) <= 80 + len("\x1b[K")


class TestRetryRejected:
    def reject(self, endpoint, path, *rows):
        endpoint.default = POISON
        log(endpoint, path, *rows)
        endpoint.default = STORED

    def test_retry_rejected_queues_rows_and_send_delivers_them(self, endpoint, path, capsys):
        self.reject(endpoint, path, "a", "b")
        code, out, err = spool(capsys, path, "--retry-rejected", "--send")
        assert (code, err) == (0, "")
        assert out.startswith("2 rejected rows queued again.\n")
        assert sent(endpoint) == ["a", "b"]
        assert list(path.rglob("*.ndjson")) == []

    def test_requeued_rows_are_adopted_by_the_next_process(self, endpoint, path, capsys):
        self.reject(endpoint, path, "a")
        assert "1 rejected row queued again.\n" in spool(capsys, path, "--retry-rejected")[1]
        assert log(endpoint, path).stats().adopted == 1
        assert sent(endpoint) == ["a"]

    def test_many_rejected_rows_become_several_segments(self, endpoint, path, capsys):
        folder = path / "rejected"
        folder.mkdir(parents=True)
        target = {"endpoint": endpoint.url, "rule_id": "dcr-1", "stream": "Custom-App_CL", "cloud": "public"}
        row = {"target": target, "answer": {}, "row": {"Message": "x" * 400_000}}
        folder.joinpath("a.ndjson").write_text(f"{json.dumps(row)}\n" * 5)
        spool(capsys, path, "--retry-rejected")
        assert len(list(path.glob("*-*.ndjson"))) == 3

    def test_an_unreadable_rejected_line_is_left(self, endpoint, path, capsys):
        self.reject(endpoint, path, "a")
        (kept,) = path.glob("rejected/*.ndjson")
        with kept.open("a") as file:
            file.write("[]\nhello\n")
        assert "        2  a line that cannot be read\n" in spool(capsys, path)[1]
        code, out, err = spool(capsys, path, "--retry-rejected")
        assert (code, out) == (1, "1 rejected row queued again.\n")
        assert err == "logging-azmon spool: 2 lines in rejected/ cannot be read\n"
        assert kept.read_text() == "[]\nhello\n"

    def test_retry_rejected_without_rejected_rows_queues_none(self, endpoint, path, capsys):
        leave(endpoint, path, "row")
        assert spool(capsys, path, "--retry-rejected")[1].startswith("0 rejected rows queued again.\n")

    def test_retry_rejected_waits_for_the_lock_and_gives_up(self, endpoint, path, capsys, monkeypatch):
        self.reject(endpoint, path, "a")
        monkeypatch.setattr("logging_azmon.cli.spool.contents._LOCK_SECONDS", 0.01)
        lock = FileLock.take(str(path / "rejected" / "lock"))
        code, _, err = spool(capsys, path, "--retry-rejected")
        lock.release()
        assert code == 2
        assert "is locked by another process" in err
