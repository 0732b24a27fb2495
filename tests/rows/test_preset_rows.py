"""Records and events fill the columns of every preset."""

import json

import pytest

from logging_azmon._config.presets import PRESETS
from logging_azmon.table import Extra
from support.rows import Rows, exc_info, make_record


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_records_fit_every_preset(self, name):
        """An ordinary record, one with an exception and one with extras cause no misfit."""
        rows = Rows(PRESETS[name])

        for record in (
            make_record("hello %s", "ada"),
            make_record("hello", exc_info=exc_info(), level=40),
            make_record("hello", extra={"user": "ada", "number": 5}, sinfo="Stack: here"),
        ):
            row = rows.record(record)
            assert row["TimeGenerated"].endswith("Z")
            assert any("hello" in str(value) for value in row.values())
            if record.exc_info:
                assert "LookupError: lost" in json.dumps(row)
        assert rows.misfits == 0

    @pytest.mark.parametrize("name", PRESETS)
    def test_events_fit_every_preset(self, name):
        """structlog's event dicts cause no misfit."""
        rows = Rows(PRESETS[name])

        assert rows.event({"event": "hello", "user": "ada"}, "warning", "app")["TimeGenerated"]
        assert rows.misfits == 0

    @pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("default", "lean")])
    def test_extras_fill_the_columns_of_a_built_in_table_by_name(self, name):
        """extra={"SourceIP": ...} fills CommonSecurityLog.SourceIP."""
        samples = {"string": "x", "int": 5, "long": 5, "real": 1.5, "boolean": True, "datetime": "2026-01-02T03:04:05Z"}
        extra = {
            column.name: samples.get(column.type, {"a": 1})
            for column in PRESETS[name]
            if isinstance(column.source, Extra)
        }
        rows = Rows(PRESETS[name])

        row = rows.record(make_record(extra=extra))

        for column, value in extra.items():
            assert row[column] == ("2026-01-02T03:04:05.000000Z" if value == samples["datetime"] else value)
        assert rows.misfits == 0

    def test_the_event_table_uses_its_own_numbers_for_levels(self):
        """1 is an error, 2 a warning, 4 information."""
        rows = Rows(PRESETS["event"])

        assert [rows.record(make_record(level=level))["EventLevel"] for level in (50, 40, 30, 20, 10)] == [
            1,
            1,
            2,
            4,
            4,
        ]
