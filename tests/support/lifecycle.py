"""Run programs that log, as processes of their own, and judge what arrived."""

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

LIMIT_SECONDS = 60
# What programs whose rows must arrive have for it, on a machine that is slow and busy.
PATIENT_SECONDS = 40
SCRIPTS = Path(__file__).parent.parent / "scripts"

# What every program begins with. `OPTIONS` are the handler's settings.
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
    """Return the environment in which a program finds its endpoint; and coverage, if it is to be measured."""
    inherited = {name: value for name, value in os.environ.items() if is_measured or not name.startswith("COVERAGE_")}
    return inherited | {
        "DATA_COLLECTION_ENDPOINT": endpoint.url if endpoint else "http://127.0.0.1:9",
        "LOGS_DCR_RULE_ID": "dcr-1",
        "LOGS_DCR_STREAM_NAME": "Custom-App_CL",
        "OPTIONS": json.dumps({"close_seconds": PATIENT_SECONDS} | options),
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS.parent), str(SCRIPTS)]),
    }


@dataclass
class Program:
    """Talk to a running program."""

    process: subprocess.Popen[str]
    stderr: str = ""

    def wait_until(self, line: str) -> None:
        """Read what it prints up to a line."""
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if printed.strip() == line:
                return
        raise AssertionError(f"it ended without saying {line!r}: {self.process.communicate()[1]}")

    def go_on(self) -> None:
        """End a `wait()` in it."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self) -> float:
        """Wait for its end, and return how many seconds that took."""
        begun = time.monotonic()
        _, self.stderr = self.process.communicate(timeout=LIMIT_SECONDS)
        return time.monotonic() - begun


@contextmanager
def running(
    source: str, endpoint: Endpoint | None = None, *, early: str = "", is_measured: bool = True, **options: Any
) -> Iterator[Program]:
    """Run a program while the block runs; `early` comes before everything else."""
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
    """Run a program to its end, and return what it wrote to stderr."""
    with running(source, endpoint, early=early, **options) as program:
        program.finish()
        assert program.process.returncode == code, program.stderr
        return program.stderr


def messages(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return what the rows say, in order of their text."""
    return sorted(row["Message"] for row in rows)


def assert_each_once(rows: Iterable[dict[str, Any]]) -> None:
    """See that no row came twice and none is missing, whichever process made it."""
    numbers = defaultdict(list)
    for row in rows:
        numbers[row["Instance"]].append(row["Sequence"])
    for instance, found in numbers.items():
        assert sorted(found) == list(range(len(found))), f"of {instance}"
