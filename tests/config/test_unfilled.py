"""A table whose rows would not hold the message is reported when a handler is created, and not refused."""

import logging

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Pipeline
from logging_azmon._config.presets import PRESETS
from logging_azmon._config.rule_table import table_of
from logging_azmon._config.unfilled import remarks
from logging_azmon.table import Column, Table

ADDRESS = ("http://127.0.0.1:9", "dcr-1", "Custom-App")
NOTHING = "no column takes the message, or any other field of a log call but its time"
NO_MESSAGE = "no column takes the message, so no row will hold it: "


def said(columns):
    return [*remarks(columns if isinstance(columns, Table) else Table.from_mapping(columns, declared=True))]


class TestRemarks:
    @pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
    def test_no_preset_causes_a_remark(self, preset):
        assert said(preset) == []

    @pytest.mark.parametrize(
        "columns",
        [
            {"Text": "message"},
            {"Count": "count:int", "Properties": "*"},
            {"Text": Column("Text", "string", lambda record: record.getMessage())},
        ],
    )
    def test_a_column_that_takes_the_message_or_the_rest_is_enough(self, columns):
        """A callable may return the message."""
        assert said(columns) == []

    @pytest.mark.parametrize(
        ("columns", "remark"),
        [
            (
                {"TimeGenerated": "time", "Level": "level"},
                f"{NO_MESSAGE}map one, as in columns={{'Message': 'message'}}, or add 'Properties': '*'",
            ),
            (
                {"Level": "level", "User": "user_id", "Text": "what"},
                f"{NO_MESSAGE}map one, as in columns={{'Text': 'message'}}, or add 'Properties': '*'",
            ),
            (
                {"Text": "template", "Level": "level"},
                f"{NO_MESSAGE}map one, as in columns={{'Message': 'message'}}, or add 'Properties': '*'",
            ),
            (
                {"time": "TimeGenerated", "level": "Level", "message": "Message"},
                (
                    f"{NOTHING}; they take only the extras 'TimeGenerated', 'Level', 'Message':"
                    " map one, as in columns={'message': 'message'}; a mapping has the column's name first, and then"
                    " the field"
                ),
            ),
            ({"Release": {"value": "1.4.2"}}, f"{NOTHING}: map one, as in columns={{'Message': 'message'}}"),
            (
                {f"C{number}": f"c{number}:int" for number in range(7)},
                (
                    f"{NOTHING}; they take only the extras 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more:"
                    " map one, as in columns={'Message': 'message'}"
                ),
            ),
        ],
    )
    def test_a_table_in_which_no_column_takes_the_message_causes_a_remark(self, columns, remark):
        """It says what the columns take instead, and what to write."""
        assert said(columns) == [remark]

    @pytest.mark.parametrize(
        ("declared", "candidate"),
        [
            ({"TimeGenerated": "datetime", "RawData": "string"}, "RawData"),
            ({"Timestamp": "datetime", "Severity": "string", "Msg": "string"}, "Msg"),
            ({"Line": "dynamic", "Who": "string"}, "Who"),
        ],
    )
    def test_a_rule_that_matches_nothing_causes_a_remark(self, declared, candidate):
        """The portal's sample is such a rule."""
        (remark,) = said(table_of(declared, {}))

        assert remark.startswith(NOTHING)
        assert f"columns={{{candidate!r}: 'message'}}" in remark


class TestConstruction:
    @pytest.fixture
    def troubles(self):
        return []

    @pytest.mark.parametrize("front", [AzureMonitorHandler, AzureMonitorProcessor])
    def test_a_table_without_the_message_is_reported_at_construction(self, front, troubles):
        """Nothing is refused: such rows may be what is wanted."""
        made = front(*ADDRESS, columns={"TimeGenerated": "time", "Level": "level"}, report=troubles.append)
        made.close()

        (trouble,) = troubles
        assert (trouble.kind, trouble.reason) == ("configuration", "columns")
        assert str(trouble).startswith(f"Custom-App: {NO_MESSAGE}")

    def test_a_rule_that_matches_nothing_is_reported_at_construction(self, troubles):
        declared = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "RawData", "type": "string"}]
        rule = {"streamDeclarations": {"Custom-App": {"columns": declared}}}
        AzureMonitorHandler(*ADDRESS, dcr=rule, report=troubles.append).close()

        assert NOTHING in str(*troubles)

    def test_it_is_printed_on_stderr_without_a_callable(self, capfd):
        AzureMonitorHandler(*ADDRESS, columns={"Level": "level"}).close()

        assert capfd.readouterr().err.startswith(f"logging_azmon: Custom-App: {NO_MESSAGE}")

    def test_a_shared_pipeline_is_reported_once(self, troubles):
        """By the first handler that shares it."""
        pipeline = Pipeline(*ADDRESS, columns={"Level": "level"}, report=troubles.append)
        assert troubles == []
        for _ in range(2):
            AzureMonitorHandler(pipeline=pipeline).close()

        assert len(troubles) == 1
        pipeline.close()

    def test_a_callable_that_logs_or_raises_does_no_harm(self):
        """A report is made outside of logging."""
        logger = logging.Logger("app")

        def report(trouble):
            logger.error("%s", trouble)
            raise ValueError(trouble)

        handler = AzureMonitorHandler(*ADDRESS, columns={"Level": "level"}, report=report)
        logger.addHandler(handler)
        assert handler.stats().accepted == 0
        handler.close()

    def test_an_ordinary_table_is_not_reported(self, capfd, troubles):
        AzureMonitorHandler(*ADDRESS).close()
        AzureMonitorHandler(*ADDRESS, columns={"Level": "levelname", "Text": "message"}, report=troubles.append).close()

        assert troubles == []
        assert capfd.readouterr().err == ""
