"""The structlog examples run as a newcomer runs them, and docs/structlog.md quotes them correctly."""

import json
import os
import re
import subprocess
import sys

import pytest

from support.endpoint import Endpoint
from support.lifecycle import address_variables
from support.pages import ROOT, blocks

# From 3.15 on, a traceback of a module that runpy runs makes the standard library warn.
RUNPY = ("-W", "ignore:Module globals is missing:DeprecationWarning")
QUOTES = [(file, code) for _, file, code in blocks("structlog", "python", quoting=True)]


def run(name):
    """Run an example; return the rows that arrived, and what it printed."""
    with Endpoint() as endpoint:
        done = subprocess.run(
            [
                *(sys.executable, "-W", "error", *RUNPY),
                *("-c", f"import runpy; runpy.run_path({str(ROOT / 'examples' / name)!r})"),
            ],
            env=os.environ
            | {
                "DATA_COLLECTION_ENDPOINT": endpoint.url,
                "LOGS_DCR_RULE_ID": "dcr-1",
                "LOGS_DCR_STREAM_NAME": "Custom-App",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return sorted(endpoint.rows, key=lambda row: row["Sequence"]), done.stdout, done.stderr


def shown(rows):
    return [(row["Level"], row["Logger"], row["Message"], row["Properties"]) for row in rows]


def test_the_native_structlog_example_sends_its_events_and_prints_them():
    """Rows and lines hold the same events."""
    rows, out, err = run("structlog_native.py")

    assert shown(rows) == [
        ("INFO", "shop", "order paid", {"request": "r-17", "order": 1001, "amount": 59.9}),
        ("ERROR", "shop", "order is unknown", {"request": "r-17", "order": 1003}),
    ]
    assert rows[1]["Exception"].endswith("KeyError: '1003'")
    printed = [json.loads(line) for line in out.splitlines()]
    assert [(line["event"], line["order"]) for line in printed] == [("order paid", 1001), ("order is unknown", 1003)]
    assert err == "2 rows delivered\n"


def test_the_stdlib_structlog_example_sends_and_prints_events_and_foreign_records():
    """Events and foreign records go to the table and to the console."""
    rows, _, err = run("structlog_stdlib.py")

    assert shown(rows) == [
        ("INFO", "shop", "order paid", {"request": "r-17", "order": 1001, "amount": 59.9}),
        ("ERROR", "shop", "order 1003 is unknown", {"request": "r-17", "order": 1003}),
        ("WARNING", "library", "2 retries left", {"host_name": "db-1"}),
    ]
    assert rows[1]["Exception"].endswith("KeyError: '1003'")
    assert re.findall(r"\[(info|error|warning) +\]", err) == ["info", "error", "warning"]
    assert "[debug" not in err
    assert err.count("Traceback (most recent call last):") == 1
    assert "╭" not in err


@pytest.mark.parametrize(("file", "code"), QUOTES, ids=[file for file, _ in QUOTES])
def test_each_quoted_piece_of_code_is_in_its_example_file(file, code):
    """A quote cannot become outdated."""
    assert code in ROOT.joinpath(file).read_text("utf-8")


@pytest.mark.parametrize(("file", "code"), QUOTES, ids=[file for file, _ in QUOTES])
def test_a_quote_can_be_pasted(file, code):
    """It runs by itself: nothing in it is cut off, and each name is defined in it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | address_variables("http://127.0.0.1:9", stream="Custom-App"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_both_structlog_examples_are_quoted():
    """The quotes are the essential parts of each example."""
    assert {file for file, _ in QUOTES} == {"examples/structlog_native.py", "examples/structlog_stdlib.py"}
