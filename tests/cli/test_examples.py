"""Every command's help ends with examples, and every example works when it is copied.

Each example is run unchanged, in a directory that has the files it names, with a local workspace that has rows.
"""

import io
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from logging_azmon import AzureMonitorHandler, cli
from logging_azmon._config.presets import DEFAULT
from logging_azmon.cli.demo import command as demo
from logging_azmon.infra import RENDERERS, Design
from logging_azmon.local import Workspace

LIMIT = 60
COMMANDS = dict(cli.find_commands())
EXAMPLES = [(name, example) for name, module in COMMANDS.items() for example in getattr(module, "EXAMPLES", ())]
# Commands that run until interrupted, with the text they print once they are running.
ENDLESS = {"serve": "Ctrl-C ends it.", "tail": "Ctrl-C ends it."}
# The demo takes several seconds, so only tests/cli/test_demo.py runs it, and checks its output.
RUN_ELSEWHERE = set(demo.EXAMPLES)

ENDING = [example for name, example in EXAMPLES if name not in ENDLESS and example not in RUN_ELSEWHERE]
RUNNING_ON = [example for name, example in EXAMPLES if name in ENDLESS]

LINES = "".join(json.dumps({"message": f"line {number}", "level": "INFO"}) + "\n" for number in range(20))
CONFIGURATION = {"version": 1, "handlers": {"azure": {"class": "logging_azmon.AzureMonitorHandler"}}}


def program_words(example):
    """Return the words for our program in a shell line: without the pipe before it, and the redirection after it."""
    lexer = shlex.shlex(example, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    words = list(lexer)
    while "|" in words:
        words = words[words.index("|") + 1 :]
    assert words[0] == "logging-azmon"
    return words[1 : words.index(">") if ">" in words else None]


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as workspace:
        handler = AzureMonitorHandler(workspace.endpoint, workspace.rule_id, workspace.stream)
        for level in (logging.INFO, logging.ERROR):
            handler.handle(logging.makeLogRecord({"msg": "hello", "levelno": level, "levelname": "ERROR"}))
        assert handler.flush(LIMIT)
        handler.close()
        yield workspace


@pytest.fixture
def place(workspace, tmp_path, monkeypatch):
    """Make a directory with the files that examples name, and set the environment of the workspace."""
    monkeypatch.chdir(tmp_path)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES.encode())))
    files = {
        "rule.json": RENDERERS["arm"](Design(columns=DEFAULT)),
        "logging.json": json.dumps(CONFIGURATION),
        "app.ndjson": LINES,
        "old.log": "a line\n" * 12_010,
    }
    for name, text in files.items():
        tmp_path.joinpath(name).write_text(text, "utf-8")
    return tmp_path


def moved(word, place):
    """Return a word of an example, with system directories replaced by directories of the test."""
    if word.startswith("/var/"):
        (place / "spool").mkdir(exist_ok=True)
        return str(place / "spool")
    return word


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples(name, capsys):
    """The examples are those of the command, ready to copy."""
    assert COMMANDS[name].EXAMPLES
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    end = capsys.readouterr().out.partition("\nexamples:\n")[2]

    assert [line.strip() for line in end.splitlines()] == list(COMMANDS[name].EXAMPLES)
    assert all(program_words(example)[0] == name for example in COMMANDS[name].EXAMPLES)


@pytest.mark.parametrize("example", ENDING)
def test_an_example_works(example, place, capsys):
    """If the files that it needs are there, it succeeds and prints something."""
    assert cli.main([moved(word, place) for word in program_words(example)]) == 0

    said = capsys.readouterr()
    assert said.out + said.err


@pytest.mark.skipif(os.name != "posix", reason="signals are sent")
@pytest.mark.parametrize("example", RUNNING_ON)
def test_an_endless_example_works_until_interrupted(example, place):
    """The test sends the signal that Ctrl-C sends."""
    words = program_words(example)
    if words[0] == "serve":
        words += ["--port", "0"]  # the usual port may be in use
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "logging_azmon", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=place,
        env=environ,
    ) as child:
        try:
            for line in child.stdout:
                if ENDLESS[words[0]] in line:
                    break
            child.send_signal(signal.SIGINT)
            assert child.wait(LIMIT) in {0, cli.INTERRUPTED}
        finally:
            child.kill()


def test_examples_skipped_here_are_run_by_test_demo():
    """test_demo runs the same command lines."""
    text = Path(__file__).with_name("test_demo.py").read_text("utf-8")

    for example in RUN_ELSEWHERE:
        assert all(f'"{word}"' in text for word in program_words(example))


@pytest.mark.parametrize("example", [example for _, example in EXAMPLES])
def test_an_example_fits_into_a_terminal(example):
    """The limit is 100 columns, including the indentation."""
    assert len(example) <= 98
    assert re.fullmatch(r"[ -~]+", example)
