"""The argument `redact=`: what it accepts, and what it says of mistakes."""

import re

import pytest

from logging_azmon._config.redaction import PRESETS, Redaction, read_redaction
from logging_azmon._config.settings import read
from logging_azmon._rows.redaction import redactor

ADDRESS = {"endpoint": "http://localhost", "rule_id": "dcr-1", "stream": "Custom-App"}


def test_the_presets_are_those_that_exist():
    """The argument is checked before the expressions are compiled."""
    assert set(PRESETS) == set(redactor.PRESETS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("secrets", Redaction(("secrets",))),
        (["personal", "secrets"], Redaction(("personal", "secrets"))),
        (["secrets", "a+"], Redaction(("secrets",), (re.compile("a+"),))),
        ((re.compile("b"),), Redaction((), (re.compile("b"),))),
        ({"presets": ["secrets"], "keys": ["SSN", "Pin"]}, Redaction(("secrets",), (), frozenset({"ssn", "pin"}))),
        ({"patterns": ["secret"]}, Redaction((), (re.compile("secret"),))),
        ({}, Redaction()),
    ],
)
def test_every_form_is_read(value, expected):
    """A name, a list, a mapping; the result can be read again, as by a process that inherits a pipeline."""
    settings = read(ADDRESS | {"redact": value}, {})
    assert settings.redact == expected
    assert read(settings.as_arguments(), {}).redact == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("secret", "redact='secret' is not a preset; use 'secrets' or 'personal' (did you mean 'secrets'?); for an"),
        (["secret"], "redact: 'secret' is not a preset (did you mean 'secrets'?), and would be taken as an expression"),
        (["("], "redact: '(' is not a regular expression (missing )"),
        (["a*"], "redact: 'a*' matches empty text; give an expression"),
        ([re.compile(b"x")], "is for bytes; give an expression"),
        ([5], "redact: 5 is not a regular expression"),
        (5, "redact=5 is not accepted; give 'secrets' or 'personal', a list of these and of expressions, or a"),
        ({"preset": []}, "redact: unknown part 'preset'; use 'presets', 'patterns' or 'keys'"),
        ({"presets": ["secret"]}, "redact: 'secret' is not a preset; use 'secrets' or 'personal'"),
        ({"keys": "ssn"}, "redact: keys='ssn' is not accepted; give a list"),
        ({"keys": [5]}, "redact: 5 is not the name of a key"),
    ],
)
def test_mistakes_are_told_with_what_is_accepted(value, said):
    """A preset's misspelling is not taken for an expression."""
    (problem,) = read_redaction(value)[1]
    assert said in problem
