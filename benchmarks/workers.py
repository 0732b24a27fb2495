"""Run each contender in a fresh process, so that none is affected by the state that another leaves behind.

A worker is a function of one of these modules, named ``module:function``. It takes keyword arguments that are JSON, and
returns JSON.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sampling import CannotRun

HERE = Path(__file__).parent
LIMIT_SECONDS = 180.0
_is_here = False


def command(worker: str, **arguments: Any) -> list[str]:
    """Return the command line that runs a worker."""
    return [sys.executable, str(HERE), "--worker", worker, json.dumps(arguments)]


def ask(worker: str, *, before: Sequence[str] = (), limit: float = LIMIT_SECONDS, **arguments: Any) -> Any:
    """Run a worker in a process of its own and return its result; `before` goes in front of its command line."""
    if _is_here:
        return function(worker)(**json.loads(json.dumps(arguments)))
    try:
        done = subprocess.run(
            [*before, *command(worker, **arguments)],
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotRun(f"not done within {limit:.0f} s") from None
    if done.returncode != 0:
        raise CannotRun(last_line(done.stderr) or f"ended with status {done.returncode}")
    answer = json.loads(last_line(done.stdout))
    if "cannot" in answer:
        raise CannotRun(answer["cannot"])
    return answer["found"]


@contextmanager
def here() -> Iterator[None]:
    """Run workers in this process while the block runs: this is quick, but the figures are then meaningless."""
    global _is_here  # noqa: PLW0603 - so that tests need not start hundreds of processes
    _is_here = True
    try:
        yield
    finally:
        _is_here = False


def work(worker: str, arguments: str) -> None:
    """Run a worker and print its result, or why it cannot run."""
    answer: dict[str, Any]
    try:
        answer = {"found": function(worker)(**json.loads(arguments))}
    except ModuleNotFoundError as error:
        answer = {"cannot": f"{error.name} is not installed"}
    except CannotRun as reason:
        answer = {"cannot": str(reason)}
    print(f"\n{json.dumps(answer)}", flush=True)


def function(worker: str) -> Callable[..., Any]:
    """Return the worker of this name."""
    module, _, name = worker.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def last_line(text: str) -> str:
    """Return the last line that is not blank."""
    return next((text_line for text_line in reversed(text.splitlines()) if text_line.strip()), "")


@contextmanager
def background(arguments: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process while the block runs, and end it."""
    process = subprocess.Popen(arguments, text=True, stdin=subprocess.PIPE, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
