"""Data collection rules: reading right ones, and refusing wrong ones."""

import copy
import json

import pytest

from logging_azmon._config.dcr import DEFAULT_RULE, Flow, read_rules
from logging_azmon.errors import ConfigurationError
from logging_azmon.local import Workspace
from support.local_client import send

COLUMNS = [{"name": "TimeGenerated", "type": "dateTime"}, {"name": "Text", "type": "string"}]
PROPERTIES = {
    "immutableId": "dcr-abc",
    "streamDeclarations": {"Custom-A": {"columns": COLUMNS}, "Custom-B_CL": {"columns": COLUMNS}},
    "destinations": {"logAnalytics": [{"workspaceResourceId": "/x", "name": "ws"}]},
    "dataFlows": [
        {"streams": ["Custom-A"], "destinations": ["ws"], "transformKql": "source", "outputStream": "Custom-A_CL"},
        {"streams": ["Custom-B_CL", "Microsoft-Perf"], "destinations": ["ws"]},
    ],
}
FORMS = {
    "REST": {"location": "westeurope", "kind": "Direct", "properties": PROPERTIES},
    "az show": {**PROPERTIES, "location": "westeurope", "type": "Microsoft.Insights/dataCollectionRules"},
    "ARM template": {
        "$schema": "x",
        "resources": [{"type": "other"}, {"type": "Microsoft.Insights/dataCollectionRules", "properties": PROPERTIES}],
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_rule_is_found_in_every_form(form, tmp_path):
    path = tmp_path / "dcr.json"
    path.write_text(json.dumps(FORMS[form]), encoding="utf-8-sig")
    for document in (FORMS[form], path, str(path)):
        (rule,) = read_rules([document])
        assert rule.rule_id == "dcr-abc"
        assert rule.streams["Custom-A"] == {"TimeGenerated": "datetime", "Text": "string"}
        assert rule.flows == (
            Flow(stream="Custom-A", transform="source", output="Custom-A_CL"),
            Flow(stream="Custom-B_CL", transform="source", output="Custom-B_CL"),
        )


def test_without_a_document_the_default_rule_is_served():
    assert read_rules([]) == (DEFAULT_RULE,)
    with Workspace() as ws:
        assert (ws.rule_id, ws.stream, ws.workspace_id) == ("dcr-local", "Custom-App", "local")
        assert list(ws.tables["App_CL"])[:3] == ["TimeGenerated", "Level", "Logger"]


def test_rules_without_an_immutable_id_get_one():
    bare = {"streamDeclarations": {"Custom-A": {"columns": COLUMNS}}}
    assert [rule.rule_id for rule in read_rules([bare, bare])] == ["dcr-local", "dcr-local-2"]
    assert read_rules([bare])[0].flows == (Flow(stream="Custom-A", transform="source", output="Custom-A_CL"),)


def test_several_rules_are_served_at_once():
    second = {**PROPERTIES, "immutableId": "dcr-two"}
    with Workspace([PROPERTIES, second]) as ws:
        assert send(ws, [{"Text": "1"}], rule="dcr-abc", stream="Custom-A").status == 204
        assert send(ws, [{"Text": "2"}], rule="dcr-two", stream="Custom-A").status == 204
        assert [row["Text"] for row in ws.rows("A_CL")] == ["1", "2"]


def changed(**changes):
    return {**copy.deepcopy(PROPERTIES), **changes}


def declared(*columns, stream="Custom-A"):
    return changed(streamDeclarations={stream: {"columns": list(columns)}}, dataFlows=[])


def flowing(**flow):
    return changed(dataFlows=[flow])


WRONG = [
    ({}, "has no streamDeclarations"),
    (declared(stream="App"), "'App'.*begins with 'Custom-'"),
    (declared(), "'Custom-A'.*it has no list of columns"),
    (changed(streamDeclarations={"Custom-A": 5}), "has no list of columns"),
    (declared({"name": "x"}), "is not a column with a name and a type"),
    (declared(5), "is not a column with a name and a type"),
    (declared({"name": "x", "type": "guid"}), "column 'x': unknown type 'guid'; accepted are string, int"),
    (
        declared({"name": "x", "type": "int"}, {"name": "X", "type": "int"}),
        "'x' and 'X' have the same name, ignoring case",
    ),
    (changed(dataFlows="x"), "names no streams"),
    (flowing(streams=[]), "names no streams"),
    (flowing(streams=["Custom-Nope"], outputStream="Custom-X_CL"), "'Custom-Nope', which is not declared"),
    (flowing(streams=["Custom-A"]), "outputStream 'Custom-A' .* does not name a table"),
    (flowing(streams=["Custom-A"], outputStream="Custom-X"), "outputStream 'Custom-X' .* does not name a table"),
    (flowing(streams=["Custom-A"], outputStream='Custom-x"_CL'), "does not name a table"),
    (flowing(streams=["Custom-A"], outputStream=5), "does not name a table"),
    (
        flowing(streams=["Custom-A", "Custom-B_CL"], outputStream="Custom-X_CL", transformKql="source | where 1 == 1"),
        "several streams; Azure accepts only one with it",
    ),
]


@pytest.mark.parametrize(("document", "message"), WRONG, ids=lambda value: str(value)[-40:])
def test_a_mistake_in_a_rule_is_reported_with_what_is_accepted(document, message):
    with pytest.raises(ConfigurationError, match=message):
        Workspace(document)


def test_the_mistakes_of_all_rules_are_reported_together(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigurationError) as wrong:
        read_rules([tmp_path / "broken.json", tmp_path / "nowhere.json", {}, PROPERTIES, PROPERTIES])
    assert [problem.split(":")[-1].split("(")[0].strip()[:20] for problem in wrong.value.problems]
    assert len(wrong.value.problems) == 4
    assert "two rules have the immutableId 'dcr-abc'" in wrong.value.problems[-1]


def test_the_error_for_an_unknown_built_in_table_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="'Microsoft-AWSCloudTrail'; it knows Microsoft-CommonSecurityLog"):
        Workspace(flowing(streams=["Custom-A"], outputStream="Microsoft-AWSCloudTrail")).start()


def test_a_flow_into_a_built_in_table_must_yield_the_types_of_its_columns():
    transform = "source | project TimeGenerated, ProcessID = Text"
    with pytest.raises(ConfigurationError, match="yields column 'ProcessID' as string, but Syslog holds int"):
        Workspace(flowing(streams=["Custom-A"], transformKql=transform, outputStream="Microsoft-Syslog")).start()


def test_flows_into_one_table_must_agree_on_its_types():
    flows = [
        {"streams": ["Custom-A"], "transformKql": f"source | extend x = {value}", "outputStream": "Custom-X_CL"}
        for value in ("1", "'1'")
    ]
    with pytest.raises(ConfigurationError, match="column 'x' is long in one flow, string in another"):
        Workspace(changed(dataFlows=flows)).start()
    flows[1]["transformKql"] = "source | extend X = 1"
    with pytest.raises(ConfigurationError, match="'x' and 'X' differ only in case"):
        Workspace(changed(dataFlows=flows)).start()


def test_after_a_restart_a_new_column_is_added_to_the_table_and_a_changed_type_is_refused(tmp_path):
    def rule(*columns):
        return {"streamDeclarations": {"Custom-A": {"columns": [*COLUMNS, *columns]}}}

    with Workspace(rule(), data=tmp_path / "d") as ws:
        send(ws, [{"Text": "old"}])
    with Workspace(rule({"name": "More", "type": "int"}), data=tmp_path / "d") as ws:
        send(ws, [{"Text": "new", "More": 5}])
        assert [(row["Text"], row["More"]) for row in ws.rows("A_CL")] == [("old", None), ("new", 5)]
    with pytest.raises(ConfigurationError, match="holds 'More' as int, but the rule says string"):
        Workspace(rule({"name": "More", "type": "string"}), data=tmp_path / "d").start()
