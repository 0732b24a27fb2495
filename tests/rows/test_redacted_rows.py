"""Rows of a table with `redact=`: nothing that it replaces reaches any column, by any way."""

import logging
import re
import subprocess
import sys

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Column, Pipeline, Table
from logging_azmon._config.redaction import Redaction
from logging_azmon._rows.encoder import Encoder
from logging_azmon._rows.redaction.redactor import Redactor
from logging_azmon.testing import Answer, FakeDestination, capture
from support.delivering import a_rule
from support.rows import DEFAULT_COLUMNS, EVERY_FIELD, load, make_record

SECRET = "hunter2-hunter2"
TEXT = f"password={SECRET}"
MARKED = "password=[redacted: secret]"


def encoder(table, *presets, keys=()):
    redactor = Redactor(Redaction(presets or ("secrets",), (), frozenset(keys)), lambda replacements: None)
    table = table if isinstance(table, Table) else Table.from_mapping(table)
    return Encoder(table, max_line_bytes=999_999, on_misfit=lambda: None, redactor=redactor)


def raised(text):
    try:
        int(text)
    except ValueError:
        return sys.exc_info()


def record(msg=TEXT, *args, extra=None, exc_info=None, stack=None):
    made = make_record(msg, *args, extra=extra, exc_info=exc_info)
    made.stack_info = stack
    return made


class TestEveryWay:
    @pytest.mark.parametrize(
        "made",
        [
            record(),
            record("password=%s", SECRET),
            record("x", extra={"note": TEXT}),
            record("x", extra={"deep": {"er": [TEXT, (TEXT,)]}}),
            record("x", extra={TEXT: 1}),
            record("x", extra={"note": TEXT.encode()}),
            record("x", exc_info=raised(TEXT)),
            record("x", stack=f"Stack (most recent call last):\n  {TEXT}"),
            record({"event": TEXT}),
            record({"note": TEXT}),
        ],
        ids=[
            "message",
            "argument",
            "extra",
            "structure",
            "key",
            "bytes",
            "exception",
            "stack",
            "event dict",
            "mapping",
        ],
    )
    @pytest.mark.parametrize(
        "table", [EVERY_FIELD, DEFAULT_COLUMNS, {"Text": "message"}], ids=["every field", "usual", "one"]
    )
    def test_no_secret_of_a_record_reaches_the_row(self, made, table):
        """Whichever columns there are: what has no column of its own goes elsewhere."""
        line = encoder(table).record(made, None)
        assert SECRET.encode() not in line
        # A table with one column has no place for extras.
        assert b"[redacted: " in line or line == b'{"Text":"x"}\n'

    @pytest.mark.parametrize("table", [EVERY_FIELD, {"Text": "message"}], ids=["every field", "one"])
    def test_no_secret_of_an_event_reaches_the_row(self, table):
        """structlog's way."""
        event = {"event": TEXT, "note": TEXT, "exc_info": raised(TEXT), "deep": [{"a": TEXT}]}
        assert SECRET.encode() not in encoder(table).event(event, "info", None)

    def test_columns_with_a_source_of_their_own_are_redacted(self):
        """A callable, and an extra in a column."""
        table = Table(
            (
                Column("Called", "string", lambda _: TEXT),
                Column("Tree", "dynamic", lambda _: [TEXT]),
                *Table.from_mapping({"Note": "note"}),
            )
        )
        row = load(encoder(table).record(record("x", extra={"note": TEXT}), None))
        assert (row["Called"], row["Tree"], row["Note"]) == (MARKED, [MARKED], MARKED)

    def test_a_formatter_and_a_template_are_redacted(self):
        """The template may quote a secret too."""
        table = {"Message": "message", "Template": "template"}
        row = load(encoder(table).record(record(f"{TEXT} %s", 1), logging.Formatter("<%(message)s>")))
        assert row == {"Message": f"<{MARKED} 1>", "Template": f"{MARKED} %s"}

    def test_an_exception_is_cut_after_it_was_redacted(self):
        """So no half of a secret is left where it is cut."""
        long = "x" * 31_900 + f" password={'s3cret' * 40} " + "y" * 60_000
        line = encoder(DEFAULT_COLUMNS).record(record("x", exc_info=raised(long)), None)
        assert b"s3cret" not in line
        assert len(load(line)["Exception"].encode()) <= 65_536

    def test_names_and_numbers_of_the_process_stay(self):
        """A host may look like an address, and an instance like a card's number."""
        made = encoder(EVERY_FIELD, "secrets", "personal")
        row = load(made.record(record("x"), None))
        assert row["The_instance"] == made.instance
        assert "redacted" not in "".join(str(value) for value in row.values())

    def test_constants_stay(self):
        """The configuration says what they are."""
        table = Table.from_mapping({"Message": "message", "Contact": {"value": "ops@example.com"}})
        assert load(encoder(table, "personal").record(record("x"), None))["Contact"] == "ops@example.com"


class TestKeys:
    def test_listed_keys_are_replaced_in_columns_and_in_the_rest(self):
        """By the name of the column, of the extra, and of the last part of a path."""
        table = {"Message": "message", "Ssn": "social", "Pin": "user.pin:int", "Rest": "*"}
        extra = {"social": 123, "user": {"pin": 4, "ssn": [1], "name": "ann"}, "SSN": "x"}
        row = load(encoder(table, keys=["ssn", "pin"]).record(record("x", extra=extra), None))
        assert row == {
            "Message": "x",
            "Ssn": "[redacted: key]",
            "Pin": None,
            "Rest": {"user": {"ssn": "[redacted: key]", "name": "ann"}, "SSN": "[redacted: key]"},
        }

    def test_listed_keys_are_replaced_where_extras_go_into_the_message(self):
        """A table without a column for the rest."""
        line = encoder({"Message": "message"}, keys=["ssn"]).record(
            make_record("x", extra=None, exc_info=raised("y")), None
        )
        assert b"ValueError: invalid" in line


def test_the_expressions_are_compiled_for_those_who_ask_for_them_only():
    """Otherwise every service would pay for them when it starts."""
    code = (
        "import sys; from logging_azmon import AzureMonitorHandler;"
        " AzureMonitorHandler('http://localhost:9', 'dcr-1', 'Custom-A').close();"
        " assert not any('_rows.redaction' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestHandler:
    def test_what_is_replaced_is_counted(self):
        """In the pipeline's stats, and captured rows are redacted too."""
        with FakeDestination() as destination:
            pipeline = Pipeline(**a_rule(), destination=destination, background=False, redact=["secrets", r"C-\d+"])
            logger = logging.Logger("app")
            logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
            logger.warning("C-1 and C-2 with %s", TEXT)
            with capture() as rows:
                logger.warning(TEXT)
            assert pipeline.flush()
            assert destination.rows[0]["Message"] == f"[redacted: pattern] and [redacted: pattern] with {MARKED}"
            assert rows[0]["Message"] == MARKED
            assert pipeline.stats().redacted == 4
            pipeline.close()

    def test_a_processor_redacts_as_well(self):
        """The event itself goes on unchanged."""
        with FakeDestination() as destination:
            processor = AzureMonitorProcessor(**a_rule(), destination=destination, background=False, redact="secrets")
            event = {"event": TEXT}
            assert processor(None, "info", event) == {"event": TEXT}
            assert processor.flush()
            assert destination.rows[0]["Message"] == MARKED
            processor.close()

    def test_reports_quote_redacted_rows_only(self):
        """A rejected row goes to the callable as it was sent."""
        reports = []
        refused = Answer(status=400, code="InvalidPayload", message="no")
        with FakeDestination(refused) as destination:
            pipeline = Pipeline(
                **a_rule(), destination=destination, background=False, redact="secrets", report=reports.append
            )
            logger = logging.Logger("app")
            logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
            logger.warning(TEXT)
            pipeline.flush()
            assert not any(re.search(SECRET, str(report) + report.rows_json.decode()) for report in reports)
            assert any(b"[redacted: secret]" in report.rows_json for report in reports)
            pipeline.close()
