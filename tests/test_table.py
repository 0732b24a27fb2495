"""Columns and tables: the accepted grammar, and the message of every refusal."""

import doctest
import logging
import pickle
import re
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logging_azmon.table
from logging_azmon.errors import AzureMonitorLoggingError, ConfigurationError
from logging_azmon.table import (
    FIELD_OF_ATTRIBUTE,
    FIELD_TYPES,
    MAX_COLUMNS,
    RESERVED_NAMES,
    TYPES,
    Column,
    Constant,
    Extra,
    Table,
)

NAME = r"[A-Za-z][A-Za-z0-9_]{1,44}"
NAME_RULE = "is not valid in Log Analytics: use 2 to 45 ASCII letters, digits and underscores, starting with a letter"
FORMS = "is not accepted; use 'field', 'field:type', a mapping with 'field' or 'value'"
KNOWN_TYPES = "accepted are string, int, long, real, boolean, datetime, dynamic"


def shout(call):
    """Stand for a user's own source."""
    return str(call).upper()


def only(spec, name="Column"):
    """Build a table of one column and return that column."""
    (column,) = Table.from_mapping({name: spec})
    return column


def problems(columns):
    """Return the problems of a mapping."""
    with pytest.raises(ConfigurationError) as caught:
        Table.from_mapping(columns)
    return caught.value.problems


class TestGrammar:
    @pytest.mark.parametrize(("field", "type_name"), FIELD_TYPES.items())
    def test_a_field_has_its_own_type_by_default(self, field, type_name):
        """`"Line": "line"` is an int."""
        assert only(field) == Column("Column", type_name, field)
        assert only({"field": field}) == Column("Column", type_name, field)

    @pytest.mark.parametrize("type_name", TYPES)
    def test_a_column_can_give_its_field_another_type(self, type_name):
        """`"field:type"` and the mapping mean the same."""
        expected = Column("Column", type_name, "message")

        assert only(f"message:{type_name}") == expected
        assert only({"field": "message", "type": type_name}) == expected

    def test_an_empty_type_is_the_fields_own(self):
        """A colon too many does no harm."""
        assert only("line:") == Column("Column", "int", "line")

    def test_any_other_name_is_an_extra_of_type_string(self):
        """`"UserId": "user_id"` takes the value of `extra={"user_id": …}`."""
        assert only("user_id") == Column("Column", "string", Extra(("user_id",)))
        assert only({"field": "user_id"}) == only("user_id")

    @pytest.mark.parametrize("type_name", TYPES)
    def test_a_column_can_give_its_extra_any_type(self, type_name):
        """Extras can be of every type."""
        assert only(f"user_id:{type_name}") == Column("Column", type_name, Extra(("user_id",)))

    @pytest.mark.parametrize("field", [field for field in FIELD_TYPES if field != "*"])
    def test_extra_dot_name_is_the_extra_even_if_a_field_has_the_name(self, field):
        """`"extra.level"` is the extra called level, a string like every extra."""
        assert only(f"extra.{field}") == Column("Column", "string", Extra((field,)))
        assert only(f"extra.{field}:int") == Column("Column", "int", Extra((field,)))

    @pytest.mark.parametrize(("name", "field"), FIELD_OF_ATTRIBUTE.items())
    def test_the_names_of_a_log_record_are_understood_as_the_fields_that_they_are(self, name, field):
        """Every Python developer knows them: `columns={"Level": "levelname"}`."""
        for column in (only(name), only({"field": name})):
            assert (column.field, column.type, column.source) == (field, FIELD_TYPES[field], name)
        assert only(f"{name}:dynamic").type == "dynamic"
        assert only(f"extra.{name}").source == Extra((name,))

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("msg", "message"),
            ("args", "message"),
            ("exc_info", "exception"),
            ("exc_text", "exception"),
            ("stack_info", "stack"),
            ("filename", "file"),
            ("msecs", "time"),
            ("relativeCreated", "time"),
            ("asctime", "time"),
        ],
    )
    def test_other_names_of_a_log_record_are_refused_with_what_was_probably_meant(self, name, meant):
        """No extra can have such a name, so the column would be empty for ever."""
        for spec in (name, f"{name}:string", {"field": name}):
            with pytest.raises(ConfigurationError) as caught:
                only(spec)
            said = f"column 'Column': {name!r} is not a field; did you mean {meant!r}?"
            assert str(caught.value) == f"{said} (An extra of that name is 'extra.{name}')"
        assert only(f"extra.{name}").source == Extra((name,))

    @pytest.mark.parametrize("name", sorted({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}))
    def test_every_attribute_of_a_log_record_is_a_field_or_refused(self, name):
        """On any version of Python: none of them is taken for an extra."""
        try:
            assert only(name).field in FIELD_TYPES
        except ConfigurationError as error:
            assert "did you mean" in str(error)  # noqa: PT017 - either is right

    def test_a_column_knows_its_field(self):
        """Anything but a field has none."""
        assert only("level").field == only("levelname").field == "level"
        for spec in ("user_id", "extra.level", {"value": 1}, {"field": shout}):
            assert only(spec).field is None

    def test_dots_in_an_extras_name_are_kept(self):
        """They reach into mappings; only the prefix is removed."""
        assert only("request.user.id").source == Extra(("request.user.id",))
        assert only("extra.request.user.id").source == Extra(("request.user.id",))

    @pytest.mark.parametrize(
        ("value", "type_name"),
        [
            (True, "boolean"),
            (3, "long"),
            (0.5, "real"),
            ("shop", "string"),
            ({"team": "payments"}, "dynamic"),
            (["a"], "dynamic"),
        ],
    )
    def test_a_constant_has_the_type_of_its_value(self, value, type_name):
        """`{"value": …}` needs no type; True is a boolean though Python calls it an int."""
        assert only({"value": value}) == Column("Column", type_name, Constant(value))

    def test_a_column_can_give_its_constant_another_type(self):
        """A small number fits an int column."""
        assert only({"value": 3, "type": "int"}) == Column("Column", "int", Constant(3))

    def test_a_columns_spec_can_be_any_mapping(self):
        """The mapping need not be a dict."""
        assert only(MappingProxyType({"field": "line"})) == only("line")

    def test_a_column_can_be_filled_by_a_callable(self):
        """The callable is a Column's source or a field; the type is string by default."""
        assert only(Column("Column", "dynamic", shout)).source is shout
        assert only({"field": shout}) == Column("Column", "string", shout)
        assert only({"field": shout, "type": "long"}) == Column("Column", "long", shout)

    def test_a_spec_that_is_a_column_is_taken_as_it_is(self):
        """The grammar is for configuration files."""
        column = Column("Column", "real", Extra(("a", "b"), 0.5))

        assert only(column) is column

    @pytest.mark.parametrize("type_name", ["dynamic", "string"])
    def test_a_column_of_all_other_extras_can_be_dynamic_or_string(self, type_name):
        """Built-in tables have string columns for additional data."""
        assert only(f"*:{type_name}") == Column("Column", type_name, "*")

    @given(st.sampled_from(sorted(FIELD_TYPES)), st.sampled_from(TYPES))
    def test_a_field_with_any_type_makes_that_column_or_is_refused_naming_both(self, field, type_name):
        """No combination is silently read as something else."""
        refused = {"*": {*TYPES} - {"dynamic", "string"}, "sequence": {"boolean", "datetime"}}
        spec = f"{field}:{type_name}"

        if type_name in refused.get(field, ()):
            (problem,) = problems({"Column": spec})
            assert repr(field) in problem
            assert repr(type_name) in problem
        else:
            assert only(spec) == Column("Column", type_name, field)


class TestRefusedSpecs:
    @pytest.mark.parametrize("spec", [3, None, ["message"], b"message"])
    def test_a_spec_of_another_type_is_refused_with_the_accepted_forms(self, spec):
        """dictConfig passes on whatever the file contains."""
        assert problems({"Column": spec}) == (f"column 'Column': {spec!r} {FORMS}",)

    @pytest.mark.parametrize(
        "spec",
        [
            {},
            {"type": "int"},
            {"field": "message", "value": "x"},
            {"field": None, "value": "x"},
            {"field": "message", "typ": "int"},
            {"value": 3, 4: "int"},
        ],
    )
    def test_a_mapping_must_have_either_field_or_value_and_no_unknown_key(self, spec):
        """A misspelt key would otherwise be ignored silently."""
        (problem,) = problems({"Column": spec})

        assert problem.startswith(f"column 'Column': {spec!r} is not accepted; ")
        assert problem.endswith("give either 'field' or 'value', and 'type' if needed")

    @pytest.mark.parametrize("field", [None, 3, ["message"]])
    def test_a_field_that_is_not_a_name_is_refused(self, field):
        """The message shows it."""
        (problem,) = problems({"Column": {"field": field}})

        assert problem == f"column 'Column': field {field!r} is neither the name of a field or extra nor a callable"

    @pytest.mark.parametrize("field", ["", "extra."])
    def test_an_empty_field_is_refused(self, field):
        """An extra without a name cannot exist."""
        expected = f"column 'Column': source {field!r} is neither the name of a field or extra nor a callable"

        assert problems({"Column": field}) == (expected,)
        assert problems({"Column": {"field": field}}) == (expected,)

    @pytest.mark.parametrize("source", [None, 3, ["message"]])
    def test_a_source_of_another_type_is_refused(self, source):
        """In Python, too, it is refused with the same message."""
        with pytest.raises(ConfigurationError, match=re.escape(f"source {source!r} is neither the name of a field")):
            Column("Column", "string", source)

    @pytest.mark.parametrize("type_name", ["guid", "integer", "bool", "int:long", " int", "Int"])
    def test_an_unknown_type_is_refused_with_the_accepted_ones(self, type_name):
        """The service would refuse the rule, or turn every value to null."""
        expected = (f"column 'Column': unknown type {type_name!r}; {KNOWN_TYPES}",)

        assert problems({"Column": f"message:{type_name}"}) == expected
        assert problems({"Column": {"field": "message", "type": type_name}}) == expected
        assert problems({"Column": {"value": "x", "type": type_name}}) == expected

    @pytest.mark.parametrize("type_name", [None, ["int"], 3])
    def test_a_type_that_is_not_a_text_is_refused_like_an_unknown_one(self, type_name):
        """The message shows it."""
        assert problems({"Column": {"field": "message", "type": type_name}}) == (
            f"column 'Column': unknown type {type_name!r}; {KNOWN_TYPES}",
        )

    @pytest.mark.parametrize("type_name", [name for name in TYPES if name != "datetime"])
    def test_time_generated_must_be_a_datetime(self, type_name):
        """It is a datetime in every table of Log Analytics."""
        assert problems({"TimeGenerated": f"time:{type_name}"}) == (
            f"column 'TimeGenerated' must be a datetime, not {type_name!r}",
        )

    @pytest.mark.parametrize("type_name", [name for name in TYPES if name not in {"dynamic", "string"}])
    def test_a_column_of_all_other_extras_is_refused_another_type(self, type_name):
        """The extras together are not a number."""
        assert problems({"Column": f"*:{type_name}"}) == (
            f"column 'Column' takes '*', so its type must be dynamic or string, not {type_name!r}",
        )

    @pytest.mark.parametrize("type_name", ["boolean", "datetime"])
    def test_the_sequence_must_be_a_number_or_text(self, type_name):
        """Otherwise it would not make rows unique."""
        assert problems({"Column": f"sequence:{type_name}"}) == (
            f"column 'Column' takes 'sequence', which is a number, so its type cannot be {type_name!r}",
        )

    def test_a_column_under_another_name_is_refused(self):
        """One of the two names is a mistake."""
        assert problems({"Level": Column("Severity", "string", "level")}) == (
            "column 'Level' is given a Column named 'Severity': the names must match",
        )


class TestNames:
    @given(st.from_regex(NAME, fullmatch=True).filter(lambda name: name.lower() not in RESERVED_NAMES))
    def test_every_column_name_that_log_analytics_allows_is_accepted(self, name):
        """2 to 45 ASCII letters, digits and underscores, starting with a letter."""
        assert only("message", name).name == name

    @given(st.text(max_size=60).filter(lambda name: not re.fullmatch(NAME, name)))
    def test_every_other_column_name_is_refused_with_the_rule(self, name):
        """The service would refuse the table, or silently drop the column."""
        assert problems({name: "message"}) == (f"column name {name!r} {NAME_RULE}",)

    @pytest.mark.parametrize("name", ["Id2", "A" * 45, "a_", "Z9"])
    def test_the_longest_and_the_shortest_column_names_are_accepted(self, name):
        """2 and 45 characters are allowed."""
        assert only("message", name).name == name

    @pytest.mark.parametrize(
        "name",
        [
            "A",
            "A" * 46,
            "",
            "1st",
            "_Item",
            "Größe",
            "Ölstand",
            "用户",
            "\uff2cevel",
            "Le vel",
            "Le-vel",
            "Le.vel",
            "Level\n",
            3,
            None,
        ],
    )
    def test_column_names_at_the_edge_of_the_rule_are_refused(self, name):
        """The cases are one character, 46 characters, other alphabets, a newline, and values that are not text."""
        assert problems({name: "message"}) == (f"column name {name!r} {NAME_RULE}",)

    @pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, str.swapcase])
    @pytest.mark.parametrize(
        "reserved",
        ["id", "BilledSize", "IsBillable", "InvalidTimeGenerated", "TenantId", "Title", "Type", "UniqueId"],
    )
    def test_reserved_column_names_are_refused_in_any_case(self, reserved, spell):
        """Log Analytics ignores case, too."""
        name = spell(reserved)

        assert problems({name: "message"}) == (f"column name {name!r} is reserved by Log Analytics: choose another",)

    @pytest.mark.parametrize(
        "reserved", ["_ItemId", "_ResourceGroup", "_ResourceId", "_SubscriptionId", "_TimeReceived"]
    )
    def test_the_services_own_columns_are_refused(self, reserved):
        """They begin with an underscore, so that no user can have them."""
        (problem,) = problems({reserved: "message"})

        assert problem.startswith(f"column name {reserved!r} is ")


class TestTable:
    def test_a_table_keeps_the_order_of_its_columns(self):
        """Rows and declarations follow the configuration."""
        names = ["Zeta", "Alpha", "Message"]

        assert [column.name for column in Table.from_mapping(dict.fromkeys(names, "message"))] == names

    def test_equal_columns_make_equal_tables(self):
        """A table is a value: it can be compared, and it can be a key."""
        first, second = (Table.from_mapping({"Level": "level", "Rest": "*"}) for _ in range(2))

        assert first == second
        assert len({first, second}) == 1

    def test_a_table_cannot_be_changed(self):
        """So what was checked remains valid."""
        table = Table.from_mapping({"Level": "level"})

        with pytest.raises(AttributeError):
            table.columns = ()
        with pytest.raises(AttributeError):
            table.columns[0].type = "int"

    def test_a_table_survives_pickling(self):
        """multiprocessing pickles handlers for its children."""
        table = Table.from_mapping({"Level": "level", "User": "user.id", "App": {"value": "shop"}, "Rest": "*"})

        assert pickle.loads(pickle.dumps(table)) == table

    def test_a_table_without_columns_is_refused(self):
        """An empty row is not a row."""
        assert problems({}) == ("columns is empty: a row needs at least one column",)

    def test_a_table_has_at_most_500_columns(self):
        """With 501, Azure would refuse the table."""
        most = {f"Column{number}": "message" for number in range(MAX_COLUMNS)}

        assert len(Table.from_mapping(most).columns) == 500
        assert problems({**most, "More": "message"}) == ("columns has 501 entries; a table holds at most 500",)

    def test_column_names_that_are_equal_ignoring_case_are_refused(self):
        """Analytics tables would keep both, Auxiliary tables drop the data."""
        assert problems({"UserId": "user_id", "Level": "level", "UserID": "user"}) == (
            "columns 'UserId' and 'UserID' have the same name, ignoring case: Log Analytics keeps only one of them",
        )

    def test_the_same_column_twice_is_refused(self):
        """The keys of a row's JSON are unique."""
        column = Column("Level", "string", "level")

        with pytest.raises(ConfigurationError, match="columns 'Level' and 'Level' have the same name, ignoring case"):
            Table((column, column))

    @pytest.mark.parametrize("once", ["*", "sequence"])
    def test_all_other_extras_and_the_sequence_fill_only_one_column_each(self, once):
        """The extras have one place; the number of a row exists once."""
        assert problems({"First": once, "Level": "level", "Second": once}) == (
            f"columns 'First', 'Second' all take {once!r}: only one column can",
        )

    def test_any_other_field_can_fill_two_columns(self):
        """The service sometimes overwrites TimeGenerated, so that a second column for the time makes sense."""
        table = Table.from_mapping({"TimeGenerated": "time", "EventTime": "time"})

        assert [column.source for column in table] == ["time", "time"]


class TestTablesBuiltInPython:
    def test_a_table_accepts_any_sequence_of_columns(self):
        """They are kept as a tuple, so that the table stays a value."""
        column = Column("Text", "string", "message")

        assert Table([column]) == Table((column,))
        assert hash(Table([column])) == hash(Table((column,)))

    @pytest.mark.parametrize("wrong", [["Text"], [("Text", "string", "message")], {"Text": "message"}, "T"])
    def test_a_table_refuses_anything_but_columns(self, wrong):
        """A mapping goes through `from_mapping`."""
        with pytest.raises(ConfigurationError) as caught:
            Table(wrong)

        assert caught.value.problems == (f"{next(iter(wrong))!r} is not a Column: a Table takes Columns",)

    @pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "a\ud800", 3, None])
    def test_a_column_name_that_is_not_a_json_key_is_refused(self, name):
        """It is written without escapes."""
        with pytest.raises(ConfigurationError) as caught:
            Column(name, "string", "message")

        assert caught.value.problems == (
            f"column {name!r}: a name must be printable text without quotes or backslashes",
        )

    def test_a_tables_names_are_checked_on_demand(self):
        """A rule may declare names that a table cannot have, so the table itself does not decide."""
        table = Table((Column("_id", "string", "message"), Column("TimeGenerated", "string", "time")))

        with pytest.raises(ConfigurationError) as caught:
            table.check_names()

        assert caught.value.problems == (
            f"column name '_id' {NAME_RULE}",
            "column 'TimeGenerated' must be a datetime, not 'string'",
        )


class TestDocumentation:
    def test_every_example_in_the_docstrings_runs(self):
        """`help(Table)` shows nothing that does not work."""
        results = doctest.testmod(logging_azmon.table)

        assert results.failed == 0
        assert results.attempted == 7


class TestSeveralMistakes:
    def test_mistakes_in_several_columns_are_reported_together(self):
        """One run finds them all."""
        assert problems(
            {"Level": "level", "A": "message", "type": "message", "Number": 3, "Length": len, "Line": "line:number"}
        ) == (
            f"column name 'A' {NAME_RULE}",
            "column name 'type' is reserved by Log Analytics: choose another",
            f"column 'Number': 3 {FORMS}",
            "column 'Length': a callable comes with its type; give Column('Length', 'string', …) around it",
            f"column 'Line': unknown type 'number'; {KNOWN_TYPES}",
        )

    def test_mistakes_in_one_column_are_reported_together(self):
        """Name, type and source are each checked on their own."""
        with pytest.raises(ConfigurationError) as caught:
            Column("Count", "guid", 3)

        assert caught.value.problems == (
            f"column 'Count': unknown type 'guid'; {KNOWN_TYPES}",
            "column 'Count': source 3 is neither the name of a field or extra nor a callable",
        )
        assert problems({"1st": "message:guid"}) == (
            f"column name '1st' {NAME_RULE}",
            f"column '1st': unknown type 'guid'; {KNOWN_TYPES}",
        )

    def test_mistakes_between_columns_are_reported_together(self):
        """Clashes between columns count, too."""
        assert problems({"Rest": "*", "REST": "*"}) == (
            "columns 'Rest' and 'REST' have the same name, ignoring case: Log Analytics keeps only one of them",
            "columns 'Rest', 'REST' all take '*': only one column can",
        )


class TestConfigurationError:
    def test_a_configuration_errors_only_problem_is_its_message(self):
        """Without a heading."""
        assert str(ConfigurationError(["level=x is not accepted"])) == "level=x is not accepted"

    def test_a_configuration_error_lists_several_problems(self):
        """Each on a line of its own, under their number."""
        assert str(ConfigurationError(iter(["a is wrong", "b is wrong"]))) == (
            "2 problems:\n  - a is wrong\n  - b is wrong"
        )

    def test_a_configuration_error_is_a_value_error_and_of_this_package(self):
        """dictConfig expects a ValueError; applications can catch the base class."""
        assert issubclass(ConfigurationError, ValueError)
        assert issubclass(ConfigurationError, AzureMonitorLoggingError)

    def test_a_configuration_error_survives_pickling(self):
        """Errors in worker processes reach the parent complete."""
        error = ConfigurationError(["a is wrong", "b is wrong"])

        again = pickle.loads(pickle.dumps(error))

        assert type(again) is ConfigurationError
        assert again.problems == error.problems == ("a is wrong", "b is wrong")
        assert str(again) == str(error)
