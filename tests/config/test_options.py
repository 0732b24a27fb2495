"""The table of arguments agrees with the settings, and with the signatures, docstrings and types that tools show.

Run as a program, this file writes the table into the docstrings of the front doors.
"""

import dataclasses
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
import textwrap
import tomllib
import typing
from pathlib import Path

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Pipeline
from logging_azmon._config.clouds import CLOUDS
from logging_azmon._config.options import ARGUMENTS, CloudName, Options
from logging_azmon._config.settings import ACCEPTED, ENVIRONMENT, Settings, read

ROOT = Path(__file__).parent.parent.parent
ADDRESS = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
POSITIONAL = ["endpoint", "rule_id", "stream", "credential"]
FRONT_DOORS = {
    AzureMonitorHandler: ["level", "pipeline"],
    AzureMonitorProcessor: ["level", "pipeline", "drop"],
    Pipeline: ["destination", "clock", "background"],
}
DOCSTRING_WIDTH = 100


def quoted(word):
    return f'"{word}"'


def literal(value):
    """Write a default as Python would read it, with the digits of large numbers grouped."""
    if isinstance(value, str):
        return quoted(value)
    return f"{value:_}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def documentation(argument):
    """Return an argument's sentences, with its default, its range and its environment variable."""
    sentences = [argument.text]
    if argument.choices:
        sentences.append(f"One of {', '.join(map(quoted, argument.choices))}.")
    if argument.variable is not None:
        sentences.append(f"Default: the environment variable {argument.variable}.")
    elif argument.default is not None:
        accepted = f", from {argument.limits[0]:_} to {argument.limits[1]:_}" if argument.limits else ""
        sentences.append(f"Default: {literal(argument.default)}{accepted}.")
    return " ".join(sentences)


def args_block(front_door):
    """Return the part of a front door's docstring that documents its arguments."""
    arguments = (
        textwrap.fill(
            f"{name}: {documentation(ARGUMENTS[name])}",
            DOCSTRING_WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )
        for name in (*POSITIONAL, *FRONT_DOORS[front_door], *Options.__annotations__)
    )
    return textwrap.indent("\n".join(["Args:", *arguments]), " " * 4) + "\n"


ONE_LINE = {name: " ".join(documentation(argument).split()) for name, argument in ARGUMENTS.items()}


class TestTable:
    def test_the_table_has_exactly_the_arguments_of_the_front_doors(self):
        """Each argument has one entry, and each entry is an argument."""
        own = {name for names in FRONT_DOORS.values() for name in names}

        assert set(ARGUMENTS) == {*POSITIONAL, *own, *Options.__annotations__}

    def test_the_table_of_arguments_agrees_with_the_settings(self):
        """Every setting is an argument with the same default; `columns` and `dcr` become the table."""
        fields = {field.name: field for field in dataclasses.fields(Settings)}

        assert set(fields) - {"table"} == set(ACCEPTED) - {"columns", "dcr"}
        for name in set(fields) - {"table", *ENVIRONMENT}:
            assert fields[name].default == ARGUMENTS[name].default

    def test_the_table_of_arguments_agrees_with_the_types(self):
        """A type checker accepts the same words as the settings, and numbers for the same arguments."""
        for name, annotation in Options.__annotations__.items():
            argument, kinds = ARGUMENTS[name], typing.get_args(annotation)
            literals = [kind for kind in kinds if typing.get_origin(kind) is typing.Literal]
            assert [word for kind in literals for word in typing.get_args(kind)] == list(argument.choices)
            assert (int in kinds or float in kinds) == (argument.limits is not None)
            assert (int in kinds) == argument.is_whole
            assert type(None) in kinds

    def test_the_types_name_every_cloud(self):
        """A Literal cannot be computed, so the clouds are listed twice."""
        assert typing.get_args(CloudName) == tuple(CLOUDS)

    @pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=ARGUMENTS)
    def test_each_argument_is_documented_in_sentences(self, argument):
        """The documentation includes the default, of any kind."""
        assert argument.text[0].isupper()
        assert documentation(argument).endswith(".")
        assert "efault" in documentation(argument) or argument.text.startswith("For tests: ")

    @pytest.mark.parametrize(
        ("name", "ending"),
        [
            ("batch_bytes", " before compression. Default: 1_000_000, from 4_096 to 52_428_800."),
            ("batch_seconds", " within 0.2 s. Default: 5.0, from 0.01 to 3_600."),
            ("overflow", ' One of "drop_new", "drop_old", "block". Default: "drop_new".'),
            ("rule_id", " Default: the environment variable LOGS_DCR_RULE_ID."),
            ("drop", " Default: False."),
            ("level", " Default: 0."),
        ],
    )
    def test_documented_defaults_and_ranges_are_python_literals(self, name, ending):
        """A reader can copy them into code."""
        assert documentation(ARGUMENTS[name]).endswith(ending)

    @pytest.mark.parametrize("name", [name for name in ACCEPTED if name not in ENVIRONMENT])
    def test_every_default_can_be_given_explicitly(self, name):
        """The default, as the signature shows it, has the same effect as omitting the argument."""
        assert read(ADDRESS | {name: ARGUMENTS[name].default}, {}) == read(ADDRESS, {})


@pytest.mark.parametrize("front_door", FRONT_DOORS, ids=lambda front_door: front_door.__name__)
class TestFrontDoors:
    def test_signature_lists_every_argument_with_its_default(self, front_door):
        """There is no **options, so that completion offers names."""
        parameters = inspect.signature(front_door).parameters

        assert list(parameters) == [*POSITIONAL, *FRONT_DOORS[front_door], *Options.__annotations__]
        for name, parameter in parameters.items():
            is_positional = name in POSITIONAL
            assert parameter.kind is (parameter.POSITIONAL_OR_KEYWORD if is_positional else parameter.KEYWORD_ONLY)
            assert parameter.default == (None if is_positional else ARGUMENTS[name].default)

    def test_signature_shows_types_as_they_are_written(self, front_door):
        """Types are not references that a reader has to resolve."""
        shown = str(inspect.signature(front_door))

        assert "batch_bytes: int | None = 1000000" in shown
        assert "ForwardRef" not in shown

    def test_docstring_explains_every_argument(self, front_door):
        """The arguments are in the order of the signature, and wrapped for a terminal."""
        written, _, arguments = inspect.getdoc(front_door).partition("\n\nArgs:\n")
        listed = " ".join(arguments.split())

        assert written.splitlines()[0].endswith(".")
        assert listed == " ".join(f"{name}: {ONE_LINE[name]}" for name in inspect.signature(front_door).parameters)
        assert max(map(len, arguments.splitlines())) <= 100

    def test_docstring_is_that_of_an_instance_as_well(self, front_door):
        """Users call `help(handler)` as well as `help(AzureMonitorHandler)`."""
        assert front_door(**ADDRESS).__doc__ == front_door.__doc__

    def test_help_shows_signature_and_sentences(self, front_door):
        """The output of help() is text for a terminal."""
        shown = pydoc.render_doc(front_door, renderer=pydoc.plaintext)

        assert "close_seconds: float | None = 10.0" in shown
        assert ONE_LINE["uploads"] in " ".join(shown.replace("|", "").split())

    def test_a_subclass_with_a_constructor_of_its_own_has_its_own_signature(self, front_door):
        """The signature is not that of the class it extends."""

        class Own(front_door):
            def __init__(self, name):
                super().__init__(**ADDRESS, batch_seconds=float(name))

        assert str(inspect.signature(Own)) == "(name)"
        made = Own("7")
        assert getattr(made, "pipeline", made).settings.batch_seconds == 7.0

    def test_a_subclass_without_a_constructor_has_the_inherited_signature(self, front_door):
        """Such a subclass takes the same arguments."""
        heir = type("Heir", (front_door,), {})

        assert inspect.signature(heir) == inspect.signature(front_door)


class TestDocumented:
    def test_a_processors_instance_keeps_the_signature_of_its_call(self):
        """structlog calls the instance, so the signature of the constructor must not replace that of the call."""
        assert list(inspect.signature(AzureMonitorProcessor(**ADDRESS)).parameters) == [
            "logger",
            "method_name",
            "event_dict",
        ]

    def test_a_processor_is_pickled_as_before(self):
        """The descriptor that completes the signature does not affect its instances."""
        processor = AzureMonitorProcessor(**ADDRESS, uploads=7)

        assert pickle.loads(pickle.dumps(processor)).pipeline is processor.pipeline

    def test_importing_the_processor_builds_no_signature(self):
        """Every application imports it, and few ask for help."""
        script = (
            "from logging_azmon import AzureMonitorProcessor\n"
            "print(type(vars(AzureMonitorProcessor)['__signature__']).__name__)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

        assert done.stdout.split() == ["_Signature"]

    def test_arguments_are_checked_by_mypy(self):
        """`tox run -e types` checks a file of correct and incorrect calls."""
        mypy = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["tool"]["mypy"]

        assert "tests/config/typed_calls.py" in mypy["files"]
        assert mypy["strict"]


def source_of(front_door):
    """Return the file in the source tree that defines a front door."""
    return ROOT.joinpath(*front_door.__module__.split(".")).with_suffix(".py")


def with_arguments(source, front_door):
    """Return a front door's source with the arguments of the table in its docstring."""
    head, opening, rest = re.split(rf'(\nclass {front_door.__name__}\b.*:\n    """)', source, maxsplit=1)
    text, closing, code = rest.partition('\n    """')
    return f"{head}{opening}{text.partition('    Args:')[0].rstrip()}\n\n{args_block(front_door)}{closing}{code}"


@pytest.mark.parametrize("front_door", FRONT_DOORS, ids=lambda front_door: front_door.__name__)
def test_the_docstring_in_the_source_has_the_arguments_of_the_table(front_door):
    """An editor shows it without running code. To update it: python tests/config/test_options.py."""
    source = source_of(front_door).read_text("utf-8")

    assert source == with_arguments(source, front_door)


if __name__ == "__main__":
    for written in FRONT_DOORS:
        path = source_of(written)
        path.write_text(with_arguments(path.read_text("utf-8"), written), "utf-8")
