"""The command line prints help and errors, returns the exit codes that scripts rely on, and finds its commands."""

import contextlib
import importlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from logging_azmon import cli
from logging_azmon.cli import completion
from logging_azmon.cli._shared.help import formatter_class

GREET = '''
    """Greet somebody.

    More that only readers of the source see.
    """

    EXTRA = "party"


    def configure(parser):
        parser.add_argument("name")
        parser.add_argument("--times", type=int, default=1)
        parser.add_argument("--missing", metavar="MODULE")


    def run(arguments):
        if arguments.missing:
            __import__(arguments.missing)
        for _ in range(arguments.times):
            print(f"hello {arguments.name}")
        return 3
'''
SHOW_ALL = '''
    def configure(parser):
        """Nothing to add."""


    def run(arguments):
        import no_such_module_anywhere
'''


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Return a function that replaces the commands by modules with the given source."""
    monkeypatch.setattr(cli, "__path__", [str(tmp_path)])

    def write(**modules):
        for name, source in modules.items():
            tmp_path.joinpath(f"{name}.py").write_text(textwrap.dedent(source), "utf-8")
        importlib.invalidate_caches()

    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"logging_azmon.cli.{path.stem}", None)
        vars(cli).pop(path.stem, None)


@pytest.fixture
def commands(plug_in):
    plug_in(greet=GREET, show_all=SHOW_ALL, _private="raise AssertionError('a private module is not a command')")


def refused(*words):
    """Run a command line that argparse ends with SystemExit; return the exit code."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    return caught.value.code


def test_ctrl_c_ends_a_command_with_exit_code_130(plug_in):
    """The dispatcher returns the code instead of raising KeyboardInterrupt."""
    plug_in(
        wait="""
        def configure(parser):
            pass


        def run(arguments):
            raise KeyboardInterrupt
    """
    )
    assert cli.main(["wait"]) == cli.INTERRUPTED == 130


class TestWithoutACommand:
    def test_version_prints_the_version_of_the_distribution(self, capsys):
        """The version is that of the installed distribution."""
        assert refused("--version") == 0
        assert capsys.readouterr().out == f"logging-azmon {version('logging-azmon')}\n"

    def test_help_describes_the_command(self, capsys):
        """The help is on stdout, because it was requested."""
        assert refused("--help") == 0

        out = capsys.readouterr().out
        assert out.startswith("usage: logging-azmon [-h] [--version]")
        assert "Send Python logs as typed rows to your own Log Analytics table." in out

    @pytest.mark.usefixtures("commands")
    def test_without_arguments_the_error_lists_the_commands(self, capsys):
        """A user who types no command needs to see the list."""
        assert cli.main([]) == 2
        assert "show-all" in capsys.readouterr().err

    def test_without_arguments_help_goes_to_stderr_with_exit_code_2(self, capsys):
        """The help is on stderr, because it was not requested."""
        assert cli.main([]) == 2

        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("usage: logging-azmon")

    def test_an_unknown_option_is_a_usage_error(self, capsys):
        """The message names the option."""
        assert refused("--verbos") == 2
        assert "unrecognized arguments: --verbos" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (
                ["check", "--endpont", "x"],
                "logging-azmon check: error: unrecognized arguments: --endpont x (did you mean --endpoint?)",
            ),
            (["check", "--rule_id=dcr-1"], "--rule_id=dcr-1 (did you mean --rule-id?)"),
            (["qurey", "print 1"], "unknown command 'qurey' (did you mean query?); choose from check, "),
            (["--versoin"], "logging-azmon: error: unrecognized arguments: --versoin (did you mean --version?)"),
        ],
    )
    def test_a_near_miss_is_answered_with_what_was_meant(self, words, said, capsys):
        """Of a command, or of an option of that command."""
        assert refused(*words) == 2
        assert said in capsys.readouterr().err

    def test_an_unknown_command_is_a_usage_error(self, capsys):
        """The message names the command, and lists the existing ones."""
        assert refused("bogus", "--option") == 2
        assert "logging-azmon: error: unknown command 'bogus'; choose from check, " in capsys.readouterr().err

    def test_main_without_arguments_reads_the_command_line(self, monkeypatch, capsys):
        """The entry point passes no arguments."""
        monkeypatch.setattr(sys, "argv", ["logging-azmon"])

        assert cli.main() == 2
        assert capsys.readouterr().err.startswith("usage: logging-azmon")


@pytest.mark.usefixtures("commands")
class TestCommands:
    def test_commands_are_the_public_modules_of_the_package(self, capsys):
        """Each is listed with the first line of its docstring, and with dashes for underscores."""
        assert refused("--help") == 0

        out = capsys.readouterr().out
        assert "greet" in out
        assert "Greet somebody." in out
        assert "show-all" in out
        assert "private" not in out
        assert "More that only readers" not in out

    def test_a_command_gets_its_arguments_and_returns_the_exit_code(self, capsys):
        """The arguments are parsed as the command has configured."""
        assert cli.main(["greet", "Ada", "--times", "2"]) == 3
        assert capsys.readouterr().out == "hello Ada\nhello Ada\n"

    def test_a_command_has_its_own_help(self, capsys):
        """The usage line has the command's full name."""
        assert refused("greet", "--help") == 0

        out = capsys.readouterr().out
        assert out.startswith("usage: logging-azmon greet [-h]")
        assert "Greet somebody." in out

    def test_help_shows_examples_unchanged(self, plug_in, capsys):
        """The examples are below the options, ready to copy; a command need not have any."""
        example = f"logging-azmon shown '[a|b]'  # {'x' * 90}"
        example = f"logging-azmon shown '[a|b]'  # {'x' * 90}"
        plug_in(shown=f"EXAMPLES = ({example!r},)\n{textwrap.dedent(SHOW_ALL)}")
        assert refused("shown", "--help") == 0
        assert capsys.readouterr().out.endswith(f"\nexamples:\n  {example}\n")

        assert refused("greet", "--help") == 0
        assert "examples" not in capsys.readouterr().out

    def test_help_has_the_same_text_without_rich_argparse(self, capsys):
        """Only the colours differ."""
        refused("greet", "--help")
        with_colours = capsys.readouterr().out
        formatter_class.cache_clear()
        sys.modules["rich_argparse"] = None
        try:
            refused("greet", "--help")
        finally:
            del sys.modules["rich_argparse"]
            formatter_class.cache_clear()

        assert capsys.readouterr().out == with_colours

    def test_help_is_printed_on_a_terminal_with_only_ascii(self, plug_in, monkeypatch):
        """A container without a locale has such a terminal."""
        plug_in(shown="def configure(parser):\n    parser.add_argument('--id', help='dcr-… ü')\n")
        out = io.TextIOWrapper(io.BytesIO(), "ascii")
        monkeypatch.setattr(sys, "stdout", out)
        assert refused("shown", "--help") == 0
        out.flush()

        assert b"dcr-... ?" in out.buffer.getvalue()

    def test_a_command_refuses_bad_arguments(self, capsys):
        """The error is a usage error of that command."""
        assert refused("greet") == 2
        assert "logging-azmon greet: error: the following arguments are required: name" in capsys.readouterr().err

    def test_the_error_for_an_unknown_command_lists_the_commands(self, capsys):
        """The list helps to correct a typo."""
        assert refused("gret") == 2
        assert (
            "error: unknown command 'gret' (did you mean greet?); choose from greet, show-all\n"
            in capsys.readouterr().err
        )

    def test_a_command_names_the_extra_to_install(self, capsys):
        """The user sees no traceback."""
        assert cli.main(["greet", "Ada", "--missing", "no_such_module_anywhere"]) == 2
        assert capsys.readouterr().err == (
            "logging-azmon greet: no_such_module_anywhere is missing: python -m pip install 'logging-azmon[party]'\n"
        )

    def test_a_missing_module_without_an_extra_is_raised(self):
        """This is a bug of the library, which needs its traceback."""
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            cli.main(["show-all"])


# The distributions in the extras, as pyproject.toml names them, and the names under which they are imported.
BROUGHT = {
    "azure-monitor-query": "azure.monitor.query",
    "duckdb": "duckdb",
    "duckdb-kql": "duckdb_kql",
    "opentelemetry-api": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "pyyaml": "yaml",
    "rich": "rich",
    "rich-argparse": "rich_argparse",
    "shtab": "shtab",
    "trustme": "trustme",
}
WITHOUT = f"""
import contextlib, io, json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == absent or name.startswith(absent + ".") for absent in {tuple(BROUGHT.values())}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from logging_azmon import cli

answers = {{}}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = cli.main(words)
        except SystemExit as end:
            code = end.code
    answers[" ".join(words)] = code, out.getvalue(), err.getvalue()
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory):
    """Run commands as after `pip install logging-azmon`; return their exit codes and output."""
    path = tmp_path_factory.mktemp("bare")
    path.joinpath("app.ndjson").write_text("{}\n", "utf-8")
    path.joinpath("logging.yaml").write_text("version: 1\n", "utf-8")
    commands = [
        *([name, "--help"] for name, _ in cli.find_commands()),
        *(["--help"], ["demo"], ["serve"], ["query", "App_CL"], ["tail"], ["send", "app.ndjson"], ["check"]),
        *(["plan", "--processes", "4", "--rows-per-second", "3", "--bytes", "300"], ["completion", "bash"]),
        *(["template", "az"], ["template", "az", "--config", "logging.yaml"], ["spool", "."]),
    ]
    address = {"DATA_COLLECTION_ENDPOINT": "http://127.0.0.1:9", "LOGS_DCR_RULE_ID": "dcr-1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps(commands)],
        cwd=path,
        env=os.environ | address | {"LOGS_DCR_STREAM_NAME": "Custom-App"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


class TestWithoutExtras:
    def test_every_distribution_of_the_extras_is_listed_in_this_test(self):
        """A distribution that is not listed would not be tested below."""
        text = Path(__file__).parent.parent.parent.joinpath("pyproject.toml").read_text("utf-8")
        extras = tomllib.loads(text)["project"]["optional-dependencies"]
        names = {re.match(r"[\w-]+", each)[0] for each in itertools.chain.from_iterable(extras.values())}

        assert names - {"logging-azmon"} == set(BROUGHT)

    @pytest.mark.parametrize("name", ["", *(name for name, _ in cli.find_commands())])
    def test_every_command_has_help_without_the_extras(self, without_extras, name):
        """A command must not fail for the requirements of another."""
        code, out, err = without_extras[f"{name} --help".strip()]

        assert (code, err) == (0, "")
        assert out.startswith(f"usage: logging-azmon {name}".rstrip())

    @pytest.mark.parametrize(
        ("command", "extra"),
        [
            ("demo", "local"),
            ("serve", "local"),
            ("query App_CL", "cli"),
            ("tail", "cli"),
            ("send app.ndjson", "cli"),
            ("check", "cli"),
            ("plan --processes 4 --rows-per-second 3 --bytes 300", "cli"),
            ("completion bash", "cli"),
            ("template az --config logging.yaml", "cli"),
        ],
    )
    def test_a_command_whose_extra_is_missing_names_the_extra(self, without_extras, command, extra):
        """The message is one line."""
        code, out, err = without_extras[command]

        assert (code, out) == (2, "")
        assert re.fullmatch(
            rf"logging-azmon {command.split()[0]}: [\w.]+ is missing: "
            rf"python -m pip install 'logging-azmon\[{extra}\]'\n",
            err,
        )

    @pytest.mark.parametrize("command", ["template az", "spool ."])
    def test_template_and_spool_need_no_extra(self, without_extras, command):
        """Both are used on servers, which install no extra."""
        code, out, _ = without_extras[command]

        assert code == 0
        assert out


def test_only_one_module_of_the_commands_imports_the_azure_sdk():
    """All other modules get their clients from `_shared/azure.py`."""
    package = Path(cli.__file__).parent
    importing = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) azure\b", path.read_text("utf-8"), re.MULTILINE)
    ]

    assert importing == ["_shared/azure.py"]


class TestOnATerminal:
    @pytest.mark.parametrize("words", [["greet", "Ada", "--missing", "no_such_module_anywhere"], ["--" + "x" * 60]])
    def test_error_messages_wrap_between_words_on_a_terminal(self, words, plug_in, monkeypatch, capsys):
        """A pipe, such as to `grep`, gets whole lines."""
        plug_in(greet=GREET)
        monkeypatch.setenv("COLUMNS", "50")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        with contextlib.suppress(SystemExit):
            cli.main(words)
        lines = re.search(r"^logging-azmon.*", capsys.readouterr().err, re.DOTALL | re.MULTILINE)[0].splitlines()

        assert len(lines) > 1
        assert all(len(line) <= 50 or " " not in line.strip() for line in lines)
        assert all(line.startswith("  ") for line in lines[1:])
        assert words[-1] in " ".join(lines)


class TestFromAShell:
    def test_python_dash_m_runs_the_command(self):
        """`python -m logging_azmon`, for machines whose PATH lacks the scripts."""
        done = subprocess.run(
            [sys.executable, "-m", "logging_azmon", "--version"], capture_output=True, text=True, timeout=60, check=True
        )

        assert (done.stdout, done.stderr) == (f"logging-azmon {version('logging-azmon')}\n", "")

    def test_the_exit_code_reaches_the_shell(self):
        """Nothing is on stdout, where a pipe would take it for a result."""
        done = subprocess.run(
            [sys.executable, "-m", "logging_azmon", "bogus"], capture_output=True, text=True, timeout=60, check=False
        )

        assert (done.returncode, done.stdout) == (2, "")

    def test_the_command_is_installed(self):
        """The script has the documented name."""
        (command,) = entry_points(group="console_scripts", name="logging-azmon")

        assert command.load() is cli.main


class TestCompletion:
    @pytest.mark.parametrize("shell", completion.SHELLS)
    def test_every_command_and_option_is_completed(self, shell, capsys):
        """This holds for each shell."""
        assert cli.main(["completion", shell]) == 0
        script = capsys.readouterr().out

        assert {name for name, _ in cli.find_commands()} <= set(re.findall(r"[\w-]+", script))
        assert "resource-manager" in script

    def test_bash_completes_commands_options_and_files(self, tmp_path, capsys):
        """The test calls the completion function as bash does."""
        assert cli.main(["completion", "bash"]) == 0
        script = tmp_path / "completion"
        script.write_text(capsys.readouterr().out, "utf-8")
        tmp_path.joinpath("rule.json").write_text("{}", "utf-8")

        def completed(*words):
            listed = " ".join(f"'{word}'" for word in ("logging-azmon", *words))
            asked = (
                f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words)};"
                " _shtab_logging_azmon; printf '%s\\n' \"${COMPREPLY[@]}\""
            )
            done = subprocess.run(
                ["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
            )
            return done.stdout.split()

        assert completed("te") == ["template"]
        assert completed("check", "--se") == ["--send"]
        assert completed("template", "te") == ["terraform"]
        assert completed("serve", "--dcr", "ru") == ["rule.json"]
