"""The command `logging-azmon send` turns every line into a row, or reports the line and keeps it."""

# ruff: noqa: SLF001 - tests of internal functions

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline, Table
from logging_azmon._config.presets import preset
from logging_azmon._delivery.answer import Answer
from logging_azmon._pipeline.bulk import Bulk
from logging_azmon._spool.file_lock import FileLock
from logging_azmon.cli import main
from logging_azmon.cli._shared.interrupts import Interrupts
from logging_azmon.cli.send import command
from logging_azmon.cli.send.lines import MAX_LINE_BYTES, Lines
from logging_azmon.cli.send.mapping import Mapper, import_table, read_time
from logging_azmon.cli.send.progress import ProgressDisplay
from logging_azmon.local import Workspace
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import FakeDestination, ManualClock

LIMIT = 60.0
PLACE = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as running:
        # The first upload of a process imports the SDK, which can take longer than a time limit of a test.
        handler = AzureMonitorHandler(running.endpoint, running.rule_id, running.stream)
        handler.handle(logging.makeLogRecord({"msg": "first"}))
        assert handler.flush(LIMIT)
        handler.close()
        yield running


@pytest.fixture
def send(workspace, tmp_path, monkeypatch, capsys):
    """Send lines by the command; return its exit code, its output, and the rows that have arrived."""
    monkeypatch.chdir(tmp_path)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)

    def run(lines, *words, name="app.ndjson"):
        data = (
            lines
            if isinstance(lines, bytes)
            else "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines).encode()
        )
        before = len(workspace.rows("App_CL"))
        if name == "-":
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        else:
            tmp_path.joinpath(name).write_bytes(data)
        code = main(["send", name, *words])
        return code, capsys.readouterr(), workspace.rows("App_CL")[before:]

    return run


def mapped(entry, columns="default", *, number=1, now=None):
    """Map an entry and encode it, as the command does; return the row and the mapper."""
    table = preset(columns) if isinstance(columns, str) else Table.from_mapping(columns)
    pipeline = Pipeline(**PLACE, columns=import_table(table))
    mapper = Mapper(import_table(table), table, "file", time.time() if now is None else now)
    row = json.loads(Bulk(lifecycle_of(pipeline)).encode(mapper(entry, number)))
    pipeline.close()
    return row, mapper


@pytest.mark.parametrize("key", ["level", "levelname", "severity"])
def test_a_column_by_a_log_records_name_takes_the_entrys_level(key):
    """The handler's table may say `levelname` for it."""
    columns = {"Level": "levelname", "Logger": "name", "Text": "message"}
    row, _ = mapped({key: "warning", "logger": "shop", "msg": "hi"}, columns)

    assert row == {"Level": "WARNING", "Logger": "shop", "Text": "hi"}


def test_a_column_for_the_service_takes_the_entrys_own(monkeypatch):
    """The process that sends is another service."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "sender")
    columns = {"Service": "service_name", "Text": "message"}

    assert mapped({"msg": "hi", "service_name": "shop"}, columns)[0] == {"Service": "shop", "Text": "hi"}
    assert mapped({"msg": "hi", "Service": "shop"}, columns)[0] == {"Service": "shop", "Text": "hi"}
    assert mapped({"msg": "hi"}, columns)[0] == {"Text": "hi"}


class TestCommand:
    def test_keys_go_to_their_columns_and_times_are_kept(self, send):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60)) + ".25Z"
        code, said, rows = send([{"timestamp": moment, "level": "warn", "logger": "shop", "msg": "hi", "order": 7}])

        assert code == 0
        assert rows[0]["TimeGenerated"].isoformat().startswith(moment[:-4])
        assert [rows[0][name] for name in ("Level", "Logger", "Message", "Properties", "Sequence")] == [
            *("WARNING", "shop", "hi", {"order": 7}, 0)
        ]
        assert said.out.startswith("1 row = 1 delivered + 0 rejected + 0 not delivered\n")

    def test_a_plain_text_line_becomes_a_message(self, send):
        _, _, rows = send(b"\xef\xbb\xbffirst {\r\n\n[second] \xff\n", name="-")

        assert [row["Message"] for row in rows] == ["first {", "[second] \ufffd"]

    def test_bad_lines_are_reported_and_kept_unchanged(self, send, tmp_path):
        code, said, rows = send(['{"msg": "a"}', "", "oops {", "[1]", '{"msg": "b"}'])

        assert (code, len(rows)) == (1, 2)
        assert re.search(r"line 3 is not valid JSON \([\w ]+(, .*)?, column 1\): oops {", said.err)
        assert "line 4 is JSON, but not an object: [1]" in said.err
        assert "2 bad lines are kept in app.ndjson.bad: 3, 4\n" in said.out
        assert tmp_path.joinpath("app.ndjson.bad").read_bytes() == b"oops {\n[1]\n"

    def test_kept_copies_are_readable_by_their_owner_alone(self, send, workspace, tmp_path):
        """They are copies of a log; a file of another mode is corrected."""
        for name in ("app.ndjson.bad", "app.ndjson.rejected"):
            tmp_path.joinpath(name).touch(0o644)
        workspace.fault("400*2")
        send([{"msg": "a"}, "{"], "--spool", "spool")

        kept = list(tmp_path.glob("app.ndjson.*"))
        assert {path.suffix for path in kept} == {".bad", ".rejected", ".position"}
        assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}

    @pytest.mark.parametrize("suffix", ["bad", "rejected"])
    def test_kept_copies_follow_no_links(self, send, tmp_path, capsys, suffix):
        """A link, which somebody else may have put into a shared directory, is refused before anything is sent."""
        tmp_path.joinpath(f"app.ndjson.{suffix}").symlink_to(tmp_path / "victim")
        code, said, rows = send(["{"])

        assert (code, rows) == (2, [])
        assert f"app.ndjson.{suffix} is a symbolic link: lines are not kept there" in said.err
        assert not tmp_path.joinpath("victim").exists()

    def test_a_file_for_copies_that_cannot_be_written_is_reported(self, send, tmp_path, monkeypatch):
        """A directory in its place, another user's file, and a link that appears at the last moment."""
        tmp_path.joinpath("app.ndjson.bad").mkdir()
        assert "app.ndjson.bad is not a regular file" in send(["{"])[1].err
        tmp_path.joinpath("app.ndjson.bad").rmdir()

        tmp_path.joinpath("app.ndjson.bad").touch()
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            assert "app.ndjson.bad belongs to another user" in send(["{"])[1].err
        tmp_path.joinpath("app.ndjson.bad").unlink()

        monkeypatch.setattr(command.KeptLines, "problems", lambda _: iter(()))
        tmp_path.joinpath("app.ndjson.bad").symlink_to(tmp_path / "victim")
        code, said, _ = send(['{"msg": "a"}', "{"])
        assert code == 2
        assert "app.ndjson.bad cannot be written: " in said.err

    def test_a_directory_that_cannot_hold_the_position_is_reported(self, send, tmp_path, monkeypatch):
        """Without a position the next run would send everything again."""

        def refused(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("logging_azmon.cli.send.position.FileLock.take", refused)
        code, said, _ = send(["{}"], "--spool", "spool")
        assert code == 2
        assert "--keep . cannot be used: Permission denied" in said.err

    def test_only_the_first_of_many_bad_lines_are_reported(self, send, tmp_path):
        _, said, _ = send(["{"] * 30, "--keep", str(tmp_path))

        assert said.err.count("is not valid JSON") == 10
        assert "further bad lines go to" in said.err
        assert said.out.rstrip().endswith("19, 20, …")

    def test_sending_a_file_twice_gives_equal_instance_and_sequence(self, send):
        first, second = (send([{"msg": "x"}, {"msg": "y"}])[2] for _ in range(2))

        marks = [[(row["Instance"], row["Sequence"]) for row in rows] for rows in (first, second)]
        assert marks[0] == marks[1]
        assert [sequence for _, sequence in marks[0]] == [0, 1]
        other = send([{"msg": "x"}], name="other.ndjson")[2]
        assert other[0]["Instance"] != marks[0][0][0]

    def test_skip_leaves_out_the_first_lines(self, send):
        _, _, rows = send([{"msg": "a"}, "{", {"msg": "c"}], "--skip", "2")

        assert [(row["Message"], row["Sequence"]) for row in rows] == [("c", 2)]
        assert send([{"msg": "a"}], "--skip", "9")[2] == []

    def test_rejected_rows_are_kept(self, send, workspace, tmp_path):
        workspace.fault("400*2")
        code, said, rows = send([{"msg": "a"}])

        assert (code, rows) == (1, [])
        assert "0 delivered + 1 rejected" in said.out
        assert "kept in app.ndjson.rejected: send that file once the rule is corrected" in said.out
        workspace.clear_faults()
        assert json.loads(tmp_path.joinpath("app.ndjson.rejected").read_bytes())["Message"] == "a"

    def test_send_waits_for_an_outage_to_end_and_reports_it(self, send, workspace):
        workspace.fault("503*2,retry-after=1")
        code, said, rows = send([{"msg": "a"}])

        assert (code, len(rows)) == (0, 1)
        assert "outage: 503 from" in said.err
        assert "recovered: " in said.err

    def test_timeout_limits_the_wait_for_an_outage_to_end(self, send, workspace):
        workspace.fault("503*1000")
        code, said, _ = send([{"msg": "a"}, {"msg": "b"}], "--timeout", "0.2")
        workspace.clear_faults()

        assert code == 1
        assert "2 rows = 0 delivered + 0 rejected + 2 not delivered" in said.out
        assert (
            "every line up to 0 is delivered or kept. Continue with: logging-azmon send app.ndjson --skip 0" in said.out
        )

    def test_rows_of_the_past_keep_their_original_time(self, send):
        _, said, rows = send([{"time": "2020-01-02T03:04:05Z", "msg": "old"}])

        assert rows[0]["Properties"] == {"OriginalTime": "2020-01-02T03:04:05.000000Z"}
        assert "1 row from more than two days ago" in said.out

    def test_keys_without_a_column_are_reported_if_no_column_takes_the_rest(self, send):
        _, said, _ = send([{"msg": "a", "order": 1}], "--columns", '{"Message": "message"}')

        assert "left out, as no column takes them: order;" in said.out

    def test_values_that_do_not_fit_their_column_are_reported(self, send):
        _, said, rows = send([{"msg": "a", "line": "many"}])

        assert rows[0]["Properties"] == {"line": "many"}
        assert "1 value did not fit the column: moved to the column for * instead" in said.out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["none.log"], "none.log cannot be read: No such file or directory"),
            (["-", "--keep", "nowhere"], "--keep nowhere is not a directory"),
            (["-", "--stream", "App"], "stream='App' is not accepted"),
        ],
    )
    def test_a_configuration_error_is_a_usage_error(self, send, capsys, words, said):
        assert main(["send", *words]) == 2
        assert said in capsys.readouterr().err

    def test_lines_are_not_dropped_in_silence_where_sending_is_switched_off(self, send, monkeypatch):
        """The command says so, and does not begin."""
        monkeypatch.setenv("LOGGING_AZMON_DISABLED", "1")
        code, said, rows = send([{"message": "hello"}])

        assert (code, rows) == (2, [])
        assert "LOGGING_AZMON_DISABLED=1 switches the handler off" in said.err

    @pytest.mark.parametrize("words", [["--skip=-1"], ["--timeout=-1"], ["--timeout=soon"]])
    def test_skip_and_timeout_accept_only_numbers(self, words, capsys):
        with pytest.raises(SystemExit):
            main(["send", "-", *words])
        assert "is not a number of" in capsys.readouterr().err


class TestBackPressure:
    def test_reading_waits_for_room_and_nothing_is_dropped(self, send, workspace, monkeypatch, tmp_path):
        """Memory is bounded by queue_bytes, which is far less than the file."""
        workspace.fault("503*3,retry-after=1")
        monkeypatch.syspath_prepend(str(tmp_path))
        settings = {"class": "logging_azmon.AzureMonitorHandler", "queue_bytes": 20_000, "batch_bytes": 10_000}
        tmp_path.joinpath("logging.json").write_text(json.dumps({"handlers": {"azure": settings}}), "utf-8")
        most = []
        put_within = Bulk.put_within

        def watched(self, line, seconds):
            most.append(self._lifecycle.queue._store.used_bytes)
            return put_within(self, line, seconds)

        monkeypatch.setattr(Bulk, "put_within", watched)
        code, _, rows = send([{"msg": "x" * 200, "n": n} for n in range(1_000)], "--config", "logging.json")

        assert code == 0
        assert sorted(row["Sequence"] for row in rows) == list(range(1_000))
        assert 15_000 < max(most) <= 20_000

    def test_a_row_that_finds_no_room_in_time_is_not_counted(self):
        with FakeDestination(*[Answer(status=503)] * 50) as destination:
            clock = ManualClock(jumps=True)
            pipeline = Pipeline(
                **PLACE, destination=destination, clock=clock, background=False, queue_bytes=9_000, batch_bytes=4_096,
                report=lambda _: None,
            )  # fmt: skip
            bulk = Bulk(lifecycle_of(pipeline))
            taken = sum(bulk.put_within(b'{"a":"%b"}\n' % (b"x" * 90), 1.0) for _ in range(200))
            stats = pipeline.stats()
            assert 80 < taken == stats.accepted < 100
            assert not stats.dropped
            assert bulk.settled_count() == 0
            pipeline.close(0)


class TestCtrlC:
    def test_ctrl_c_reports_the_last_settled_line_and_how_to_continue(self, tmp_path):
        """The lines come from an endless pipe; rows that were read are delivered first."""
        with Workspace() as workspace:
            words = [sys.executable, "-m", "logging_azmon", "send", "-"]
            environ = {**os.environ, **workspace.environment}
            with subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environ
            ) as process:
                process.stdin.write(b'{"msg": "a"}\n{"msg": "b"}\n')
                process.stdin.flush()
                workspace.wait_for("App_CL", rows=2, timeout=LIMIT)
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=LIMIT)

        assert process.returncode == 130
        assert b"2 rows = 2 delivered" in out
        assert b"Stopped: 2 lines were read; every line up to 2 is delivered or kept.\n" in out

    def test_a_second_ctrl_c_ends_the_wait_for_undelivered_rows(self, send, workspace, monkeypatch):
        workspace.fault("503*1000")
        heard = threading.Event()
        finish = command._Sender._finish

        def interrupted(self, show, interrupts):
            interrupts.stopped.set()
            timer = threading.Timer(0.5, interrupts.stopped.set)
            timer.start()
            try:
                finish(self, show, interrupts)
            finally:
                timer.cancel()
                heard.set()

        monkeypatch.setattr(command._Sender, "_finish", interrupted)
        code, said, _ = send([{"msg": "a"}])
        workspace.clear_faults()

        assert heard.is_set()
        assert code == 130
        assert "Continue with: logging-azmon send app.ndjson --skip 0" in said.out

    def test_ctrl_c_outside_a_read_only_sets_the_event(self):
        with Interrupts().installed() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupts.stopped.wait(LIMIT)
            with pytest.raises(KeyboardInterrupt), interrupts:
                pytest.fail("there is no reading any more")

    def test_ctrl_c_between_two_lines_ends_the_reading(self, send, monkeypatch):
        def begun(self):
            os.kill(os.getpid(), signal.SIGINT)
            return iter(())

        monkeypatch.setattr(Lines, "__iter__", begun)
        code, said, _ = send([{"msg": "a"}])

        assert code == 130
        assert "every line up to 0" in said.out

    def test_ctrl_c_ends_the_wait_for_room(self, send, monkeypatch):
        def full(self, line, seconds):
            os.kill(os.getpid(), signal.SIGTERM)
            return False

        monkeypatch.setattr(Bulk, "put_within", full)
        code, said, _ = send([{"msg": "a"}])

        assert code == 130
        assert "every line up to 0" in said.out

    @pytest.mark.parametrize(("settled", "line"), [(0, 2), (1, 3), (2, 6), (3, 7), (9, 7)])
    def test_the_settled_line_counts_bad_lines(self, settled, line):
        """Rows 0 to 2 were lines 3, 4 and 7; the first two lines were left out."""
        sending = command._Sender.__new__(command._Sender)
        sending._shifts = command.deque([(0, 3), (2, 5)])
        sending._rows, sending._last_line = 3, 7

        assert sending._settled_line(settled) == line


class TestSpool:
    def test_with_a_spool_the_same_command_continues_where_it_stopped(self, send, workspace, tmp_path):
        """Rows that were read are on disk; the next run delivers them, and reads the remaining lines."""
        workspace.fault("503*1000")
        lines = [{"msg": f"{number}"} for number in range(3)]
        code, said, rows = send(lines, "--spool", "spool", "--timeout", "0.2")
        workspace.clear_faults()
        assert (code, rows) == (1, [])
        assert "3 lines were read and kept in spool. The same command delivers them, then reads on" in said.out
        assert "left in the spool" in said.out

        code, said, rows = send([*lines, {"msg": "3"}], "--spool", "spool")
        assert code == 0
        assert sorted(row["Sequence"] for row in rows) == [0, 1, 2, 3]
        assert said.out.startswith("1 row and 3 from before = 4 delivered")

    def test_a_finished_run_is_remembered_and_only_appended_lines_are_sent(self, send):
        """A cron job that runs the command again and again sends each line once."""
        lines = [{"msg": "0"}, "{", "", {"msg": "1"}]
        assert len(send(lines, "--spool", "spool")[2]) == 2

        code, said, rows = send(lines, "--spool", "spool")
        assert (code, rows) == (0, [])
        assert said.out.startswith("0 rows = 0 delivered")
        assert re.search(r"^4 lines were sent before; .*delete app\.ndjson\.\w{8}\.position$", said.out, re.MULTILINE)

        _, _, rows = send([*lines, {"msg": "2"}], "--spool", "spool")
        assert [(row["Message"], row["Sequence"]) for row in rows] == [("2", 3)]

    @pytest.mark.parametrize("form", ["json", "text"])
    def test_a_last_line_that_was_still_being_written_is_read_again(self, send, form):
        """The rest of it would be lost otherwise, and the whole line has the same Sequence."""
        first, second = b'{"msg": "a"}\n{"msg": "b', b'{"msg": "a"}\n{"msg": "bcd"}\n{"msg": "e"}'
        send(first, "--spool", "spool", "--format", form)
        _, _, rows = send(second, "--spool", "spool", "--format", form)

        assert [row["Sequence"] for row in rows] == [1, 2]
        assert send(second, "--spool", "spool", "--format", form)[2] == []

    @pytest.mark.parametrize("line_break", ["\n", "\r\n"])
    def test_a_last_line_that_only_lacked_its_line_break_is_not_sent_again(self, send, line_break):
        """Whoever appends the next line ends it first."""
        send(b"a\nb", "--spool", "spool")
        rows = send(f"a\nb{line_break}c{line_break}".encode(), "--spool", "spool")[2]

        assert [(row["Message"], row["Sequence"]) for row in rows] == [("c", 2)]

    def test_a_file_that_was_cut_off_begins_at_its_first_line(self, send):
        """Log rotation with copytruncate empties a file, whose first line may then be the same again."""
        send(["a", "b", "c"], "--spool", "spool")

        assert [row["Message"] for row in send(["a", "x"], "--spool", "spool")[2]] == ["a", "x"]

    def test_two_files_of_one_name_have_a_position_each(self, send, tmp_path):
        """The directory of --keep is the same for both."""
        tmp_path.joinpath("sub").mkdir()
        names = ("app.log", "sub/app.log", "app.log", "sub/app.log")
        sent = [len(send(["a"], "--spool", "spool", name=name)[2]) for name in names]

        assert sent == [1, 1, 0, 0]

    def test_a_second_run_of_the_same_command_waits_its_turn(self, send, tmp_path, capsys):
        """During an outage, a cron job starts the next run before the first has ended."""
        send(["a"], "--spool", "spool", name="app.log")
        (position,) = tmp_path.glob("*.position")
        lock = FileLock.take(str(position.with_suffix(".lock")))
        assert main(["send", "app.log", "--spool", "spool"]) == 2
        assert "app.log is being sent by another run of this command" in capsys.readouterr().err

        lock.release()
        assert send(["a", "b"], "--spool", "spool", name="app.log")[2][0]["Message"] == "b"
        assert {path.suffix for path in tmp_path.glob("app.log.*")} == {".position"}

    def test_a_run_that_was_interrupted_before_the_first_line_keeps_the_position(self, send, monkeypatch):
        """The position is neither lost nor moved."""
        send(["a", "b"], "--spool", "spool")
        with monkeypatch.context() as patch:
            patch.setattr(Lines, "skip", lambda *_: os.kill(os.getpid(), signal.SIGINT))
            assert send(["a", "b"], "--spool", "spool")[0] == 130

        assert send(["a", "b"], "--spool", "spool")[2] == []

    def test_the_sequence_has_no_gaps_but_for_bad_lines(self, send):
        """The query for missing rows finds nothing in a file that arrived whole, empty lines or not."""
        _, _, rows = send(["a", "", "b", "  ", "c"])

        assert [row["Sequence"] for row in rows] == [0, 1, 2]
        assert [row["Sequence"] for row in send(["a", "", "b", "  ", "c"], "--skip", "2")[2]] == [1, 2]

    def test_the_position_is_saved_while_reading(self, send, monkeypatch):
        noted = []
        monkeypatch.setattr(command, "_SAVE_SECONDS", 0.0)
        monkeypatch.setattr(command.ReadPosition, "write", lambda _, line, end: noted.append((line, end)))
        send([{"msg": "a"}] * 200, "--spool", "spool")

        assert noted[:2] == [(64, 64 * 13), (128, 128 * 13)]
        assert noted[-1] == (200, 200 * 13)

    def test_another_file_of_the_same_name_begins_at_its_first_line(self, tmp_path):
        tmp_path.joinpath("app.log").write_text("a\nb\n", "utf-8")
        with tmp_path.joinpath("app.log").open("rb") as source:
            position = command.ReadPosition(tmp_path, source, "mine")
            for text, lines in (
                ("other 2 4\n", 0),
                ("mine", 0),
                ("mine 2 many", 0),
                ("mine 2 4\n", 2),
                ("mine 0 0", 0),
            ):
                position.path.write_text(text, "utf-8")
                assert position.read() == lines
            position.close()

    def test_a_pipe_is_spooled_without_a_position(self, send, workspace):
        workspace.fault("503*1000")
        _, said, _ = send([{"msg": "a"}], "--spool", "pipe", "--timeout", "0.2", name="-")
        workspace.clear_faults()

        assert "1 line was read and kept in pipe. The same command delivers them.\n" in said.out
        assert len(send([], "--spool", "pipe", name="-")[2]) == 1


class TestProgress:
    def test_without_a_terminal_progress_is_printed_line_by_line(self, send, workspace, monkeypatch):
        monkeypatch.setattr("logging_azmon.cli.send.progress._LINE_SECONDS", 0.0)
        workspace.fault("503,retry-after=1")

        _, said, _ = send([{"msg": "a"}] * 200)
        assert re.search(r"app\.ndjson: \d+ rows delivered, \d+ waiting, [\d,]+ rows/s", said.err)

    @pytest.mark.parametrize("name", ["app.ndjson", "-"])
    def test_a_terminal_shows_a_bar_or_a_spinner(self, send, monkeypatch, name):
        monkeypatch.setenv("FORCE_COLOR", "1")

        _, said, rows = send([{"msg": "a"}] * 200, name=name)
        assert len(rows) == 200
        assert "rows delivered" in said.err

    def test_a_terminal_shows_progress_after_the_end_of_the_file(self, monkeypatch, capsys):
        monkeypatch.setenv("FORCE_COLOR", "1")
        pipeline = Pipeline(**PLACE)
        with ProgressDisplay("file", 10) as show:
            show.progress(pipeline.stats(), None)
        pipeline.close()

        assert "0 rows delivered" in capsys.readouterr().err

    def test_progress_is_not_printed_before_its_interval_is_over(self, send):
        _, said, _ = send([{"msg": "a"}] * 200)

        assert "rows/s" not in said.err

    def test_line_shifts_of_settled_rows_are_forgotten(self, send, monkeypatch):
        """Memory does not grow with the bad lines of a file."""
        kept = []
        look = command._Sender._update

        def looked(self, *args):
            look(self, *args)
            kept.append(len(self._shifts))

        monkeypatch.setattr(command._Sender, "_update", looked)
        monkeypatch.setattr(Bulk, "settled_count", lambda self: 10**9)
        send(["{", {"msg": "a"}] * 100)

        assert kept[0] == 1


class TestLines:
    def test_a_line_that_is_too_long_is_bad_and_the_next_is_not(self):
        data = b"{" + b"x" * (MAX_LINE_BYTES * 2) + b"\n" + b'{"a":1}\n'
        lines = list(Lines(io.BytesIO(data)))

        assert [(line.number, line.entry) for line in lines] == [(1, None), (2, {"a": 1})]
        assert lines[0].problem == f"longer than {MAX_LINE_BYTES:,} bytes"

    def test_skipping_passes_over_lines_that_are_too_long(self):
        lines = Lines(io.BytesIO(b"x" * (MAX_LINE_BYTES + 5) + b"\n{}\n"))
        lines.skip(1)

        assert [line.entry for line in lines] == [{"message": "{}"}]
        assert lines.bytes_read == MAX_LINE_BYTES + 9

    def test_the_format_of_lines_can_be_given(self):
        assert [line.entry for line in Lines(io.BytesIO(b"{}\n"), "text")] == [{"message": "{}"}]
        assert [line.entry for line in Lines(io.BytesIO(b"text " + b"x" * 99), "json")] == [None]


class TestMapping:
    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"message": "m", "level": "Information"}, {"Message": "m", "Level": "INFO"}),
            ({"MSG": "m", "LEVEL": "fatal"}, {"Message": "m", "Level": "CRITICAL"}),
            ({"event": "m", "levelno": 30}, {"Message": "m", "Level": "WARNING"}),
            ({"text": "m", "level": 40}, {"Message": "m", "Level": "ERROR"}),
            ({"msg": "m", "level": "NOTICE", "levelno": 25}, {"Message": "m", "Level": "NOTICE"}),
            ({"msg": "m", "level": True}, {"Message": "m", "Level": "true"}),
            ({"message": "m", "msg": "n"}, {"Message": "m", "Properties": {"msg": "n"}}),
            ({"msg": "n", "message": "m", "text": "t"}, {"Message": "m", "Properties": {"msg": "n", "text": "t"}}),
            ({"Message": "m", "exc_info": "Traceback"}, {"Message": "m", "Exception": "Traceback"}),
            ({"Message": "m", "exc_info": True}, {"Message": "m", "Properties": {"exception": True}}),
            ({"Message": "m", "stack": "S"}, {"Message": "m", "Properties": {"stack": "S"}}),
            ({"Message": "m", "traceId": "t", "span.id": "s"}, {"Message": "m", "TraceId": "t", "SpanId": "s"}),
            ({"Message": "m", "funcName": "f", "lineno": 3}, {"Message": "m", "Function": "f", "Line": 3}),
            ({"Message": "m", "time": "when?"}, {"Message": "m", "Properties": {"time": "when?"}}),
        ],
    )
    def test_keys_find_their_columns_by_usual_names(self, entry, expected):
        row, _ = mapped(entry)
        always = {"TimeGenerated", "Host", "Instance", "Sequence"}

        assert {name: value for name, value in row.items() if name not in always} == expected

    def test_an_entry_keeps_its_own_instance_and_sequence(self):
        row, _ = mapped({"Message": "m", "Host": "web1", "Instance": "i", "Sequence": 7}, number=3)
        assert (row["Host"], row["Instance"], row["Sequence"]) == ("web1", "i", 7)
        row, _ = mapped({"Message": "m", "instance": "i"}, number=3)
        assert (row["Instance"], row["Sequence"]) == ("file", 3)
        row, _ = mapped({"Message": "m"}, {"Message": "message", "Who": "instance"})
        assert row["Who"] == "file"
        assert mapped({"Message": "m"}, {"Message": "message"})[0] == {"Message": "m"}
        assert mapped({"Message": "m"}, {"Message": "message", "No": "sequence"}, number=3)[0]["No"] == 3

    def test_columns_of_every_kind_of_source_are_filled(self):
        columns = {
            "Text": "message",
            "DurationMs": "duration_ms:real",
            "Region": "cloud.region",
            "Release": {"value": "1.4.2"},
            "Length": {"field": len, "type": "int"},
            "Severity": "syslog_severity",
            "Kind": "exception_type",
        }
        entry = {
            "msg": "m",
            "duration_ms": 2.5,
            "cloud": {"region": "north"},
            "Length": 9,
            "level": "ERROR",
            "kind": "K",
        }
        row, mapper = mapped(entry, columns)

        assert row == {
            "Text": "m",
            "DurationMs": 2.5,
            "Region": "north",
            "Release": "1.4.2",
            "Length": 9,
            "Severity": "err",
            "Kind": "K",
        }
        assert list(mapper.left_out) == ["cloud"]

    @pytest.mark.parametrize("name", ["default", "lean", "syslog", "common_security_log", "windows_event"])
    def test_every_preset_table_takes_an_entry(self, name):
        row, _ = mapped({"msg": "m", "level": "error"}, name)

        assert "m" in row.values()

    @pytest.mark.parametrize(
        "value", [1_795_168_800, 1_795_168_800_000, 1_795_168_800_000_000, 1_795_168_800_000_000_000, "1795168800.0"]
    )
    def test_times_are_parsed_in_every_unit(self, value):
        assert read_time(value) == 1_795_168_800.0

    @pytest.mark.parametrize("value", [None, True, "soon", "nan", float("inf"), 10**30, [1]])
    def test_a_value_that_is_not_a_time_gives_none(self, value):
        assert read_time(value) is None

    def test_times_in_the_future_count_as_replaced(self):
        row, mapper = mapped(
            {"msg": "m", "ts": 300_000}, {"Message": "message", "TimeGenerated": "time"}, now=100_000.0
        )

        assert row["TimeGenerated"] == "1970-01-04T11:20:00.000000Z"
        assert mapper.old == 1


class TestJournal:
    ENTRY: ClassVar = {
        "__CURSOR": "s=1",
        "__REALTIME_TIMESTAMP": "1795207000123456",
        "_SYSTEMD_UNIT": "ssh.service",
        "_HOSTNAME": "web1",
        "_PID": "812",
        "_CMDLINE": "sshd -D",
        "PRIORITY": "3",
        "MESSAGE": "refused",
        "CODE_LINE": "77",
        "USER_UNIT": "u",
    }

    def test_a_journal_entry_fills_the_columns(self):
        row, _ = mapped(self.ENTRY, now=1_795_207_000.0)

        assert row == {
            "TimeGenerated": "2026-11-20T20:36:40.123456Z",
            "Level": "ERROR",
            "Logger": "ssh.service",
            "Message": "refused",
            "Host": "web1",
            "ProcessId": 812,
            "Line": 77,
            "Instance": "file",
            "Sequence": 1,
            "Properties": {"USER_UNIT": "u"},
        }

    def test_a_column_may_name_a_field_of_the_journal_itself(self):
        assert mapped(self.ENTRY, {"Message": "message", "Command": "_CMDLINE"})[0]["Command"] == "sshd -D"

    @pytest.mark.parametrize(
        ("more", "column", "value"),
        [
            ({"MESSAGE": [104, 105, 255]}, "Message", "hi\ufffd"),
            ({"MESSAGE": None}, "Message", None),
            ({"MESSAGE": ["a", "b"]}, "Message", '["a","b"]'),
            ({"_SYSTEMD_UNIT": None, "SYSLOG_IDENTIFIER": "cron"}, "Logger", "cron"),
            ({"PRIORITY": "9"}, "Level", "INFO"),
            ({"PRIORITY": "7"}, "Level", "DEBUG"),
            ({"_PID": "x"}, "ProcessId", None),
            ({"__REALTIME_TIMESTAMP": "x"}, "Level", "ERROR"),
        ],
    )
    def test_unusual_journal_entries_are_converted(self, more, column, value):
        assert mapped(self.ENTRY | more)[0].get(column) == value
