"""docs/troubleshooting.md against the package: it quotes only messages that exist, and explains all that it should."""

import ast
import re
from pathlib import Path

import pytest

import logging_azmon
from logging_azmon._delivery import explanations
from logging_azmon.local.storage import problems
from support.pages import names, read, table, toctree

TABLES = (
    ("My rows do not arrive, and there is a report", "the report says"),
    ("A column is null, missing or changed", "the page says"),
    ("Rows are lost, or arrive twice", "the report says"),
    ("The program or a command does not start, or ends late", "you see"),
)
# Said by the standard library.
FOREIGN = {"Unable to configure handler"}
VALUE = "\N{REPLACEMENT CHARACTER}"


def texts():
    """Yield every text in the package, with a mark for each value that is put into it."""
    for path in Path(logging_azmon.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+(\.\w+)?\}", VALUE, node.value)


def pattern(quotation):
    return re.compile(re.escape(quotation).replace("…", rf"[^{VALUE}]*{VALUE}+[^{VALUE}]*"))


def quotations(heading, first):
    return [quotation for row in table("troubleshooting", heading, first) for quotation in names(row[0])]


QUOTATIONS = [quotation for heading, first in TABLES for quotation in quotations(heading, first)]
TEXTS = list(texts())


@pytest.mark.parametrize("quotation", QUOTATIONS)
def test_every_quotation_is_a_message_of_the_package(quotation):
    """The marks stand where the message has a value."""
    assert quotation in FOREIGN or any(pattern(quotation).search(text) for text in TEXTS)


def test_no_quotation_is_invented():
    """The test above would find out."""
    assert not any(pattern("the endpoint is on holiday").search(text) for text in TEXTS)
    assert not any(pattern("… is not known here").search(text) for text in TEXTS)


@pytest.mark.parametrize("hint", explanations.HINTS.values())
def test_every_explanation_of_an_answer_has_a_line(hint):
    """A new one needs an entry, unless one that is there says the same."""
    marked = re.sub(r"\{\w+\}", VALUE, hint)

    assert any(pattern(quotation).search(marked) for quotation in quotations(*TABLES[0]))


def test_every_loss_in_silence_has_a_line():
    """Except for bodies that only other senders send, and for what is refused with an answer."""
    found = [
        problems.mistyped("Custom-App", VALUE, 1, VALUE),
        problems.replaced("Custom-App", 1),
        problems.cut("Custom-App", VALUE, 1),
        problems.no_column("Custom-App", VALUE, VALUE),
        problems.undeclared("Custom-App", VALUE, 1, None),
    ]

    assert len(quotations(*TABLES[1])) == len(found)
    for finding in found:
        assert any(pattern(quotation).search(finding["message"]) for quotation in quotations(*TABLES[1]))


def test_the_page_is_in_the_table_of_contents_and_is_found():
    assert "troubleshooting" in toctree()
    assert "(troubleshooting.md)" in read("index")
    assert "(docs/troubleshooting.md)" in read("README")
