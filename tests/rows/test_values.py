"""One value is encoded as JSON of its column's type, or does not fit."""

import datetime as dt
import enum
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given

from logging_azmon._config.service_limits import MAX_VALUE_BYTES
from logging_azmon._rows.values import ENCODERS, LENIENT
from support.odd_values import ODD_VALUES, Float64, Number, Whole
from support.strategies import anything

NUMPY_TRUE = type("bool", (type(Float64(1)).__mro__[1],), {"__module__": "numpy"})(True)


class Always(enum.Enum):
    NOW = 5
    TRUE = True


def loaded(encoded):
    return None if encoded is None else json.loads(encoded)


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("string", "text", "text"),
        ("string", "", ""),
        ("string", 5, "5"),
        ("string", 1.5, "1.5"),
        ("string", float("nan"), "NaN"),
        ("string", True, "true"),
        ("string", {"a": [1]}, '{"a":[1]}'),
        ("string", b"abc", "abc"),
        ("string", "a\ud800b", "a\\ud800b"),
        ("int", 5, 5),
        ("int", -(2**31), -(2**31)),
        ("int", 2**31, None),
        ("int", 2**31 - 1, 2**31 - 1),
        ("int", 5.0, 5),
        ("int", 5.5, None),
        ("int", True, 1),
        ("int", "5", None),
        ("int", None.__class__, None),
        ("int", Decimal(7), 7),
        ("int", Decimal("7.5"), None),
        ("int", Decimal("NaN"), None),
        ("int", Decimal("sNaN"), None),
        ("int", Decimal("Infinity"), None),
        ("int", float("nan"), None),
        ("int", float("inf"), None),
        ("int", Number.SEVEN, 7),
        ("int", Always.NOW, 5),
        ("int", Float64(7.0), 7),
        ("int", Whole(7), 7),
        ("int", [1], None),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", 2**63, None),
        ("long", -(2**63), -(2**63)),
        ("long", 1e300, None),
        ("real", 1.5, 1.5),
        ("real", 7, 7.0),
        ("real", Decimal("1.5"), 1.5),
        ("real", Decimal("sNaN"), None),
        ("real", 10**400, None),
        ("real", Decimal("1e999999"), None),
        ("real", float("nan"), None),
        ("real", float("-inf"), None),
        ("real", "1.5", None),
        ("boolean", True, True),
        ("boolean", False, False),
        ("boolean", 1, None),
        ("boolean", "true", None),
        ("boolean", NUMPY_TRUE, True),
        ("boolean", Always.TRUE, True),
        ("datetime", "2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000Z"),
        ("datetime", dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), "2026-01-02T03:04:05.000006Z"),
        ("datetime", dt.date(2026, 1, 2), "2026-01-02T00:00:00.000000Z"),
        ("datetime", 0, "1970-01-01T00:00:00.000000Z"),
        ("datetime", -1.5, "1969-12-31T23:59:58.500000Z"),
        ("datetime", Decimal("1.000001"), "1970-01-01T00:00:01.000001Z"),
        ("datetime", True, None),
        ("datetime", "yesterday", None),
        ("datetime", 1e300, None),
        ("datetime", float("nan"), None),
        ("datetime", dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))), None),
        ("datetime", {}, None),
        ("datetime", Decimal("sNaN"), None),
        ("datetime", 10**400, None),
        ("dynamic", {"a": 1}, {"a": 1}),
        ("dynamic", "text", "text"),
        ("dynamic", float("nan"), "NaN"),
        (
            "dynamic",
            {"a": None, "b": [None, 1.5, True, {"c": (None, "x")}]},
            {"a": None, "b": [None, 1.5, True, {"c": [None, "x"]}]},
        ),
        ("dynamic", [None, float("inf")], [None, "Infinity"]),
        ("dynamic", {1: 2}, {"1": 2}),
        ("dynamic", 2**64, "18446744073709551616"),
    ],
)
def test_each_column_type_takes_only_values_that_fit_it(type_name, value, expected):
    """For any other value the encoder returns None, so that the caller can place it elsewhere instead of sending it."""
    assert loaded(ENCODERS[type_name](value)) == expected


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("int", " 12 ", 12),
        ("int", "12.0", 12),
        ("int", "12.5", None),
        ("int", "twelve", None),
        ("int", "", None),
        ("long", "9223372036854775808", None),
        ("real", "1.5", 1.5),
        ("real", "nan", None),
        ("boolean", "True", True),
        ("boolean", 0, False),
        ("boolean", "perhaps", None),
    ],
)
def test_text_that_means_a_number_or_boolean_is_converted_if_there_is_no_star_column(type_name, value, expected):
    """Such a table has no other place for a misfit."""
    assert loaded(LENIENT[type_name](value)) == expected


@pytest.mark.parametrize("encode", [ENCODERS["int"], LENIENT["int"], LENIENT["long"], LENIENT["real"]])
@pytest.mark.parametrize("value", [Decimal("1e999999999"), Decimal("-1e999999999")])
def test_a_number_with_a_gigantic_exponent_is_refused_quickly(encode, value):
    """As an int, the number would take all memory, and anyone can send such text."""
    begun = time.process_time()
    assert encode(value if encode is ENCODERS["int"] else str(value)) is None
    assert time.process_time() - begun < 1


class TestLimits:
    def test_text_is_cut_at_64_kb_of_utf_8_with_a_visible_mark(self):
        """The service cuts longer values silently."""
        value = json.loads(ENCODERS["string"]("é" * 40_000))

        assert len(value.encode()) <= MAX_VALUE_BYTES
        assert value.endswith("é…(cut, 80,000 bytes)")

    @pytest.mark.parametrize("text", ["x" * MAX_VALUE_BYTES, '"' * MAX_VALUE_BYTES, "\x00" * MAX_VALUE_BYTES])
    def test_text_of_exactly_64_kb_is_not_cut(self, text):
        """The limit counts the bytes of the value, not those of its escapes."""
        assert json.loads(ENCODERS["string"](text)) == text

    def test_a_structure_in_a_string_column_is_cut_to_valid_json(self):
        """Queries can read the structure with parse_json."""
        value = json.loads(ENCODERS["string"]({"small": 1, "large": ["x" * 1_000] * 100}))

        assert json.loads(value)["small"] == 1
        assert len(value.encode()) <= MAX_VALUE_BYTES

    def test_a_dynamic_value_loses_only_its_largest_parts(self):
        """Small parts, such as ids, are what readers search for."""
        value = json.loads(ENCODERS["dynamic"]({"id": 7, "body": "x" * 100_000, "path": "/a", "other": "y" * 70_000}))

        assert (value["id"], value["path"]) == (7, "/a")
        assert value["body"].endswith("(cut, 100,000 bytes)")
        assert value["other"].endswith("(cut, 70,000 bytes)")

    @pytest.mark.parametrize("value", [[0] * 100_000, [0] * 100_000 + [float("nan")]])
    def test_a_list_that_was_cut_says_how_long_it_was(self, value):
        """The original length is given, whichever step cut the list."""
        shown = json.loads(ENCODERS["dynamic"](value))

        assert shown[0] == 0
        assert shown[-1] == f"…(cut, {len(value):,} entries)"

    def test_a_dict_that_was_cut_keeps_its_first_keys_and_says_how_many_there_were(self):
        shown = json.loads(ENCODERS["dynamic"](dict.fromkeys(range(50000), "v")))

        assert shown["0"] == "v"
        assert shown["…"] == "…(cut, 50,000 entries)"


class TestTotality:
    @pytest.mark.parametrize("type_name", ENCODERS)
    @pytest.mark.parametrize(("name", "make"), ODD_VALUES, ids=[name for name, _ in ODD_VALUES])
    def test_no_encoder_raises_for_an_odd_value(self, name, make, type_name):
        """The result is JSON, or None."""
        for encode in (ENCODERS[type_name], LENIENT.get(type_name, ENCODERS[type_name])):
            value = make()
            if value is not None:
                encoded = encode(value)
                assert encoded is None or json.loads(encoded) is not ...
            if type_name in ("string", "dynamic") and value is not None:
                assert len(json.loads(encoded)) > 0 or value == "" if type_name == "string" else encoded is not None

    @given(anything)
    def test_every_value_fits_string_and_dynamic_columns_within_the_limit(self, value):
        """These two types take any value."""
        for type_name in ("string", "dynamic"):
            encoded = ENCODERS[type_name](value)
            limit = MAX_VALUE_BYTES
            shown = json.loads(encoded)
            assert len((shown if isinstance(shown, str) else encoded.decode()).encode()) <= limit
