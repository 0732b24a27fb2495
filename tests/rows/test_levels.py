"""The name and the number of a level are filled in from each other, including levels of other programs."""

import logging

import pytest

from logging_azmon._rows.levels import NUMBER_OF_WORD, STANDARD_NAMES, number_of_word, of_entry


@pytest.mark.parametrize(
    ("level", "number", "completed"),
    [
        ("warn", None, ("WARNING", 30)),
        ("Information", None, ("INFO", 20)),
        ("crit", 7, ("CRITICAL", 50)),
        ("odd", 7, ("ODD", 7)),
        ("odd", "7", ("ODD", None)),
        (40, None, ("ERROR", 40)),
        (None, 30, ("WARNING", 30)),
        (None, None, (None, None)),
        (True, 30, (True, None)),
        (1.5, 30, (1.5, None)),
    ],
)
def test_the_level_of_an_entry_gets_its_standard_name_and_its_number(level, number, completed):
    assert of_entry(level, number) == completed


def test_words_for_levels_have_the_numbers_of_the_standard_library():
    for name in STANDARD_NAMES:
        assert NUMBER_OF_WORD[name] == getattr(logging, name)
    assert (number_of_word("Verbose"), number_of_word("emerg"), number_of_word("odd")) == (10, 50, 0)
