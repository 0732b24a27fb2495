"""docs/columns.md agrees with the fields, the presets, and the resulting rows."""

import datetime as dt
import logging
import re

import pytest

from logging_azmon import AzureMonitorHandler
from logging_azmon._config import presets
from logging_azmon.table import FIELD_TYPES
from logging_azmon.testing import capture
from support.pages import names, section, table


def test_the_page_lists_every_field_with_its_type():
    """The fields are in the order of the source."""
    documented = {}
    for row in table("columns", "Fields", "field"):
        fields = names(row[0])
        types = [word for word in re.findall(r"\w+", row[1]) if word not in fields]
        types = types if len(types) == len(fields) else types[:1] * len(fields)
        documented |= dict(zip(fields, types, strict=True))
    documented["line"] = "int"  # "string, `line` int"

    assert documented == dict(FIELD_TYPES)


def test_the_page_lists_the_columns_of_the_default_preset():
    """A stream must declare these columns."""
    listed = [
        name.split()
        for name in names(section("columns", "The default table"))
        if re.fullmatch(r"[A-Z]\w+ [a-z]+", name)
    ]

    assert listed == [[column.name, column.type] for column in presets.DEFAULT]


def test_the_page_names_every_preset():
    """Every name on the page is a preset."""
    assert set(re.findall(r'`"(\w+)"`', section("columns", "Tables by name"))) == set(presets.PRESETS)


@pytest.fixture
def logged():
    """Log once with extras to a handler with these columns; return the row and the handler's stats."""
    logger = logging.getLogger("test_columns")

    def log(columns, *args, **extra):
        handler = AzureMonitorHandler("http://127.0.0.1:9", "dcr-1", "Custom-App", columns=columns)
        logger.addHandler(handler)
        try:
            with capture() as rows:
                logger.warning(*(args or ("hello",)), extra=extra)
        finally:
            logger.removeHandler(handler)
            handler.close()
        (row,) = rows
        return row, handler.stats()

    return log


def test_an_extra_cannot_forge_a_column(logged):
    """The extra goes to the column for `*`."""
    row, _ = logged("default", Level="CRITICAL", Instance="forged")

    assert row["Level"] == "WARNING"
    assert row["Instance"] != "forged"
    assert row["Properties"] == {"Level": "CRITICAL", "Instance": "forged"}


@pytest.mark.parametrize("value", ["many", 2**31, 1.5])
def test_a_value_that_does_not_fit_goes_to_the_rest_and_is_counted(logged, value):
    """The value keeps its own name."""
    row, stats = logged({"Text": "message", "Count": "count:int", "Properties": "*"}, count=value)

    assert row == {"Text": "hello", "Properties": {"count": value}}
    assert stats.misfits == 1


def test_a_value_that_does_not_fit_is_converted_or_joins_the_message_without_a_rest_column(logged):
    """Nothing readable is lost; text is converted in every table."""
    columns = {"Text": "message", "Count": "count:int"}

    assert logged(columns, count="42")[0] == {"Text": "hello", "Count": 42}
    assert logged(columns | {"Properties": "*"}, count="42")[0] == {"Text": "hello", "Count": 42}
    assert logged(columns, count="many")[0] == {"Text": "hello\ncount: many"}


def test_of_a_mapping_as_argument_the_named_keys_and_those_with_a_column_are_extras(logged):
    """The page promises that no other key is sent."""
    form = {"user": "ada", "phone": 7, "password": "hunter2"}
    columns = {"Text": "message", "Phone": "phone:int", "Properties": "*"}
    row, _ = logged(columns, "login of %(user)s", form)

    assert row == {"Text": "login of ada", "Phone": 7, "Properties": {"user": "ada"}}


def test_times_without_a_zone_are_local_and_dates_are_utc(logged):
    """The page says both."""
    columns = {"Day": "day:datetime", "Written": "written:datetime", "Naive": "naive:datetime"}
    naive = dt.datetime(2026, 1, 2, 3)
    row, _ = logged(columns, day=dt.date(2026, 1, 2), written="2026-01-02", naive=naive)

    assert row["Day"].startswith("2026-01-02T00:00:00")
    assert dt.datetime.fromisoformat(row["Written"]) == dt.datetime(2026, 1, 2).astimezone()
    assert dt.datetime.fromisoformat(row["Naive"]) == naive.astimezone()
