"""The command `logging-azmon serve` runs a local workspace and prints how to use it."""

# ruff: noqa: SLF001 - tests of internal functions

import argparse
import http.client
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from logging_azmon.cli import main
from logging_azmon.cli import serve as command
from logging_azmon.local import Workspace

LIMIT = 60.0


class Serving:
    """Read what the command prints, line by line, with a limit."""

    def __init__(self, process):
        self.process = process
        self._lines = queue.SimpleQueue()
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, words):
        while words not in self.text:
            line = self._lines.get(timeout=LIMIT)
            assert line is not None, self.text
            self.text += line
        return self.text

    def environment(self):
        exported = re.findall(r"^export (.*)$", self.until("Ctrl-C"), re.MULTILINE)
        return dict(part.split("=", 1) for line in exported for part in shlex.split(line))


@contextmanager
def serve(*arguments):
    command = [sys.executable, "-m", "logging_azmon", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield Serving(process)
        finally:
            process.terminate()  # not killed, so that its coverage is written
            process.wait(LIMIT)


def post(environment, body):
    connection = http.client.HTTPConnection(
        environment["DATA_COLLECTION_ENDPOINT"].removeprefix("http://"), timeout=LIMIT
    )
    path = f"/dataCollectionRules/{environment['LOGS_DCR_RULE_ID']}/streams/{environment['LOGS_DCR_STREAM_NAME']}"
    connection.request("POST", f"{path}?api-version=2023-01-01", json.dumps(body), {"Authorization": "Bearer x"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_the_variables_to_set_and_keeps_its_data_when_stopped(tmp_path, number):
    with serve("--data", str(tmp_path / "d")) as serving:
        environment = serving.environment()
        assert list(environment) == ["DATA_COLLECTION_ENDPOINT", "LOGS_DCR_RULE_ID", "LOGS_DCR_STREAM_NAME"]
        assert f"See the tables at {environment['DATA_COLLECTION_ENDPOINT']}/\n" in serving.text
        assert post(environment, [{"Message": "kept"}]) == 204
        serving.process.send_signal(number)
        assert "Stopping" in serving.until("Stopping")
        assert serving.process.wait(LIMIT) == 0
    from logging_azmon.local import Workspace

    with Workspace(data=tmp_path / "d") as ws:
        assert [row["Message"] for row in ws.rows("App_CL")] == ["kept"]


def test_with_tls_serve_prints_how_clients_can_trust_it(tmp_path):
    with serve("--tls", "--data", str(tmp_path / "d"), "--discard") as serving:
        environment = serving.environment()
        assert environment["DATA_COLLECTION_ENDPOINT"].startswith("https://127.0.0.1:")
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
            assert environment[name] == str(tmp_path / "d" / "ca.pem")
        assert environment["IDENTITY_HEADER"] == "local"
        assert "Rows are accepted but not stored" in serving.text


def test_listening_on_another_address_prints_a_warning():
    with serve("--host", "0.0.0.0", "--name", "logs", "--fault", "503", "--requests-per-minute", "1") as serving:
        environment = serving.environment()
        assert "everyone who can reach it can read and write the tables" in serving.text
        assert [post(environment, []) for _ in range(3)] == [503, 204, 429]


def test_serve_reads_rules_from_files(tmp_path):
    rule = {
        "immutableId": "dcr-file",
        "streamDeclarations": {"Custom-F": {"columns": [{"name": "TimeGenerated", "type": "datetime"}]}},
    }
    (tmp_path / "dcr.json").write_text(json.dumps(rule))
    with serve("--dcr", str(tmp_path / "dcr.json")) as serving:
        environment = serving.environment()
        assert (environment["LOGS_DCR_RULE_ID"], environment["LOGS_DCR_STREAM_NAME"]) == ("dcr-file", "Custom-F")
        assert post(environment, [{}]) == 204


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dcr", "nowhere.json"], "dcr='nowhere.json' cannot be read: No such file"),
        (["--fault", "x"], "'x' is not a fault"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
        (["--host", ""], "host is empty: give the address to listen on, such as 127.0.0.1"),
        (["--tls", "--name", "a b"], "'a b': a name cannot be in a certificate"),
        (["--tls", "--name", "a" * 300], "a name cannot be in a certificate"),
    ],
)
def test_a_bad_argument_is_reported_in_one_sentence_with_exit_code_2(capsys, arguments, said):
    assert main(["serve", "--port", "0", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("logging-azmon serve: ")
    assert said in told


@pytest.mark.parametrize("option", ["--requests-per-minute", "--rows-per-minute"])
def test_a_quota_is_not_negative(option, capsys):
    """Every upload would be answered with 429."""
    with pytest.raises(SystemExit):
        main(["serve", f"{option}=-1"])
    assert "'-1' is not a number of r" in capsys.readouterr().err


@pytest.mark.parametrize("depth", [900, 3_000, 100_000])
def test_a_rule_that_is_nested_deeply_is_reported_in_one_sentence(capsys, tmp_path, depth):
    """The limit of the interpreter, or of the JSON parser, becomes a sentence."""
    tmp_path.joinpath("rule.json").write_text('{"a":' * depth + "1" + "}" * depth, "utf-8")
    assert main(["serve", "--port", "0", "--dcr", str(tmp_path / "rule.json")]) == 2
    assert "rule.json' " in capsys.readouterr().err


def test_the_printed_paths_work_in_any_directory(tmp_path, monkeypatch):
    """A relative --data gives absolute paths, because the program that needs them runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    with serve("--tls", "--data", "d") as serving:
        assert serving.environment()["REQUESTS_CA_BUNDLE"] == str(tmp_path / "d" / "ca.pem")


APPLICATION = """
import logging.config

from logging_azmon import AzureMonitorHandler

azure = AzureMonitorHandler(columns={"Text": "message", "OrderId": "order:long"})
LOGGING = {
    "version": 1,
    "handlers": {
        "app": {"class": "logging_azmon.AzureMonitorHandler", "columns": {"TimeGenerated": "time", "Aa": "a:int"}},
        "more": {"class": "logging_azmon.AzureMonitorHandler", "columns": {"Aa": "a:int", "Bb": "b:real"}},
        "shared": {"class": "logging_azmon.AzureMonitorHandler", "pipeline": "cfg://handlers.app"},
        "audit": {
            "class": "logging_azmon.AzureMonitorHandler",
            "rule_id": "dcr-audit",
            "stream": "Custom-Audit",
            "columns": "common_security_log",
        },
        "ruled": {"class": "logging_azmon.AzureMonitorHandler", "dcr": "rule.json"},
        "console": {"class": "logging.StreamHandler"},
    },
}
CLASH = {
    "handlers": {
        "one": {"class": "logging_azmon.AzureMonitorHandler", "columns": {"Aa": "a:int"}},
        "two": {"class": "logging_azmon.AzureMonitorHandler", "columns": {"Aa": "a:long"}},
    },
}
"""


@pytest.fixture
def application(tmp_path, monkeypatch):
    """Make an application's module and a rule, in a directory without any destination in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_COLLECTION_ENDPOINT", "LOGS_DCR_RULE_ID", "LOGS_DCR_STREAM_NAME"):
        monkeypatch.delenv(name, raising=False)
    tmp_path.joinpath("served.py").write_text(APPLICATION, "utf-8")
    rule = {
        "immutableId": "dcr-ruled",
        "streamDeclarations": {"Custom-R": {"columns": [{"name": "TimeGenerated", "type": "datetime"}]}},
        "dataFlows": [{"streams": ["Custom-R"], "outputStream": "Custom-Ruled_CL"}],
    }
    tmp_path.joinpath("rule.json").write_text(json.dumps(rule), "utf-8")
    yield tmp_path
    sys.modules.pop("served", None)


def tables_of(*words):
    """Return the tables of the workspace that the command would run."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    with Workspace(command._rules(parser.parse_args(words))) as workspace:
        return workspace.rule_id, {name: list(columns) for name, columns in workspace.tables.items()}


@pytest.mark.usefixtures("application")
def test_serve_plays_the_rules_that_the_applications_handlers_need():
    """Handlers of one stream share a table, presets go to Azure's own tables, and rule files are taken as they are."""
    rule_id, tables = tables_of("--config", "served:LOGGING")

    assert rule_id == "dcr-ruled"
    assert tables["App_CL"][:3] == ["TimeGenerated", "Aa", "Bb"]
    assert "SourceIP" in tables["CommonSecurityLog"]
    assert tables["Ruled_CL"][0] == "TimeGenerated"
    assert "console" not in str(tables)


@pytest.mark.usefixtures("application")
def test_serve_may_be_given_one_of_several_handlers():
    """The rule has that handler's id."""
    rule_id, tables = tables_of("--config", "served:LOGGING", "--handler", "audit")

    assert rule_id == "dcr-audit"
    assert set(tables) - {"DCRLogErrors"} == {"CommonSecurityLog"}


@pytest.mark.parametrize("source", ["served:azure", "served.py:azure"])
@pytest.mark.usefixtures("application")
def test_an_application_that_makes_its_handler_when_imported_can_be_served(source):
    """It needs a destination to be imported, which only the workspace itself will print."""
    rule_id, tables = tables_of("--config", source)

    assert rule_id == "dcr-local"
    assert tables["App_CL"][:2] == ["Text", "OrderId"]
    assert "DATA_COLLECTION_ENDPOINT" not in os.environ


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "served:CLASH"], "column 'Aa' of Custom-App is int in one handler and long in another"),
        (["--config", "served:LOGGING", "--dcr", "rule.json"], "--config and --dcr are two ways"),
        (["--handler", "azure"], "--handler azure needs --config"),
    ],
)
@pytest.mark.usefixtures("application")
def test_columns_that_no_rule_can_have_are_reported(capsys, words, said):
    assert main(["serve", "--port", "0", *words]) == 2
    assert said in capsys.readouterr().err


def test_serve_without_its_extra_says_what_to_install(monkeypatch, capsys):
    for name in ("duckdb", "duckdb_kql", "logging_azmon.local.workspace"):
        monkeypatch.setitem(sys.modules, name, None)
    import logging_azmon.local

    monkeypatch.delattr(logging_azmon.local, "Workspace", raising=False)
    monkeypatch.delitem(vars(logging_azmon.local), "Workspace", raising=False)
    assert main(["serve", "--port", "0"]) == 2
    assert "pip install 'logging-azmon[local]'" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for option in ("--port", "--data", "--dcr", "--tls", "--host", "--name", "--fault", "--discard"):
        assert option in told


def test_importing_the_commands_does_not_import_duckdb():
    check = "import sys, logging_azmon.cli.serve, logging_azmon.local; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=LIMIT).returncode == 0
