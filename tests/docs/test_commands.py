"""Every command and option in README and docs/ exists, and the documented sequences of commands work."""

import argparse
import logging
import os
import re
import shlex
import socket
import subprocess
import sys

import pytest

from logging_azmon import AzureMonitorHandler, cli
from logging_azmon.local import Workspace
from support.pages import NAMES, ROOT, blocks, names, pick, read, section, table

CONSOLE = [(name, heading, code) for name in NAMES for heading, code in blocks(name, "console")]
COMMANDS = dict(cli.find_commands())
FIRST_QUERY = "logging-azmon query 'App_CL | project TimeGenerated, Level, Message, Properties'"


def typed():
    """Yield each line that a user types, with its page; continuation lines are joined."""
    for name, _, code in CONSOLE:
        for line in code.replace("\\\n", " ").splitlines():
            yield name, line


def calls():
    """Yield the words of each call of logging-azmon, in blocks and in sentences."""
    for name, line in typed():
        if "logging-azmon" in line:
            yield name, shlex.split(line[line.index("logging-azmon") :])
    for name in NAMES:
        for code in names(re.sub(r"^ *```.*?^ *```$", "", read(name), flags=re.DOTALL | re.MULTILINE)):
            if re.match(r"logging-azmon [a-z]", code):
                yield name, shlex.split(code.replace("\n", " "))


@pytest.fixture
def working_directory(tmp_path, monkeypatch):
    """Change to a directory of its own, and forget a module `settings` that was imported from there."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("settings", None)


def options_of(command):
    parser = argparse.ArgumentParser()
    COMMANDS[command].configure(parser)
    return parser


def test_readme_has_the_command_that_ci_uses_to_run_the_tests():
    """`.ci/run` looks for it in README."""
    command = "python -m pip install tox && python -m tox"

    assert command in [code.strip() for name, _, code in CONSOLE if name == "README"]
    assert f"readme_command='{command}'" in ROOT.joinpath(".ci/run").read_text("utf-8")


def test_readme_has_one_line_that_runs_the_demo_from_a_fresh_copy():
    """The line installs the package from the tree, and runs the demo."""
    command = 'python -m pip install ".[local]" && logging-azmon demo'

    assert command in [code.strip() for name, _, code in CONSOLE if name == "README"]


def test_every_block_of_commands_is_listed_in_this_test():
    """A new block must be reviewed and listed here."""
    assert [(name, heading) for name, heading, _ in CONSOLE] == [
        ("README", "Install"),
        ("README", "One minute, without Azure"),
        ("README", "One minute, without Azure"),
        ("README", "One minute, without Azure"),
        ("README", "Ten minutes, with Azure"),
        ("README", "More"),
        ("getting-started", "Installation"),
        ("getting-started", "The first row, on your own machine"),
        ("getting-started", "The first row, on your own machine"),
        ("getting-started", "Columns of your own"),
        ("getting-started", "Columns of your own"),
        *[("getting-started", "Azure, step by step")] * 6,
        *[("getting-started", "Removing it again")] * 2,
        ("frameworks", "Frameworks"),
        ("spool", "The command"),
        ("commands", "`template`: what Azure needs"),
        ("operations", "Alerts and a workbook"),
        ("troubleshooting", "Troubleshooting"),
    ]


CALLS = list(calls())


@pytest.mark.parametrize(("name", "words"), CALLS, ids=[f"{name}: {' '.join(words)}" for name, words in CALLS])
def test_every_documented_command_line_is_accepted(name, words):
    """Every option exists; in a sentence, an option may be named without its argument."""
    _, command, *rest = words
    pipe = next((number for number, word in enumerate(rest) if word in {">", "&&", "|"}), len(rest))
    rest = rest[:pipe]
    parser = options_of(command)

    known = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", parser.format_help())
    assert [word for word in rest if re.match(r"--?[a-z]", word) and word not in known] == [], name


def test_every_command_is_documented():
    """Every documented command exists."""
    text = "\n".join(read(name) for name in NAMES)

    assert set(re.findall(r"`logging-azmon ([a-z][a-z-]*)", text)) == set(COMMANDS)
    assert {
        name
        for row in table("commands", "Commands", "command")
        for name in re.findall(r"`logging-azmon (\w+)`", row[0])
    } == set(COMMANDS)


def test_a_row_arrives_in_one_minute(tmp_path, monkeypatch, capsys):
    """The test types README's commands, with the variables that `serve` prints."""
    script = tmp_path / "first.py"
    script.write_text(blocks("README", "python")[0][1], "utf-8")
    assert ("README", FIRST_QUERY) in list(typed())

    with Workspace() as workspace:
        for name, value in workspace.environment.items():
            monkeypatch.setenv(name, value)
        subprocess.run([sys.executable, script], cwd=tmp_path, timeout=60, check=True, capture_output=True)
        assert cli.main(shlex.split(FIRST_QUERY)[1:]) == 0

    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    time = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
    (expected,) = [code for _, code in blocks("README", "text")]
    assert time.sub("TIME", expected) in time.sub("TIME", "\n".join(printed) + "\n")


def test_columns_of_ones_own_arrive_as_getting_started_says(working_directory, monkeypatch, capsys):
    """Template, workspace, program and query as they are typed; the variables are the same as of `serve` alone."""
    heading = "Columns of your own"
    template, serve, program, query = [
        shlex.split(line)
        for name, its_heading, code in CONSOLE
        if (name, its_heading) == ("getting-started", heading)
        for line in code.splitlines()
    ]
    working_directory.joinpath("settings.py").write_text(
        next(code for its_heading, code in blocks("getting-started", "python") if its_heading == heading), "utf-8"
    )
    assert cli.main(template[1:]) == 0
    assert (serve, program) == (["logging-azmon", "serve", "--dcr", "rule.json"], ["python", "settings.py"])

    with Workspace(["rule.json"]) as workspace, Workspace() as first:
        assert [(name, value) for name, value in workspace.environment.items() if "ENDPOINT" not in name] == [
            (name, value) for name, value in first.environment.items() if "ENDPOINT" not in name
        ]
        for name, value in workspace.environment.items():
            monkeypatch.setenv(name, value)
        subprocess.run([sys.executable, "settings.py"], timeout=60, check=True, capture_output=True)
        capsys.readouterr()
        assert cli.main(query[1:]) == 0
        assert workspace.problems() == []

    assert re.search(r'WARNING +order is late +1001 +\{"days":3\}', capsys.readouterr().out)


def test_what_is_removed_again_is_what_the_script_has_made(capsys):
    """The rule and the table, by their names."""
    _, delete = [code for _, heading, code in CONSOLE if heading == "Removing it again"]
    assert cli.main(["template", "az"]) == 0
    script = capsys.readouterr().out

    rule = re.search(r'^RULE_NAME="\$\{RULE_NAME:-(.*)\}"$', script, re.MULTILINE)[1]
    table_name = re.search(r"table create .*?--name (\w+)", script, re.DOTALL)[1]
    assert re.findall(r"--name (\S+)", delete) == [rule, table_name]


def test_readme_runs_the_script_as_the_command_advises(tmp_path, monkeypatch, capsys):
    """With the variables that it asks for."""
    monkeypatch.chdir(tmp_path)
    (readme,) = [code for name, heading, code in CONSOLE if heading == "Ten minutes, with Azure"]
    assert cli.main(["template", "az", "--output", "azure.sh"]) == 0

    said = capsys.readouterr().err
    (step,) = re.findall(r"^Next:\n  (.*)$", said, re.MULTILINE)
    assert f"\n{step}\n" in readme
    assert all(f"{name}=" in readme for name in re.findall(r"^  (\w+): ", said, re.MULTILINE))


@pytest.mark.parametrize(
    "words",
    [["spool", "missing"], ["query", "App_CL"], ["serve", "--port", "TAKEN"], ["send", "--fraction", "1"]],
    ids=["no directory", "no workspace", "port in use", "unknown option"],
)
def test_a_command_that_cannot_begin_ends_with_2(words, tmp_path, monkeypatch, capsys):
    """As the table of exit codes says."""
    assert names_of_exit_codes() == ["0", "1", "2", "3", "130"]
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_COLLECTION_ENDPOINT", "LOGS_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [str(server.getsockname()[1]) if word == "TAKEN" else word for word in words]
        try:
            code = cli.main(words)
        except SystemExit as error:
            code = error.code

    assert code == 2
    assert capsys.readouterr().err


def names_of_exit_codes():
    return [row[0] for row in table("commands", "Commands", "exit code")]


# An `az` that knows the calls of README and of the script that `template az` writes, and refuses all others. Its
# answers come from the local workspace.
AZ = """#!/usr/bin/env bash
echo "$*" >> "$AZ_CALLS"
case "$*" in
  "login" | "group create "* | "monitor log-analytics workspace create "*) ;;
  "ad signed-in-user show --query id --output tsv") echo "9a1b2c3d-0000-4000-8000-000000000001" ;;
  "group show "*) echo "/subscriptions/1/resourceGroups/$RESOURCE_GROUP" ;;
  "monitor log-analytics workspace show "*"--query customerId "*) echo "local" ;;
  "monitor log-analytics workspace show "*) echo "westeurope" ;;
  "monitor log-analytics workspace table create "* | "role assignment create "*) ;;
  "rest --method put "*) cat > /dev/null ;;
  "rest --method get "*"properties.endpoints.logsIngestion"*) echo "$WORKSPACE_ENDPOINT" ;;
  "rest --method get "*"properties.immutableId"*) echo "dcr-local" ;;
  *) echo "az does not know: $*" >&2; exit 2 ;;
esac
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")
def test_the_commands_for_ten_minutes_with_azure_run_unchanged(tmp_path):
    """They run from `az login` to the query, with a fake `az` and the local workspace in place of Azure."""
    (commands,) = [code for name, heading, code in CONSOLE if heading == "Ten minutes, with Azure"]
    directory = tmp_path / "bin"
    directory.mkdir()
    directory.joinpath("az").write_text(AZ, "utf-8")
    directory.joinpath("logging-azmon").write_text(
        f'#!/usr/bin/env bash\nexec "{sys.executable}" -m logging_azmon "$@"\n', "utf-8"
    )
    for file in directory.iterdir():
        file.chmod(0o755)
    own = ("DATA_COLLECTION", "LOGS_", "PRINCIPAL_", "RESOURCE_GROUP", "WORKSPACE_NAME")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(own)}

    with Workspace() as workspace:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=environ
            | {
                "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
                "AZ_CALLS": str(tmp_path / "calls"),
                "WORKSPACE_ENDPOINT": workspace.endpoint,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert len(workspace.rows("App_CL")) == 1

    assert "Rows will arrive." in done.stdout
    asked = tmp_path.joinpath("calls").read_text("utf-8")
    assert "--assignee-object-id 9a1b2c3d-0000-4000-8000-000000000001 --assignee-principal-type User" in asked


def test_getting_started_has_the_same_commands_for_azure_as_readme():
    """The page explains the commands step by step, in the same order."""
    (readme,) = [code for _, heading, code in CONSOLE if heading == "Ten minutes, with Azure"]

    assert "".join(code for _, heading, code in CONSOLE if heading == "Azure, step by step") == readme


@pytest.mark.parametrize(
    "columns", ['{"TimeGenerated": "time", "Text": "message"}', None], ids=["columns", "configuration"]
)
def test_the_local_workspace_serves_a_rule_for_custom_columns(columns, working_directory):
    """`serve --dcr` takes what `template arm` writes, from columns or from an application's configuration."""
    mapping = {"TimeGenerated": "time", "Text": "message"}
    rule = working_directory / "rule.json"
    handler = {"class": "logging_azmon.AzureMonitorHandler", "columns": mapping}
    working_directory.joinpath("settings.py").write_text(
        f"LOGGING = {{'version': 1, 'handlers': {{'azure': {handler!r}}}}}"
    )
    source = ["--columns", columns] if columns else ["--config", "settings:LOGGING"]
    assert cli.main(["template", "arm", *source, "-o", str(rule)]) == 0

    with Workspace([rule]) as workspace:
        sender = AzureMonitorHandler(workspace.endpoint, workspace.rule_id, workspace.stream, columns=mapping)
        sender.handle(logging.makeLogRecord({"msg": "mine"}))
        assert sender.flush(30)
        sender.close()
        assert pick(workspace.rows("App_CL"), "Text") == [("mine",)]
        assert workspace.problems() == []


def test_one_command_runs_a_workspace_with_all_columns_of_an_example():
    """It is typed in the directory that the page names."""
    (command,) = [line for name, line in typed() if name == "frameworks"]
    with subprocess.Popen(
        [sys.executable, "-m", "logging_azmon", *shlex.split(command)[1:], "--port", "0"],
        cwd=ROOT / "examples" / "django_shop",
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            said = "".join(iter(serving.stdout.readline, "Ctrl-C ends it.\n"))
            endpoint = re.search(r"DATA_COLLECTION_ENDPOINT=(\S+)", said)[1]
            columns = "Method, Path, UserId, Status"
            assert cli.main(["query", f"App_CL | project {columns}", "--endpoint", endpoint]) == 0
        finally:
            serving.terminate()
            serving.wait(60)


@pytest.mark.parametrize(
    ("heading", "name"),
    [("`template`: what Azure needs", "template"), ("`check`: will my rows arrive?", "check")],
)
def test_every_option_in_the_section_on_a_command_belongs_to_it(heading, name):
    """These sections are about one command each."""
    assert set(re.findall(r"--[a-z][a-z-]+", section("commands", heading))) <= set(
        re.findall(r"--[a-z][a-z-]+", options_of(name).format_help())
    )
