"""The command `logging-azmon query` runs queries, shows their results, and explains errors."""

# ruff: noqa: SLF001 - tests of internal functions

import argparse
import csv
import datetime as dt
import io
import json
import re

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from rich.console import Console

from logging_azmon import ConfigurationError
from logging_azmon.cli import main
from logging_azmon.cli._shared import workspace as workspace_module
from logging_azmon.cli._shared.cells import for_csv, for_display, for_json, json_line, printable
from logging_azmon.cli._shared.console import output_console
from logging_azmon.cli._shared.timespan import duration_text, read_timespan, timespan_phrase
from logging_azmon.cli._shared.workspace import Result, WorkspaceAddress, WorkspaceQueryError, find_workspace
from logging_azmon.cli.query.chart import Chart, find_series
from logging_azmon.cli.query.command import locate_error
from logging_azmon.cli.query.tables import Rows, write_csv, write_json
from logging_azmon.local import Workspace
from support.endpoint import Endpoint
from support.local_client import send

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
GUID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def workspace():
    rows = [
        {
            "TimeGenerated": (NOW - dt.timedelta(minutes=minute)).isoformat(),
            "Level": level,
            "Message": f"m{minute}",
            "Properties": {"n": minute},
        }
        for minute in range(30)
        for level in ("INFO", "ERROR")
    ]
    with Workspace() as running:
        assert send(running, rows).status == 204
        running.wait_for("App_CL", rows=60)
        yield running


@pytest.fixture
def query(workspace, monkeypatch, capsys):
    monkeypatch.delenv("LOGS_WORKSPACE_ID", raising=False)

    def run(*words, code=0):
        assert main(["query", *words, "--endpoint", workspace.endpoint]) == code
        return capsys.readouterr()

    return run


class TestShapes:
    def test_a_table_is_followed_by_the_number_of_rows_and_the_time_span(self, query):
        out = query("App_CL | where Message == 'm3' | project Level, Message, Logger").out

        assert re.search(r"Level +Message", out)
        assert re.search(r"ERROR +m3", out)
        assert out.rstrip().endswith("2 rows of the last day; empty columns: Logger")

    def test_on_a_terminal_rows_fit_its_width(self, query, monkeypatch):
        """In a pipe every row is whole instead, on one line."""
        kql = "print Text = strrep('word ', 100), Level = 'INFO'"
        assert max(map(len, query(kql).out.splitlines())) > 500
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "80")

        assert max(len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in query(kql).out.splitlines()) <= 80

    def test_json_is_an_array_with_a_row_on_each_line(self, query):
        out = query("App_CL | where Message == 'm3' | project TimeGenerated, Level, Properties", "--json").out

        assert [row["Properties"] for row in json.loads(out)] == [{"n": 3}, {"n": 3}]
        assert json.loads(out)[0]["TimeGenerated"].endswith("Z")
        assert len(out.splitlines()) == 4
        assert query("App_CL | where Message == 'none'", "--json").out == "[]\n"

    def test_csv_has_a_header_and_dynamic_values_as_json(self, query):
        out = query("App_CL | where Message == 'm3' | project Level, Properties, Line", "--csv").out

        assert list(csv.reader(io.StringIO(out))) == [
            ["Level", "Properties", "Line"],
            ["INFO", '{"n":3}', ""],
            ["ERROR", '{"n":3}', ""],
        ]

    def test_rows_over_time_are_drawn_as_a_chart(self, query):
        out = query("App_CL | summarize count() by Level, bin(TimeGenerated, 5m)").out

        assert "one bar is 5 minutes" in out
        assert re.search(r"^ *ERROR ", out, re.MULTILINE)

    def test_the_table_option_prevents_the_chart(self, query):
        assert "rows of the last day" in query("App_CL | summarize count() by bin(TimeGenerated, 5m)", "--table").out

    def test_the_error_for_a_chart_that_cannot_be_drawn_says_what_a_chart_needs(self, query):
        assert "this result cannot be drawn as a chart" in query("App_CL | take 1", "--chart", code=1).err

    def test_the_query_may_come_from_standard_input(self, query, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO("print answer = 42"))

        assert "42" in query("-").out

    def test_the_time_span_limits_the_rows(self, query):
        # Of thirty, one for each minute before the module's first test.
        said = query("App_CL | where Level == 'INFO' | count", "--timespan", "20m", "--csv").out
        assert 10 <= int(said.split()[1]) <= 20
        assert "0 rows of the last day; --timespan all searches all time" in query("App_CL | where Line == 1").out
        assert "60 rows of all time" in query("App_CL | project Level", "--timespan", "all").out


class TestMistakes:
    def test_a_mistake_in_a_query_is_marked_at_its_position(self, query):
        err = query("App_CL\n| where Lvl == 1", code=1).err

        assert err.splitlines()[:2] == ["   2 │ | where Lvl == 1", "     │         ^^^"]
        assert (
            "SemanticError: Failed to resolve table, column or scalar expression named 'Lvl'. Did you mean 'Level'?"
            in err
        )

    @pytest.mark.parametrize(
        ("kql", "error", "expected"),
        [
            ("a | b", {"line": 1, "pos": 5, "token": "b"}, (1, 4, 1)),
            ("a | b", {"line": 1, "pos": 4, "token": "b"}, (1, 4, 1)),
            ("bb | b | b", {"line": 1, "pos": 10, "token": "b"}, (1, 9, 1)),
            ("a\n| word", {"line": 2, "pos": 3}, (2, 2, 4)),
            ("a | )", {"line": 1, "pos": 5}, (1, 4, 1)),
            ("a", {"line": 1, "pos": 99}, (1, 1, 1)),
            ("a", {"line": 7, "pos": 1}, None),
            ("T | where Foo", {"token": "Foo"}, (1, 10, 3)),
            ("Foo | where Foo", {"token": "Foo"}, None),
            ("a", {}, None),
        ],
    )
    def test_a_mistake_is_located_however_the_service_counts(self, kql, error, expected):
        assert locate_error(WorkspaceQueryError("wrong", **error), kql) == expected

    def test_the_error_for_an_unreachable_local_workspace_names_the_command_to_start(self, monkeypatch, capsys):
        assert main(["query", "print 1", "--endpoint", "http://127.0.0.1:9"]) == 1
        said = "http://127.0.0.1:9 cannot be reached (Connection refused): is `logging-azmon serve` running there?"
        assert said in capsys.readouterr().err

    def test_a_server_that_is_not_a_workspace_is_reported(self, capsys):
        with Endpoint() as endpoint:
            assert main(["query", "print 1", "--endpoint", endpoint.url]) == 1
        assert "does not answer as a workspace does" in capsys.readouterr().err.replace("\n", " ")

    def test_a_partial_answer_is_reported_with_exit_code_1(self, query, monkeypatch):
        cut = Result(names=["a"], kinds=["long"], rows=[[1]], partial="cut at 1 row")
        monkeypatch.setattr(workspace_module.WorkspaceClient, "query", lambda *_: cut)

        assert "rows are missing: cut at 1 row" in query("x", code=1).err


class Response:
    def __init__(self, status, body):
        self.status_code = status
        self._body = body
        self.reason = "no reason"
        self.content_type = "application/json"

    def json(self):
        return json.loads(self._body)

    def text(self, *_):
        return self._body

    def body(self):
        return self._body.encode()


def translated(status, error):
    place = WorkspaceAddress(service="https://api.loganalytics.io", workspace_id=GUID)
    response = Response(status, json.dumps({"error": error}))
    return workspace_module._translated(HttpResponseError(response=response), place)


class TestAzure:
    def test_a_mistake_is_read_from_the_innermost_error(self):
        inner = {
            "code": "SYN0002",
            "message": "Query could not be parsed at 'foo'",
            "line": 1,
            "pos": 12,
            "token": "foo",
        }
        outer = {"code": "SyntaxError", "message": "A recognition error occurred.", "innererror": inner}
        error = translated(400, {"code": "BadArgumentError", "message": "The request is invalid", "innererror": outer})

        assert (str(error), error.code) == ("Query could not be parsed at 'foo'", "SYN0002")
        assert (error.line, error.pos, error.token, error.is_transient) == (1, 12, "foo", False)

    def test_without_a_position_the_quoted_name_is_taken_from_the_message(self):
        inner = {"code": "SEM0100", "message": "'where' operator: Failed to resolve scalar expression named 'Foo'"}
        error = translated(400, {"code": "BadArgumentError", "message": "x", "innererror": inner})

        assert (error.line, error.token) == (None, "Foo")

    @pytest.mark.parametrize(
        ("status", "words", "is_transient"),
        [
            (401, "the token was not accepted", False),
            (403, "assign it the role Log Analytics Reader", False),
            (404, "it takes the id, not the name", False),
            (429, "wait a moment", True),
            (504, "shorter --timespan", True),
        ],
    )
    def test_the_error_for_each_refusal_says_what_to_do(self, status, words, is_transient):
        error = translated(status, {"code": "C", "message": "M"})

        assert words in str(error)
        assert error.is_transient == is_transient

    def test_an_answer_that_is_not_a_workspaces_is_reported_with_its_status(self):
        place = WorkspaceAddress(service="https://api.loganalytics.io", workspace_id=GUID)
        error = HttpResponseError(response=Response(502, "<html>"))
        assert str(workspace_module._translated(error, place)).startswith("502 from ")

    def test_the_errors_for_a_missing_token_and_a_broken_connection_say_what_to_do(self):
        place = WorkspaceAddress(service="https://api.loganalytics.io", workspace_id=GUID)
        assert "`az login` helps" in str(workspace_module._translated(ClientAuthenticationError("none"), place))
        assert "HTTPS_PROXY" in str(workspace_module._translated(HttpResponseError("away"), place))

    @pytest.mark.parametrize("command", [("query", "print 1"), ("tail", "App_CL")])
    def test_certificate_authorities_that_cannot_be_read_are_reported(self, command, tmp_path, monkeypatch, capsys):
        """The HTTP library raises an error of its own for them."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))

        assert main([*command, "--endpoint", "https://127.0.0.1:9", "--credential", "local"]) == 1
        assert "was not asked (" in (said := capsys.readouterr().err)
        assert "check REQUESTS_CA_BUNDLE" in said

    def test_without_a_login_the_query_says_so(self, monkeypatch, capsys):
        """The client wraps the credential's error, and the SDK logs more: one line is printed."""
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)

        assert main(["query", "print 1", "--workspace", GUID, "--credential", "environment"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("logging-azmon query: no token for https://api.loganalytics.io (")
        assert "`az login` helps on your own machine" in said.err
        assert "check the network" not in said.err
        assert len(said.err.splitlines()) == 1

    def test_the_client_uses_the_named_credential(self, monkeypatch):
        """No request is made: only its address and its credential are the library's own."""
        place = WorkspaceAddress(
            service="https://api.loganalytics.us", workspace_id=GUID, credential="azure_cli", cloud="usgov"
        )
        workspace = workspace_module.WorkspaceClient(place)

        assert workspace._client._config.credential_scopes == ["https://api.loganalytics.us/.default"]
        assert type(workspace._client._config.credential).__name__ == "AzureCliCredential"
        workspace.close()

    def test_a_partial_answer_has_its_reason(self):
        class Error:
            message = "whole"
            details = ({"message": "cut"}, "odd")

        assert workspace_module._partial(Error()) == "cut"
        assert workspace_module._partial(argparse.Namespace(message="whole")) == "whole"


def options(*words):
    parser = argparse.ArgumentParser()
    workspace_module.add_workspace_options(parser)
    return parser.parse_args(words)


class TestPlace:
    @pytest.mark.parametrize(
        ("words", "environ", "service", "workspace_id"),
        [
            (["--endpoint", "http://127.0.0.1:8787/"], {}, "http://127.0.0.1:8787", "local"),
            ([], {"DATA_COLLECTION_ENDPOINT": "https://localhost:1"}, "https://localhost:1", "local"),
            (["--endpoint", "http://logs:1", "--credential", "local"], {}, "http://logs:1", "local"),
            (["--workspace", GUID], {}, "https://api.loganalytics.io", GUID),
            (["--workspace", GUID, "--endpoint", "http://127.0.0.1:1"], {}, "https://api.loganalytics.io", GUID),
            (
                [],
                {"LOGS_WORKSPACE_ID": GUID, "DATA_COLLECTION_ENDPOINT": "http://127.0.0.1:1"},
                "http://127.0.0.1:1",
                "local",
            ),
            (["--cloud", "china"], {"LOGS_WORKSPACE_ID": GUID}, "https://api.loganalytics.azure.cn", GUID),
        ],
    )
    def test_the_workspace_is_found_from_options_and_environment(self, words, environ, service, workspace_id):
        place = find_workspace(options(*words), environ)

        assert (place.service, place.workspace_id) == (service, workspace_id)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "workspace is missing: give --workspace with the id that `az monitor"),
            (["--workspace", "my-workspace"], "workspace='my-workspace' is not a workspace id: give the GUID"),
            (["--workspace", "local"], "--workspace local needs the address of the local workspace"),
            (["--endpoint", "http://logs:1"], "would send a token in clear text"),
            (["--endpoint", "http://[bad"], "is not an http(s) URL"),
            (["--workspace", GUID, "--credential", "s3cret"], "credential is an unknown name"),
        ],
    )
    def test_a_missing_or_malformed_workspace_is_reported(self, words, said):
        with pytest.raises(ConfigurationError) as caught:
            find_workspace(options(*words), {})

        assert said in str(caught.value)
        assert "s3cret" not in str(caught.value)


class TestTimespans:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("90s", 90),
            ("30m", 1_800),
            ("1h30m", 5_400),
            ("1d12h", 129_600),
            ("2w", 1_209_600),
            ("PT1H", 3_600),
            ("p1dt2h", 93_600),
        ],
    )
    def test_durations_are_parsed(self, text, seconds):
        assert read_timespan(text) == dt.timedelta(seconds=seconds)

    def test_intervals_and_all_are_parsed(self):
        start = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
        assert read_timespan("2026-11-20/2026-11-21") == (start, start + dt.timedelta(days=1))
        assert read_timespan("2026-11-20T01:00+01:00/2h") == (start, start + dt.timedelta(hours=2))
        assert read_timespan("all") is None

    @pytest.mark.parametrize("text", ["", "soon", "1x", "0s", "PT", "2026-11-20/2026-11-19", "a/b", "9" * 400 + "d"])
    def test_an_invalid_time_span_shows_valid_ones(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="give 30m, 12h, 7d, PT1H"):
            read_timespan(text)

    def test_time_spans_are_put_into_words(self):
        assert timespan_phrase(dt.timedelta(days=1)) == "of the last day"
        assert timespan_phrase(dt.timedelta(hours=2, minutes=1)) == "of the last 2 hours 1 minute"
        assert timespan_phrase(read_timespan("2026-11-20/1h")) == "from 2026-11-20 00:00:00 to 2026-11-20 01:00:00 UTC"
        assert duration_text(dt.timedelta(0)) == "0 seconds"
        assert duration_text(dt.timedelta(milliseconds=250)) == "0.25 seconds"


def drawn(renderable, width=80, encoding="utf-8"):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    Console(file=out, width=width, force_terminal=False).print(renderable)
    out.flush()
    return out.buffer.getvalue().decode(encoding)


class TestCells:
    @pytest.mark.parametrize(
        ("value", "kind", "text"),
        [
            (None, "string", ""),
            (True, "bool", "true"),
            (1234567, "long", "1234567"),
            (0.123456789, "real", "0.123457"),
            (12345678.9, "real", "12345679"),
            ("NaN", "real", "NaN"),
            (dt.datetime(2026, 1, 2, 3, 4, 5, 678000, dt.UTC), "datetime", "2026-01-02 03:04:05.678"),
            (dt.datetime(2026, 1, 2, 3, 4, 5), "datetime", "2026-01-02 03:04:05"),
            ({"a": 1}, "dynamic", '{"a":1}'),
            ("\x1b[31mred\u202e", "string", r"\x1b[31mred\u202e"),
            ("a\nb", "string", r"a\nb"),
        ],
    )
    def test_values_are_formatted_for_people_without_control_characters(self, value, kind, text):
        assert for_display(value, kind) == text

    def test_line_breaks_are_kept_where_allowed(self):
        assert printable("a\n\tb\r", lines=True) == "a\n    b\\r"

    def test_values_for_json_and_csv_keep_their_types(self):
        moment = dt.datetime(2026, 1, 2, 3, 4, 5, 600000, dt.UTC)
        assert (for_json(moment, "datetime"), for_csv(moment)) == ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.6Z")
        assert (for_json("[1]", "dynamic"), for_json("no json", "dynamic"), for_csv([1]), for_csv(False)) == (
            [1],
            "no json",
            "[1]",
            "false",
        )


def test_a_console_escapes_characters_outside_its_encoding_and_raises_on_a_broken_pipe(monkeypatch):
    """The dispatcher then ends the command."""
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(BrokenPipeError):
        output_console().on_broken_pipe()


def test_a_piped_table_is_not_padded_to_its_widest_cell(query, monkeypatch):
    """A traceback in one row would make all lines as long as itself; every row is whole, on one line."""
    kql = "print Exception = strrep('x', 1000), Level = 'a' | union (print Exception = 'short', Level = 'bb')"
    out = query(f"{kql} | project Exception, Level | order by Level asc", "--table").out.splitlines()

    assert out[:2] == ["", " Exception                                  Level"]
    assert out[2] == f" {'─' * 48}"
    assert out[3] == f" {'x' * 1000}   a"
    assert out[4] == f" short{' ' * 38}bb"
    assert [line.rstrip() for line in out] == out


class TestTables:
    RESULT = Result(
        names=["Time", "Level", "Text"],
        kinds=["datetime", "string", "string"],
        rows=[[NOW, "ERROR", "word " * 20 + "\x1b[2J"], [NOW, "INFO", "\n".join("abcdefghijklmnop")]],
    )

    def test_rows_that_fit_are_a_table(self):
        assert all(len(line) <= 60 for line in drawn(Rows(self.RESULT), 60).splitlines())
        assert "row 1" not in drawn(Rows(self.RESULT), 60)

    def test_rows_that_do_not_fit_are_printed_value_by_value(self):
        text = drawn(Rows(self.RESULT), 30)

        assert text.startswith("row 1 ───")
        assert "… 4 more lines" in text
        assert "\x1b" not in text
        assert drawn(Rows(self.RESULT), 30, "ascii").startswith("row 1 ---")
        assert list(Rows(self.RESULT).lines(rule="-"))[1].startswith(" ---")

    def test_empty_values_are_left_out_of_records(self):
        rows = [[NOW, None, "word " * 20], [NOW, "INFO", "word " * 20]]
        text = drawn(Rows(Result(names=self.RESULT.names, kinds=self.RESULT.kinds, rows=rows)), 30)
        assert text.count("Level") == 1

    def test_csv_to_a_terminal_escapes_control_characters(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        files = [io.StringIO(), Terminal()]
        for file in files:
            write_csv(self.RESULT, file)
        assert ["\x1b" in file.getvalue() for file in files] == [True, False]

    def test_json_to_a_terminal_escapes_what_could_control_it(self):
        """C1 characters and bidirectional marks are valid in JSON; the values stay the same."""

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        text = "\x9b31m \u202e ä \U000e0001"
        result = Result(names=["a"], kinds=["string"], rows=[[text]])
        files = [io.StringIO(), Terminal()]
        for file in files:
            write_json(result, file)
        line = json_line({"a": text}, is_terminal=True).decode()

        assert text in files[0].getvalue()
        assert json_line({"a": text}, is_terminal=False).decode() == f'{{"a":"{text}"}}\n'
        for written in (files[1].getvalue(), line):
            assert written.replace("\n", "").isprintable()
            assert "ä" in written
        assert json.loads(files[1].getvalue()) == [{"a": text}]
        assert json.loads(line) == {"a": text}
        assert json_line([1], is_terminal=True) == b"[1]\n"

    def test_repeated_names_are_numbered_in_json(self):
        out = io.StringIO()
        write_json(Result(names=["a", "a"], kinds=["long", "long"], rows=[[1, 2]]), out)

        assert json.loads(out.getvalue()) == [{"a": 1, "a_1": 2}]


def series(*rows, names=("T", "n"), kinds=("datetime", "long")):
    return find_series(Result(names=names, kinds=kinds, rows=rows), "T | summarize count() by bin(T, 1m)")


def at(minute):
    return NOW.replace(hour=1, minute=minute, second=0)


class TestCharts:
    @pytest.mark.parametrize(
        ("names", "kinds", "rows"),
        [
            (("n",), ("long",), [[1]]),
            (("T", "s"), ("datetime", "string"), [[NOW, "a"]]),
            (("T", "a", "b", "n"), ("datetime", "string", "string", "long"), [[NOW, "a", "b", 1]]),
            (("T", "a", "n", "m"), ("datetime", "string", "long", "long"), [[NOW, "a", 1, 2]]),
            (("T", "n"), ("datetime", "long"), [[NOW, 1], [NOW, 2]]),
            (("T", "n"), ("datetime", "long"), [[NOW, 1]]),
            (("T", "n"), ("datetime", "long"), [["no time", 1], [None, 2]]),
        ],
    )
    def test_a_result_that_is_not_a_time_series_is_not_drawn(self, names, kinds, rows):
        assert series(*rows, names=names, kinds=kinds) is None

    def test_a_query_without_time_bins_gives_no_time_series(self):
        result = Result(names=["T", "n"], kinds=["datetime", "long"], rows=[[at(1), 1], [at(2), 2]])
        assert find_series(result, "App_CL | project T, n") is None

    def test_gaps_stay_empty_and_every_positive_value_shows(self):
        text = drawn(Chart(series([at(0), 100], [at(1), 1], [at(3), 50])), 40)
        bottom = next(line for line in text.splitlines() if line.startswith("n "))

        assert bottom.strip(" n0")[:1] == "█"
        assert "▁" in bottom
        assert " " in bottom[3:-2].strip()
        assert "01:00:00" in text
        assert "01:03:00" in text

    def test_moments_beyond_the_width_are_merged_and_the_axis_says_so(self):
        rows = [[at(0) + dt.timedelta(seconds=number), number] for number in range(500)]

        assert "one bar is the highest of 10 times 1 second" in " ".join(drawn(Chart(series(*rows)), 60).split())

    def test_levels_keep_their_order_and_omitted_series_are_counted(self):
        rows = [[at(minute), level, 5] for minute in range(2) for level in ("INFO", "ERROR")]
        text = drawn(Chart(series(*rows, names=("T", "L", "n"), kinds=("datetime", "string", "long"))))
        assert text.index("ERROR") < text.index("INFO")
        rows = [[at(minute), f"s{number}", number - 1] for minute in range(2) for number in range(12)]
        text = drawn(Chart(series(*rows, names=("T", "L", "n"), kinds=("datetime", "string", "long"))))
        assert "4 smaller series not drawn" in text

    def test_a_chart_works_in_ascii_and_with_negative_values(self):
        text = drawn(Chart(series([at(0), -5], [at(59), None], [at(2), 3])), 40, "ascii")

        assert "#" in text
        assert "negative values are drawn as 0" in text
        assert text.isascii()
