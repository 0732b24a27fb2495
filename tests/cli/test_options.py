"""A command finds its destination in options, the application's own configuration, and the environment."""

import argparse
import json
import sys
import textwrap

import pytest

from logging_azmon import AzureMonitorHandler, ConfigurationError, Pipeline
from logging_azmon.cli import main
from logging_azmon.cli._shared.options import add_options, pipeline_arguments, read_settings

PLACE = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
OURS = {"class": "logging_azmon.AzureMonitorHandler", **PLACE}


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_COLLECTION_ENDPOINT", "LOGS_DCR_RULE_ID", "LOGS_DCR_STREAM_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield
    for name in ("qapp", "qapp_settings"):
        sys.modules.pop(name, None)


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return pipeline_arguments(parser.parse_args(words))


def problem(*words):
    with pytest.raises(ConfigurationError) as caught:
        arguments(*words)
    return str(caught.value)


def module(tmp_path, source, name="qapp"):
    tmp_path.joinpath(f"{name}.py").write_text(textwrap.dedent(source), "utf-8")


class TestOptions:
    def test_each_option_becomes_the_argument_of_its_name(self):
        given = arguments(
            *("--endpoint", "https://a.example.org", "--rule-id", "dcr-2", "--stream", "Custom-B"),
            *("--credential", "azure_cli", "--cloud", "usgov", "--columns", "lean", "--dcr", "rule.json"),
        )

        assert given == {
            "endpoint": "https://a.example.org",
            "rule_id": "dcr-2",
            "stream": "Custom-B",
            "credential": "azure_cli",
            "cloud": "usgov",
            "columns": "lean",
            "dcr": "rule.json",
        }

    def test_an_option_not_given_is_left_to_the_environment(self):
        assert arguments() == {}
        settings = read_settings({}, {"DATA_COLLECTION_ENDPOINT": "https://e", "LOGS_DCR_RULE_ID": "d", **STREAM})
        assert settings.endpoint == "https://e"

    def test_an_option_that_takes_a_mapping_is_read_as_json(self):
        given = arguments(
            "--credential", '{"managed_identity": {"client_id": "1"}}', "--columns", '{"Text": "message"}'
        )

        assert given == {"credential": {"managed_identity": {"client_id": "1"}}, "columns": {"Text": "message"}}

    def test_invalid_json_is_refused_without_showing_it(self):
        said = problem("--credential", '{"environment": {"client_secret": "s3cret"')

        assert said.startswith("--credential begins with { but is not valid JSON (at character ")
        assert "s3cret" not in said

    def test_a_missing_setting_is_named_by_its_option(self):
        with pytest.raises(ConfigurationError) as caught:
            read_settings({}, {})

        assert [text.partition(", or")[0] for text in caught.value.problems] == [
            f"{name} is missing: give --{name.replace('_', '-')} or --config" for name in PLACE
        ]

    def test_handler_without_config_is_refused(self):
        assert "--handler azure needs --config" in problem("--handler", "azure")

    def test_a_command_prints_a_configuration_error_and_ends_with_2(self, capsys):
        assert main(["send", "x", "--config", "nowhere"]) == 2
        assert capsys.readouterr().err.startswith("logging-azmon send: --config nowhere is neither a file (.yaml, ")


STREAM = {"LOGS_DCR_STREAM_NAME": "Custom-App"}


class TestPrecedence:
    def test_options_take_precedence_over_config_and_config_over_the_environment(self, tmp_path, monkeypatch):
        module(tmp_path, f"LOGGING = {{'handlers': {{'azure': {OURS!r}}}}}")
        monkeypatch.setenv("LOGS_DCR_RULE_ID", "dcr-env")
        monkeypatch.setenv("LOGS_DCR_STREAM_NAME", "Custom-Env")

        settings = read_settings(arguments("--config", "qapp:LOGGING", "--stream", "Custom-Option"))

        assert (settings.rule_id, settings.stream) == ("dcr-1", "Custom-Option")


YAML = """
version: 1
handlers:
  azure:
    class: logging_azmon.AzureMonitorHandler
    endpoint: https://dce.example.org
    rule_id: dcr-1
    stream: Custom-App
"""
TOML = """
[logging.handlers.azure]
class = "logging_azmon.AzureMonitorHandler"
endpoint = "https://dce.example.org"
rule_id = "dcr-1"
stream = "Custom-App"
"""
INI = """
[loggers]
keys=root
[handlers]
keys=azure,console
[handler_azure]
class=logging_azmon.AzureMonitorHandler
args=("https://dce.example.org",)
kwargs={"rule_id": "dcr-1", "stream": "Custom-App"}
[handler_console]
class=StreamHandler
args=(sys.stdout,)
"""


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "text", "key"),
        [
            ("logging.yaml", YAML, ""),
            ("logging.yml", "deep:\n  down:\n" + textwrap.indent(YAML, "    "), ":deep.down"),
            ("logging.json", json.dumps({"handlers": {"azure": OURS}}), ""),
            ("settings.toml", TOML, ":logging"),
            ("logging.ini", INI, ""),
        ],
    )
    def test_every_file_format_gives_the_same_arguments(self, tmp_path, name, text, key):
        tmp_path.joinpath(name).write_text(text, "utf-8")

        assert arguments("--config", f"{name}{key}") == PLACE

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("a.json", "{", "a.json is not valid JSON: "),
            ("a.yaml", "a: [", "a.yaml is not valid YAML: "),
            ("a.ini", "[handlers]", "a.ini is not valid INI: "),
            (
                "a.json",
                "[]",
                "a.json is a list; give a dictionary for dictConfig, an AzureMonitorHandler or a Pipeline",
            ),
            ("a.json", '{"handlers": []}', "a.json has no handlers; give a configuration for dictConfig"),
            ("a.json", '{"x": {"handlers": {}}}', "a.json has no handlers; it has x; give"),
            ("a.json", '{"handlers": {}}', "a.json has no logging_azmon.AzureMonitorHandler; its handlers are none"),
        ],
    )
    def test_an_unusable_file_is_named_with_its_fault(self, tmp_path, name, text, said):
        tmp_path.joinpath(name).write_text(text, "utf-8")

        assert said in problem("--config", name)

    def test_a_missing_file_and_a_missing_key_are_named(self, tmp_path):
        tmp_path.joinpath("a.json").write_text('{"b": 1}', "utf-8")

        assert "none.json cannot be read: No such file" in problem("--config", "none.json")
        assert "a.json:c has no c; it has b" in problem("--config", "a.json:c")
        assert "a.json:b.c has no c" in problem("--config", "a.json:b.c")

    def test_a_missing_yaml_library_is_left_to_the_dispatcher(self, tmp_path, monkeypatch, capsys):
        tmp_path.joinpath("a.yaml").write_text(YAML, "utf-8")
        monkeypatch.setitem(sys.modules, "yaml", None)

        assert main(["send", "x", "--config", "a.yaml"]) == 2
        assert "python -m pip install 'logging-azmon[cli]'" in capsys.readouterr().err

    def test_a_file_yaml_py_of_the_application_is_not_run_for_the_library(self, tmp_path, monkeypatch):
        """The current directory comes first only for the application's own modules."""
        tmp_path.joinpath("a.yaml").write_text(YAML, "utf-8")
        tmp_path.joinpath("yaml.py").write_text("raise SystemExit('run')", "utf-8")
        for name in [name for name in sys.modules if name.partition(".")[0] in {"yaml", "_yaml"}]:
            monkeypatch.delitem(sys.modules, name)

        assert arguments("--config", "a.yaml")["endpoint"] == PLACE["endpoint"]


class TestModules:
    def test_the_current_directory_is_importable_only_while_loading(self, tmp_path):
        module(tmp_path, "class settings:\n    LOGGING = {'handlers': {'azure': " + repr(OURS) + "}}")
        before = list(sys.path)

        assert arguments("--config", "qapp:settings.LOGGING") == PLACE
        assert sys.path == before

    def test_loading_does_not_configure_the_applications_logging(self, tmp_path):
        module(
            tmp_path,
            "LOGGING = {'handlers': {'azure': " + repr(OURS) + ", 'bad': {'()': 'qapp.explode'}}}\n"
            "def explode():\n    raise SystemExit('made')",
        )

        assert arguments("--config", "qapp:LOGGING") == PLACE

    @pytest.mark.parametrize(
        ("source", "words", "said"),
        [
            ("", ["--config", "qapp:NONE"], "qapp has no NONE"),
            ("A = {'handlers': {}}", ["--config", "qapp:NONE"], "qapp has no NONE; it has A"),
            ("1 / 0", ["--config", "qapp:A"], "importing qapp raised ZeroDivisionError: division by zero"),
            ("A = 3", ["--config", "qapp:A"], "qapp:A is a int; give a dictionary for dictConfig"),
        ],
    )
    def test_a_module_without_a_usable_configuration_is_reported(self, tmp_path, source, words, said):
        module(tmp_path, source)

        assert said in problem(*words)

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("handlers:\n  azure:\n    class: logging_azmon.AzureMonitorHandler\n    columns: &a {x: *a}\n", "a.yaml"),
            ("handlers: &a\n  azure: {class: logging_azmon.AzureMonitorHandler, columns: *a}\n", "a.yaml"),
            ('{"handlers": {"azure": {"columns": ' + "[" * 200 + "]" * 200 + "}}}", "a.json"),
        ],
    )
    def test_a_configuration_that_contains_itself_is_refused(self, tmp_path, text, name):
        """A YAML anchor inside its own node does that; deep nesting ends the same way."""
        tmp_path.joinpath(name).write_text(text, "utf-8")

        assert "is nested more than 100 levels deep, or contains itself" in problem("--config", name)

    @pytest.mark.parametrize("source", ["sys:modules.os", "sys:maxsize.foo"])
    def test_an_attribute_of_a_dictionary_or_a_number_is_missing(self, source):
        """These have no attributes of their own to suggest."""
        assert problem("--config", source) == f"--config {source}: sys has no {source.partition(':')[2]}"

    def test_settings_that_fail_when_they_are_read_are_reported(self, tmp_path):
        """Django's are read lazily, and raise if they are not configured."""
        module(
            tmp_path,
            """
            class Settings:
                @property
                def LOGGING(self):
                    raise RuntimeError("settings are not configured")
            settings = Settings()
            """,
        )
        said = problem("--config", "qapp:settings.LOGGING")

        assert said.endswith(": reading settings.LOGGING raised RuntimeError: settings are not configured")

    def test_config_may_name_a_handler_or_a_pipeline(self, tmp_path):
        module(
            tmp_path,
            """
            import logging_azmon
            rule = {"streamDeclarations": {"Custom-App": {"columns": [{"name": "odd name", "type": "int"}]}}}
            place = ("https://dce.example.org", "dcr-1", "Custom-App")
            pipeline = logging_azmon.Pipeline(*place, dcr=rule, batch_seconds=2)
            handler = logging_azmon.AzureMonitorHandler(pipeline=pipeline)
            """,
        )

        for name in ("pipeline", "handler"):
            given = arguments("--config", f"qapp:{name}")
            with_them = read_settings(given)
            assert (with_them.stream, with_them.batch_seconds) == ("Custom-App", 2)
            assert [column.name for column in with_them.table] == ["odd name"]
            Pipeline(**given).close()


class TestHandlers:
    def configured(self, tmp_path, handlers, **more):
        module(tmp_path, f"LOGGING = { ({'handlers': handlers} | more)!r}")
        return ["--config", "qapp:LOGGING"]

    def test_the_only_handler_of_ours_is_chosen(self, tmp_path):
        words = self.configured(tmp_path, {"console": {"class": "logging.StreamHandler"}, "azure": OURS})

        assert arguments(*words) == PLACE

    def test_one_of_several_handlers_must_be_named(self, tmp_path):
        words = self.configured(tmp_path, {"a": OURS, "b": {**OURS, "stream": "Custom-B"}})

        assert "has 2 handlers of this library: choose with --handler a or --handler b" in problem(*words)
        assert arguments(*words, "--handler", "b")["stream"] == "Custom-B"

    def test_handlers_that_share_a_pipeline_give_its_arguments(self, tmp_path):
        shared = {"class": "logging_azmon.AzureMonitorHandler", "pipeline": "cfg://handlers.azure", "level": "ERROR"}
        words = self.configured(tmp_path, {"a": shared, "azure": OURS})

        assert arguments(*words) == arguments(*words, "--handler", "a") == PLACE

    def test_pipeline_may_refer_to_an_object_of_the_application(self, tmp_path):
        module(
            tmp_path,
            """
            import logging_azmon
            pipeline = logging_azmon.Pipeline("https://dce.example.org", "dcr-1", "Custom-Shared")
            own = {"class": "logging_azmon.AzureMonitorHandler", "pipeline": "ext://qapp.pipeline"}
            LOGGING = {"handlers": {"azure": own}}
            """,
        )

        assert arguments("--config", "qapp:LOGGING")["stream"] == "Custom-Shared"

    @pytest.mark.parametrize("pipeline", ["cfg://handlers.a", "cfg://handlers.b", "nonsense"])
    def test_a_pipeline_reference_that_leads_nowhere_is_reported(self, tmp_path, pipeline):
        both = {"class": "logging_azmon.AzureMonitorHandler"}
        words = self.configured(
            tmp_path, {"a": {**both, "pipeline": pipeline}, "b": {**both, "pipeline": "cfg://handlers.a"}}
        )

        assert "does not lead to a handler with a pipeline of its own" in problem(*words, "--handler", "a")

    def test_values_are_resolved_as_dictconfig_does(self, tmp_path):
        words = self.configured(
            tmp_path,
            {"azure": {**OURS, "rule_id": "cfg://rule", "credential": {"managed_identity": {"client_id": "cfg://id"}}}},
            rule="dcr-9",
            id="mine",
        )

        settings = read_settings(arguments(*words))
        assert settings.rule_id == "dcr-9"
        assert settings.credential == {"managed_identity": {"client_id": "mine"}}

    def test_an_unresolvable_value_is_shown_unless_it_is_a_credential(self, tmp_path):
        words = self.configured(tmp_path, {"azure": {**OURS, "stream": "ext://qapp.none"}})
        assert "stream='ext://qapp.none' of the handler azure cannot be resolved" in problem(*words)
        sys.modules.pop("qapp")
        words = self.configured(tmp_path, {"azure": {**OURS, "credential": "cfg://secret"}})
        assert "credential=(not shown) of the handler azure cannot be resolved" in problem(*words)

    def test_arguments_that_concern_only_the_application_are_left_out(self, tmp_path):
        words = self.configured(
            tmp_path, {"azure": {**OURS, "level": "INFO", "formatter": "f", "filters": [], "report": "ext://a.b"}}
        )

        assert arguments(*words) == PLACE

    def test_a_subclass_of_our_handler_and_the_class_itself_are_ours(self, tmp_path):
        module(
            tmp_path,
            f"""
            import logging_azmon
            class Mine(logging_azmon.AzureMonitorHandler):
                pass
            A = {{"handlers": {{"azure": {{**{OURS!r}, "class": "qapp.Mine"}}}}}}
            B = {{"handlers": {{"azure": {{**{PLACE!r}, "()": Mine}}}}}}
            """,
        )

        assert arguments("--config", "qapp:A") == arguments("--config", "qapp:B") == PLACE

    @pytest.mark.parametrize(
        ("handler", "said"),
        [
            (
                {"()": "logging.getLogger"},
                "--handler azure is created by getLogger, so its arguments are not in the configuration",
            ),
            ({"class": "logging.StreamHandler"}, "--handler azure is a StreamHandler, not a logging_azmon"),
            ({"class": "no.such.thing"}, "--handler azure is a no.such.thing, not a logging_azmon"),
            ("text", "--handler azure is a None, not a logging_azmon"),
        ],
    )
    def test_a_handler_that_is_not_ours_is_refused(self, tmp_path, handler, said):
        words = self.configured(tmp_path, {"azure": handler})

        assert said in problem(*words, "--handler", "azure")

    def test_an_unknown_handler_is_refused_with_the_known_ones(self, tmp_path):
        words = self.configured(tmp_path, {"azure": OURS})

        assert "--handler blue is not in --config qapp:LOGGING; it has azure" in problem(*words, "--handler", "blue")

    def test_no_handler_is_created(self, tmp_path, monkeypatch):
        monkeypatch.setattr(AzureMonitorHandler, "__init__", lambda *_, **__: pytest.fail("made"))

        assert arguments(*self.configured(tmp_path, {"azure": OURS})) == PLACE
