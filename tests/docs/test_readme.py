"""README and what it leads to in docs/, as users meet them: code runs, tables are true, commands are those there are.

tests/test_framework_docs.py does the same for docs/frameworks.md.
"""

import argparse
import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from logging_azmon import AzureMonitorHandler, cli
from logging_azmon._config import presets
from logging_azmon._config.clouds import CLOUDS
from logging_azmon._config.options import ARGUMENTS
from logging_azmon._config.settings import ACCEPTED, ENVIRONMENT, read
from logging_azmon._config.validators import CREDENTIALS
from logging_azmon._delivery.answer import Answer, Failure
from logging_azmon._delivery.delivery import SPLITS_PER_MINUTE
from logging_azmon._delivery.pacing import MAX_STRETCHED_SECONDS
from logging_azmon._delivery.retry import MOST_RETRY_AFTER_SECONDS, Action, Decision, judge
from logging_azmon._queue.batch import SPLITS_PER_BATCH
from logging_azmon._queue.ledger import Reason
from logging_azmon.cli import serve
from logging_azmon.cli.demo import command as demo
from logging_azmon.local import Workspace
from logging_azmon.stats import Stats
from logging_azmon.table import FIELD_TYPES
from logging_azmon.testing import capture
from logging_azmon.trouble import Kind
from support.endpoint import Endpoint
from support.local_client import send

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("commands", "spool", "testing", "local"))]
# One after the other. No two have a heading in common.
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)

RULE = {
    "properties": {
        "immutableId": "dcr-1",
        "streamDeclarations": {
            "Custom-App": {
                "columns": [
                    {"name": "TimeGenerated", "type": "datetime"},
                    {"name": "Text", "type": "string"},
                    {"name": "DurationMs", "type": "long"},
                ]
            }
        },
    }
}


def blocks(language):
    """Return each block of a language with the heading it stands under."""
    found = []
    for section in re.split(r"^(?=#+ )", TEXT, flags=re.MULTILINE)[1:]:
        heading = section.split("\n")[0].lstrip("# ")
        found += [
            (heading, code) for code in re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        ]
    return found


def section(heading):
    """Return the text under a heading of any page, up to the next one of any level."""
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.DOTALL | re.MULTILINE)[1]


def table(heading, first):
    """Return a table's body as cells; `first` is the heading of its first column."""
    rows = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", section(heading), re.MULTILINE)[1]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.replace("|\n", " |\n").splitlines()
    ]


STATUS = re.compile(r"\b\d{3}\b").findall


def anchors(page):
    """Return the fragments that lead to a page's headings."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    }


def names(text):
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def pick(rows, *columns):
    return [tuple(row.get(column) for column in columns) for row in rows]


# What the endpoint has received when a block is over, in the order of the blocks.
EXPECTED = [
    (
        "logging_azmon",
        lambda rows: pick(rows, "Message", "Properties") == [("order 1001 paid", {"order": 1001, "amount": 59.9})],
    ),
    (
        "Columns",
        lambda rows: (
            pick(rows, "Severity", "Text", "DurationMs", "Region", "Release", "Length", "Properties")
            == [("WARNING", "slow", 812.5, "north", "1.4.2", 4, {"cloud": {"region": "north"}, "order": 7})]
        ),
    ),
    ("Columns", lambda rows: pick(rows, "Text", "DurationMs") == [("late", 31_000)]),
    (
        "Sharing a pipeline",
        lambda rows: pick(rows, "Message", "Logger") == [("hello", "shop"), ("door opened", "audit")],
    ),
    ("Jobs and functions", lambda rows: pick(rows, "Message") == [("got an event",)]),
    ("The spool", lambda rows: pick(rows, "Message") == [("order 7 is late",)]),
    ("Reports", lambda rows: pick(rows, "Message") == [("hello",)]),
    ("Testing your application", lambda rows: rows == []),
    ("Testing your application", lambda rows: rows == []),
    ("When Azure is away", lambda rows: rows == []),
    ("With a workspace", lambda rows: rows == []),
    ("With a workspace", lambda rows: rows == []),
]


class TestCode:
    def test_every_block_is_expected_to_do_something(self):
        """A new one needs an entry above."""
        assert [heading for heading, _ in blocks("python")] == [heading for heading, _ in EXPECTED]

    @pytest.mark.parametrize("number", range(len(EXPECTED)), ids=[heading for heading, _ in EXPECTED])
    def test_every_block_runs_as_it_stands(self, number, tmp_path):
        """In a process of its own, with nothing but the three variables; no word on stderr, and the rows arrive."""
        _, code = blocks("python")[number]
        # A test with a fixture is run by pytest, any other by a call.
        runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "(azmon_" in code else []
        calls = "".join(f"\n{name}()\n" for name in re.findall(r"^def (test_\w+)\(\)", code, re.MULTILINE))
        script = tmp_path / "block.py"
        script.write_text(code + calls, "utf-8")
        tmp_path.joinpath("rule.json").write_text(json.dumps(RULE), "utf-8")

        with Endpoint() as endpoint:
            environ = os.environ | {
                "DATA_COLLECTION_ENDPOINT": endpoint.url,
                "LOGS_DCR_RULE_ID": "dcr-1",
                "LOGS_DCR_STREAM_NAME": "Custom-App",
            }
            done = subprocess.run(
                [sys.executable, "-W", "error", *runner, script],
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        assert (done.returncode, done.stderr) == (0, "")
        rows = sorted(endpoint.rows, key=lambda row: row.get("TimeGenerated", ""))
        assert EXPECTED[number][1](rows), rows
        assert {(request.rule, request.stream) for request in endpoint.requests} <= {("dcr-1", "Custom-App")}

    def test_queries_find_what_the_text_says(self):
        """Copies of a row, and rows that are missing."""
        arrived = [("a", 0), ("a", 1), ("a", 1), ("a", 4), ("b", 1)]
        rows = [{"Instance": instance, "Sequence": number, "Message": f"{number}"} for instance, number in arrived]
        (_, copies), (_, missing) = blocks("kusto")

        with Workspace() as workspace:
            assert send(workspace, rows).status == 204
            once = pick(workspace.query(copies), "Instance", "Sequence", "Message")
            gaps = pick(workspace.query(missing), "Instance", "Sequence", "Missing")

        assert sorted(once) == [("a", 0, "0"), ("a", 1, "1"), ("a", 4, "4"), ("b", 1, "1")]
        assert gaps == [("a", 4, 2), ("b", 1, 1)]


class TestCommands:
    def test_the_tests_are_run_by_the_documented_command(self):
        """`.ci/run` looks for it here."""
        commands = [code.strip() for _, code in blocks("console")]

        assert commands == [
            'python -m pip install ".[local]" && logging-azmon demo',
            "python -m pip install tox && python -m tox",
            "logging-azmon serve",
            "python first.py\nlogging-azmon query 'App_CL | project TimeGenerated, Level, Message, Properties'",
            "logging-azmon template bicep -o logs.bicep",
            "\n".join(
                f"logging-azmon spool /var/spool/shop{option}" for option in ("", " --send", " --retry-rejected")
            ),
        ]
        assert commands[1] in ROOT.joinpath(".ci/run").read_text("utf-8")

    def test_every_command_is_shown(self):
        """And none that there is not."""
        commands = {name for name, _ in cli.find_commands()}

        assert set(re.findall(r"`logging-azmon ([a-z][a-z-]*)", TEXT)) == commands
        assert {
            name
            for row in table("The command line", "command")
            for name in re.findall(r"`logging-azmon (\w+)`", row[0])
        } == commands

    def test_a_row_arrives_in_five_minutes(self, tmp_path, monkeypatch, capsys):
        """What README has a newcomer type, with the variables that `serve` prints."""
        script = tmp_path / "first.py"
        script.write_text(blocks("python")[0][1], "utf-8")
        (query,) = re.findall(r"^logging-azmon query '(.*)'$", TEXT, re.MULTILINE)

        with Workspace() as workspace:
            for name, value in workspace.environment.items():
                monkeypatch.setenv(name, value)
            subprocess.run([sys.executable, script], cwd=tmp_path, timeout=60, check=True)
            assert cli.main(["query", query]) == 0

        assert "order 1001 paid" in capsys.readouterr().out

    def test_a_rule_for_columns_of_ones_own_is_played_here(self, tmp_path):
        """`serve --dcr` takes what `template arm` writes."""
        columns, rule = '{"TimeGenerated": "time", "Text": "message"}', tmp_path / "rule.json"
        assert cli.main(["template", "arm", "--columns", columns, "-o", str(rule)]) == 0

        with Workspace([rule]) as workspace:
            handler = AzureMonitorHandler(
                workspace.endpoint, workspace.rule_id, workspace.stream, columns=json.loads(columns)
            )
            handler.handle(logging.makeLogRecord({"msg": "mine"}))
            assert handler.flush(30)
            handler.close()
            assert pick(workspace.rows("App_CL"), "Text") == [("mine",)]
            assert workspace.problems() == []

    @pytest.mark.parametrize(
        ("heading", "name"),
        [("`template`: what Azure needs", "template"), ("`check`: will my rows arrive?", "check")],
    )
    def test_every_option_is_the_commands(self, heading, name):
        """In the sections about one command."""
        parser = argparse.ArgumentParser()
        dict(cli.find_commands())[name].configure(parser)

        assert set(re.findall(r"--[a-z][a-z-]+", section(heading))) <= set(
            re.findall(r"--[a-z][a-z-]+", parser.format_help())
        )

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_links_lead_somewhere(self, page):
        """To a file, or to a heading of a page."""
        links = re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))

        assert links
        for link in links:
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link

    def test_every_page_is_linked_from_the_first(self):
        """And the picture is shown."""
        linked = set(re.findall(r"\]\((docs/[^)#]+)", PAGES[0].read_text("utf-8")))

        pages = {name for name in linked if not name.startswith("docs/charts/")}
        assert pages - {"docs/"} == {f"docs/{path.name}" for path in ROOT.joinpath("docs").iterdir() if path.is_file()}

    def test_no_heading_is_there_twice(self):
        """The tests below look for what stands under them."""
        headings = re.findall(
            r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
        )

        assert sorted(set(headings)) == sorted(headings)


class TestTables:
    def test_the_address_is_the_environments(self):
        """Argument beside variable."""
        cells = table("What you need in Azure", "argument")

        assert {names(row[0])[0]: names(row[1])[0] for row in cells} == ENVIRONMENT

    def test_every_argument_has_a_line(self):
        """And no other has."""
        documented = [names(row[0])[0] for row in table("Configuration", "argument")]

        assert sorted(documented) == sorted({*ACCEPTED, "level", "pipeline"} - set(ENVIRONMENT))

    @pytest.mark.parametrize("row", table("Configuration", "argument"), ids=lambda row: row[0])
    def test_every_default_is_the_real_one(self, row):
        """As it would be written in Python."""
        (name,), default = names(row[0]), row[1]
        address = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
        settings = read(address, {})
        real = {"columns": "default", "dcr": None, "level": logging.NOTSET, "pipeline": None}.get(
            name, getattr(settings, name, None)
        )

        assert default == "none" if real is None else eval(names(default)[0]) == real
        assert read(address | {"columns": "default"}, {}) == settings

    def test_every_word_that_is_accepted_is_named(self):
        """For settings that are one of a few."""
        meanings = {names(row[0])[0]: names(row[2]) for row in table("Configuration", "argument")}

        assert {f'"{word}"' for word in CREDENTIALS} <= set(meanings["credential"])
        assert [word.strip('"') for word in meanings["cloud"]] == list(CLOUDS)
        assert [word.strip('"') for word in meanings["overflow"]] == list(ARGUMENTS["overflow"].words)
        assert [word.strip('"') for word in meanings["spool_fsync"]] == list(ARGUMENTS["spool_fsync"].words)
        assert [names(row[0])[0].strip('"') for row in table("A power cut", "`spool_fsync`")] == list(
            ARGUMENTS["spool_fsync"].words
        )

    def test_every_number_has_its_unit(self):
        """In its name and in its meaning."""
        for row in table("Configuration", "argument"):
            unit = names(row[0])[0].rpartition("_")[2]
            if unit in {"seconds", "bytes"}:
                assert unit in row[2]

    def test_fields_are_those_there_are_with_their_types(self):
        """In the order of the source."""
        documented = {}
        for row in table("Columns", "field"):
            fields = names(row[0])
            types = [word for word in re.findall(r"\w+", row[1]) if word not in fields]
            types = types if len(types) == len(fields) else types[:1] * len(fields)
            documented |= dict(zip(fields, types, strict=True))
        documented["line"] = "int"  # "string, `line` int"

        assert documented == dict(FIELD_TYPES)

    def test_the_default_columns_are_the_presets(self):
        """What a stream must declare."""
        listed = [
            name.split() for name in names(section("What you need in Azure")) if re.fullmatch(r"[A-Z]\w+ [a-z]+", name)
        ]

        assert listed == [[column.name, column.type] for column in presets.DEFAULT]

    def test_every_preset_is_named(self):
        """And each name is one."""
        documented = re.search(r"Instead of a mapping(.*?)\n\n", section("Columns"), re.DOTALL)[1]

        assert set(re.findall(r'`"(\w+)"`', documented)) == set(presets.PRESETS)

    def test_python_versions_are_those_of_the_package(self):
        """Those that the tests really run on."""
        text = ROOT.joinpath(".ci/run").read_text("utf-8")
        versions = re.search(r"^versions=\((.*)\)$", text, re.MULTILINE)[1].split()

        assert f"CPython {', '.join(versions[:-1])} and {versions[-1]}." in section("Installation")


class TestAnswers:
    """The table of what happens to rows, against those who decide it."""

    TABLE = table("What happens when", "the service answers")
    # How the second column begins, and what is decided then for several rows.
    MEANS = (
        ("delivered", {Decision(Action.DONE)}),
        ("tried again;", {Decision(Action.RETRY, "outage"), Decision(Action.RETRY, "throttled")}),
        ("once more with a new token, then as 403", {Decision(Action.RENEW)}),
        ("kept and tried again slowly", {Decision(Action.RETRY, "configuration")}),
        ("split in two", {Decision(Action.SPLIT_BY_SIZE)}),
        ("split by time", {Decision(Action.SPLIT_BY_TIME)}),
        ("split until", {Decision(Action.SPLIT)}),
    )
    OTHERWISE = "anything else: a proxy's page, a redirect, a TLS failure, no token"

    @staticmethod
    def answers(cell):
        """Return the answers that a cell of the first column stands for."""
        (code,) = names(cell) or ["Other" if "any other reason" in cell else ""]
        # A code belongs to the number before it.
        numbers = [(number, code if f"{number} `" in cell or len(names(cell)) == 0 else "") for number in STATUS(cell)]
        found = [Answer(status=int(number), code=code) for number, code in numbers]
        found += [Answer(status=status) for status in range(500, 600) if "5xx" in cell]
        return found + [Answer(failure=Failure.CONNECTION)] * ("nothing" in cell)

    @pytest.mark.parametrize(("cell", "then"), TABLE[:-1], ids=[row[0] for row in TABLE[:-1]])
    def test_each_line_says_what_is_decided(self, cell, then):
        """For several rows: what becomes of a single one is said in words."""
        (expected,) = [decisions for words, decisions in self.MEANS if then.startswith(words)]
        answers = self.answers(cell)

        assert answers
        assert {judge(answer, rows=2) for answer in answers} == expected

    def test_everything_else_is_kept_as_the_last_line_says(self):
        """Whatever has no line of its own."""
        named = {answer.status for cell, _ in self.TABLE[:-1] for answer in self.answers(cell)}
        others = [Answer(status=status) for status in range(100, 600) if status not in named]
        others += [Answer(failure=failure) for failure in (Failure.CREDENTIAL, Failure.TLS, Failure.UNREADABLE)]
        cell, then = self.TABLE[-1]

        assert (cell, then.startswith("kept and tried again slowly")) == (self.OTHERWISE, True)
        assert {judge(answer, rows=2) for answer in others} == {Decision(Action.RETRY, "configuration")}

    def test_what_becomes_of_a_single_row_and_of_a_token_is_true(self):
        """A row that is too long is shrunk, then rejected; one at fault is rejected; a second 401 is a 403."""
        single = {"rows": 1, "is_shrunk": False}

        assert judge(Answer(status=413), **single).action is Action.SHRINK
        assert judge(Answer(status=413), **single | {"is_shrunk": True}).action is Action.REJECT
        assert judge(Answer(status=400), **single).action is Action.REJECT
        assert judge(Answer(status=401), rows=2, has_renewed=True) == judge(Answer(status=403), rows=2)

    def test_the_numbers_are_those_of_the_code(self):
        """Seconds are told in minutes."""
        told = " ".join(then for _, then in self.TABLE)

        assert f"honoured, up to {MOST_RETRY_AFTER_SECONDS / 60:g} minutes" in told
        assert f"wait longer (up to {MAX_STRETCHED_SECONDS / 60:g} minutes)" in told
        assert f"more than {SPLITS_PER_MINUTE} requests a minute" in told
        assert f"At most {SPLITS_PER_BATCH} more requests a batch and {SPLITS_PER_MINUTE} a minute" in told


class TestReports:
    TEXT = section("Reports")

    def test_every_kind_of_trouble_is_named(self):
        """And no other; mypy lets the code make no other, either."""
        told = re.search(r"^`kind` is (.*?)\n\n", self.TEXT, re.DOTALL | re.MULTILINE)[1]

        assert [name.strip('"') for name in names(told) if name.startswith('"')] == list(get_args(Kind))

    def test_every_reason_for_a_loss_is_named(self):
        """And no other."""
        told = re.search(r"whose keys are the reasons: (.*?)\.\n", self.TEXT, re.DOTALL)[1]

        assert names(told) == list(get_args(Reason))

    def test_every_counter_is_named(self):
        """All that make up the sum."""
        told = re.search(r"^`handler.stats\(\)`(.*?)whose keys", self.TEXT, re.DOTALL | re.MULTILINE)[1]
        counters = {field.name for field in fields(Stats)} - {"misfits", "requests", "retries", "sent_bytes"}

        assert set(names(told)) == counters


class TestLocalWorkspace:
    TEXT = section("The local workspace") + PAGES[-1].read_text("utf-8")

    def test_it_is_called_as_the_text_says(self):
        """Port, rule, stream, table and workspace without any option."""
        with Workspace() as workspace:
            assert {workspace.rule_id, workspace.stream, workspace.workspace_id} <= set(names(self.TEXT))
            assert list(workspace.tables) == ["App_CL", "DCRLogErrors"]
            assert set(workspace.tables) <= set(names(self.TEXT))
        assert f"127.0.0.1:{serve.PORT}," in self.TEXT

    def test_every_option_is_one(self):
        """Of `serve`, or of `demo`."""
        parser = argparse.ArgumentParser()
        for command in (serve, demo):
            command.configure(parser)

        assert set(re.findall(r"--[a-z][a-z-]+", self.TEXT)) <= set(re.findall(r"--[a-z][a-z-]+", parser.format_help()))

    def test_every_fault_is_accepted(self):
        """In the table and around it."""
        faults = [names(row[0])[0] for row in table("Faults and limits", "fault")]

        assert len(faults) == 6
        with Workspace(faults=faults) as workspace:
            workspace.fault(*faults)

    def test_a_lost_answer_makes_a_batch_arrive_twice(self):
        """What `reset,stored` is for."""
        with Workspace(faults=["reset,stored"]) as workspace:
            handler = AzureMonitorHandler(
                workspace.endpoint, workspace.rule_id, workspace.stream, report=lambda _: None, retry_seconds=0.01
            )
            handler.handle(logging.makeLogRecord({"msg": "twice"}))
            assert handler.flush(30)
            handler.close()
            assert [row["Message"] for row in workspace.rows("App_CL")] == ["twice", "twice"]

    def test_variables_for_tls_are_those_that_are_printed(self):
        """All of them, and no other."""
        with Workspace(tls=True) as workspace:
            printed = workspace.trust_environment | workspace.identity_environment

        assert set(re.findall(r"`([A-Z_]{10,})`", self.TEXT)) == set(printed)

    def test_what_azure_drops_in_silence_is_told(self):
        """An undeclared column, a value of another type, an old time: as problems and as rows."""
        row = {"TimeGenerated": "2001-01-01T00:00:00Z", "Line": "many", "Undeclared": 1}
        with Workspace() as workspace:
            assert send(workspace, [row]).status == 204
            told = {(problem["column"], problem["kind"]) for problem in workspace.problems()}
            assert len(workspace.rows("DCRLogErrors")) == 3

        assert told == {("TimeGenerated", "replaced"), ("Line", "mistyped"), ("Undeclared", "dropped")}


class TestClaims:
    """Those that no other test makes good for."""

    def test_a_handler_touches_nothing_when_it_is_made(self, tmp_path, monkeypatch):
        """No network, no disk, no thread."""
        monkeypatch.chdir(tmp_path)
        script = """
import sys, threading
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith("socket.") else None)
from logging_azmon import AzureMonitorHandler
handler = AzureMonitorHandler("https://dce.example.org", "dcr-1", "Custom-App")
seen = [event for event in seen if event not in {"socket.gethostname", "socket.__new__"}]
print(seen, threading.active_count())
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

        assert (done.stdout.strip(), done.stderr) == ("[] 1", "")
        assert list(tmp_path.iterdir()) == []

    @pytest.fixture
    def logged(self):
        """Log once with extras to a handler with these columns; return the row and the handler's stats."""
        logger = logging.getLogger("test_readme")

        def log(columns, **extra):
            handler = AzureMonitorHandler("http://127.0.0.1:9", "dcr-1", "Custom-App", columns=columns)
            logger.addHandler(handler)
            try:
                with capture() as rows:
                    logger.warning("hello", extra=extra)
            finally:
                logger.removeHandler(handler)
                handler.close()
            (row,) = rows
            return row, handler.stats()

        return log

    def test_an_extra_cannot_forge_a_column(self, logged):
        """It goes to `*`."""
        row, _ = logged("default", Level="CRITICAL", Instance="forged")

        assert row["Level"] == "WARNING"
        assert row["Instance"] != "forged"
        assert row["Properties"] == {"Level": "CRITICAL", "Instance": "forged"}

    @pytest.mark.parametrize("value", ["many", 2**31, "42", 1.5])
    def test_a_value_that_does_not_fit_goes_to_the_rest_and_is_counted(self, logged, value):
        """Under its own name."""
        row, stats = logged({"Text": "message", "Count": "count:int", "Properties": "*"}, count=value)

        assert row == {"Text": "hello", "Properties": {"count": value}}
        assert stats.misfits == 1

    def test_without_such_a_column_it_is_converted_or_joins_the_message(self, logged):
        """Nothing readable is lost."""
        columns = {"Text": "message", "Count": "count:int"}

        assert logged(columns, count="42")[0] == {"Text": "hello", "Count": 42}
        assert logged(columns, count="many")[0] == {"Text": "hello\ncount: many"}
