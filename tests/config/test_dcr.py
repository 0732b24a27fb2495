"""A data collection rule, in every form that it is saved in, gives a stream's columns and what fills them."""

import contextlib
import doctest
import json
import re
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._config import rule_table
from logging_azmon._config.dcr import read_streams
from logging_azmon._config.presets import DEFAULT, LEAN
from logging_azmon._config.rule_table import lookup, table_of
from logging_azmon._config.validators import shown
from logging_azmon.errors import ConfigurationError
from logging_azmon.table import FIELD_TYPES, TYPES, Column, Extra

STREAM = "Custom-Shop"
KNOWN_TYPES = "accepted are string, int, long, real, boolean, datetime, dynamic"
COLUMNS = {"TimeGenerated": "datetime", "Message": "string", "DurationMs": "real"}
DECLARED = {STREAM: {"columns": [{"name": name, "type": kind} for name, kind in COLUMNS.items()]}}
FLOWS = [{"streams": [STREAM], "destinations": ["workspace"], "outputStream": "Custom-Shop_CL"}]

REST = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/shop",
    "location": "westeurope",
    "properties": {
        "immutableId": "dcr-00000000000000000000000000000000",
        "dataCollectionEndpointId": None,
        "streamDeclarations": DECLARED,
        "dataFlows": FLOWS,
    },
}
AZ_SHOW = {
    "dataFlows": FLOWS,
    "etag": '"0"',
    "immutableId": "dcr-00000000000000000000000000000000",
    "streamDeclarations": DECLARED,
    "tags": None,
}
ARM = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "parameters": {"location": {"type": "string"}},
    "resources": [
        {
            "type": "Microsoft.OperationalInsights/workspaces/tables",
            "properties": {"schema": {"columns": []}},
        },
        {"type": "Microsoft.Insights/dataCollectionRules", "properties": {"streamDeclarations": DECLARED}},
    ],
}
NESTED = {
    "resources": [{"type": "Microsoft.Resources/deployments", "properties": {"mode": "Incremental", "template": ARM}}]
}
FORMS = {
    "rest": REST,
    "az show": AZ_SHOW,
    "arm": ARM,
    "nested arm": NESTED,
    "declarations alone": {"streamDeclarations": DECLARED},
}

SNAKE = st.lists(st.from_regex("[a-z]{2,8}", fullmatch=True), min_size=1, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["streamDeclarations", "columns", "name", "type", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def refusal(dcr):
    """Return the problem that is reported for a rule."""
    with pytest.raises(ConfigurationError) as caught:
        read_streams(dcr)
    (problem,) = caught.value.problems
    return problem


@pytest.fixture(name="save")
def _save(tmp_path):
    """Write a rule's file and return its path."""

    def save(content):
        path = tmp_path / "rule.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return save


class TestForms:
    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_every_form_of_a_rule_gives_its_columns(self, form):
        """The forms are the REST form, az's flat form, a template, and a nested template."""
        assert read_streams(form) == {STREAM: COLUMNS}

    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_every_form_of_a_rule_can_be_a_file(self, form, save):
        """The file is given as a Path or, as in dictConfig, as text."""
        path = save(form)

        assert read_streams(path) == read_streams(str(path)) == {STREAM: COLUMNS}

    def test_a_rule_file_may_begin_with_a_byte_order_mark(self, save):
        """PowerShell writes one when az's output is redirected into a file."""
        path = save(b"\xef\xbb\xbf" + json.dumps(REST).encode())

        assert read_streams(path) == {STREAM: COLUMNS}

    def test_a_file_may_contain_a_list_of_rules(self, save):
        """`az monitor data-collection rule list` prints one."""
        other = {"streamDeclarations": {"Custom-Other": {"columns": [{"name": "Text", "type": "string"}]}}}

        assert read_streams(save([AZ_SHOW, other])) == {STREAM: COLUMNS, "Custom-Other": {"Text": "string"}}

    def test_a_rule_may_be_any_mapping(self):
        """The rule need not be a dict."""
        frozen = MappingProxyType({"streamDeclarations": MappingProxyType(DECLARED)})

        assert read_streams(frozen) == {STREAM: COLUMNS}

    def test_all_streams_of_a_rule_are_found_in_order(self):
        """A rule has up to ten."""
        names = [f"Custom-S{number}" for number in range(10)]

        assert list(read_streams({"streamDeclarations": dict.fromkeys(names, DECLARED[STREAM])})) == names

    def test_columns_keep_the_rules_order(self):
        """The columns of a row are in the order of the rule."""
        assert list(read_streams(REST)[STREAM]) == list(COLUMNS)

    @pytest.mark.parametrize("spelling", ["datetime", "dateTime", "DateTime"])
    def test_column_types_are_read_in_any_case(self, spelling):
        """Microsoft's own samples write dateTime as often as datetime."""
        declared = {STREAM: {"columns": [{"name": "TimeGenerated", "type": spelling}]}}

        assert read_streams({"streamDeclarations": declared}) == {STREAM: {"TimeGenerated": "datetime"}}

    def test_further_keys_of_a_column_are_ignored(self):
        """Templates add descriptions."""
        column = {"name": "Message", "type": "string", "description": "what happened"}

        assert read_streams({"streamDeclarations": {STREAM: {"columns": [column]}}}) == {STREAM: {"Message": "string"}}

    @given(st.lists(st.sampled_from(["list", "properties", "template"]), max_size=6))
    def test_declarations_are_found_at_any_depth(self, path):
        """The structure around the declarations does not matter."""
        document = {"streamDeclarations": DECLARED}
        for step in path:
            document = {"resources": ["text", 1, document]} if step == "list" else {"kind": "Direct", step: document}

        assert read_streams(document) == {STREAM: COLUMNS}


class TestRefusals:
    def test_a_missing_rule_file_is_refused_by_its_path(self, tmp_path):
        """The message has the system's reason, and no OSError is raised."""
        path = tmp_path / "missing.json"

        assert refusal(path) == refusal(str(path)) == f"dcr={str(path)!r} cannot be read: No such file or directory"

    def test_a_directory_in_place_of_a_rule_file_is_refused(self, tmp_path):
        """The message has the system's reason."""
        assert re.fullmatch(re.escape(f"dcr={str(tmp_path)!r} cannot be read: ") + ".+", refusal(tmp_path))

    @pytest.mark.parametrize(
        "content", [b"", b'{"properties": ', b"resource rule 'Microsoft.Insights' = {", b"\xff\xfe{\x00"]
    )
    def test_a_rule_file_that_is_not_json_is_refused_with_the_parsers_reason(self, content, save):
        """The file is empty, truncated, Bicep, or UTF-16."""
        path = save(content)

        assert re.fullmatch(re.escape(f"dcr={str(path)!r} is not JSON: ") + ".+", refusal(path))

    @pytest.mark.parametrize("wrong", [None, 3, [REST], b"rule.json"])
    def test_a_rule_that_is_neither_path_nor_mapping_is_refused(self, wrong):
        """The message shows the value, cut if it is long, and says what is accepted."""
        assert (
            refusal(wrong)
            == f"dcr={shown(wrong)} is not accepted; give the path of a JSON file, or the rule as a mapping"
        )

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"properties": {}},
            {"streamDeclarations": {}},
            {"streamDeclarations": None},
            {"streamDeclarations": "[parameters('streams')]"},
            {"properties": {"dataFlows": FLOWS}},
        ],
    )
    def test_a_rule_without_declarations_is_refused(self, document, save):
        """A rule for agents declares no streams, so nothing can be sent to it."""
        path = save(document)

        assert refusal(document) == "dcr: the given mapping has no streamDeclarations, so it declares no stream"
        assert refusal(path) == f"dcr: {str(path)!r} has no streamDeclarations, so it declares no stream"

    @pytest.mark.parametrize("text", [b"[]", b"null", b'"rule"', b"3"])
    def test_json_without_a_rule_is_refused(self, text, save):
        """A file can contain JSON of any form."""
        assert refusal(save(text)).endswith("has no streamDeclarations, so it declares no stream")

    @pytest.mark.parametrize(
        "declared",
        [None, [], {}, {"columns": None}, {"columns": []}, {"columns": {"name": "Message", "type": "string"}}],
    )
    def test_a_stream_without_a_list_of_columns_is_refused(self, declared):
        """An incomplete declaration is not completed by guessing."""
        assert refusal({"streamDeclarations": {"Custom-Broken": declared}}) == (
            "dcr: stream 'Custom-Broken' in the given mapping: it has no list of columns, each with a name and a type"
        )

    @pytest.mark.parametrize(
        "column",
        [
            "Message",
            {"name": "Message"},
            {"type": "string"},
            {"name": 3, "type": "string"},
            {"name": "Message", "type": None},
        ],
    )
    def test_a_column_without_name_or_type_is_refused_by_its_json(self, column):
        """The message shows the column, so that it can be found in a list of fifty."""
        assert refusal({"streamDeclarations": {"Custom-Broken": {"columns": [column]}}}) == (
            f"dcr: stream 'Custom-Broken' in the given mapping: {column!r} is not a column with a name and a type"
        )

    @pytest.mark.parametrize("second", ["Text", "text"])
    def test_a_streams_column_names_that_are_equal_ignoring_case_are_refused(self, second):
        """A dict would silently keep the last one."""
        columns = [{"name": "Text", "type": "string"}, {"name": second, "type": "int"}]

        assert refusal({"streamDeclarations": {STREAM: {"columns": columns}}}) == (
            f"dcr: stream 'Custom-Shop' in the given mapping: columns 'Text' and {second!r} have the same name,"
            " ignoring case: Log Analytics keeps only one of them"
        )

    def test_every_mistake_in_a_rule_is_reported_together(self):
        """One run is enough to find them all."""
        columns = [{"name": "Text", "type": "guid"}, 7, {"name": "Count", "type": "decimal"}]
        with pytest.raises(ConfigurationError) as caught:
            read_streams({"streamDeclarations": {"Custom-A": {"columns": columns}, "Custom-B": None}})

        where = "dcr: stream 'Custom-A' in the given mapping:"
        assert caught.value.problems == (
            f"{where} column 'Text': unknown type 'guid'; {KNOWN_TYPES}",
            f"{where} 7 is not a column with a name and a type",
            f"{where} column 'Count': unknown type 'decimal'; {KNOWN_TYPES}",
            "dcr: stream 'Custom-B' in the given mapping: it has no list of columns, each with a name and a type",
        )

    def test_a_path_with_a_nul_is_refused_as_unreadable(self):
        """Python raises a ValueError for it, not an OSError."""
        assert refusal("a\0b") == "dcr='a\\x00b' cannot be read: embedded null byte"

    @given(JSON)
    def test_any_json_is_read_or_refused_by_a_configuration_error(self, document):
        """No other error is raised."""
        with contextlib.suppress(ConfigurationError):
            streams = read_streams({"rule": document})
            assert streams
            assert all(isinstance(kind, str) for columns in streams.values() for kind in columns.values())


class TestLookup:
    @pytest.mark.parametrize("column", [column for column in DEFAULT if column.source != "*"], ids=lambda it: it.name)
    def test_a_column_of_the_default_table_takes_its_field(self, column):
        """A rule made by our template needs no mapping: Thread is thread_name."""
        assert lookup(column.name) == column.source

    @pytest.mark.parametrize(
        ("column", "field"),
        [
            ("ThreadName", "thread_name"),
            ("thread_name", "thread_name"),
            ("THREAD_NAME", "thread_name"),
            ("ProcessID", "process_id"),
            ("TraceID", "trace_id"),
            ("LevelNumber", "level_number"),
            ("Time", "time"),
            ("message", "message"),
            ("SyslogSeverity", "syslog_severity"),
        ],
    )
    def test_a_column_named_like_a_field_in_any_style_takes_the_field(self, column, field):
        """Camel case, snake case and capitalised abbreviations name the same thing."""
        assert lookup(column) == field

    @pytest.mark.parametrize(
        ("column", "extra"),
        [
            ("DurationMs", "duration_ms"),
            ("UserId", "user_id"),
            ("UserID", "user_id"),
            ("userId", "user_id"),
            ("HTTPStatus", "http_status"),
            ("URL", "url"),
            ("RequestURLPath", "request_url_path"),
            ("Status2Text", "status2_text"),
            ("DurationMs", "durationMs"),
            ("DurationMs", "durationms"),
            ("DurationMs", "DurationMs"),
            ("user_id", "user_id"),
        ],
    )
    def test_any_other_column_takes_the_extra_that_its_name_stands_for(self, column, extra):
        """Python's extras are in snake case, Log Analytics' columns in camel case."""
        assert extra in lookup(column).names

    def test_the_extra_of_exactly_the_columns_name_comes_first(self):
        """The name in snake case comes second; no name is tried twice."""
        assert lookup("DurationMs") == Extra(("DurationMs", "duration_ms", "durationMs", "durationms"))
        assert lookup("status") == Extra(("status",))

    @pytest.mark.parametrize("name", ["Name", "Process", "Thread", "Created", "LevelName", "ThreadName", "Lineno"])
    def test_the_lookup_does_not_know_log_records_own_names(self, name):
        """A rule's column Name goes on taking the extra of that name."""
        source = lookup(name)

        if name in ("Thread", "ThreadName"):  # the default table's, and a field's
            assert source == "thread_name"
        else:
            assert (source.names[0], source.field) == (name, None)

    @pytest.mark.parametrize(
        ("column", "field"),
        [("Template", "template"), ("ServiceName", "service_name"), ("Environment", "environment")],
    )
    def test_an_extra_that_a_column_stood_for_wins_over_a_new_field(self, column, field):
        """A rule of today goes on meaning what it means; the field fills only rows that have no such extra."""
        source = lookup(column)

        assert (source.names[0], field in source.names, source.field) == (column, True, field)
        assert lookup(column, "boolean") == Extra(source.names)

    @given(SNAKE)
    def test_a_column_in_camel_case_takes_the_extra_in_snake_case(self, words):
        """This holds for any words."""
        snake, camel = "_".join(words), "".join(word.title() for word in words)
        default = next((column.source for column in DEFAULT if column.name == camel and column.source != "*"), None)

        source = lookup(camel)

        if isinstance(source, Extra):
            assert source.names[0] == camel
            assert snake in source.names
        else:
            assert source in {default, snake} & {*FIELD_TYPES}

    def test_properties_alone_is_looked_up_as_an_extra(self):
        """The lookup by name ignores the type and the other columns, which decide whether the column takes the rest."""
        assert lookup("Properties") == Extra(("Properties", "properties"))


class TestTableOf:
    @pytest.mark.parametrize("preset", [DEFAULT, LEAN])
    def test_a_rule_made_for_a_preset_gives_the_preset(self, preset):
        """The rule from the template and the default mapping agree."""
        assert table_of({column.name: column.type for column in preset}, {}) == preset

    @given(
        st.dictionaries(st.from_regex("Col[A-Za-z0-9_]{1,20}", fullmatch=True).map(str.lower), st.sampled_from(TYPES))
    )
    def test_column_names_types_and_order_are_those_of_the_rule(self, declared):
        """Exactly the declared columns are sent."""
        declared = {"TimeGenerated": "datetime", **declared}

        assert [(column.name, column.type) for column in table_of(declared, {})] == list(declared.items())

    def test_a_mapping_decides_what_fills_the_columns_it_names(self):
        """The others are looked up by name."""
        table = table_of({"Message": "string", "Who": "string", "UserId": "string"}, {"Who": "logger"})

        assert table.columns == (
            Column("Message", "string", "message"),
            Column("Who", "string", "logger"),
            Column("UserId", "string", Extra(("UserId", "user_id", "userId", "userid"))),
        )

    def test_a_mapping_wins_over_the_lookup_by_name(self):
        """A column called Level may contain something else."""
        (column,) = table_of({"Level": "string"}, {"Level": "extra.level"})

        assert column.source == Extra(("level",))

    def test_a_columns_type_is_the_rules_not_the_fields(self):
        """A line number may be declared as a long."""
        (column,) = table_of({"Line": "long"}, {})

        assert column == Column("Line", "long", "line")

    def test_a_dynamic_properties_column_takes_the_rest(self):
        """The default table does the same."""
        assert table_of({"Properties": "dynamic"}, {}).columns == (Column("Properties", "dynamic", "*"),)

    @pytest.mark.parametrize("type_name", [name for name in TYPES if name != "dynamic"])
    def test_a_properties_column_of_another_type_is_an_extra(self, type_name):
        """A string called Properties may mean anything."""
        (column,) = table_of({"Properties": type_name}, {})

        assert column.source == Extra(("Properties", "properties"))

    def test_properties_is_an_extra_if_another_column_takes_the_rest(self):
        """The rest arrives only once."""
        table = table_of({"Properties": "dynamic", "Rest": "dynamic"}, {"Rest": "*"})

        assert [column.source for column in table] == [Extra(("Properties", "properties")), "*"]

    def test_properties_can_be_mapped_to_something_else(self):
        """Then no column takes the rest."""
        (column,) = table_of({"Properties": "dynamic"}, {"Properties": "props"})

        assert column.source == Extra(("props",))

    def test_no_other_dynamic_column_takes_the_rest_by_default(self):
        """A rule's Tags column, say, may have another meaning."""
        (column,) = table_of({"Tags": "dynamic"}, {})

        assert column.source == Extra(("Tags", "tags"))

    def test_every_mistake_in_a_streams_columns_is_reported_together(self):
        """One attempt finds them all."""
        with pytest.raises(ConfigurationError) as caught:
            table_of({"Message": "guid", "Level": "string", "Count": "decimal"}, {"Level": 3})

        assert caught.value.problems == (
            f"column 'Message': unknown type 'guid'; {KNOWN_TYPES}",
            "column 'Level': source 3 is neither the name of a field or extra nor a callable",
            f"column 'Count': unknown type 'decimal'; {KNOWN_TYPES}",
        )

    def test_a_table_of_a_stream_without_columns_is_refused(self):
        """There would be nothing to send."""
        with pytest.raises(ConfigurationError, match="columns is empty"):
            table_of({}, {})

    def test_the_rest_cannot_fill_a_number_column(self):
        """The message names the types that the rest can fill."""
        with pytest.raises(
            ConfigurationError, match="column 'Count' takes '\\*', so its type must be dynamic or string"
        ):
            table_of({"Count": "int"}, {"Count": "*"})


def test_every_example_in_the_docstrings_runs():
    results = doctest.testmod(rule_table)

    assert (results.failed, results.attempted) == (0, 1)


def test_a_rule_read_from_a_file_becomes_a_table(save):
    """This is the complete path of `dcr="rule.json"`."""
    streams = read_streams(save(REST))

    assert table_of(streams[STREAM], {}).columns == (
        Column("TimeGenerated", "datetime", "time"),
        Column("Message", "string", "message"),
        Column("DurationMs", "real", Extra(("DurationMs", "duration_ms", "durationMs", "durationms"))),
    )
