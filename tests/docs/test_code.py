"""Code in README and docs/ runs unchanged: Python in a process of its own, KQL in the local workspace."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from logging_azmon.local import Workspace
from support.endpoint import Endpoint
from support.local_client import send
from support.pages import NAMES, blocks, pick, read, section

ADDRESS = {"LOGS_DCR_RULE_ID": "dcr-1", "LOGS_DCR_STREAM_NAME": "Custom-App"}
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
PAID = ("order 1001 paid", {"order": 1001, "amount": 59.9})


def messages(*expected):
    return lambda rows: [row.get("Message") for row in rows] == list(expected)


# For each block: its page and heading, its output on stderr, and a check of the rows that the endpoint has received.
EXPECTED = [
    (
        "README",
        "logging_azmon",
        "order 1001 paid\n",
        lambda rows: pick(rows, "Message", "Properties") == [PAID],
    ),
    (
        "getting-started",
        "The first row, on your own machine",
        r"order 1001 paid\norder 1003 is unknown\nTraceback .*\nKeyError: '1003'\n",
        lambda rows: (
            pick(rows, "Message", "Properties") == [PAID, ("order 1003 is unknown", {"order": 1003})]
            and rows[1]["Exception"].endswith("KeyError: '1003'")
        ),
    ),
    (
        "getting-started",
        "Columns of your own",
        "order is late\n",
        lambda rows: (
            pick(rows, "Level", "Message", "OrderId", "Properties") == [("WARNING", "order is late", 1001, {"days": 3})]
        ),
    ),
    ("configuration", "Switching off: development and CI", "hello\n", messages("hello")),
    (
        "configuration",
        "Sharing a pipeline",
        "",
        lambda rows: pick(rows, "Message", "Logger") == [("hello", "shop"), ("door opened", "audit")],
    ),
    (
        "columns",
        "Columns",
        "",
        lambda rows: (
            pick(rows, "Severity", "Text", "DurationMs", "Region", "Release", "Length", "Properties")
            == [("WARNING", "slow", 812.5, "north", "1.4.2", 4, {"order": 7})]
        ),
    ),
    (
        "columns",
        "Columns from the rule",
        "",
        lambda rows: pick(rows, "Text", "DurationMs") == [("late", 31_000)],
    ),
    (
        "data",
        "Redaction",
        "",
        messages("login of [redacted: pattern] with password=[redacted: secret] failed"),
    ),
    (
        "data",
        "The last word",
        "",
        lambda rows: pick(rows, "Message", "Properties") == [("order 7 is late", {"Region": "west"})],
    ),
    (
        "data",
        "Reducing what is sent",
        "",
        lambda rows: pick(rows, "Message", "Properties") == [("login failed", {"user": "ada", "password": "***"})],
    ),
    ("delivery", "SIGTERM", "", messages()),
    (
        "delivery",
        "When the process forks",
        "",
        lambda rows: {row["Message"] for row in rows} == {"part 1 is done", "part 2 is done"},
    ),
    ("delivery", "When the process is frozen", "", messages("got an event")),
    ("spool", "The spool", "", messages("order 7 is late")),
    ("testing", "Rows, without delivery", "", messages()),
    ("testing", "Rows, without delivery", "", messages()),
    ("testing", "Rows, without delivery", "", messages()),
    ("testing", "When Azure is away", "", messages()),
    ("testing", "With a workspace", "", messages()),
    ("testing", "With a workspace", "", messages()),
    ("operations", "Reports", "", messages("hello")),
    ("operations", "Metrics", "", messages()),
    ("operations", "Metrics", "", messages()),
]
BLOCKS = [(name, heading, code) for name in NAMES for heading, code in blocks(name, "python")]


def test_every_code_block_has_an_expected_result():
    """A new block needs an entry in EXPECTED."""
    assert [block[:2] for block in BLOCKS] == [expected[:2] for expected in EXPECTED]


def run(code, directory, **environ):
    """Run a block as a script, or with pytest if it has a test with a fixture."""
    runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "(azmon_" in code else []
    # Tests without a fixture are called directly.
    calls = "".join(f"\n{name}()\n" for name in re.findall(r"^def (test_\w+)\(\)", code, re.MULTILINE))
    script = directory / "block.py"
    script.write_text(code.replace("/var/spool/shop", (directory / "spool").as_posix()) + calls, "utf-8")
    directory.joinpath("rule.json").write_text(json.dumps(RULE), "utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", *runner, script],
        cwd=directory,
        env=os.environ | ADDRESS | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("block", "expected"), list(zip(BLOCKS, EXPECTED, strict=True)), ids=[f"{each[0]}: {each[1]}" for each in EXPECTED]
)
def test_every_code_block_runs_unchanged(block, expected, tmp_path):
    """Only the three variables are set; stderr has exactly the expected text, and the rows arrive."""
    _, _, stderr, are_expected = expected

    with Endpoint() as endpoint:
        done = run(block[2], tmp_path, DATA_COLLECTION_ENDPOINT=endpoint.url)

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(stderr, done.stderr, re.DOTALL), done.stderr
    rows = sorted(endpoint.rows, key=lambda row: row.get("TimeGenerated", ""))
    assert are_expected(rows), rows
    assert {(request.rule, request.stream) for request in endpoint.requests} <= {("dcr-1", "Custom-App")}


def test_the_tests_that_are_shown_pass_together_in_a_fresh_checkout(tmp_path):
    """Each in a file of its own, without any variable: no handler's rows get into another test's."""
    tests = [code for name, _, code in BLOCKS if name == "testing" and "def test_" in code]
    for number, code in enumerate(tests):
        tmp_path.joinpath(f"test_{number}.py").write_text(code, "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert len(tests) == 4
    assert done.returncode == 0, done.stdout
    assert f"{len(tests)} passed" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("block", [block[2] for block in BLOCKS if block[0] == "testing"])
def test_the_code_of_the_page_on_testing_runs_in_a_fresh_checkout(block, tmp_path):
    """No variable names an address."""
    done = run(block, tmp_path, DATA_COLLECTION_ENDPOINT="", LOGS_DCR_RULE_ID="", LOGS_DCR_STREAM_NAME="")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_rows_that_no_test_collects_are_waited_for_as_the_page_says(tmp_path):
    """Without the two arguments a line is printed at the end, and with them none."""
    text = section("testing", "Rows, without delivery")
    silent = "close_seconds=0", "report=lambda trouble: None"
    assert all(f"`{argument}`" in text for argument in silent)
    printed = {}
    for arguments in ("close_seconds=0.1", ", ".join(silent)):
        code = (
            "import logging\nfrom logging_azmon import AzureMonitorHandler\n"
            f'logging.getLogger("shop").addHandler(AzureMonitorHandler({arguments}))\n'
            'logging.getLogger("shop").warning("hello")\n'
        )
        done = run(code, tmp_path, DATA_COLLECTION_ENDPOINT="http://127.0.0.1:9")
        assert done.returncode == 0
        printed[arguments] = done.stderr

    # Where the row is after a tenth of a second depends on how long the SDK takes to import.
    assert re.search("1 row (lost: not delivered within|still on the way when)", printed["close_seconds=0.1"])
    assert printed[", ".join(silent)] == ""


@pytest.mark.parametrize("switch", ["argument", "variable"])
def test_a_handler_is_switched_off_as_the_page_shows(switch, tmp_path):
    """The output is exactly what was logged, and no row arrives."""
    ((_, heading, code),) = [block for block in BLOCKS if '"enabled"' in block[2]]
    (variable,) = re.findall(r"RUN (\w+=1) python manage.py collectstatic", section("configuration", heading))
    assert '"enabled": "DATA_COLLECTION_ENDPOINT" in os.environ' in code

    with Endpoint() as endpoint:
        environ = {"DATA_COLLECTION_ENDPOINT": endpoint.url}
        if switch == "argument":
            code = code.replace('"DATA_COLLECTION_ENDPOINT" in os.environ', "False")
        else:
            environ |= [variable.split("=")]
        done = run(code, tmp_path, **environ)

    assert (done.returncode, done.stderr, endpoint.requests) == (0, "hello\n", [])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be handled there")
@pytest.mark.parametrize("page", ["README", "delivery"])
def test_sigterm_loses_no_row_after_the_line_that_is_shown(page, tmp_path):
    """Without the line a row is lost, so the line is needed."""
    (first, *_) = [code for _, _, code in BLOCKS]
    (line,) = re.findall(
        r"^(?:Call `)?(logging_azmon\.exit_on_sigterm\(\))(?:` at the start:.*)?$", read(page), re.MULTILINE
    )
    # The first row of a process is sent at once; those that follow wait for their batch.
    end = (
        'logging.getLogger().handlers[1].flush()\nlogging.getLogger("shop").info("the last row")\n'
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()\n"
    )

    for handled in (f"import logging_azmon\n{line}\n", ""):
        with Endpoint() as endpoint:
            done = run(first + handled + end, tmp_path, DATA_COLLECTION_ENDPOINT=endpoint.url)
        assert done.returncode == -signal.SIGTERM
        arrived = ["order 1001 paid", *(["the last row"] if handled else [])]
        assert [row["Message"] for row in endpoint.rows] == arrived


def test_the_documented_queries_find_duplicate_and_missing_rows():
    """One query finds copies of a row, the other gaps in the sequence."""
    arrived = [("a", 0), ("a", 1), ("a", 1), ("a", 4), ("b", 1)]
    rows = [{"Instance": instance, "Sequence": number, "Message": f"{number}"} for instance, number in arrived]
    (_, copies), (_, missing) = blocks("delivery", "kusto")

    with Workspace() as workspace:
        assert send(workspace, rows).status == 204
        once = pick(workspace.query(copies), "Instance", "Sequence", "Message")
        gaps = pick(workspace.query(missing), "Instance", "Sequence", "Missing")

    assert sorted(once) == [("a", 0, "0"), ("a", 1, "1"), ("a", 4, "4"), ("b", 1, "1")]
    assert gaps == [("a", 4, 2), ("b", 1, 1)]


def test_every_documented_query_is_run_by_a_test():
    """Queries about frameworks are run by tests/docs/test_framework_pages.py, README's by test_commands.py."""
    assert [name for name in NAMES if blocks(name, "kusto")] == ["delivery", "frameworks"]
