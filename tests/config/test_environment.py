"""Every setting can come from the environment, after LOGGING_AZMON_; arguments come first."""

import json
import logging

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, ConfigurationError, Pipeline
from logging_azmon._config.environment import from_environment, setting, unknown, used, variable
from logging_azmon._config.options import ARGUMENTS, Options
from logging_azmon._config.redaction import Redaction
from logging_azmon._config.settings import ACCEPTED, ENVIRONMENT, read
from logging_azmon.testing import FakeDestination

MICROSOFT = {
    "DATA_COLLECTION_ENDPOINT": "https://microsoft.ingest.monitor.azure.com",
    "LOGS_DCR_RULE_ID": "dcr-microsoft",
    "LOGS_DCR_STREAM_NAME": "Custom-Microsoft",
}
OURS = {
    "LOGGING_AZMON_ENDPOINT": "https://ours.ingest.monitor.azure.com",
    "LOGGING_AZMON_RULE_ID": "dcr-ours",
    "LOGGING_AZMON_STREAM": "Custom-Ours",
}
DCR = {"streamDeclarations": {"Custom-Ours": {"columns": [{"name": "Text", "type": "string"}]}}}


def report(trouble):
    """Take reports, by its name in the environment."""


NOT_CALLABLE = 42
# For each setting, a text for its variable, and the value that it stands for.
VALUES = {
    "credential": ("managed_identity", "managed_identity"),
    "redact": ('["secrets", "personal"]', Redaction(("secrets", "personal"))),
    "before_send": ("ext://json.dumps", json.dumps),
    "batch_bytes": ("500_000", 500_000),
    "batch_seconds": ("2.5", 2.5),
    "queue_bytes": ("10000000", 10_000_000),
    "overflow": ("block", "block"),
    "block_seconds": ("0", 0),
    "spool": ("/var/spool/shop", "/var/spool/shop"),
    "spool_bytes": ("2000000000", 2_000_000_000),
    "spool_fsync": ("batch", "batch"),
    "uploads": ("8", 8),
    "connect_seconds": ("1", 1),
    "read_seconds": ("10", 10),
    "retry_seconds": ("30", 30),
    "give_up_seconds": ("3600", 3_600),
    "close_seconds": ("3", 3),
    "cloud": ("usgov", "usgov"),
    "proxy": ("http://proxy:8080", "http://proxy:8080"),
    "ca_bundle": ("/", "/"),
    "report": ("ext://json.dumps", json.dumps),
}


class TestValues:
    def test_every_setting_has_a_variable(self):
        """Except for `enabled`, which LOGGING_AZMON_DISABLED beats."""
        assert {name for name in ACCEPTED if name not in (*ENVIRONMENT, "enabled", "columns", "dcr")} == set(VALUES)

    @pytest.mark.parametrize("name", VALUES)
    def test_a_variable_gives_its_setting(self, name):
        """Numbers are numbers, and words are words."""
        text, value = VALUES[name]
        settings = read({}, OURS | {variable(name): f" {text} "})

        assert getattr(settings, name) == value

    @pytest.mark.parametrize("name", VALUES)
    def test_an_argument_comes_before_a_variable_even_before_a_bad_one(self, name):
        """The code knows best."""
        value = VALUES[name][1]

        assert getattr(read({name: value}, OURS | {variable(name): "{"}), name) == value

    def test_ours_come_before_those_of_microsoft(self):
        """And an argument before both."""
        settings = read({"stream": "Custom-Argument"}, MICROSOFT | OURS)

        assert (settings.endpoint, settings.rule_id, settings.stream) == (
            "https://ours.ingest.monitor.azure.com",
            "dcr-ours",
            "Custom-Argument",
        )
        assert read({}, MICROSOFT).stream == "Custom-Microsoft"

    def test_an_empty_variable_counts_as_missing(self):
        """As compose files and shells leave it."""
        assert read({}, OURS | {"LOGGING_AZMON_UPLOADS": " ", "LOGGING_AZMON_SPOOL": ""}) == read({}, OURS)

    def test_columns_are_a_name_or_json(self):
        """As in a file for dictConfig."""
        columns = '{"Text": "message", "Kind": {"value": "shop"}}'

        assert [column.name for column in read({}, OURS | {"LOGGING_AZMON_COLUMNS": columns}).table] == ["Text", "Kind"]
        assert len(read({}, OURS | {"LOGGING_AZMON_COLUMNS": "lean"}).table.columns) == 6

    def test_a_rule_is_a_path_or_json(self, tmp_path):
        """Its only stream need not be named."""
        file = tmp_path / "rule.json"
        file.write_text(json.dumps(DCR), "utf-8")
        ours = {name: value for name, value in OURS.items() if name != "LOGGING_AZMON_STREAM"}

        for text in (str(file), json.dumps(DCR)):
            settings = read({}, ours | {"LOGGING_AZMON_DCR": text})
            assert (settings.stream, [column.name for column in settings.table]) == ("Custom-Ours", ["Text"])

    def test_a_credential_is_a_name_or_json_or_an_object(self):
        """Options belong to it."""
        with_options = {"managed_identity": {"client_id": "1"}}

        assert read({}, OURS | {"LOGGING_AZMON_CREDENTIAL": json.dumps(with_options)}).credential == with_options
        with pytest.raises(ConfigurationError, match=r"has no get_token.*comes from LOGGING_AZMON_CREDENTIAL"):
            read({}, OURS | {"LOGGING_AZMON_CREDENTIAL": "ext://json.dumps"})

    def test_front_doors_read_the_environment(self, monkeypatch):
        """Without an argument in the code."""
        for name, value in (OURS | {"LOGGING_AZMON_UPLOADS": "7"}).items():
            monkeypatch.setenv(name, value)

        for front_door in (AzureMonitorHandler, AzureMonitorProcessor, Pipeline):
            made = front_door()
            assert getattr(made, "pipeline", made).settings.uploads == 7
            made.close()

    def test_a_pipeline_with_a_destination_of_its_own_ignores_the_variables(self, monkeypatch):
        """A test must mean the same wherever it runs."""
        monkeypatch.setenv("LOGGING_AZMON_UPLOADS", "many")

        assert Pipeline(destination=FakeDestination(), background=False).settings.uploads == 4

    def test_a_pickled_pipeline_keeps_what_the_environment_said(self):
        """Settings are pickled, not variables."""
        settings = read({}, OURS | {"LOGGING_AZMON_UPLOADS": "7"})

        assert read(settings.as_arguments(), {}) == settings


class TestLevel:
    @pytest.mark.parametrize(("text", "level"), [("WARNING", 30), ("25", 25), ("", 0)])
    def test_the_level_is_a_name_or_a_number(self, monkeypatch, text, level):
        """For handlers and processors that have none of their own."""
        monkeypatch.setenv("LOGGING_AZMON_LEVEL", text)

        assert [front_door(enabled=False).level for front_door in (AzureMonitorHandler, AzureMonitorProcessor)] == [
            level,
            level,
        ]

    def test_a_level_in_the_code_comes_first(self, monkeypatch):
        """Also that of dictConfig, which sets it afterwards."""
        monkeypatch.setenv("LOGGING_AZMON_LEVEL", "ERROR")
        configuration = {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "handlers": {
                "azure": {"class": "logging_azmon.AzureMonitorHandler", "enabled": False, "level": "INFO"},
            },
            "loggers": {"of this test": {"handlers": ["azure"]}},
        }
        logging.config.dictConfig(configuration)
        (handler,) = logging.getLogger("of this test").handlers

        assert handler.level == logging.INFO
        assert AzureMonitorHandler(enabled=False, level="INFO").level == logging.INFO
        handler.close()

    def test_a_bad_level_names_its_variable(self, monkeypatch):
        """The code is not to blame."""
        monkeypatch.setenv("LOGGING_AZMON_LEVEL", "warning")

        with pytest.raises(ConfigurationError, match=r"did you mean 'WARNING'\? \(it comes from LOGGING_AZMON_LEVEL\)"):
            AzureMonitorHandler(enabled=False)


class TestMisuse:
    @pytest.mark.parametrize("name", [name for name in VALUES if ARGUMENTS[name].limits is not None])
    def test_text_that_is_not_a_number_is_refused_with_its_variable(self, name):
        """The sentence says what is accepted, as for an argument."""
        with pytest.raises(ConfigurationError) as caught:
            read({}, OURS | {variable(name): "many"})

        (problem,) = caught.value.problems
        assert problem.startswith(f"{name}='many' is not accepted; give a ")
        assert problem.endswith(f" (it comes from {variable(name)})")

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("overflow", "drop", "overflow='drop' is not accepted; give one of 'drop_new', 'drop_old', 'block'"),
            ("endpoint", "ours", "endpoint='ours' is not an http(s) URL"),
            ("columns", "leen", "columns='leen' is not the name of a preset"),
            ("columns", "[1]", "columns=[1] is not accepted"),
            ("report", "print", "report='print' is not callable"),
            ("report", "ext://config.test_environment.NOT_CALLABLE", None),
            ("dcr", "/nowhere.json", "dcr='/nowhere.json' cannot be read"),
        ],
    )
    def test_a_bad_value_names_its_variable(self, name, text, said):
        """Beside what is accepted."""
        with pytest.raises(ConfigurationError) as caught:
            read({}, OURS | {variable(name): text})

        (problem,) = caught.value.problems
        assert variable(name) in problem
        assert said is None or problem.startswith(said[:20])

    def test_what_is_not_json_is_not_shown(self):
        """A credential may hold a secret."""
        with pytest.raises(ConfigurationError) as caught:
            read({}, OURS | {"LOGGING_AZMON_CREDENTIAL": '{"environment": hunter2}'})

        assert caught.value.problems == (
            "LOGGING_AZMON_CREDENTIAL begins with { but is not valid JSON (at character 17)",
        )

    def test_an_object_that_cannot_be_found_is_named_with_the_reason(self):
        """Its module is imported."""
        with pytest.raises(ConfigurationError) as caught:
            read({}, OURS | {"LOGGING_AZMON_REPORT": "ext://nowhere.report"})

        (problem,) = caught.value.problems
        assert problem.startswith("LOGGING_AZMON_REPORT=ext://nowhere.report cannot be resolved (ModuleNotFoundError: ")

    def test_objects_are_found_inside_json_at_any_depth(self):
        """A callable among a credential's options, for instance."""
        ids = {"tenant_id": "t", "client_id": "c"}
        text = json.dumps({"chained": [{"client_assertion": ids | {"func": "ext://json.dumps"}}]})

        assert read({}, OURS | {"LOGGING_AZMON_CREDENTIAL": text}).credential == {
            "chained": [{"client_assertion": ids | {"func": json.dumps}}]
        }
        with pytest.raises(ConfigurationError, match=r"LOGGING_AZMON_CREDENTIAL=ext://nowhere\.x cannot be resolved"):
            read({}, OURS | {"LOGGING_AZMON_CREDENTIAL": text.replace("json.dumps", "nowhere.x")})

    def test_several_mistakes_are_told_together(self):
        """Of arguments and of variables."""
        with pytest.raises(ConfigurationError) as caught:
            read({"uploads": 0}, OURS | {"LOGGING_AZMON_COLUMNS": "{", "LOGGING_AZMON_CLOUD": "mars"})

        assert len(caught.value.problems) == 3

    def test_switched_off_what_would_be_needed_to_send_is_not_looked_at(self):
        """As with arguments; other mistakes are told."""
        off = {"LOGGING_AZMON_DISABLED": "1", "LOGGING_AZMON_CREDENTIAL": "{", "LOGGING_AZMON_ENDPOINT": "{"}

        assert not read({"enabled": True}, off).enabled
        with pytest.raises(ConfigurationError, match="LOGGING_AZMON_UPLOADS"):
            read({}, off | {"LOGGING_AZMON_UPLOADS": "0"})

    def test_there_is_no_variable_that_switches_on(self):
        """An argument of the code decides, unless it is disabled."""
        assert read({"enabled": False}, OURS | {"LOGGING_AZMON_ENABLED": "1"}).enabled is False
        assert read({}, OURS | {"LOGGING_AZMON_ENABLED": "0"}).enabled is True


class TestCommands:
    def test_a_setting_is_looked_up_as_a_handler_would(self):
        """The argument first, then ours, then Microsoft's."""
        assert setting("stream", {"stream": "Custom-Argument"}, MICROSOFT | OURS) == "Custom-Argument"
        assert setting("stream", {}, MICROSOFT | OURS) == "Custom-Ours"
        assert setting("stream", {}, MICROSOFT) == "Custom-Microsoft"
        assert setting("stream", {"stream": None}, {}) is None
        assert setting("cloud", {}, {}) is None
        with pytest.raises(ConfigurationError, match="LOGGING_AZMON_COLUMNS begins with"):
            setting("columns", {}, {"LOGGING_AZMON_COLUMNS": "{"})

    def test_unknown_names_are_pointed_out_with_what_was_probably_meant(self):
        """They are never refused."""
        environ = OURS | {
            "LOGGING_AZMON_SPOL": "/var/spool/shop",
            "LOGGING_AZMON_ENABLED": "1",
            "LOGGING_AZMON_XYZ": "",
            "PATH": "/bin",
        }
        enabled, near, far = unknown(environ)

        assert read({}, environ) == read({}, OURS)
        assert near == "LOGGING_AZMON_SPOL does nothing: did you mean LOGGING_AZMON_SPOOL?"
        assert "LOGGING_AZMON_DISABLED=1 switches off" in enabled
        assert far.startswith("LOGGING_AZMON_XYZ does nothing; there are LOGGING_AZMON_ENDPOINT, ")

    @pytest.mark.parametrize("name", ["LOGGING_AZMON_DISABLED", "LOGGING_AZMON_LEVEL", "LOGGING_AZMON_IMPL"])
    def test_variables_that_are_no_settings_are_known_too(self, name):
        """Each does something."""
        assert list(unknown({name: "1"})) == []

    def test_the_variables_that_are_used_are_told(self):
        """In the order of the settings."""
        environ = {"LOGGING_AZMON_LEVEL": "INFO", "LOGGING_AZMON_SPOOL": "x", "LOGGING_AZMON_CLOUD": "", "X": "y"}

        assert used(environ) == ["LOGGING_AZMON_SPOOL", "LOGGING_AZMON_LEVEL"]

    def test_nothing_is_read_without_a_variable(self):
        """An empty environment gives nothing."""
        assert from_environment({}) == ({}, {})
        assert set(Options.__annotations__) >= set(VALUES) - {"credential"}
