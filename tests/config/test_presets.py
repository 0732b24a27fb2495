"""The presets have the documented columns, and those of built-in tables are the columns that Azure has."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

from logging_azmon._config import presets
from logging_azmon._config.presets import BUILT_IN, DEFAULT, LEAN, PRESETS, preset
from logging_azmon.errors import ConfigurationError
from logging_azmon.table import FIELD_TYPES, RESERVED_NAMES, Column, Extra, Table

AZURE = json.loads((Path(__file__).parent.parent / "data" / "built-in-tables.json").read_text(encoding="utf-8"))

NAMES = ["default", "lean", "syslog", "common_security_log", "security_event", "windows_event", "event"]
BUILT_IN_NAMES = NAMES[2:]

# Columns that are not filled by an extra of their own name alone.
FILLED = {
    "syslog": {
        "TimeGenerated": "time",
        "EventTime": "time",
        "Computer": "host",
        "HostName": "host",
        "Facility": Extra(("Facility",), "user"),
        "SeverityLevel": "syslog_severity",
        "ProcessName": "logger",
        "ProcessID": "process_id",
        "SyslogMessage": "message",
    },
    "common_security_log": {
        "TimeGenerated": "time",
        "ReceiptTime": "time",
        "Computer": "host",
        "DeviceVendor": Extra(("DeviceVendor",), "Python"),
        "DeviceProduct": Extra(("DeviceProduct",), "logging"),
        "Activity": Extra(("Activity",), "Log record"),
        "LogSeverity": "cef_severity",
        "OriginalLogSeverity": "level",
        "ProcessName": "logger",
        "ProcessID": "process_id",
        "Message": "message",
        "AdditionalExtensions": "*",
    },
    "security_event": {
        "TimeGenerated": "time",
        "Computer": "host",
        "Channel": Extra(("Channel",), "Application"),
        "EventSourceName": "logger",
        "EventLevelName": "event_level_name",
        "SystemProcessId": "process_id",
        "Activity": "message",
        "EventData": "*",
    },
    "windows_event": {
        "TimeGenerated": "time",
        "Computer": "host",
        "Channel": Extra(("Channel",), "Application"),
        "Provider": "logger",
        "EventLevel": "event_level",
        "EventLevelName": "event_level_name",
        "SystemProcessId": "process_id",
        "RawEventData": "message",
        "EventData": "*",
    },
    "event": {
        "TimeGenerated": "time",
        "Computer": "host",
        "EventLog": Extra(("EventLog",), "Application"),
        "Source": "logger",
        "EventLevel": "event_type",
        "EventLevelName": "event_level_name",
        "RenderedDescription": "message",
        "EventData": "*",
    },
}


def azure_table(name):
    """Return Azure's own description of a preset's table."""
    return AZURE[BUILT_IN[name].removeprefix("Microsoft-")]


class TestOurTables:
    def test_default_has_exactly_the_designed_columns_in_order(self):
        """Streams, templates and stored rows depend on them, so every change affects users."""
        assert DEFAULT.columns == (
            Column("TimeGenerated", "datetime", "time"),
            Column("Level", "string", "level"),
            Column("Logger", "string", "logger"),
            Column("Message", "string", "message"),
            Column("Exception", "string", "exception"),
            Column("Properties", "dynamic", "*"),
            Column("Module", "string", "module"),
            Column("Function", "string", "function"),
            Column("Line", "int", "line"),
            Column("ProcessId", "int", "process_id"),
            Column("Thread", "string", "thread_name"),
            Column("Host", "string", "host"),
            Column("TraceId", "string", "trace_id"),
            Column("SpanId", "string", "span_id"),
            Column("Instance", "string", "instance"),
            Column("Sequence", "long", "sequence"),
        )

    def test_lean_is_the_first_six_columns_of_default(self):
        """Rows of both fit the same table."""
        assert LEAN.columns == DEFAULT.columns[:6]
        assert LEAN.columns[-1].source == "*"


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
class TestBuiltInTables:
    def test_a_built_in_table_has_all_columns_that_azure_accepts(self, name):
        """No column is missing or invented, and none has a type that Azure would turn to null."""
        assert {column.name: column.type for column in preset(name)} == azure_table(name)["columns"]

    def test_a_built_in_tables_columns_are_in_the_references_order(self, name):
        """A declaration can be compared with Azure's reference line by line."""
        assert [column.name for column in preset(name)] == list(azure_table(name)["columns"])

    def test_a_built_in_column_takes_its_field_or_the_extra_of_its_name(self, name):
        """`extra={"SourceIP": …}` arrives; a column takes a field only if no caller could know a better value."""
        expected = {column: FILLED[name].get(column, Extra((column,))) for column in azure_table(name)["columns"]}

        assert {column.name: column.source for column in preset(name)} == expected

    def test_a_built_in_table_holds_time_message_logger_and_host(self, name):
        """The table may have other names for them."""
        sources = [column.source for column in preset(name)]

        assert {"time", "message", "logger", "host"} <= {source for source in sources if isinstance(source, str)}

    def test_number_columns_take_only_fields_that_are_numbers_of_their_size(self, name):
        """A field that never fits its column would count as a misfit in every row."""
        fitting = {"int": {"int"}, "datetime": {"datetime"}, "long": {"int", "long"}, "real": set()}

        for column in preset(name):
            if column.type in fitting and isinstance(column.source, str):
                assert FIELD_TYPES[column.source] in fitting[column.type], column

    def test_a_built_in_table_names_its_rules_output_stream(self, name):
        """Templates write `BUILT_IN` as outputStream."""
        assert BUILT_IN[name] == azure_table(name)["stream"]

    def test_a_built_in_table_leaves_out_the_services_own_columns(self, name):
        """These are TenantId, Type and the columns that begin with an underscore."""
        names = [column.name.lower() for column in preset(name)]

        assert not RESERVED_NAMES & set(names)
        assert not [column for column in names if column.startswith("_")]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "syslog"])
def test_extras_without_a_column_have_a_place_except_in_syslog(name):
    """Extras and traceback go to the column that takes `*`."""
    assert [column.source for column in preset(name)].count("*") == 1


@pytest.mark.parametrize("name", ["security_event", "event"])
def test_level_columns_with_other_numbers_are_left_to_the_caller(name):
    """Event has 1 for an error and 2 for a warning: event_level would make warnings of errors."""
    assert "event_level" not in [column.source for column in preset(name)]


class TestNames:
    def test_presets_are_found_under_every_documented_name(self):
        """These names are in users' configuration."""
        assert list(PRESETS) == NAMES
        assert list(BUILT_IN) == BUILT_IN_NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_function_mapping_and_constant_give_the_same_table(self, name):
        """A table is built once, whichever way it is requested."""
        assert isinstance(preset(name), Table)
        assert preset(name) is PRESETS[name] is getattr(presets, name.upper())

    def test_presets_cannot_be_changed(self):
        """Handlers share them."""
        with pytest.raises(TypeError):
            PRESETS["default"] = LEAN  # type: ignore[index]

    @pytest.mark.parametrize("wrong", ["sysog", "Default", "SYSLOG", "", "_build", ["lean"], None])
    def test_an_unknown_presets_name_is_refused_with_the_known_ones(self, wrong):
        """dictConfig passes on any type; the message shows the value."""
        with pytest.raises(ConfigurationError) as caught:
            preset(wrong)

        assert str(caught.value) == (
            f"columns={wrong!r} is not a preset; use 'default', 'lean', 'syslog', 'common_security_log',"
            " 'security_event', 'windows_event', 'event', or a mapping"
        )

    @pytest.mark.parametrize("wrong", ["SYSLOGS", "syslog", "nothing"])
    def test_a_misspelt_preset_constant_is_an_attribute_error(self, wrong):
        """Every module raises an AttributeError for an unknown name."""
        with pytest.raises(AttributeError, match=f"module 'logging_azmon._config.presets' has no attribute '{wrong}'"):
            getattr(presets, wrong)


def test_every_example_in_the_docstrings_runs():
    results = doctest.testmod(presets)

    assert (results.failed, results.attempted) == (0, 1)


def test_importing_the_presets_builds_none_of_azures_tables():
    """Applications with a table of their own do not pay for Azure's 428 columns."""
    code = "from logging_azmon._config import presets; print(presets._build.cache_info().currsize)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "0"
