"""The command `logging-azmon demo`, README's first, run as a newcomer runs it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "logging_azmon", "demo"]
LIMIT = 60.0


def run(**environ):
    """Run the demo to its end; return its output and the seconds it took."""
    began = time.monotonic()
    done = subprocess.run(
        COMMAND, env=os.environ | environ, capture_output=True, encoding="utf-8", timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    # A table fills its lines with spaces.
    return re.sub(r" +$", "", done.stdout, flags=re.MULTILINE), time.monotonic() - began


@pytest.fixture(scope="module")
def told():
    # An application's switch does not concern the demo: nothing leaves this machine.
    return run(PYTHONIOENCODING="utf-8", COLUMNS="110", LOGGING_AZMON_DISABLED="1", LOGGING_AZMON_UPLOADS="0")


@contextmanager
def started(*arguments):
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # ends a process that a failed test has left running
            process.communicate(timeout=LIMIT)


def until(process, words):
    """Read up to the line with these words, or until the process has ended."""
    text = ""
    for line in process.stdout:
        text += line
        if words in text:
            return text
    raise AssertionError(text)


def part(told, heading):
    """Return the text under a heading."""
    return re.search(rf"^{re.escape(heading)} ─+\n(.*?)(?=^\S.* ─+$|\Z)", told[0], re.DOTALL | re.MULTILINE)[1]


def test_the_demo_ends_by_itself_in_less_than_20_seconds(told):
    assert told[1] < 20


def test_progress_is_shown_and_every_row_arrives_in_the_end(told):
    acts = re.findall(r"^(.+?) +━+ +([\d,]+) logged +([\d,]+) delivered +([\d,]+) waiting$", told[0], re.MULTILINE)

    assert [act[0] for act in acts] == ["Business as usual", "The endpoint is down", "The endpoint is back"]
    assert acts[1][3] != "0"
    assert acts[2][1] == acts[2][2]
    assert acts[2][3] == "0"


def test_the_outage_and_its_end_are_reported(told):
    reported = part(told, "What the library reported")

    assert re.search(r"^  outage +http://127\.0\.0\.1:\d+ cannot be reached", reported, re.MULTILINE)
    assert re.search(r"^  recovered +http://127\.0\.0\.1:\d+ takes rows again$", reported, re.MULTILINE)


def test_the_chart_has_a_bar_for_each_level(told):
    chart = part(told, "Rows by level and time")
    bars = re.findall(r"^  (\w+) +([\d,]+)  (▆+) +[▁▂▃▄▅▆▇█][ ▁▂▃▄▅▆▇█]+$", chart, re.MULTILINE)
    counts = {level: int(count.replace(",", "")) for level, count, _ in bars}

    assert list(counts) == ["ERROR", "WARNING", "INFO", "DEBUG"]
    longest = max(bars, key=lambda bar: len(bar[2]))
    assert longest[0] == max(counts, key=counts.get) == "INFO"
    assert f"{sum(counts.values()):,} accepted" in told[0]


def test_two_queries_are_shown_with_their_results(told):
    slow = part(told, "Which pages are slow?")
    assert "| summarize Requests = count()" in slow
    cells = re.findall(r"^   (/\w*) +(\d+) +(\d+) +([\d,.]+) +([\d,.]+)$", slow, re.MULTILINE)
    assert [row[0] for row in cells] == ["/search", "/checkout", "/items", "/cart", "/"]
    assert [row[0] for row in cells if row[2] != "0"] == ["/checkout"]

    failed = part(told, "What happened in the request that failed?")
    assert "| project Level, Logger, Message" in failed
    assert re.search(r"ERROR +shop\.payments +payment failed, .* CardRefusedError: the bank refused", failed)
    assert re.search(r"ERROR +shop\.web +POST /checkout 502", failed)


def test_the_ledger_balances_and_agrees_with_the_table(told):
    ledger = part(told, "The ledger")
    accepted = re.search(
        r"^  ([\d,]+) accepted = \1 delivered \+ 0 waiting \+ 0 rejected \+ 0 dropped$",
        ledger,
        re.MULTILINE,
    )[1]
    retries = re.search(rf"uploads, (\d+) of them retries; {accepted} rows in App_CL$", ledger, re.MULTILINE)[1]

    assert int(retries) > 0


def test_the_address_of_the_page_and_the_option_that_keeps_it_are_printed(told):
    address = re.search(r"^Watch the rows come in: (http://127\.0\.0\.1:\d+/)$", told[0], re.MULTILINE)[1]

    assert told[0].endswith(f"\nThe page was at {address}; logging-azmon demo --keep keeps it up.\n")


def test_the_demo_works_on_a_terminal_with_only_ascii():
    out, _ = run(PYTHONIOENCODING="ascii:strict")

    assert out.isascii()
    assert re.search(r"^  INFO +\d+  #+", out, re.MULTILINE)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_with_keep_the_page_stays_until_ctrl_c():
    with started("--keep") as process:
        address = re.search(
            r"The page is at (http://\S+/)\. Ctrl-C ends the demo\.", until(process, "Ctrl-C ends the demo")
        )[1]
        with urllib.request.urlopen(address, timeout=LIMIT) as answer:
            assert b"<title>" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_the_demo_at_once_with_exit_code_130():
    with started() as process:
        until(process, "Watch the rows come in")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert out.endswith("\nStopped.\n")
    assert "The ledger" not in out
