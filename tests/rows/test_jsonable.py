"""Any object becomes something that JSON can hold and a person can read."""

import datetime as dt
import decimal
import ipaddress
import json
import uuid

import orjson
import pytest

from logging_azmon._rows import jsonable as module
from logging_azmon._rows.jsonable import CACHED_TYPES, convert, distinct, dumps, plain, text
from logging_azmon.trouble import one_line
from support.odd_values import Colour, Items, OddMeta, Pair, ReprRecurses


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (5, "5"),
        (None, "null"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (ipaddress.ip_address("10.0.0.7"), "10.0.0.7"),
        (ipaddress.ip_interface("10.0.0.7/8"), "10.0.0.7/8"),
        (ipaddress.ip_network("fd00::/8"), "fd00::/8"),
        (decimal.Decimal("1.10"), "1.10"),
        (dt.timedelta(days=1, seconds=3_661, microseconds=5), "1.01:01:01.000005"),
        (dt.timedelta(seconds=-1), "-0.00:00:01.000000"),
        (dt.datetime.min, "0001-01-01T00:00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (Colour.LATER, "2030-01-01T00:00:00.000000Z"),
        (ValueError("bad"), "ValueError: bad"),
        (Pair(1, 2), "[1,2]"),
        (b"\xff!", "\\xff!"),
        (int, "builtins.int"),
        (10**100, str(10**100)),
        (ReprRecurses(), "(support.odd_values.ReprRecurses that cannot be shown)"),
    ],
)
def test_the_text_of_a_value_is_readable(value, shown):
    """If an object has plain text, that is shown, not a repr with the name of the class."""
    assert text(value) == shown


def test_an_integer_too_long_to_print_is_hexadecimal():
    """Python refuses to print more than 4,300 digits."""
    assert text(1 << 20_000) == hex(1 << 20_000)


def test_an_object_that_always_converts_to_another_object_is_shown_by_its_type():
    first = type("generic", (), {"__module__": "numpy", "item": lambda self: other})
    other = type("generic", (first,), {"__module__": "numpy", "item": lambda self: first()})()

    assert "cannot be shown" in text(other)


def test_plain_keeps_a_value_that_json_can_hold():
    value = {"a": [1, 2.5, "x", None, True, {"b": [[]]}]}

    assert plain(value) == value


def test_plain_limits_depth_and_size():
    """The value is nested 100 levels deep, or has 100,000 entries."""
    deep = []
    for _ in range(100):
        deep = [deep]

    assert "…" in json.dumps(plain(deep), ensure_ascii=False)
    assert plain({"a": list(range(100_000))})["a"][-1] == "…(cut, 100,000 entries)"
    assert plain(dict.fromkeys(range(100_000), 1))["…"] == "…(cut, 100,000 entries)"
    assert plain(tuple(range(40_000)))[-1] == "…(cut, 40,000 entries)"


def test_nan_is_found_at_any_depth():
    """Below the depth of the search, every null is treated as NaN: the value is cut there, and nothing becomes null."""
    value = [None, float("nan")]
    for _ in range(30):
        value = [value]
    assert b'[null,"NaN"]' in dumps(value)
    for _ in range(10):
        value = [value]
    assert b"NaN" not in dumps(value)
    assert "…".encode() in dumps(value)


def test_a_list_that_changes_while_it_is_encoded_is_encoded_as_it_was():
    """Converting an item runs Python code that may change the list, so C code must not be reading it meanwhile."""

    class Clears:
        def __repr__(self):
            items.clear()
            return "cleared"

    items = [Clears(), *range(100)]
    shown = json.loads(dumps({"items": items}))
    assert shown["items"] == ["cleared", *range(100)]
    assert items == []


def test_a_fragment_of_json_cannot_break_a_row_into_two_lines():
    """orjson copies a fragment unchanged, line ends included."""
    fragment = orjson.Fragment(b'{\n  "a": 1\n}')
    assert b"\n" not in dumps({"doc": fragment})
    assert json.loads(dumps({"doc": fragment}))["doc"] == {"a": 1}
    assert "orjson.Fragment" in json.loads(dumps({"doc": orjson.Fragment(b"no\nJSON")}))["doc"]


def test_many_keys_of_equal_text_are_encoded_in_linear_time():
    """Each value is kept under a distinct name. The test counts steps, because time is not reliable."""

    class Same:
        shown = 0

        def __repr__(self):
            Same.shown += 1
            return "same"

    shown = json.loads(dumps({Same(): number for number in range(2_000)}))
    assert len(shown) == 2_000
    assert max(map(len, shown)) < 20
    assert Same.shown <= 4_000


def test_a_distinct_name_is_found_whatever_names_are_taken():
    """Underscores are tried first, then numbers, even if both are taken."""
    taken = {"a" + "_" * number: None for number in range(9)}
    number = len(taken) + 1
    taken["a" + "_" * 8 + str(number)] = None
    assert distinct("a", {}) == "a"
    assert distinct("a", {"a": None}) == "a_"
    assert distinct("a", taken) == "a" + "_" * 8 + str(number + 1)


def test_an_object_that_occurs_twice_is_not_a_cycle():
    """Only an object that contains itself is a cycle."""
    shared = {1: 2}

    assert json.loads(dumps({"a": shared, "b": [shared, shared]})) == {"a": {"1": 2}, "b": [{"1": 2}, {"1": 2}]}


def test_a_list_subclass_remains_a_list_in_a_value_that_is_rebuilt():
    assert json.loads(dumps({1: Items([1])})) == {"1": [1]}


def test_the_cache_of_converters_is_bounded():
    """A program that creates classes for as long as it runs must not grow without bound."""
    for number in range(CACHED_TYPES * 2):
        convert(type(f"Made{number}", (), {})())

    assert len(module._converters) <= CACHED_TYPES  # noqa: SLF001 - a cache is seen from inside only


def test_an_object_of_a_class_that_cannot_be_hashed_or_named_is_shown():
    """Converters are looked up by the hash of a type, which a metaclass may refuse."""
    assert text(OddMeta("Some", (), {})()) == "(None.Some that cannot be shown)"


def test_foreign_text_is_shown_on_one_line_without_control_characters():
    assert one_line("a\nb\t c\x1b[31m", 20) == "a b c?[31m"
    assert one_line("x" * 30, 20) == "x" * 20 + "…"
    assert one_line(ValueError("bad"), 20) == "bad"
