"""The command `logging-azmon tail` shows rows as they arrive, and neither loses nor repeats one."""

# ruff: noqa: SLF001 - tests of internal functions

import datetime as dt
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon import Column, Table
from logging_azmon._config.presets import DEFAULT
from logging_azmon.cli import main
from logging_azmon.cli._shared.console import has_lost_reader
from logging_azmon.cli._shared.interrupts import Interrupts
from logging_azmon.cli._shared.workspace import Result, WorkspaceAddress, WorkspaceQueryError
from logging_azmon.cli.tail.columns import RowFilter, find_roles, format_row
from logging_azmon.cli.tail.command import table_name
from logging_azmon.cli.tail.follow import PolledTable, StreamedTable, _read
from logging_azmon.cli.tail.window import INGESTED, Window
from logging_azmon.local import Workspace
from support.endpoint import Endpoint, status
from support.local_client import send

LIMIT = 30.0
START = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
ROLES = find_roles([column.name for column in DEFAULT], None)


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as running:
        rows = [
            {"Level": level, "Logger": logger, "Message": f"{level} of {logger}", "Exception": "ValueError: no"}
            for level in ("DEBUG", "INFO", "WARNING", "ERROR")
            for logger in ("shop", "shop.web", "shopping")
        ]
        assert send(running, rows).status == 204
        running.wait_for("App_CL", rows=len(rows))
        yield running


class Following:
    """Read what the command prints, line by line, with a limit."""

    def __init__(self, workspace, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logging_azmon", "tail", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **workspace.environment},
        )
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for text in self.process.stdout:
            self._lines.put(json.loads(text)["Message"])

    def take(self, number):
        return [self._lines.get(timeout=LIMIT) for _ in range(number)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class TestCommand:
    def test_the_last_rows_come_first_then_each_new_row_once_until_ctrl_c(self):
        with Workspace() as workspace:
            send(workspace, [{"Message": f"old {number}"} for number in range(5)])
            workspace.wait_for("App_CL", rows=5)
            with Following(workspace, "-n", "2") as following:
                assert following.take(2) == ["old 3", "old 4"]
                for start in range(0, 30_000, 6_000):
                    send(workspace, [{"Message": f"{number}"} for number in range(start, start + 6_000)])
                assert sorted(map(int, following.take(30_000))) == list(range(30_000))
                following.process.send_signal(signal.SIGINT)
                assert following.process.wait(LIMIT) == 130
                assert following.process.stderr.read().decode().startswith("Following App_CL of http://127.0.0.1:")

    def test_tail_ends_when_its_reader_is_gone_even_without_new_rows(self, workspace):
        words = [sys.executable, "-m", "logging_azmon", "tail", "-n", "1"]
        reading, writing = os.pipe()
        with subprocess.Popen(words, stdout=writing, env={**os.environ, **workspace.environment}) as process:
            os.close(writing)
            assert b"ERROR of shopping" in os.read(reading, 10_000)
            os.close(reading)
            assert process.wait(LIMIT) == 0

    def test_tail_ends_when_the_workspace_ends(self):
        with Workspace() as workspace:
            following = Following(workspace)
            assert b"Following" in following.process.stderr.readline()
        with following:
            assert following.process.wait(LIMIT) == 1
            assert b"logging-azmon tail: http://127.0.0.1" in following.process.stderr.read()

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["--endpoint", "http://127.0.0.1:9", "App_CL"], 1, "is `logging-azmon serve` running there?"),
            (
                ["--endpoint", "http://127.0.0.1:9"],
                2,
                "the table is missing: give its name, or --stream, or set ",
            ),
            (["--endpoint", "http://127.0.0.1:9", "a|b"], 2, "table 'a|b' is not a table name"),
        ],
    )
    def test_usage_and_connection_errors_are_reported(self, monkeypatch, capsys, words, code, said):
        monkeypatch.delenv("LOGS_DCR_STREAM_NAME", raising=False)

        assert main(["tail", *words]) == code
        assert said in capsys.readouterr().err

    def test_a_missing_table_is_reported(self, workspace, capsys):
        assert main(["tail", "None_CL", "--endpoint", workspace.endpoint]) == 1
        assert "named 'None_CL'" in capsys.readouterr().err

    @pytest.mark.parametrize("lines", ["-1", "x", "5000", "9" * 5_000])
    def test_lines_accepts_only_whole_numbers_in_range(self, capsys, lines):
        with pytest.raises(SystemExit):
            main(["tail", f"--lines={lines}"])
        assert f"{lines!r} is not a number of rows from 0 to 1,000" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("named", "given", "environ", "table"),
        [
            ("T_CL", {}, {}, "T_CL"),
            (None, {"stream": "Custom-App"}, {}, "App_CL"),
            (None, {}, {"LOGS_DCR_STREAM_NAME": "Custom-App_CL"}, "App_CL"),
            (None, {}, {"LOGS_DCR_STREAM_NAME": "Custom-App_CL", "LOGGING_AZMON_STREAM": "Custom-Shop"}, "Shop_CL"),
            (None, {}, {"LOGGING_AZMON_STREAM": "Custom-Log", "LOGGING_AZMON_COLUMNS": "syslog"}, "Syslog"),
            (None, {"stream": "Microsoft-Syslog"}, {}, "Syslog"),
        ],
    )
    def test_the_default_table_follows_from_the_stream(self, named, given, environ, table):
        assert table_name(named, given, environ) == table

    def shown(self, workspace, monkeypatch, capsys, *words):
        """Run the command in this process until it has shown the existing rows."""
        monkeypatch.setattr(StreamedTable, "rows", shortened(StreamedTable.rows))
        words = ["App_CL", "--endpoint", workspace.endpoint, *words]
        assert main(["tail", *words]) == 130
        return capsys.readouterr().out.splitlines()

    def test_each_row_is_printed_as_a_line(self, workspace, monkeypatch, capsys):
        out = self.shown(workspace, monkeypatch, capsys, "--level", "error", "--logger", "shop", "-n", "1")

        assert [text[13:] for text in out[:1]] == ["ERROR    shop.web ERROR of shop.web"]
        assert out[1] == "    ValueError: no"

    def test_on_a_terminal_each_day_begins_with_its_date(self, workspace, monkeypatch, capsys):
        monkeypatch.setenv("FORCE_COLOR", "1")
        out = self.shown(workspace, monkeypatch, capsys)

        assert len([text for text in out if text.removeprefix("\x1b[1m").startswith("20") and "UTC" in text]) == 1

    def test_given_columns_assign_the_roles(self, workspace, monkeypatch, capsys):
        columns = '{"TimeGenerated": "time", "Message": "level", "Level": "message"}'
        out = self.shown(
            workspace, monkeypatch, capsys, "--columns", columns, "--grep", "WARN", "--stream", "Custom-App"
        )

        assert len(out) == 6
        assert " WARNING of shop " in out[0]

    def test_a_filter_without_its_column_is_refused(self, workspace, capsys):
        assert main(["tail", "DCRLogErrors", "--endpoint", workspace.endpoint, "--level", "INFO"]) == 2
        assert "--level has no column to filter by in this table" in capsys.readouterr().err

    @pytest.mark.parametrize(("is_terminal", "end"), [(True, "ends it.\n\n"), (False, "ends it.\n")])
    def test_ctrl_c_leaves_the_prompt_on_its_own_line(self, workspace, monkeypatch, capsys, is_terminal, end):
        """A terminal writes ^C where the cursor is."""

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setattr("logging_azmon.cli.tail.follow.StreamedTable.rows", interrupted)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)

        assert main(["tail", "App_CL", "--endpoint", workspace.endpoint]) == 130
        assert capsys.readouterr().err.endswith(end)

    def test_a_workspace_in_azure_is_polled(self, monkeypatch, capsys):
        """The filter is part of the query."""
        asked = []

        def query(_, kql, *__):
            asked.append(kql)
            if "take 0" in kql:
                return Result(
                    names=["TimeGenerated", "Level", "Message"], kinds=["datetime", "string", "string"], rows=[]
                )
            if kql.startswith("print"):
                return Result(names=["Now"], kinds=["datetime"], rows=[[START]])
            if len(asked) > 4:
                raise KeyboardInterrupt
            rows = [["WARNING", "came", START]] if len(asked) == 4 else []
            return Result(names=["Level", "Message", INGESTED], kinds=["string", "string", "datetime"], rows=rows)

        monkeypatch.setattr("logging_azmon.cli._shared.workspace.WorkspaceClient.query", query)
        monkeypatch.setattr("logging_azmon.cli.tail.command.POLL_SECONDS", 0.001)
        guid = "11111111-2222-3333-4444-555555555555"
        words = ["tail", "App_CL", "--workspace", guid, "--credential", "azure_cli", "--level", "WARNING"]

        assert main(words) == 130
        assert capsys.readouterr().out.split() == ["WARNING", "came"]
        assert "and ['Level'] in~ (" in asked[2]


def shortened(rows):
    def first(self, interrupts):
        yield next(filter(None, rows(self, interrupts)))
        raise KeyboardInterrupt

    return first


class Source:
    """Stand in for a table in Azure, where rows are ingested at one time and become visible at another."""

    def __init__(self):
        self.now = START
        self.rows = []
        self.asked = []

    def ingest(self, text, *, seen_after=0.0):
        self.rows.append((self.now, self.now + dt.timedelta(seconds=seen_after), text))

    def query(self, kql, *_):
        self.asked.append(kql)
        if kql.startswith("print"):
            return Result(names=["Now"], kinds=["datetime"], rows=[[self.now]])
        number = int(kql.rpartition("top ")[2].split()[0])
        moment = dt.datetime.fromisoformat(kql.partition("datetime(")[2].partition(")")[0])
        seen = [(at, text) for at, visible, text in self.rows if visible <= self.now]
        if kql.endswith("asc"):
            found = sorted((row for row in seen if row[0] >= moment), key=lambda row: row[0])[:number]
        else:
            found = sorted((row for row in seen if row[0] < moment), key=lambda row: row[0], reverse=True)[:number]
        return Result(
            names=["Message", INGESTED], kinds=["string", "datetime"], rows=[[text, at] for at, text in found]
        )


def rows_of(window, source):
    new, is_over = [], False
    while not is_over:
        result = source.query(window.kql())
        rows, is_over = window.take([(at, {"Message": text}) for text, at in result.rows])
        new += [row["Message"] for row in rows]
    return new


class TestWindow:
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 290), st.booleans()), min_size=1, max_size=60
        ),
        st.integers(1, 7),
    )
    def test_every_row_is_shown_once_in_whatever_order_rows_become_visible(self, moves, page_rows):
        """The rows include some of one moment, equal ones, late ones in another order, and more than a page holds."""
        source = Source()
        window = Window("T", "", START, page_rows=page_rows)
        shown = []
        for wait, text, seen_after, is_asking in moves:
            source.now += dt.timedelta(seconds=wait)
            source.ingest(f"{text}", seen_after=seen_after)
            if is_asking:
                shown += rows_of(window, source)
        source.now += dt.timedelta(seconds=300)
        shown += rows_of(window, source)

        assert sorted(shown) == sorted(text for _, _, text in source.rows)
        assert rows_of(window, source) == []

    def test_rows_before_the_overlap_are_forgotten(self):
        source, window = Source(), Window("T", "", START)
        for _ in range(50):
            source.ingest("a")
            source.now += dt.timedelta(minutes=10)
            assert rows_of(window, source) == ["a"]
        assert len(window._known) <= 2


class Stopped:
    """Stand in for an event that is set after a number of waits; each wait runs a step."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        if not self.steps:
            return True
        self.steps.pop(0)()
        return False


class TestPolled:
    def polled(self, source, *, last=2, warn=print):
        return PolledTable(source, "T", "", last=last, seconds=5.0, warn=warn)

    def test_polling_starts_with_the_last_rows_even_older_ones(self):
        source = Source()
        source.now -= dt.timedelta(hours=1)
        for text in ("a", "b"):
            source.ingest(text)
            source.now += dt.timedelta(seconds=1)
        source.now = START
        source.ingest("c")

        rows = self.polled(source, last=2).rows(Stopped())
        assert [row["Message"] for row in next(rows)] == ["b", "c"]
        assert next(self.polled(source, last=0).rows(Stopped())) == []

    def test_a_transient_error_is_reported_and_retried_with_growing_pauses(self):
        source, told = Source(), []
        query = source.query

        def away(*_):
            raise WorkspaceQueryError("busy", is_transient=True)

        stopped = Stopped(
            lambda: setattr(source, "query", away),
            lambda: None,
            lambda: (setattr(source, "query", query), source.ingest("x")),
        )
        rows = [row["Message"] for rows in self.polled(source, warn=told.append).rows(stopped) for row in rows]

        assert rows == ["x"]
        assert told == ["busy; next try in 10 s", "busy; next try in 20 s"]
        assert stopped.waits == [5.0, 10.0, 20.0, 5.0]

    def test_a_permanent_error_ends_the_polling(self):
        source = Source()

        def refuse(*_):
            raise WorkspaceQueryError("no role")

        rows = self.polled(source).rows(Stopped(lambda: setattr(source, "query", refuse)))
        with pytest.raises(WorkspaceQueryError, match="no role"):
            list(rows)

    def test_a_partial_answer_is_an_error(self):
        with pytest.raises(WorkspaceQueryError, match="incomplete: too many"):
            _read(Result(names=[INGESTED], kinds=["datetime"], rows=[], partial="too many"))


class TestStreamed:
    def rows(self, service):
        return StreamedTable(WorkspaceAddress(service=service, workspace_id="local"), "App_CL").rows(Interrupts())

    def test_a_refused_stream_reports_the_services_message(self, workspace):
        with pytest.raises(WorkspaceQueryError, match="There is no table 'None_CL'"):
            next(
                StreamedTable(WorkspaceAddress(service=workspace.endpoint, workspace_id="local"), "None_CL").rows(
                    Interrupts()
                )
            )

    def test_another_server_is_reported_with_its_status(self):
        with Endpoint() as endpoint, pytest.raises(WorkspaceQueryError, match="answered with 204"):
            next(self.rows(endpoint.url))

    def test_an_unreachable_workspace_is_reported_with_what_to_do(self):
        with Endpoint() as endpoint:
            endpoint.refuse()

            with pytest.raises(WorkspaceQueryError, match="is `logging-azmon serve` running there"):
                next(self.rows(endpoint.url))

    def test_the_end_of_the_stream_is_reported(self):
        """The workspace closes the connection properly."""
        with Endpoint(status(200, body=b"\n", headers=[("Connection", "close")])) as endpoint:
            rows = self.rows(endpoint.url)
            with pytest.raises(WorkspaceQueryError, match="has ended"):
                list(rows)

    def test_a_stream_is_read_over_tls(self, monkeypatch):
        with Workspace(tls=True) as workspace:
            for name, value in workspace.trust_environment.items():
                monkeypatch.setenv(name, value)
            assert next(self.rows(workspace.endpoint)) == []


CHOICES = [
    (None, None, None),
    ("DEBUG", None, None),
    ("WARNING", None, None),
    (None, "shop", None),
    (None, "shop.web", None),
    (None, None, "OF SHOPP"),
    (None, None, "valueerror"),
    ("ERROR", "shop", 'a "quoted" \\ text'),
]


class TestChoice:
    @pytest.mark.parametrize(("level", "logger", "text"), CHOICES)
    def test_the_filter_chooses_the_same_rows_in_kql_and_in_python(self, workspace, level, logger, text):
        choice = RowFilter(ROLES, level, logger, text)
        chosen = workspace.query(f"App_CL | where true{choice.kql()}")

        assert chosen == [row for row in workspace.rows("App_CL") if choice.matches(row)]

    def test_level_names_of_other_programs_are_understood(self):
        roles = find_roles(["SeverityLevel"], None)

        assert RowFilter(roles, "ERROR", None, None).matches({"SeverityLevel": "crit"})
        assert not RowFilter(roles, "ERROR", None, None).matches({"SeverityLevel": "notice"})

    def test_a_filter_text_with_line_break_and_quotes_is_escaped_in_kql(self):
        """The text is quoted as the local workspace quotes it."""
        choice = RowFilter(find_roles(["Message"], None), None, None, 'a\n"b"')

        assert choice.kql() == """ and (['Message'] contains "a\\n\\"b\\"")"""

    def test_a_filter_names_the_options_that_lack_a_column(self):
        said = RowFilter(find_roles(["A"], None), "INFO", "x", "y").problems()

        assert [text.split()[0] for text in said] == ["--level", "--logger", "--grep"]


class TestLines:
    def test_sent_columns_take_precedence_over_usual_names(self):
        sent = Table((Column("Said", "string", "message"), Column("Node", "string", "host")))
        roles = find_roles(["TimeGenerated", "Said", "Message", "Node"], sent)

        assert (roles.message, roles.time, "Node" in roles.quiet) == ("Said", "TimeGenerated", True)

    def test_extras_follow_on_the_line_and_an_exception_stands_below(self):
        row = {
            "TimeGenerated": "2026-11-20T10:11:12.345678Z",
            "Level": "ERROR",
            "Logger": "shop",
            "Message": "two\nlines\x1b[2J",
            "Properties": {"order": 7, "card": {"brand": "visa"}},
            "Exception": "Traceback\nKeyError\n",
            "Region": "north",
            "Line": 4,
        }

        assert format_row(row, ROLES).plain == (
            '10:11:12.345 ERROR    shop two\n    lines\\x1b[2J Region=north order=7 card={"brand":"visa"}\n'
            "    Traceback\n    KeyError"
        )

    def test_a_table_without_any_role_shows_all_its_columns(self):
        assert format_row({"A": 1, "B": None, "C": "x"}, find_roles(["A", "B", "C"], None)).plain.split() == [
            "A=1",
            "C=x",
        ]
        assert format_row({"Properties": "text", "Message": "m"}, ROLES).plain.split() == ["m", "Properties=text"]


def test_a_pipe_without_a_reader_is_noticed():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        assert not has_lost_reader(out)
        os.close(reading)
        assert has_lost_reader(out)
    assert not has_lost_reader(io.StringIO())
