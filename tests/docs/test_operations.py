"""docs/operations.md names the library's kinds of trouble, reasons for losses, and counters."""

import re
from dataclasses import fields
from typing import get_args, get_type_hints

from logging_azmon import Health, Stats, Trouble
from logging_azmon._queue.ledger import Reason
from logging_azmon.metrics._readings import INSTRUMENTS
from support.pages import blocks, names, section, table


def test_the_page_names_every_kind_of_trouble():
    """The page names no other kind; mypy ensures that the code makes no other."""
    told = re.search(r"^`kind` is (.*?)\n\n", section("operations", "Reports"), re.DOTALL | re.MULTILINE)[1]

    assert [name.strip('"') for name in names(told) if name.startswith('"')] == list(
        get_args(get_type_hints(Trouble)["kind"])
    )


def test_the_page_names_every_reason_for_a_loss():
    """The page names no other reason."""
    assert [names(row[0])[0] for row in table("operations", "Counters", "reason")] == list(get_args(Reason))


def test_the_page_names_every_status_of_health_in_order():
    """The table has the statuses in the order in which they are tried."""
    told = [names(row[0])[0] for row in table("operations", "Health", "status")]

    assert told == list(get_args(get_type_hints(Health)["status"]))


def test_the_page_names_every_field_of_health():
    """Those of a place are described in words."""
    assert {field.name for field in fields(Health)} <= set(names(section("operations", "Health")))


def test_the_page_names_every_metric_with_its_attributes():
    """In the order in which they are exported."""
    rows = table("operations", "Metrics", "metric")

    assert [names(row[0])[0] for row in rows] == [instrument.name for instrument in INSTRUMENTS]
    assert ["server.address" in row[2] or row[2] == "the same" for row in rows] == [
        instrument.is_exporter for instrument in INSTRUMENTS
    ]


def test_the_page_names_every_counter():
    """The table has the counters that make up the sum, and the text after it the others."""
    text = section("operations", "Counters")
    (formula,) = [code for heading, code in blocks("operations", "text") if heading == "Counters"]
    others = re.search(r"^Five more count (.*)", text, re.DOTALL | re.MULTILINE)[1]
    counters = {field.name for field in fields(Stats)}

    assert set(names(others)) == {"misfits", "redacted", "requests", "retries", "sent_bytes"}
    assert set(re.findall(r"[a-z_]{4,}", formula)) - {"values"} == counters - set(names(others))


def test_the_formula_is_the_one_of_the_code():
    """With the same terms on either side of the equation, in whatever order."""
    (formula,) = [code for heading, code in blocks("operations", "text") if heading == "Counters"]
    (held,) = re.findall(r"``(accepted .*?)``", Stats.__doc__)

    def terms(equation):
        return [set(map(str.strip, side.split(" + "))) for side in re.split(r"==?", equation)]

    assert terms(formula) == terms(held)
