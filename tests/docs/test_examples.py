"""The examples run as a newcomer runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.endpoint import Endpoint, status

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ADDRESS = {"LOGS_DCR_RULE_ID": "dcr-1", "LOGS_DCR_STREAM_NAME": "Custom-App"}


def run(name, **environ):
    """Run an example; return what it printed on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_every_example_is_run_by_a_test():
    """A new example needs a test that contains the name of its file or directory."""
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.parent.rglob("test_*.py"))
    names = {path.stem if path.is_file() else path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"}

    assert {name for name in names if name not in tests} == set()


def test_first_rows_shows_the_rows_without_azure():
    """The example goes from dictConfig over log calls and a request over a socket to rows on the screen."""
    out, err = run("first_rows.py")

    assert err == ""
    assert re.match(r"4 log calls have become 4 rows, sent as [\d,]+ bytes:\n", out)
    lines = [line.strip() for line in out.splitlines()]
    assert re.split(r"\s{2,}", lines[2]) == ["TimeGenerated", "Level", "Logger", "Message"]
    assert [re.split(r"\s{2,}", line)[1:] for line in lines[4:8]] == [
        ["INFO", "shop", "open for business on port 8080"],
        ["INFO", "shop.orders", "order 1001 paid"],
        ["WARNING", "shop.orders", "payment is slow"],
        ["ERROR", "shop.orders", "order 1003 is unknown"],
    ]
    assert "KeyError: '1003'" in lines
    assert re.search(
        r'^  Properties     \{"order": 1003, "customer": \{"id": 7, "country": "PT"\}\}$', out, re.MULTILINE
    )
    assert lines[-1] == "The ledger: 4 accepted = 4 delivered + 0 queued + 0 in flight + 0 rejected + 0 dropped"


def test_first_rows_can_be_shown_on_a_terminal_with_only_ascii():
    """The output is then pure ASCII."""
    out, _ = run("first_rows.py", PYTHONIOENCODING="ascii:strict")

    assert out.isascii()


def test_dictconfig_sends_to_the_rule_that_the_environment_names():
    """The output says how many rows were delivered."""
    with Endpoint() as endpoint:
        out, err = run("dictconfig.py", DATA_COLLECTION_ENDPOINT=endpoint.url, **ADDRESS)

    assert out.startswith("1 delivered, 0 rejected, 0 still waiting\n")
    assert err == "hello table\n"
    assert [(row["Message"], row["Properties"]) for row in endpoint.rows] == [("hello table", {"answer": 42})]


def test_the_dictconfig_example_names_missing_variables():
    """A newcomer who has just pasted the example sees the names."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "dictconfig.py"],
        env={name: value for name, value in os.environ.items() if not name.startswith(("LOGS_DCR", "DATA_COLL"))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "rule_id is missing: give rule_id=… or set the environment variable LOGS_DCR_RULE_ID" in done.stderr


def test_the_dictconfig_example_reports_a_row_that_was_not_delivered():
    """The reason is on stderr."""
    with Endpoint(status(400, error=("BadRow", "no such day"))) as endpoint:
        out, err = run("dictconfig.py", DATA_COLLECTION_ENDPOINT=endpoint.url, **ADDRESS)

    assert out == "0 delivered, 1 rejected, 0 still waiting\n"
    assert "logging_azmon: 1 row rejected: 400 from" in err
