"""Run programs that log in processes of their own, and check the rows that arrive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.endpoint import Endpoint
from support.pipelines import LIMIT_SECONDS, NOWHERE, sorted_messages

# `close_seconds` of programs whose rows must arrive, on a machine that is slow and busy.
PATIENT_SECONDS = 40
SCRIPTS = Path(__file__).parent.parent / "scripts"

# The first lines of every program. `OPTIONS` are the handler's settings.
PREAMBLE = """
import atexit, json, logging, os, signal, sys, threading
from logging_azmon import AzureMonitorHandler, Pipeline
OPTIONS = json.loads(os.environ["OPTIONS"])
root = logging.getLogger()
root.setLevel("DEBUG")
log = logging.getLogger("app")

def handle(**more):
    handler = AzureMonitorHandler(**(OPTIONS | more))
    root.addHandler(handler)
    return handler

def say(text):
    print(text, flush=True)

def wait():
    say("waiting")
    sys.stdin.readline()
"""


def environment(endpoint: Endpoint | None, options: dict[str, Any], *, is_measured: bool = True) -> dict[str, str]:
    """Return the environment of a program: its endpoint, its options, and coverage if it `is_measured`."""
    inherited = {name: value for name, value in os.environ.items() if is_measured or not name.startswith("COVERAGE_")}
    return (
        inherited
        | address_variables(endpoint.url if endpoint else NOWHERE)
        | {
            "OPTIONS": json.dumps({"close_seconds": PATIENT_SECONDS} | options),
            "PYTHONPATH": os.pathsep.join([str(SCRIPTS.parent), str(SCRIPTS)]),
        }
    )


def address_variables(url: str, rule_id: str = "dcr-1", stream: str = "Custom-App_CL") -> dict[str, str]:
    """Return the variables that name an endpoint, a rule and a stream to a handler made without arguments."""
    return {"DATA_COLLECTION_ENDPOINT": url, "LOGS_DCR_RULE_ID": rule_id, "LOGS_DCR_STREAM_NAME": stream}


@dataclass
class Program:
    """Talk to a program while it runs."""

    process: subprocess.Popen[str]
    stderr: str = ""

    def wait_until(self, line: str) -> None:
        """Read its output up to a line."""
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if printed.strip() == line:
                return
        raise AssertionError(f"the program ended without printing {line!r}: {self.process.communicate()[1]}")

    def go_on(self) -> None:
        """Let it return from `wait()`."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self) -> float:
        """Wait until it has ended, and return how many seconds that took."""
        begun = time.monotonic()
        _, self.stderr = self.process.communicate(timeout=LIMIT_SECONDS)
        return time.monotonic() - begun


@contextmanager
def running(
    source: str, endpoint: Endpoint | None = None, *, early: str = "", is_measured: bool = True, **options: Any
) -> Iterator[Program]:
    """Run a program while the block runs; the code in `early` comes before the preamble."""
    process = subprocess.Popen(
        [sys.executable, "-c", early + PREAMBLE + source],
        env=environment(endpoint, options, is_measured=is_measured),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


def run(source: str, endpoint: Endpoint | None = None, *, early: str = "", code: int = 0, **options: Any) -> str:
    """Run a program to its end, check its exit status, and return its stderr."""
    with running(source, endpoint, early=early, **options) as program:
        program.finish()
        assert program.process.returncode == code, program.stderr
        return program.stderr


# Rows of several processes arrive in any order.
messages = sorted_messages


def assert_each_once(rows: Iterable[dict[str, Any]]) -> None:
    """Check that no row arrived twice and none is missing, for each process that logged."""
    numbers = defaultdict(list)
    for row in rows:
        numbers[row["Instance"]].append(row["Sequence"])
    for instance, found in numbers.items():
        assert sorted(found) == list(range(len(found))), f"of {instance}"
