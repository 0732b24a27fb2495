"""Values and rows are shortened to a limit with a visible mark, and stay valid JSON."""

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._rows.shrink import cut, fit, shrink_row
from support.rows import load
from support.strategies import plain


def test_text_is_never_cut_within_a_character():
    """Half a character is not valid UTF-8."""
    for limit in range(20, 60):
        assert len(cut("👩" * 100, limit).encode()) <= limit


@given(plain, st.integers(64, 4_000))
def test_a_value_is_shortened_to_the_limit_and_stays_valid_json(value, limit):
    assert len(orjson.dumps(fit(value, limit))) <= limit


@given(plain)
def test_a_value_that_fits_is_not_changed(value):
    """A value is cut only if it is over the limit."""
    assert fit(value, len(orjson.dumps(value))) is value


@given(st.dictionaries(st.text("abc", min_size=1), plain, min_size=1), st.integers(256, 4_000))
def test_a_row_is_shortened_to_the_limit_and_stays_valid_json(row, limit):
    line = json.dumps(row, ensure_ascii=False).encode() + b"\n"

    assert len(shrink_row(line, limit)) <= max(limit, 3)
    load(shrink_row(line, limit))


def test_a_list_of_few_large_items_keeps_all_of_them_shortened():
    kept = fit(["x" * 200, "y" * 10], 160)

    assert kept == ["x" * 59 + "…(cut, 200 bytes)", "y" * 10, "…(cut, 2 entries)"]
