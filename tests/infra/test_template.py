"""`logging-azmon template` writes templates that Azure accepts, and that accept every row of the handler.

Nothing here reaches Azure. Instead, each text is parsed by a parser of its language, the ARM template is read by
Microsoft's own models of the resources, the script runs with an `az` that records its calls, and the local workspace
serves the rule.
"""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest
from azure.mgmt.loganalytics import models as workspace_models
from azure.mgmt.monitor import models as rule_models

from logging_azmon import AzureMonitorHandler, cli
from logging_azmon._config.presets import BUILT_IN, PRESETS, preset
from logging_azmon.cli.tail.command import table_name
from logging_azmon.errors import ConfigurationError
from logging_azmon.infra import OPERATED, RENDERERS, Design
from logging_azmon.local import Workspace
from logging_azmon.table import Table

DCE = "providers/Microsoft.Insights/dataCollectionEndpoints"
GOLDEN = Path(__file__).parent.parent / "data" / "templates"
SUFFIXES = {"bicep": "bicep", "arm": "json", "terraform": "tf", "az": "sh"}
MIXED = {"Time": "time", "SyslogMessage": "message", "Order": "order:long", "Shop_CF": "shop"}
FILLED = {
    "table": "Shop_CL",
    "stream": "Custom-Shop",
    "rule": "dcr-shop",
    "dce": "dce-shop",
    "resource_group": "rg-shop",
    "workspace": "log-shop",
    "location": "westeurope",
    "principal_id": "00000000-0000-0000-0000-00000000000a",
    "plan": "Auxiliary",
    "total_retention_days": 1095,
}
DESIGNS = {
    "default": Design(columns=preset("default"), rule="dcr-app"),
    "filled": Design(columns=preset("lean"), **FILLED),
    "syslog": Design(columns=preset("syslog"), table="Syslog", stream="Custom-Syslog"),
    "custom-columns": Design(columns=Table.from_mapping(MIXED), table="Syslog", stream="Custom-Mixed"),
    "custom-columns-dce": Design(columns=Table.from_mapping(MIXED), table="Syslog", stream="Custom-Mixed", dce="dce-x"),
    "kept": Design(columns=preset("lean"), retention_days=30, total_retention_days=365),
    "existing-dce": Design(
        columns=preset("syslog"),
        table="Syslog",
        stream="Custom-Syslog",
        dce_id="/subscriptions/s-1/resourceGroups/rg-net/providers/Microsoft.Insights/dataCollectionEndpoints/dce-net",
        principal_type="User",
        total_retention_days=365,
    ),
    "watched": Design(
        columns=preset("default"), rule="dcr-app", diagnostics=True, alerts="ops@example.com", workbook=True
    ),
}
EVERY = [
    (design, language) for design in DESIGNS for language in (OPERATED if DESIGNS[design].diagnostics else RENDERERS)
]


def rendered(design, language):
    return RENDERERS[language](DESIGNS[design])


def arm(design):
    """Return the ARM template's resources by the last word of their type."""
    template = json.loads(rendered(design, "arm"))
    return {resource["type"].rpartition("/")[2]: resource for resource in template["resources"]}


@pytest.mark.parametrize(("design", "language"), EVERY)
def test_every_template_equals_its_golden_file(design, language):
    """After an intended change, run this file as a script and review the differences."""
    expected = GOLDEN.joinpath(f"{design}.{SUFFIXES[language]}").read_text("utf-8")

    assert rendered(design, language) == expected


class TestArm:
    @pytest.mark.parametrize("design", DESIGNS)
    def test_rule_and_endpoint_are_understood_by_microsofts_models(self, design):
        """A property that the API does not know, or that is in the wrong place, would get lost in the models."""
        kinds = {
            "dataCollectionRules": rule_models.DataCollectionRuleResource,
            "dataCollectionEndpoints": rule_models.DataCollectionEndpointResource,
        }
        found = {kind: resource for kind, resource in arm(design).items() if kind in kinds}
        assert ("dataCollectionEndpoints" in found) == bool(DESIGNS[design].dce)

        for kind, resource in found.items():
            body = {key: value for key, value in resource.items() if key in {"location", "kind", "properties"}}
            assert kinds[kind].deserialize(body).serialize() == body

    @pytest.mark.parametrize("design", DESIGNS)
    def test_the_table_is_understood_by_microsofts_models(self, design):
        """The API knows each property and each column's type."""
        if "tables" not in arm(design):
            assert design == "syslog"
            return
        properties = arm(design)["tables"]["properties"]
        table = workspace_models.TableProperties(properties)
        known = {field._rest_name for field in table._attr_to_rest_field.values()}  # noqa: SLF001 - available nowhere else
        types = {each.value.lower() for each in workspace_models.ColumnTypeEnum}

        assert set(properties) <= known
        assert properties.get("plan", "Basic") in {each.value for each in workspace_models.TablePlanEnum}
        columns = properties["schema"]["columns"] if "schema" in properties else []
        assert {column["type"] for column in columns} <= types

    @pytest.mark.parametrize("design", DESIGNS)
    def test_every_parameter_is_declared_and_used(self, design):
        """Azure would report a missing parameter, but nothing would report an unused one."""
        text = rendered(design, "arm")

        assert set(re.findall(r"parameters\('(\w+)'\)", text)) == set(json.loads(text)["parameters"])

    def test_the_rule_depends_on_the_table(self):
        """Azure refuses a rule for a table that does not exist yet."""
        (needed,) = arm("default")["dataCollectionRules"]["dependsOn"]

        assert "workspaces/tables" in needed
        assert "dependsOn" not in arm("syslog")["dataCollectionRules"]

    def test_a_data_collection_endpoint_that_exists_is_used(self):
        """A workspace's own, for instance, whose rules take part in its replication."""
        resources = arm("existing-dce")
        assert "dataCollectionEndpoints" not in resources
        assert resources["dataCollectionRules"]["properties"]["dataCollectionEndpointId"].endswith("/dce-net")

    def test_azures_own_table_may_get_a_retention(self):
        """Its columns stay as they are."""
        assert arm("existing-dce")["tables"]["properties"] == {"totalRetentionInDays": 365}

    def test_the_role_is_assigned_on_the_rule_only(self):
        """The permission to send to one rule must not extend to others."""
        role = arm("default")["roleAssignments"]

        assert role["scope"].endswith("'Microsoft.Insights/dataCollectionRules', parameters('ruleName'))]")
        assert "3913510d-42f4-4e42-8a64-420c390055eb" in role["properties"]["roleDefinitionId"]

    def test_a_rule_has_its_own_endpoint_or_a_data_collection_endpoint(self):
        """A rule never has both."""
        own, other = arm("default")["dataCollectionRules"], arm("filled")["dataCollectionRules"]

        assert own["kind"] == "Direct"
        assert "dataCollectionEndpointId" not in own["properties"]
        assert "kind" not in other
        assert "dataCollectionEndpointId" in other["properties"]

    @pytest.mark.parametrize("language", RENDERERS)
    @pytest.mark.parametrize("design", DESIGNS)
    def test_the_outputs_are_the_handlers_three_values(self, design, language):
        """The outputs have the names of the handler's environment variables."""
        end = rendered(design, language)[-900:]

        assert re.findall(r"DATA_COLLECTION_ENDPOINT|LOGS_DCR_RULE_ID|LOGS_DCR_STREAM_NAME", end) == [
            "DATA_COLLECTION_ENDPOINT",
            "LOGS_DCR_RULE_ID",
            "LOGS_DCR_STREAM_NAME",
        ]


@pytest.mark.parametrize("design", DESIGNS)
class TestOtherLanguages:
    def test_bicep_is_parsed_without_an_error(self, design):
        """The parser is tree-sitter's."""
        reason = "tree-sitter has no wheel for this Python, so Bicep is not parsed here"
        tree_sitter = pytest.importorskip("tree_sitter", reason=reason)
        language = tree_sitter.Language(pytest.importorskip("tree_sitter_bicep", reason=reason).language())
        tree = tree_sitter.Parser(language).parse(rendered(design, "bicep").encode())

        assert not tree.root_node.has_error

    def test_bicep_declares_the_resources_and_parameters_of_the_arm_template(self, design):
        text = rendered(design, "bicep")
        kinds = re.findall(r"^resource \w+ '([\w./]+)@([\w-]+)' = ", text, re.MULTILINE)
        expected = {(resource["type"], resource["apiVersion"]) for resource in arm(design).values()}
        assert set(kinds) == expected
        parameters = set(re.findall(r"^param (\w+)", text, re.MULTILINE))
        assert parameters == set(json.loads(rendered(design, "arm"))["parameters"])

    def test_bicep_uses_every_parameter(self, design):
        """The compiler would warn of an unused parameter."""
        text = rendered(design, "bicep")

        for name in re.findall(r"^param (\w+)", text, re.MULTILINE):
            assert len(re.findall(rf"\b{name}\b", text)) > 1, name

    def test_terraform_is_parsed_and_declares_the_same_rule(self, design):
        """The parser is python-hcl2; columns, flow and output are those of the ARM template."""
        document = hcl2.loads(rendered(design, "terraform"))
        resources = {unquoted(kind): body for each in document["resource"] for kind, body in each.items()}
        properties = arm(design)["dataCollectionRules"]["properties"]
        (stream,) = properties["streamDeclarations"]
        columns = properties["streamDeclarations"][stream]["columns"]
        (flow,) = properties["dataFlows"]

        if not DESIGNS[design].is_direct:
            rule = resources["azurerm_monitor_data_collection_rule"]['"rule"']
            declared = rule["stream_declaration"][0]
            assert [strings(column) for column in declared["column"]] == columns
            assert strings(rule["data_flow"][0])["transform_kql"] == flow["transformKql"]
            assert strings(rule["data_flow"][0])["output_stream"] == flow["outputStream"]
        else:
            body = resources["azapi_resource"]['"rule"']["body"]
            assert unquoted(body["kind"]) == "Direct"
            assert [strings(each) for each in body["properties"]["streamDeclarations"][stream]["columns"]] == columns
            assert strings(body["properties"]["dataFlows"][0])["transformKql"] == flow["transformKql"]
        assert "azurerm_role_assignment" in resources

    def test_terraform_uses_every_variable_and_declares_every_variable_it_uses(self, design):
        """Also, no line ends with blanks, which `terraform fmt` would remove."""
        text = rendered(design, "terraform")

        assert set(re.findall(r"\bvar\.(\w+)", text)) == set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
        assert re.findall(r"[ \t]+$", text, re.MULTILINE) == []


def unquoted(text):
    return text.strip('"')


def strings(block):
    return {unquoted(key): unquoted(value) for key, value in block.items() if isinstance(value, str)}


AZ = """\
#!{python}
import json, sys
words = sys.argv[1:]
body = json.loads(sys.stdin.read()) if "--body" in words else None
with open({log!r}, "a", encoding="utf-8") as log:
    log.write(json.dumps([words, body]) + "\\n")
if "--query" in words:
    print("/of/" + words[words.index("--query") + 1], end="\\r\\n")
"""


@pytest.mark.skipif(os.name != "posix", reason="a bash script")
class TestScript:
    @pytest.fixture
    def run(self, tmp_path):
        """Run a script with an `az` that records its calls; return the calls and the output."""
        log = tmp_path / "log"
        fake = tmp_path / "bin" / "az"
        fake.parent.mkdir()
        fake.write_text(AZ.format(python=sys.executable, log=str(log)), "utf-8")
        fake.chmod(0o755)

        def run(script, **environment):
            path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-c", script],
                env={"PATH": path, **environment},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            called = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
            return done, called

        return run

    def test_the_script_creates_the_same_resources_as_the_arm_template(self, run):
        """The order is table, endpoint, rule, role; at the end, the script prints the values."""
        done, called = run(rendered("filled", "az"))
        table, endpoint, rule, role = [(words, body) for words, body in called if "--query" not in words]

        assert done.returncode == 0, done.stderr
        assert table[0][:6] == ["monitor", "log-analytics", "workspace", "table", "create", "--resource-group"]
        columns = {
            column["name"]: column["type"] for column in arm("filled")["tables"]["properties"]["schema"]["columns"]
        }
        assert dict(word.split("=") for word in table[0] if "=" in word) == columns
        assert "/dataCollectionEndpoints/dce-shop?" in endpoint[0][4]
        assert endpoint[1] == {
            "location": "westeurope",
            "properties": {"networkAcls": {"publicNetworkAccess": "Enabled"}},
        }
        expected = arm("filled")["dataCollectionRules"]["properties"]
        group = "/of/id/providers/Microsoft.Insights"
        expected["dataCollectionEndpointId"] = f"{group}/dataCollectionEndpoints/dce-shop"
        expected["destinations"]["logAnalytics"][0]["workspaceResourceId"] = "/of/id"
        assert rule[1] == {"location": "westeurope", "properties": expected}
        assert f"{group}/dataCollectionRules/dcr-shop" in role[0]
        assert FILLED["principal_id"] in role[0]
        assert done.stdout.splitlines() == [
            "export DATA_COLLECTION_ENDPOINT=/of/properties.logsIngestion.endpoint",
            "export LOGS_DCR_RULE_ID=/of/properties.immutableId",
            "export LOGS_DCR_STREAM_NAME=Custom-Shop",
        ]

    def test_without_an_endpoint_the_rule_is_direct(self, run):
        """Names that the template lacks come from the environment."""
        done, called = run(rendered("kept", "az"), RESOURCE_GROUP="rg", WORKSPACE_NAME="ws", PRINCIPAL_ID="p")
        bodies = [body for _, body in called if body is not None]
        table = next(words for words, _ in called if "create" in words)

        assert done.returncode == 0, done.stderr
        assert [body["kind"] for body in bodies] == ["Direct"]
        assert "--retention-time 30 --total-retention-time 365" in " ".join(table)
        assert done.stdout.startswith("export DATA_COLLECTION_ENDPOINT=/of/properties.endpoints.logsIngestion\n")

    def test_columns_are_added_to_azures_own_table(self, run):
        """The table exists already, and is not created."""
        _, called = run(rendered("custom-columns", "az"), RESOURCE_GROUP="rg", WORKSPACE_NAME="ws", PRINCIPAL_ID="p")
        table = next(words for words, _ in called if "table" in words)

        assert table[4] == "update"
        assert table[-3:] == ["Time_CF=datetime", "Order_CF=long", "Shop_CF=string"]

    def test_a_missing_variable_ends_the_script_at_once(self, run):
        """The script ends before it creates anything."""
        done, called = run(rendered("default", "az"))

        assert done.returncode != 0
        assert "RESOURCE_GROUP: set it to the resource group of the workspace" in done.stderr
        assert called == []


class TestColumns:
    def test_a_table_always_has_timegenerated(self):
        """The transformation fills it from the time column, or else with the time of receipt."""
        without = Design(columns=Table.from_mapping({"Text": "message"}))
        with_other = Design(columns=Table.from_mapping({"When": "time", "Text": "message"}))

        assert without.table_columns == {"TimeGenerated": "datetime", "Text": "string"}
        assert without.transform == "source | extend TimeGenerated = now()"
        assert with_other.transform == "source | extend TimeGenerated = ['When']"
        assert with_other.stream_columns == {"When": "datetime", "Text": "string"}

    def test_columns_added_to_azures_own_table_end_with_cf(self):
        """The transformation renames them, unless their names end with _CF already."""
        design = DESIGNS["custom-columns"]

        assert design.transform == (
            "source | extend TimeGenerated = ['Time'] | project-rename Time_CF = ['Time'], Order_CF = ['Order']"
        )
        assert design.table_columns == {"Time_CF": "datetime", "Order_CF": "long", "Shop_CF": "string"}
        assert design.output == "Microsoft-Syslog"

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_a_preset_for_azures_own_table_adds_no_columns(self, name):
        """The preset's columns are those of the table."""
        design = Design(columns=preset(name), table=BUILT_IN[name].removeprefix("Microsoft-"))

        assert (design.table_columns, design.transform) == ({}, "source")


REFUSED = {
    "table Shop-1_CL": ({"table": "Shop-1_CL"}, "table 'Shop-1_CL' is not valid"),
    "table too long": ({"table": "x" * 61 + "_CL"}, "at most 63"),
    "table without _CL": ({"table": "Shop"}, "table 'Shop' is not known: a custom table's name ends with _CL"),
    "table 1_CL": ({"table": "1_CL"}, "a letter, then"),
    "stream": ({"stream": "Microsoft-Syslog"}, "stream 'Microsoft-Syslog' is not valid in Azure: give Custom-"),
    "rule too long": ({"rule": "r" * 31}, "3 to 30 letters"),
    "rule with a dot": ({"rule": "dcr.shop"}, "rule 'dcr.shop'"),
    "rule ends with -": ({"rule": "dcr-"}, "rule 'dcr-'"),
    "dce": ({"dce": "d" * 45}, "3 to 44"),
    "workspace id": ({"workspace": "/subscriptions/1/x"}, "the workspace's name (not its id)"),
    "resource group": ({"resource_group": "rg."}, "no . at the end"),
    "location": ({"location": "West Europe"}, "such as westeurope"),
    "principal": ({"principal_id": "shop-app"}, "object id"),
    "plan": ({"plan": "Cheap"}, "Analytics, Basic, Auxiliary"),
    "retention of Basic": ({"plan": "Basic", "retention_days": 60}, "total-retention-days alone"),
    "retention": ({"retention_days": 731}, "4 to 730"),
    "total": ({"total_retention_days": 1000}, "1095, 1460"),
    "total less": ({"retention_days": 90, "total_retention_days": 30}, "less than retention-days 90"),
    "retention of Auxiliary": (
        {"plan": "Auxiliary", "retention_days": 60},
        "can be queried for as long as they are kept",
    ),
    "endpoint's name as its id": ({"dce_id": "dce-net"}, "the resource id of a data collection endpoint"),
    "two endpoints": (
        {"dce": "dce-x", "dce_id": f"/subscriptions/s/resourceGroups/r/{DCE}/dce-x"},
        "dce and dce-id exclude each other",
    ),
    "principal type": ({"principal_type": "Robot"}, "ServicePrincipal, User, Group"),
    "plan of Azure's": ({"table": "Syslog", "columns": preset("syslog"), "plan": "Basic"}, "has its plan"),
    "type of Azure's": (
        {"table": "Syslog", "columns": Table.from_mapping({"ProcessID": "pid:string"})},
        "column 'ProcessID' is sent as string, but is int in Syslog",
    ),
    "too long with _CF": (
        {"table": "Syslog", "columns": Table.from_mapping({"c" * 43: "x"})},
        "over 45 characters: shorten 'c",
    ),
    "twice with _CF": (
        {"table": "Syslog", "columns": Table.from_mapping({"Shop": "a", "Shop_CF": "b"})},
        "columns 'Shop' and 'Shop_CF' would both be 'Shop_CF'",
    ),
    "reserved": ({"columns": Table.from_mapping({"Title": "x"}, declared=True)}, "'Title' is reserved"),
    "too many": (
        {"columns": Table.from_mapping({f"C{number}": "x" for number in range(500)})},
        "would have 501 columns",
    ),
}


class TestNames:
    @pytest.mark.parametrize("name", REFUSED)
    def test_a_design_that_azure_would_refuse_is_refused(self, name):
        """The message says what Azure accepts."""
        given, said = REFUSED[name]

        with pytest.raises(ConfigurationError, match=re.escape(said)):
            Design(**{"columns": preset("lean"), **given})

    def test_all_mistakes_are_reported_together(self):
        """One attempt shows all mistakes."""
        with pytest.raises(ConfigurationError) as caught:
            Design(columns=preset("lean"), rule="x", location="Mars Base", plan="Free")

        assert len(caught.value.problems) == 3


class TestServed:
    """The local workspace serves the rule of the template, and checks the rows against it."""

    @pytest.mark.parametrize("name", PRESETS)
    def test_rows_of_the_handler_fit_the_rule_and_table_of_the_template(self, name, tmp_path, capsys):
        """No value is dropped, changed or of another type, for any preset."""
        file = tmp_path / "rule.json"
        assert cli.main(["template", "arm", "--columns", name, "-o", str(file)]) == 0
        stream = re.search(r"LOGS_DCR_STREAM_NAME=(\S+)", capsys.readouterr().err)[1]
        with Workspace(file) as workspace:
            assert workspace.stream == stream
            handler = AzureMonitorHandler(workspace.endpoint, workspace.rule_id, stream, columns=name)
            logger = logging.getLogger("test_template")
            logger.addHandler(handler)
            try:
                logger.error("failed", exc_info=ValueError("v"), extra={"order": 7, "Facility": "daemon"})
                assert handler.flush(30)
            finally:
                logger.removeHandler(handler)
                handler.close()
            (table,) = [table for table in workspace.tables if table != "DCRLogErrors"]
            assert len(workspace.rows(table)) == 1
            assert workspace.rows("DCRLogErrors") == []
            assert workspace.problems() == []

    def test_timegenerated_comes_from_the_column_with_the_time(self):
        """The transformation fills TimeGenerated."""
        columns = Table.from_mapping({"Order": "time", "Text": "message"})
        document = json.loads(RENDERERS["arm"](Design(columns=columns)))
        with Workspace(document) as workspace:
            handler = AzureMonitorHandler(workspace.endpoint, workspace.rule_id, workspace.stream, columns=columns)
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
            assert handler.flush(30)
            handler.close()
            (row,) = workspace.rows("App_CL")
            assert row["TimeGenerated"] == row["Order"]


class TestCommand:
    def test_the_template_is_printed_on_stdout_and_the_next_steps_on_stderr(self, capsys):
        """A pipe gets only the template."""
        assert cli.main(["template", "bicep"]) == 0

        said = capsys.readouterr()
        assert said.out == GOLDEN.joinpath("default.bicep").read_text("utf-8")
        assert "az deployment group create --name logs --resource-group RESOURCE_GROUP --template-file FILE" in said.err
        assert "  LOGS_DCR_STREAM_NAME=Custom-App\n" in said.err
        assert said.err.endswith("Then check whether rows arrive: logging-azmon check --send --wait\n")

    def test_the_option_output_writes_the_template_to_a_file(self, tmp_path, capsys):
        """The next steps name the file."""
        file = tmp_path / "the shop.sh"
        assert cli.main(["template", "az", "-o", str(file), "--resource-group", "rg-shop"]) == 0

        said = capsys.readouterr()
        assert file.read_bytes().startswith(b"#!/usr/bin/env bash\n")
        assert b"\r" not in file.read_bytes()
        assert said.out == ""
        assert f"  bash '{file}' > azure.env && . ./azure.env\n" in said.err
        assert "printed by" not in said.err

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], ["RESOURCE_GROUP", "WORKSPACE_NAME", "PRINCIPAL_ID", "PRINCIPAL_TYPE"]),
            (
                ["--resource-group", "rg-shop", "--principal-id", FILLED["principal_id"]],
                ["WORKSPACE_NAME", "PRINCIPAL_TYPE"],
            ),
        ],
        ids=["none given", "some given"],
    )
    def test_the_script_comes_with_the_variables_that_it_still_needs(self, options, expected, capsys):
        """Each is one that the script reads; those that an option gives are left out."""
        assert cli.main(["template", "az", *options]) == 0

        said = capsys.readouterr()
        listed = re.search(r"^First, export:\n((?:  .*\n)+)Next:\n", said.err, re.MULTILINE)[1]
        variables = re.findall(r"^  (\w+): \S", listed, re.MULTILINE)
        assert variables == expected
        assert [name for name in variables if not re.search(rf'^{name}="\${{{name}:[?-]', said.out, re.MULTILINE)] == []

    def test_a_file_that_cannot_be_written_is_a_usage_error(self, tmp_path, capsys):
        """The message names the file."""
        assert cli.main(["template", "arm", "-o", str(tmp_path)]) == 2
        assert f"-o {tmp_path} cannot be written" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "table", "stream", "rule"),
        [
            ([], "App_CL", "Custom-App", "dcr-app"),
            (["--stream", "Custom-My.Shop_CL"], "My_Shop_CL", "Custom-My.Shop_CL", "dcr-my-shop"),
            (["--table", "Shop_CL"], "Shop_CL", "Custom-Shop", "dcr-shop"),
            (["--columns", "security_event"], "SecurityEvent", "Custom-SecurityEvent", "dcr-securityevent"),
            (["--table", f"{'a' * 40}_CL"], f"{'a' * 40}_CL", f"Custom-{'a' * 40}", f"dcr-{'a' * 26}"),
        ],
    )
    def test_default_names_follow_from_table_and_stream(self, words, table, stream, rule, capsys):
        """Any of the names may be given."""
        assert cli.main(["template", "arm", *words]) == 0

        document = json.loads(capsys.readouterr().out)
        (found,) = [each for each in document["resources"] if each["type"].endswith("/dataCollectionRules")]
        assert list(found["properties"]["streamDeclarations"]) == [stream]
        assert found["properties"]["dataFlows"][0]["outputStream"].partition("-")[2] == table
        assert document["parameters"]["ruleName"]["defaultValue"] == rule

    @pytest.mark.parametrize(("given", "name"), [(["--dce"], "dce-app"), (["--dce", "mine"], "mine")])
    def test_the_option_dce_takes_a_name_or_derives_one(self, given, name, capsys):
        """The name is derived from the table's."""
        assert cli.main(["template", "arm", *given]) == 0
        assert json.loads(capsys.readouterr().out)["parameters"]["endpointName"]["defaultValue"] == name

    def test_the_stream_follows_the_tables_name_and_tail_finds_the_table(self, capsys, monkeypatch):
        """A stream that the environment still names from before is not the new table's."""
        monkeypatch.setenv("LOGS_DCR_STREAM_NAME", "Custom-App")
        assert cli.main(["template", "bicep", "--table", "Shop_CL"]) == 0
        said = capsys.readouterr().err
        stream = re.search(r"LOGS_DCR_STREAM_NAME=(\S+)", said)[1]

        assert stream == "Custom-Shop"
        assert table_name(None, {}, {"LOGS_DCR_STREAM_NAME": stream}) == "Shop_CL"
        assert "tail" not in said

    @pytest.mark.parametrize("words", [["--table", "Shop_CL", "--stream", "Custom-App"], ["--columns", "syslog"]])
    def test_a_table_that_its_stream_does_not_name_is_named_for_tail(self, words, capsys):
        """`tail` cannot know it otherwise."""
        assert cli.main(["template", "bicep", *words]) == 0

        assert capsys.readouterr().err.endswith(
            f"Follow them: logging-azmon tail {'Syslog' if len(words) == 2 else 'Shop_CL'}\n"
        )

    @pytest.mark.parametrize("stream", ["Custom-App", "Custom-My.Shop_CL", "Custom-my-app", "Custom-a.b-c"])
    def test_template_and_tail_agree_on_the_table_of_a_stream(self, stream, capsys):
        """Whatever characters the stream's name has."""
        assert cli.main(["template", "arm", "--stream", stream]) == 0
        assert f"'{table_name(None, {'stream': stream}, {})}')]" in capsys.readouterr().out

    def test_the_stream_of_the_environment_is_kept(self, capsys, monkeypatch):
        """An application that is already configured gets the template for its own stream."""
        monkeypatch.setenv("LOGS_DCR_STREAM_NAME", "Custom-Orders")

        assert cli.main(["template", "terraform"]) == 0
        assert '"Orders_CL"' in capsys.readouterr().out

    def test_stream_and_columns_come_from_the_variables_that_the_handler_reads(self, capsys, monkeypatch):
        """An application that is configured by the environment alone gets its template, too."""
        monkeypatch.setenv("LOGS_DCR_STREAM_NAME", "Custom-Orders")
        monkeypatch.setenv("LOGGING_AZMON_STREAM", "Custom-Shop")
        monkeypatch.setenv("LOGGING_AZMON_COLUMNS", '{"Text": "message"}')

        assert cli.main(["template", "bicep"]) == 0
        out = capsys.readouterr().out
        assert "name: 'Shop_CL'" in out
        assert "name: 'Text'" in out
        monkeypatch.setenv("LOGGING_AZMON_COLUMNS", "syslog")
        assert cli.main(["template", "bicep"]) == 0
        assert "'Microsoft-Syslog'" in capsys.readouterr().out

    def test_columns_come_from_the_applications_configuration(self, tmp_path, capsys):
        """Columns and stream are those of the handler in --config."""
        azure = {"class": "logging_azmon.AzureMonitorHandler", "stream": "Custom-Shop", "columns": {"Text": "message"}}
        file = tmp_path / "logging.json"
        file.write_text(json.dumps({"version": 1, "handlers": {"azure": azure}}), "utf-8")

        assert cli.main(["template", "bicep", "--config", str(file)]) == 0
        out = capsys.readouterr().out
        assert "name: 'Shop_CL'" in out
        assert "{ name: 'Text', type: 'string' }" in out

    def test_every_mistake_is_a_usage_error(self, capsys):
        """Each message says what Azure accepts."""
        assert cli.main(["template", "bicep", "--rule", "my rule", "--retention-days", "3"]) == 2
        err = capsys.readouterr().err
        assert "rule 'my rule' is not valid in Azure" in err
        assert "retention-days 3 is not valid" in err


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for design_name, language_name in EVERY:
        GOLDEN.joinpath(f"{design_name}.{SUFFIXES[language_name]}").write_text(
            rendered(design_name, language_name), "utf-8", newline="\n"
        )
