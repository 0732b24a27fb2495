"""LogRecord's own names are the fields that they are for records; in an event dict they are keys like any other."""

import datetime as dt

import pytest
import structlog

from logging_azmon.table import FIELD_OF_ATTRIBUTE
from support.doors import Crossing, stdlib_logger
from support.rows import Rows, exc_info, make_record

BY_ATTRIBUTE = {f"The_{name}": name for name in FIELD_OF_ATTRIBUTE}
BY_FIELD = {f"The_{name}": field for name, field in FIELD_OF_ATTRIBUTE.items()}
KNOWN = {
    "TimeGenerated": "created",
    "Level": "levelname",
    "Logger": "name",
    "Function": "funcName",
    "Line": "lineno:int",
    "Message": "message",
    "Rest": "*",
}


class TestRecords:
    @pytest.mark.parametrize("options", [{}, {"exc_info": exc_info()}], ids=["in one step", "by the encoder"])
    def test_each_name_fills_its_column_as_its_field_does(self, options):
        """Either path gives the same row."""
        record = make_record(level=30, name="shop", **options)
        record.taskName = "checkout"
        rows, expected = Rows({**BY_ATTRIBUTE, "M": "message"}), Rows({**BY_FIELD, "M": "message"})

        assert rows.record(record) == expected.record(record)
        assert rows.misfits == 0

    def test_the_columns_that_every_python_developer_writes_are_filled(self):
        """They used to be empty for ever, and the message went elsewhere."""
        record = make_record("hello %s", "ada", extra={"a": 1}, name="shop")
        record.created = 1_700_000_000.25

        assert Rows(KNOWN).record(record) == {
            "TimeGenerated": "2023-11-14T22:13:20.250000Z",
            "Level": "INFO",
            "Logger": "shop",
            "Function": "function",
            "Line": 12,
            "Message": "hello ada",
            "Rest": {"a": 1},
        }

    def test_an_ordinary_record_is_encoded_in_one_step(self, monkeypatch):
        """The names cost a log call nothing."""
        rows = Rows(KNOWN)
        monkeypatch.setattr(rows.encoder.record_reader, "read", None)

        assert rows.record(make_record(extra={"a": 1}))["Level"] == "INFO"

    def test_a_key_of_a_mapping_as_message_or_argument_is_an_extra(self):
        """Nobody's payload writes the level or the logger."""
        rows = Rows(KNOWN)
        for record in (make_record({"name": "evil", "levelname": "DEBUG"}), make_record("%(name)s", {"name": "evil"})):
            row = rows.record(record)
            assert (row["Logger"], row["Level"], row["Rest"]["name"]) == ("app", "INFO", "evil")


class TestEvents:
    def test_in_an_event_dict_the_names_are_keys_like_any_other(self):
        """`log.info("hello", name="ada")` has always filled a column that takes the key `name`."""
        keys = {"name": "ada", "levelname": "high", "funcName": "f", "created": "2026-01-02T00:00:00Z", "taskName": "t"}
        rows = Rows({f"The_{name}": name for name in keys} | {"Message": "message", "Rest": "*"})

        row = rows.event({"event": "hello", "level": "warning", "logger": "shop", "order": 7, **keys})
        assert row == {
            "The_name": "ada",
            "The_levelname": "high",
            "The_funcName": "f",
            "The_created": "2026-01-02T00:00:00.000000Z",
            "The_taskName": "t",
            "Message": "hello",
            "Rest": {"order": 7, "level": "WARNING", "logger": "shop"},
        }
        assert rows.event({"event": "hello"}, "info", "shop") == {"Message": "hello"}

    def test_a_key_that_structlog_has_for_a_field_is_that_field(self):
        """CallsiteParameterAdder's names."""
        rows = Rows({"File": "pathname", "Line": "lineno", "Pid": "process", "Thread": "thread", "Message": "message"})

        assert rows.event({"event": "x", "pathname": "/srv/app.py", "lineno": 5, "process": 7, "thread": 9}) == {
            "File": "/srv/app.py",
            "Line": 5,
            "Pid": 7,
            "Thread": 9,
            "Message": "x",
        }

    @pytest.fixture
    def through_stdlib(self):
        """Return structlog's records as handlers see them: in this process, and after a queue to another one."""
        records = []
        logger = stdlib_logger(_Recording(records), Crossing(_Recording(records)))
        log = structlog.wrap_logger(
            logger,
            processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        return log, records

    def test_an_event_in_a_record_has_its_own_keys_first_and_then_the_records_attributes(self, through_stdlib):
        """Through the standard library there is a record, so that no column stays empty."""
        log, records = through_stdlib
        log.warning("hello", name="ada", order=7)

        for record in records:
            row = Rows(KNOWN).record(record)
            assert (row["Logger"], row["Level"], row["Message"]) == ("ada", "WARNING", "hello")
            assert dt.datetime.fromisoformat(row["TimeGenerated"]).timestamp() == pytest.approx(record.created)
            assert row["Rest"] == {"order": 7}

    def test_an_event_in_the_chain_of_a_formatter_has_the_attributes_of_its_record(self, through_stdlib):
        """A processor there gets event dicts that name their record."""
        log, records = through_stdlib
        log.warning("hello")
        event = {"event": "hello", "_record": records[0], "_from_structlog": True}

        assert Rows(KNOWN).event(event)["Level"] == "WARNING"

    def test_records_and_events_are_numbered_together(self):
        """A gap would look like a loss, and a fork begins again."""
        rows = Rows({**KNOWN, "S": "sequence", "I": "instance"})
        for _ in range(2):
            made = [rows.record(make_record()), rows.event({"event": "x"}), rows.record(make_record({"a": 1}))]
            made.append(rows.record(make_record({"event": "x"}, extra={"_logger": None, "_name": "info"})))
            assert [row["S"] for row in made] == [0, 1, 2, 3]
            assert {row["I"] for row in made} == {rows.encoder.instance}
            rows.encoder.restart()

    @pytest.mark.parametrize("attribute", ["msg", "args", "exc_info"])
    def test_a_marked_record_without_a_standard_attribute_makes_a_row(self, attribute):
        record = make_record("hello", extra={"_logger": None, "_name": "info"})
        delattr(record, attribute)

        assert Rows(KNOWN).record(record)["Level"] == "INFO"


class _Recording:
    """Take records as a handler does."""

    level = 0

    def __init__(self, records):
        self._records = records

    def handle(self, record):
        self._records.append(record)
