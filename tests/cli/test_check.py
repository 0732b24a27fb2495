"""`logging-azmon check` reports findings, advice and an exit code, for real endpoints on this machine."""

import base64
import datetime as dt
import io
import json
import re
import ssl
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import trustme
from azure.core.credentials import AccessToken
from rich.console import Console

from logging_azmon import cli
from logging_azmon._azure.credential import make_credential
from logging_azmon._config.presets import BUILT_IN, LEAN, PRESETS, preset
from logging_azmon._config.settings import read
from logging_azmon._delivery.answer import Answer, Failure
from logging_azmon.cli._shared.workspace import WorkspaceQueryError
from logging_azmon.cli.check.arrival import await_row, message_column
from logging_azmon.cli.check.comparison import compare
from logging_azmon.cli.check.identity import describe_identity, identity_claims, request_token
from logging_azmon.cli.check.ingestion import ingestion_steps
from logging_azmon.cli.check.probe import interpret_answer
from logging_azmon.cli.check.resource_manager import ResourceManager as ResourceManagerClient
from logging_azmon.cli.check.steps import Step, Steps
from logging_azmon.infra import RENDERERS, Design
from logging_azmon.local import Workspace
from logging_azmon.table import Table
from support.endpoint import Endpoint, status
from support.local_client import send
from support.resource_manager import CUSTOMER_ID, WORKSPACE, ResourceManager

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
RULE = "dcr-1"
ADDRESS = {"endpoint": "http://127.0.0.1:9", "rule_id": RULE, "stream": "Custom-App"}


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    """Remove this machine's own variables, which would change the results."""
    for name in (*PROXIES, *map(str.upper, PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LOGS_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shared():
    with Workspace() as workspace:
        yield workspace


@pytest.fixture(scope="module")
def secured():
    """Run a workspace over TLS, which issues tokens and requires them."""
    with Workspace(tls=True) as workspace:
        yield workspace


@pytest.fixture
def check(capsys, monkeypatch):
    """Run the command against an address; return the exit code and the steps."""

    def check(address, *words):
        for name, value in address.items():
            monkeypatch.setenv(name, value)
        code = cli.main(["check", "--json", *words])
        said = json.loads(capsys.readouterr().out)
        assert said["ok"] == (code == 0)
        return code, {step["name"]: step for step in said["steps"]}

    return check


def states(steps):
    return {name: step["state"] for name, step in steps.items()}


def environment(endpoint, rule=RULE, stream="Custom-App"):
    return {"DATA_COLLECTION_ENDPOINT": endpoint, "LOGS_DCR_RULE_ID": rule, "LOGS_DCR_STREAM_NAME": stream}


def listed(table):
    return [{"name": column.name, "type": column.type} for column in table]


def resource(table, *, stream="Custom-App", output="Custom-App_CL", transform="source", workspace=WORKSPACE):
    """Return a rule as Resource Graph does."""
    return {
        "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/r",
        "properties": {
            "immutableId": RULE,
            "streamDeclarations": {stream: {"columns": listed(table)}},
            "destinations": {"logAnalytics": [{"workspaceResourceId": workspace, "name": "w"}]},
            "dataFlows": [
                {"streams": [stream], "destinations": ["w"], "transformKql": transform, "outputStream": output}
            ],
        },
    }


class TestLocalWorkspace:
    def test_every_step_is_ok_when_a_row_arrives(self, check, shared):
        """The last step finds the row in its table, and reports the latency."""
        code, steps = check(shared.environment, "--send", "--wait", "30")

        assert code == 0
        assert states(steps) == dict.fromkeys(
            ["configuration", "name", "connection", "token", "rule", "stream", "columns", "send", "arrival", "errors"],
            "ok",
        )
        assert steps["configuration"]["details"]["columns"] == 16
        assert steps["columns"]["seen"] == "16 sent, 16 declared, 16 in App_CL: nothing is lost"
        mark = steps["send"]["details"]["mark"]
        (row,) = shared.query(f"App_CL | where Message has '{mark}'")
        assert (row["Logger"], row["Level"]) == ("logging_azmon.check", "INFO")
        assert 0 < steps["arrival"]["details"]["seconds"] < 30
        assert re.fullmatch(r"the row was in App_CL \d+\.\d s after it was logged", steps["arrival"]["seen"])

    def test_the_documented_output_is_that_of_the_command(self, shared, capsys, monkeypatch):
        """Only the port, the times and the mark differ."""
        for name, value in shared.environment.items():
            monkeypatch.setenv(name, value)
        assert cli.main(["check", "--send", "--wait"]) == 0
        page = Path(__file__).parent.parent.parent.joinpath("docs", "commands.md").read_text("utf-8")
        (shown,) = re.findall(r"^```text\n(✓  configuration.*?)^```$", page, re.DOTALL | re.MULTILINE)

        changing = r"(?<=127\.0\.0\.1:)\d+|(?<=after )\d+ ms|(?<=contains )\w+|[\d.]+ s(?= after)"
        assert re.sub(changing, "…", capsys.readouterr().out) == re.sub(changing, "…", shown)

    @pytest.mark.parametrize("switch", ["LOGGING_AZMON_DISABLED=true", "enabled=False"])
    def test_a_handler_that_is_switched_off_is_a_problem(self, check, shared, switch, tmp_path, monkeypatch):
        """No row will arrive, whatever else is right."""
        words = []
        if switch.startswith("LOGGING"):
            monkeypatch.setenv(*switch.split("="))
        else:
            handler = {"class": "logging_azmon.AzureMonitorHandler", "enabled": False}
            tmp_path.joinpath("logging.json").write_text(json.dumps({"handlers": {"azure": handler}}), "utf-8")
            words = ["--config", str(tmp_path / "logging.json")]
        code, steps = check(shared.environment, *words)

        assert (code, states(steps)) == (1, {"configuration": "problem"})
        assert steps["configuration"]["advice"] == [
            f"{switch} switches the handler off, so that no row is sent: remove it first"
        ]

    def test_variables_are_told_and_unknown_ones_pointed_out(self, check, shared, monkeypatch):
        """A misspelt variable does nothing, and nobody else would say so."""
        monkeypatch.setenv("LOGGING_AZMON_BATCH_SECONDS", "1")
        monkeypatch.setenv("LOGGING_AZMON_ENABLED", "1")
        monkeypatch.setenv("LOGGING_AZMON_SPOL", "/var/spool/shop")
        code, steps = check(shared.environment)

        assert (code, steps["configuration"]["state"]) == (0, "warning")
        assert steps["configuration"]["notes"] == [
            "from the environment, unless the code says otherwise: LOGGING_AZMON_BATCH_SECONDS"
        ]
        enabled, spol = steps["configuration"]["advice"]
        assert enabled.startswith("LOGGING_AZMON_ENABLED does nothing: LOGGING_AZMON_DISABLED=1 switches off")
        assert spol == "LOGGING_AZMON_SPOL does nothing: did you mean LOGGING_AZMON_SPOOL?"
        monkeypatch.setenv("LOGGING_AZMON_COLUMNS", '{"Kind": {"value": "shop"}}')
        assert check(shared.environment)[1]["configuration"]["state"] == "problem"

    def test_a_bad_variable_is_a_problem(self, check, shared, monkeypatch):
        """A handler would be refused as well."""
        monkeypatch.setenv("LOGGING_AZMON_CLOUD", "mars")
        code, steps = check(shared.environment)

        assert (code, states(steps)) == (1, {"configuration": "problem"})
        assert "LOGGING_AZMON_CLOUD" in steps["configuration"]["advice"][0]

    def test_without_send_no_row_is_sent(self, check, shared):
        """Without --send, a check changes nothing."""
        before = len(shared.rows("App_CL"))
        check(shared.environment)

        assert len(shared.rows("App_CL")) == before
        assert shared.problems() == []

    @pytest.mark.parametrize("name", ["lean", *BUILT_IN])
    def test_every_preset_fits_its_template(self, name, check):
        """The preset is checked against the template's rule, in a workspace that serves this rule."""
        table = BUILT_IN.get(name, "Custom-App_CL").partition("-")[2]
        document = json.loads(RENDERERS["arm"](Design(columns=preset(name), table=table)))
        with Workspace(document) as workspace:
            code, steps = check(workspace.environment, "--columns", name, "--send", "--wait", "30")

        assert code == 0
        assert set(states(steps).values()) == {"ok"}

    def test_columns_that_would_be_lost_are_named(self, check, shared):
        """They are undeclared, or declared in another case or with another type; unfilled columns are named too."""
        columns = '{"Text": "message", "level": "level", "Line": "line:real"}'
        code, steps = check(shared.environment, "--columns", columns)

        assert code == 1
        assert steps["columns"]["state"] == "problem"
        dropped, near, mistyped = steps["columns"]["advice"]
        assert dropped.startswith("Text is sent, but the rule does not declare it: the service silently drops it;")
        assert "(there is Level; names are case-sensitive)" in near
        assert mistyped.startswith("Line is sent as real, but declared as int")
        never, time_note = steps["columns"]["notes"]
        assert never.startswith("never filled, though the rule declares them: Level, Logger, Message,")
        assert never.endswith(" and 6 more")
        assert time_note == "TimeGenerated is not sent: rows get the time at which Azure receives them"

    def test_a_missing_rule_is_a_problem_and_later_steps_are_skipped(self, check, shared):
        """The answer is 404, the advice says where to look, and no row is sent."""
        code, steps = check({**shared.environment, "LOGS_DCR_RULE_ID": "dcr-other"}, "--send")

        assert code == 1
        assert steps["rule"]["seen"].startswith("404 NotFound: Data collection rule")
        assert "immutableId" in steps["rule"]["advice"][0]
        assert steps["columns"]["state"] == "skipped"
        assert (steps["send"]["state"], "arrival" in steps) == ("skipped", False)

    def test_a_missing_stream_is_a_problem(self, check, shared):
        """The rule step is ok, and the streams that the rule declares are named."""
        code, steps = check({**shared.environment, "LOGS_DCR_STREAM_NAME": "Custom-Other"})

        assert code == 1
        assert (steps["rule"]["state"], steps["stream"]["state"]) == ("ok", "problem")
        assert "take the name from the rule's streamDeclarations" in steps["stream"]["advice"][0]
        assert steps["columns"]["seen"] == "the rule does not declare Custom-Other; it declares Custom-App"

    def test_an_endpoint_without_a_listener_is_a_problem(self, check):
        """The steps that depend on the connection are skipped without waiting."""
        code, steps = check(environment("http://127.0.0.1:9"), "--send")

        assert code == 1
        assert steps["connection"]["advice"] == ["start the local workspace: logging-azmon serve"]
        assert [steps[name]["state"] for name in ("rule", "columns", "send")] == ["skipped"] * 3

    def test_a_row_that_does_not_arrive_in_time_is_a_problem(self, check):
        """The service answers 204, but the row is not stored: the failure that this command exists to find."""
        with Workspace(discard=True) as workspace:
            code, steps = check(workspace.environment, "--send", "--wait", "0.4")

        assert code == 1
        assert steps["send"]["state"] == "ok"
        assert steps["arrival"]["seen"] == "not in App_CL after 0 s"
        assert "DCRLogErrors" in steps["arrival"]["advice"][0]

    def test_a_row_that_is_rejected_is_a_problem(self, check):
        """The step shows the service's message."""
        refused = status(400, error=("InvalidPayload", "not this"))
        # For the empty upload, for Resource Manager, for the row.
        with Endpoint(status(204), status(404), refused) as endpoint:
            code, steps = check(environment(endpoint.url), "--send", "--wait")

        assert code == 1
        assert steps["send"]["state"] == "problem"
        assert "InvalidPayload" in steps["send"]["seen"]
        assert "arrival" not in steps

    def test_a_table_with_the_message_among_the_rest_cannot_be_searched(self, check):
        """The step is skipped with a reason, and is not a problem."""
        columns = {"TimeGenerated": "time", "Level": "level", "Properties": "*"}
        document = json.loads(RENDERERS["arm"](Design(columns=Table.from_mapping(columns))))
        with Workspace(document) as workspace:
            code, steps = check(workspace.environment, "--columns", json.dumps(columns), "--send", "--wait", "5")

        assert code == 0
        assert steps["arrival"]["state"] == "skipped"

    def test_check_uses_the_applications_configuration(self, check, shared, tmp_path):
        """Columns and stream come from the configuration."""
        azure = {"class": "logging_azmon.AzureMonitorHandler", "columns": "lean"}
        file = tmp_path / "logging.json"
        file.write_text(json.dumps({"version": 1, "handlers": {"azure": azure}}), "utf-8")
        code, steps = check(shared.environment, "--config", str(file))

        assert code == 0
        assert steps["columns"]["seen"].startswith("6 sent, 16 declared")


class TestFile:
    @pytest.fixture
    def file(self, tmp_path):
        def write(document):
            path = tmp_path / "rule.json"
            path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
            return str(path)

        return write

    def test_a_template_is_compared_with_its_table(self, check, shared, file):
        """Handler, rule and table are compared; this template lacks columns that the handler sends."""
        path = file(RENDERERS["arm"](Design(columns=LEAN)))
        code, steps = check(shared.environment, "--dcr", path)

        assert code == 1
        assert steps["columns"]["seen"] == "16 sent, 6 declared, 6 in App_CL: 10 would be lost or changed"
        assert steps["columns"]["details"]["rule"] == f"--dcr {path}"

    def test_a_rule_alone_is_compared_with_the_handler(self, check, shared, file):
        """A note says that the table is not known."""
        code, steps = check(shared.environment, "--dcr", file(resource(LEAN)), "--columns", "lean")

        assert code == 0
        assert steps["columns"]["seen"] == "6 sent, 6 declared: nothing is lost"
        assert steps["columns"]["notes"] == [
            "the columns of App_CL are not known, so only handler and rule were compared"
        ]

    def test_azures_own_tables_are_known_together_with_their_added_columns(self, check, shared, file):
        """If the transformation changes the rows, a note says so instead of a comparison."""
        columns = {"TimeGenerated": "time", "SyslogMessage": "message", "Shop_CF": "shop"}
        added = file(RENDERERS["arm"](Design(columns=Table.from_mapping(columns), table="Syslog")))
        code, steps = check(shared.environment, "--dcr", added, "--columns", json.dumps(columns))
        assert code == 0
        assert "13 in Syslog" in steps["columns"]["seen"]

        columns = {"TimeGenerated": "time", "SyslogMessage": "message", "Shop": "shop"}
        renamed = file(RENDERERS["arm"](Design(columns=Table.from_mapping(columns), table="Syslog")))
        code, steps = check(shared.environment, "--dcr", renamed, "--columns", json.dumps(columns))
        assert code == 0
        assert "the rule's transformKql decides how its columns become those of Syslog" in steps["columns"]["notes"]

    def test_a_declared_column_that_the_table_lacks_is_a_problem(self, check, shared, file):
        """Azure drops its values, and bills them."""
        document = resource(preset("syslog"), output="Microsoft-Syslog")
        document["properties"]["streamDeclarations"]["Custom-App"]["columns"][0]["name"] = "collectorHostName"
        document["properties"]["streamDeclarations"]["Custom-App"]["columns"][1]["type"] = "int"
        columns = json.dumps({"TimeGenerated": "time", "SyslogMessage": "message"})
        code, steps = check(shared.environment, "--dcr", file(document), "--columns", columns)

        assert code == 1
        lacking, mistyped = steps["columns"]["advice"]
        assert "(there is CollectorHostName; names are case-sensitive)" in lacking
        assert mistyped == "Computer is declared as int, but is string in Syslog: convert it in transformKql"

    def test_a_second_data_flow_is_noted(self, check, shared, file):
        """The note says that it was not examined."""
        document = resource(LEAN)
        flows = document["properties"]["dataFlows"]
        flows.append({**flows[0], "outputStream": "Custom-Copy_CL"})
        _, steps = check(shared.environment, "--dcr", file(document), "--columns", "lean")

        assert "the rule also writes rows to Copy_CL, which was not examined" in steps["columns"]["notes"]

    def test_the_only_stream_of_a_file_need_not_be_given(self, check, shared, file, monkeypatch):
        """A handler with dcr= needs no stream either."""
        monkeypatch.delenv("LOGS_DCR_STREAM_NAME", raising=False)
        address = {name: value for name, value in shared.environment.items() if name != "LOGS_DCR_STREAM_NAME"}
        _, steps = check(address, "--dcr", file(resource(LEAN)))
        assert steps["configuration"]["details"]["stream"] == "Custom-App"

        two = resource(LEAN)
        two["properties"]["streamDeclarations"]["Custom-B"] = {"columns": listed(LEAN)}
        code, steps = check(address, "--dcr", file(two))
        assert (code, list(steps)) == (1, ["configuration"])
        assert steps["configuration"]["advice"][0].startswith("stream is missing: give --stream")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda rule: rule["properties"].update(dataFlows=[]), "no data flow of the rule takes the stream"),
            (
                lambda rule: rule["properties"].update(
                    streamDeclarations={"Custom-B": {"columns": listed(LEAN)}}, dataFlows=None
                ),
                "does not declare the stream 'Custom-App'; it declares Custom-B",
            ),
        ],
    )
    def test_a_rule_that_does_not_declare_or_route_the_stream_is_a_problem(self, change, said, check, shared, file):
        """The stream is not declared, or no data flow takes it."""
        document = resource(LEAN)
        change(document)
        code, steps = check(shared.environment, "--dcr", file(document))

        assert code == 1
        assert said in steps["columns"]["seen"]


class TestResourceManager:
    """Check a rule in Resource Manager, with an endpoint that accepts every upload."""

    @pytest.fixture
    def manager(self):
        with ResourceManager() as manager:
            yield manager

    @pytest.fixture
    def endpoint(self):
        with Endpoint() as endpoint:
            yield endpoint

    @pytest.fixture
    def look(self, check, endpoint, manager):
        def look(*words, columns="lean"):
            words = ("--resource-manager", manager.url, "--columns", columns, *words)
            return check(environment(endpoint.url), *words)

        return look

    def test_rule_and_table_are_read_and_compared(self, look, manager):
        """Columns that the service fills itself are not compared."""
        manager.rules[RULE] = resource(LEAN)
        manager.tables["App_CL"] = [{"name": "Extra", "type": "guid"}, *listed(LEAN)]
        code, steps = look()

        assert code == 0
        assert steps["columns"]["seen"] == "6 sent, 6 declared, 7 in App_CL: nothing is lost"
        assert steps["columns"]["notes"] == ["never filled, though App_CL has them: Extra"]

    def test_types_are_compared_in_any_spelling(self, look, manager):
        """Azure also writes dateTime and bool."""
        columns = {"TimeGenerated": "time", "Ok": "ok:boolean", "Message": "message"}
        table = Table.from_mapping(columns)
        manager.rules[RULE] = resource(table)
        manager.tables["App_CL"] = [
            {"name": "TimeGenerated", "type": "dateTime"},
            {"name": "Ok", "type": "bool"},
            {"name": "Message", "type": "String"},
        ]
        assert look(columns=json.dumps(columns))[0] == 0

    def test_without_access_to_the_table_only_handler_and_rule_are_compared(self, look, manager):
        """A note gives the reason."""
        manager.rules[RULE] = resource(LEAN)
        code, steps = look()

        assert code == 0
        assert steps["columns"]["notes"][0].endswith(f"404 ResourceNotFound: {WORKSPACE}/tables/App_CL was not found")

    @pytest.mark.parametrize("workspace", ["https://example.org/", None, 7])
    def test_only_resources_in_azure_are_requested(self, workspace, look, manager):
        """A rule cannot direct a request to another place."""
        manager.rules[RULE] = resource(LEAN, workspace=workspace)
        code, _ = look()

        assert code == 0
        assert len(manager.requests) == 1

    def test_without_permission_to_read_the_rule_the_columns_step_gives_advice(self, look):
        """The identity may send rows without being allowed to read the rule."""
        code, steps = look()

        assert code == 0
        assert steps["columns"]["state"] == "skipped"
        assert "this identity cannot read a rule" in steps["columns"]["seen"]
        assert "--dcr FILE" in steps["columns"]["advice"][0]

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (
                (403, b'{"error": {"code": "AuthorizationFailed", "message": "no\\u001b[31m rights"}}'),
                "403 AuthorizationFailed: no?[31m rights",
            ),
            ((500, b'{"error": "x"}'), "answered 500"),
            ((500, b"[]"), "answered 500"),
            ((200, b"<html>"), "gave no answer"),
            ((503, b""), "answered 503"),
            ((200, b'{"data": [{"properties": {"streamDeclarations": {"Nonsense": 1}}}]}'), "the rule cannot be read"),
        ],
    )
    def test_every_error_of_resource_manager_is_reported(self, answer, said, look, manager):
        """The error is on one line, and no exception is raised."""
        manager.answers["/providers/Microsoft.ResourceGraph"] = answer
        code, steps = look()

        assert code == 0
        assert steps["columns"]["state"] == "skipped"
        assert said in steps["columns"]["seen"]

    def test_an_answer_without_rules_means_no_rule(self, look, manager):
        """The answer may have any form."""
        for data in (b'{"data": {}}', b'{"data": [1]}', b"{}"):
            manager.answers["/providers/Microsoft.ResourceGraph"] = (200, data)
            assert look()[1]["columns"]["state"] == "skipped"

    def test_a_table_without_columns_is_not_known(self, look, manager):
        """Such a table counts as unknown rather than empty."""
        manager.rules[RULE] = resource(LEAN)
        manager.answers[f"{WORKSPACE}/tables"] = (200, b'{"properties": {}}')
        code, steps = look()

        assert code == 0
        assert (
            steps["columns"]["notes"][0] == "the answer has no schema, so it did not come from Azure Resource Manager"
        )

    def test_an_answer_that_nobody_foresaw_is_a_problem_and_not_a_traceback(self, look, manager):
        """Something else answers in the place of Azure Resource Manager, and its answer has another form."""
        manager.rules[RULE] = resource(LEAN)
        manager.answers[f"{WORKSPACE}/tables"] = (200, b'{"properties": {"schema": {"columns": [1]}}}')
        code, steps = look()

        assert code == 1
        assert steps["columns"]["seen"].startswith("the check itself failed (TypeError: ")
        assert "report this" in steps["columns"]["advice"][0]

    def test_an_unreachable_resource_manager_is_reported(self, check, endpoint):
        """The rows may still arrive, so the step is not a problem."""
        code, steps = check(environment(endpoint.url), "--resource-manager", "http://127.0.0.1:9")

        assert code == 0
        assert "http://127.0.0.1:9 gave no answer" in steps["columns"]["seen"]


def jwt(**said):
    part = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    return f"e30.{part}.signature"


class TestToken:
    """Check with credentials that request real tokens, over TLS."""

    @pytest.fixture
    def trusting(self, secured, monkeypatch):
        for name, value in {**secured.trust_environment, **secured.identity_environment}.items():
            monkeypatch.setenv(name, value)

    @pytest.mark.usefixtures("trusting")
    def test_credential_and_identity_are_named_and_the_token_is_not(self, check, secured, capsys):
        """Requests to Resource Manager use the same identity."""
        with self.manager(secured) as manager:
            manager.rules["dcr-local"] = resource(LEAN)
            manager.customer_id = "local"
            words = ("--credential", "managed_identity", "--resource-manager", manager.url)
            code, steps = check(secured.environment, *words, "--columns", "lean", "--send", "--wait", "30")
            method, path, headers, _ = manager.requests[0]

        assert code == 0
        assert steps["token"]["seen"].startswith("managed_identity; application local; valid for ")
        assert steps["token"]["details"] == {"credential": "managed_identity", "application": "local"}
        assert steps["connection"]["seen"].startswith(
            "TLSv1.3, certificate by logging-azmon local workspace, valid until "
        )
        assert steps["arrival"]["state"] == "ok"
        assert (method, path) == ("POST", "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01")
        token = headers["authorization"].removeprefix("Bearer ")
        assert identity_claims(token) == {"application": "local"}
        assert token not in json.dumps(steps)

    @contextmanager
    def manager(self, workspace):
        """Serve Resource Manager under a certificate of the workspace's authority."""
        key = workspace.ca_path.with_name("ca-key.pem").read_bytes()
        authority = trustme.CA.from_pem(workspace.ca_path.read_bytes(), key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with ResourceManager(context) as manager:
            yield manager

    def test_the_authorities_of_the_handler_are_used_for_every_step(self, check, secured, shared, monkeypatch):
        """For the endpoint, for Resource Manager, and for the query; a managed identity is asked over http."""
        for name, value in shared.identity_environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("LOGGING_AZMON_CA_BUNDLE", str(secured.ca_path))
        with self.manager(secured) as manager:
            manager.rules["dcr-local"] = resource(LEAN)
            manager.customer_id = "local"
            words = ("--credential", "managed_identity", "--resource-manager", manager.url)
            code, steps = check(secured.environment, *words, "--columns", "lean", "--send", "--wait", "30")

        assert code == 0, steps
        assert steps["columns"]["state"] == steps["arrival"]["state"] == "ok"

    @pytest.mark.usefixtures("trusting")
    def test_the_credential_chosen_from_several_is_named(self, check, secured):
        """The credential "default" tries several."""
        code, steps = check(secured.environment, "--resource-manager", "http://127.0.0.1:9")

        assert code == 0
        assert steps["token"]["seen"].startswith("default: ManagedIdentityCredential; ")

    @pytest.mark.usefixtures("trusting")
    def test_the_workspace_is_the_one_that_the_rule_writes_to(self, secured):
        """The workspace's id is read from Resource Manager, unless an option names one."""
        with self.manager(secured) as manager:
            credential = make_credential("managed_identity", "public")
            client = ResourceManagerClient(manager.url, credential)
            assert client.workspace_id(WORKSPACE) == CUSTOMER_ID
            client.close()
            credential.close()

    def test_a_missing_token_is_a_problem_and_later_steps_are_skipped(self, check, shared, monkeypatch):
        """The step gives advice, and the steps that need a token are skipped."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
        code, steps = check(environment("https://127.0.0.1:9"), "--credential", "environment")

        assert code == 1
        assert steps["token"]["seen"].startswith("environment returned no token: CredentialUnavailableError: ")
        assert "az login" in steps["token"]["advice"][0]
        assert steps["rule"]["state"] == "skipped"

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            (jwt(appid="a", oid="o", secret="s"), {"application": "a", "object": "o"}),
            (jwt(azp="a"), {"application": "a"}),
            (jwt(appid=["a"], oid="\x1b[31m"), {}),
            (jwt(), {}),
            ("opaque", {}),
            ("a.b.c", {}),
            ("a.WzFd.c", {}),
            ("", {}),
        ],
    )
    def test_only_two_claims_of_a_token_are_read(self, token, expected):
        """A token that cannot be read yields no identity."""
        assert identity_claims(token) == expected

    def test_an_identity_that_the_token_does_not_name_is_described(self):
        """The description says that the identity is not named."""
        assert describe_identity({}) == "an identity that the token does not name"

    @pytest.mark.parametrize("returned", [None, AccessToken("eyJ\n", 9)])
    def test_a_token_that_cannot_be_used_is_a_problem_and_not_shown(self, returned):
        """The handler refuses the same tokens, with the same words."""
        credential = SimpleNamespace(get_token=lambda *_: returned)
        step, found = request_token(read(ADDRESS | {"endpoint": "https://x.example.org", "credential": credential}, {}))

        assert (step.state, found) == ("problem", None)
        assert "get_token returned" in step.seen
        assert "eyJ" not in step.seen

    def test_a_missing_package_is_left_to_the_dispatcher(self, shared, monkeypatch, capsys):
        """It is not a mistake of this command, and the message says what to install."""
        for name, value in shared.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(sys.modules, "azure.monitor.query", None)

        assert cli.main(["check", "--send", "--wait"]) == 2
        assert "python -m pip install 'logging-azmon[cli]'" in capsys.readouterr().err

    def test_an_applications_own_credential_is_used_and_its_errors_shortened(self):
        """The error may be of any type; a long message is cut."""

        class Mine:
            def get_token(self, *_):
                raise RuntimeError("x" * 900)

        step, credential = request_token(read({**ADDRESS, "endpoint": "https://a.example", "credential": Mine()}, {}))
        assert (step.state, credential) == ("problem", None)
        assert step.seen.startswith("Mine returned no token: RuntimeError: xxx")
        assert len(step.seen) < 600


ANSWERS = {
    "403": (Answer(status=403, code="OperationFailed", message="no access"), "rule", "problem", "30 minutes"),
    "404": (Answer(status=404, code="NotFound", message="not found"), "rule", "problem", "same region"),
    "401": (Answer(status=401, code="", message=""), "rule", "problem", "check the tenant, the cloud (it is 'public')"),
    "429": (Answer(status=429, code="TooMany", message="m"), "rule", "warning", "none is lost"),
    "503": (Answer(status=503), "rule", "warning", "none is lost"),
    "400": (Answer(status=400, code="InvalidPayload", message="no rows"), "rule", "warning", "--send"),
    "200": (Answer(status=200), "rule", "problem", "a login portal"),
    "tls": (Answer(failure=Failure.TLS, message="bad"), "rule", "problem", "a login portal"),
}


class TestAnswers:
    @pytest.mark.parametrize("name", ANSWERS)
    def test_each_answer_of_the_endpoint_becomes_a_step_with_advice(self, name):
        """The step has a state, and the advice says what to do."""
        answer, step_name, state, advice = ANSWERS[name]
        (step,) = interpret_answer(answer, read(ADDRESS, {}), {})

        assert (step.name, step.state) == (step_name, state)
        assert advice in step.advice[0]

    def test_the_role_advice_names_the_identity_of_the_token(self):
        """The command can be pasted."""
        (step,) = interpret_answer(ANSWERS["403"][0], read(ADDRESS, {}), {"application": "a", "object": "17"})

        assert "to application a, object 17 (" in step.advice[0]
        assert "--assignee-object-id 17 --scope" in step.advice[0]
        assert step.seen == "403 OperationFailed: no access"

    def test_an_answer_without_code_or_message_is_formatted_cleanly(self):
        """Any part of the answer may be missing."""
        assert next(interpret_answer(Answer(status=401), read(ADDRESS, {}), {})).seen == "401"
        assert next(interpret_answer(ANSWERS["tls"][0], read(ADDRESS, {}), {})).seen == "TLS failed: bad"

    def test_the_probe_sends_no_rows(self, check):
        """The endpoint receives one request, with no rows."""
        with Endpoint() as endpoint:
            check(environment(endpoint.url))
            assert [request.rows for request in endpoint.requests if request.stream] == [[]]


class TestConfiguration:
    @pytest.mark.parametrize(
        ("rule", "state"),
        [("dcr-shop", "warning"), ("shop", "warning"), ("dcr-0123456789abcdef0123456789abcdef", "ok")],
    )
    def test_a_rules_name_in_place_of_its_id_is_a_warning(self, check, rule, state):
        """The warning comes before Azure answers that there is no such rule."""
        _, steps = check(environment("https://no-such-endpoint.invalid", rule), "--credential", "environment")

        assert steps["configuration"]["state"] == state
        assert [f"{rule} looks like the rule's name; " in said for said in steps["configuration"]["advice"]] == [
            True for _ in range(state == "warning")
        ]

    @pytest.mark.parametrize(
        ("column", "note"),
        [
            ({"Level": "levle"}, ["column Level takes the extra 'levle'; the field is called 'level'"]),
            ({"Line": "linen", "Module": "module"}, ["the extra 'linen'; the field is called 'line'"]),
            ({"Line": "lineno", "Module": "module"}, []),
            ({"Level": "extra.level"}, []),
            ({"User": "user_id", "Path": "request.path"}, []),
        ],
    )
    def test_an_extra_that_resembles_a_field_is_noted(self, check, shared, tmp_path, column, note):
        """A misspelt field counts as an extra, whose column would stay empty; other extras cause no note."""
        columns = {"TimeGenerated": "time", "Message": "message"} | column
        azure = {"class": "logging_azmon.AzureMonitorHandler", "columns": columns}
        file = tmp_path / "logging.json"
        file.write_text(json.dumps({"version": 1, "handlers": {"azure": azure}}), "utf-8")
        _, steps = check(shared.environment, "--config", str(file))

        assert steps["configuration"]["state"] == "ok"
        assert len(steps["configuration"]["notes"]) == len(note)
        assert all(said in found for said, found in zip(note, steps["configuration"]["notes"], strict=True))

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"columns": {"TimeGenerated": "time", "Level": "level"}}, "no column takes the message, so no row"),
            ({"columns": {"time": "TimeGenerated", "level": "Level"}}, "a mapping has the column's name first"),
            (
                {"dcr": {"streamDeclarations": {"Custom-App": {"columns": [{"name": "RawData", "type": "string"}]}}}},
                "no column takes the message, or any other field",
            ),
        ],
    )
    def test_a_table_without_the_message_is_a_problem(self, check, shared, tmp_path, arguments, said):
        """Its rows would be empty for ever, although they arrive; the other steps are taken nevertheless."""
        azure = {"class": "logging_azmon.AzureMonitorHandler", **arguments}
        file = tmp_path / "logging.json"
        file.write_text(json.dumps({"version": 1, "handlers": {"azure": azure}}), "utf-8")
        code, steps = check(shared.environment, "--config", str(file))

        assert (code, steps["configuration"]["state"]) == (1, "problem")
        assert said in steps["configuration"]["advice"][0]
        assert steps["rule"]["state"] == "ok"

    def test_a_table_without_the_message_and_a_rules_name_are_both_told(self, check):
        address = environment("https://no-such-endpoint.invalid", "my-rule")
        code, steps = check(address, "--credential", "environment", "--columns", '{"Level": "level"}')

        assert (code, steps["configuration"]["state"]) == (1, "problem")
        assert len(steps["configuration"]["advice"]) == 2

    @pytest.mark.parametrize("column", [{"Text": "msg"}, {"Trace": "exc_info"}])
    def test_a_log_records_name_that_is_not_a_field_is_a_problem(self, check, shared, column):
        code, steps = check(shared.environment, "--columns", json.dumps({"Message": "message", **column}))

        assert (code, steps["configuration"]["state"]) == (1, "problem")
        assert "did you mean" in steps["configuration"]["advice"][0]

    @pytest.mark.parametrize("name", PRESETS)
    def test_no_preset_has_a_column_noted_as_a_misspelling(self, check, shared, name, tmp_path):
        file = tmp_path / "logging.json"
        azure = {"class": "logging_azmon.AzureMonitorHandler", "columns": name}
        file.write_text(json.dumps({"version": 1, "handlers": {"azure": azure}}), "utf-8")
        _, steps = check(shared.environment, "--config", str(file))

        assert steps["configuration"]["notes"] == []

    def test_a_local_workspace_accepts_any_rule_id(self, check, shared):
        """The id dcr-local is accepted, for example."""
        _, steps = check(shared.environment)

        assert steps["configuration"]["state"] == "ok"


class TestNetwork:
    def test_an_unknown_host_name_is_a_problem(self, check):
        """The host is in a domain that never exists."""
        code, steps = check(environment("https://no-such-endpoint.invalid"), "--credential", "environment")

        assert code == 1
        assert re.fullmatch(r"no-such-endpoint\.invalid cannot be looked up: [\w ]+", steps["name"]["seen"])
        assert "privatelink.monitor.azure.com" in steps["name"]["advice"][0]
        assert "connection" not in steps

    def test_a_host_name_is_looked_up(self, check, shared):
        """The step shows the host's addresses."""
        endpoint = shared.endpoint.replace("127.0.0.1", "localhost")
        _, steps = check(shared.environment | {"DATA_COLLECTION_ENDPOINT": endpoint})

        assert steps["name"]["seen"].startswith("localhost is ")
        assert "127.0.0.1" in steps["name"]["details"]["addresses"]

    def test_a_certificate_of_an_unknown_authority_is_a_problem(self, check, secured):
        """A proxy that inspects TLS causes this."""
        code, steps = check(secured.environment, "--credential", "environment")

        assert code == 1
        assert steps["connection"]["seen"].startswith("the certificate is not trusted: ")
        assert "REQUESTS_CA_BUNDLE" in steps["connection"]["advice"][0]

    def test_certificate_authorities_may_be_a_directory(self, check, secured, tmp_path, monkeypatch):
        """The requests library accepts a directory too."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
        _, steps = check(secured.environment, "--credential", "environment")

        assert steps["connection"]["state"] == "problem"

    def test_a_server_without_tls_is_a_problem(self, check, shared):
        """This differs from an endpoint that cannot be reached."""
        address = environment(shared.endpoint.replace("http://", "https://"))
        _, steps = check(address, "--credential", "environment")
        assert steps["connection"]["seen"].startswith("TLS failed: ")

        _, steps = check(environment("https://127.0.0.1:9"), "--credential", "environment")
        assert steps["connection"]["seen"] == "127.0.0.1:9 cannot be reached: Connection refused"
        assert "on port 9" in steps["connection"]["advice"][0]

    def test_a_certificate_that_expires_soon_is_a_warning(self, check, tmp_path, monkeypatch):
        """The connection works all the same; the authority's certificate need not name an organization."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=3, hours=1)
        authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "ca.pem"))
        with ResourceManager(context) as server:
            _, steps = check(environment(server.url), "--credential", "environment")

        assert steps["connection"]["state"] == "warning"
        assert steps["connection"]["seen"].endswith(": 3 days")

    def test_a_proxy_is_named_without_its_password(self, check, shared, monkeypatch):
        """The proxy looks up names; this one refuses the connection."""
        port = shared.endpoint.rpartition(":")[2]
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:geheim@127.0.0.1:{port}")
        code, steps = check(environment("https://no-such-endpoint.invalid"), "--credential", "environment")

        assert code == 1
        assert steps["proxy"]["details"] == {"proxy": f"127.0.0.1:{port}"}
        assert "name" not in steps
        assert steps["connection"]["seen"].startswith(
            "the proxy 127.0.0.1 cannot be reached: Tunnel connection failed: "
        )
        assert "check HTTPS_PROXY or proxy=" in steps["connection"]["advice"][0]
        assert "geheim" not in json.dumps(steps)

    def test_the_proxy_of_the_handler_is_named_as_such(self, check, monkeypatch):
        """It comes before those of the environment, also before NO_PROXY."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:7")
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("LOGGING_AZMON_PROXY", "http://ada:geheim@127.0.0.1:9")
        _, steps = check(environment("https://dce.example.org"), "--credential", "environment")

        assert steps["proxy"]["seen"] == ("through the proxy 127.0.0.1:9, which looks up the name; set by proxy=")
        assert "geheim" not in json.dumps(steps)

    @pytest.mark.parametrize(("proxy", "where"), [("127.0.0.1:9", "127.0.0.1:9"), ("http://127.0.0.1", "127.0.0.1:80")])
    def test_a_proxy_may_be_given_without_a_scheme(self, proxy, where, check, monkeypatch):
        """Login, scheme and port are optional."""
        monkeypatch.setenv("ALL_PROXY", proxy)
        _, steps = check(environment("https://no-such-endpoint.invalid"), "--credential", "environment")

        assert steps["proxy"]["details"] == {"proxy": where}
        assert steps["connection"]["state"] == "problem"

    def test_a_proxy_of_another_kind_is_only_named(self, check, monkeypatch):
        """Its protocol is that of the handler's HTTP library, and is not checked."""
        monkeypatch.setenv("HTTPS_PROXY", "https://127.0.0.1")
        _, steps = check(environment("https://no-such-endpoint.invalid"), "--credential", "environment")

        assert steps["proxy"]["details"] == {"proxy": "127.0.0.1:443"}
        assert "connection" not in steps

    def test_a_host_in_no_proxy_is_reached_directly(self, check, monkeypatch):
        """The handler's rows take the same path."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        _, steps = check(environment("https://127.0.0.1:9"), "--credential", "environment")

        assert "proxy" not in steps

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    @pytest.mark.parametrize("content", [None, "not a certificate"])
    def test_certificate_authorities_that_cannot_be_read_are_a_problem(
        self, content, variable, check, tmp_path, monkeypatch
    ):
        """The variable and the path are named, instead of a traceback."""
        if content is not None:
            tmp_path.joinpath("ca.pem").write_text(content, "utf-8")
        monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
        code, steps = check(environment("https://127.0.0.1:9"), "--credential", "environment")

        assert code == 1
        assert f"no certificate authorities can be read from {variable}={tmp_path}" in steps["connection"]["seen"]
        assert "or unset it" in steps["connection"]["advice"][0]

    @pytest.mark.parametrize("host", ["my-dce..ingest.monitor.azure.com", f"{'a' * 64}.ingest.monitor.azure.com"])
    def test_an_endpoint_with_an_impossible_label_is_a_problem(self, host, check, monkeypatch):
        """No such host can exist, so nothing is looked up, not even by a proxy."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        code, steps = check(environment(f"https://{host}"), "--credential", "environment")

        assert code == 1
        assert steps["name"]["seen"] == f"{host} is not a host name: between two dots it needs 1 to 63 characters"
        assert "connection" not in steps

    @pytest.mark.parametrize(
        "proxy",
        [
            "http://ada:geheim@127.0.0.1:99999",
            "http://ada:ge#heim@127.0.0.1:9",
            "http://ada:ge/heim@127.0.0.1:9",
            "http://ada:geheim@:3128",
            "http://ada:geheim@proxy..example.org",
            "http://127.0.0.1:0",
            "http://[::1",
        ],
    )
    def test_a_proxy_that_is_not_a_url_is_a_problem_and_not_shown(self, proxy, check, monkeypatch):
        """Its password may have been cut at an unescaped character, so no part of it is shown."""
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        code, steps = check(environment("https://no-such-endpoint.invalid"), "--credential", "environment")

        assert code == 1
        assert "is not the URL of a proxy" in steps["proxy"]["seen"]
        assert "%23" in steps["proxy"]["advice"][0]
        assert "connection" not in steps
        assert not {"geheim", "ge#heim", "heim"} & set(re.findall(r"[\w#]+", json.dumps(steps)))


class TestCompare:
    @pytest.mark.parametrize(
        ("sent", "declared", "arrives"),
        [
            ("int", "int", True),
            ("int", "long", True),
            ("int", "real", True),
            ("long", "real", True),
            ("datetime", "string", True),
            ("string", "dynamic", True),
            ("long", "int", False),
            ("real", "int", False),
            ("string", "datetime", False),
            ("dynamic", "boolean", False),
        ],
    )
    def test_wider_types_are_accepted_and_narrower_ones_are_not(self, sent, declared, arrives):
        """A string column takes any value, a number column only a type that is not wider."""
        findings = compare({"A": sent}, {"A": declared}, None, output="T", is_passed_on=True)

        assert (findings.lost == ()) == arrives

    def test_a_guid_is_sent_as_text(self):
        """A stream has no type for a guid."""
        findings = compare({"A": "string"}, {"A": "string"}, {"A": "guid"}, output="T", is_passed_on=True)

        assert findings.lost == ()


class TestArrival:
    def test_the_message_column_is_found_under_its_cf_name(self):
        """The template gives the column this name."""
        table = Table.from_mapping({"Text": "message"})

        assert message_column(table, {"Text_CF": "string"}) == "Text_CF"
        assert message_column(table, None) == "Text"

    def test_a_failing_query_is_repeated_and_finally_reported(self):
        """A new table cannot be queried at once."""
        waits = []

        class Failing:
            def query(self, _):
                raise WorkspaceQueryError("no such table")

        def wait(seconds):
            waits.append(seconds)
            return len(waits) == 3

        now = time.monotonic()
        step = await_row(Failing(), "T", "C", "mark", since=now, seconds=100, wait=wait)

        assert step.seen == "T cannot be queried: no such table"
        assert "Log Analytics Reader" in step.advice[0]
        assert waits == sorted(waits)

    def test_errors_that_the_service_has_logged_are_told(self, check):
        """The row arrived, but an application's rows did not."""
        with Workspace() as workspace:
            assert send(workspace, b"{not").status == 400
            workspace.wait_for("DCRLogErrors")
            code, steps = check(workspace.environment, "--send", "--wait", "30")

        assert (code, steps["arrival"]["state"], steps["errors"]["state"]) == (0, "ok", "warning")
        assert steps["errors"]["notes"][0].startswith("1 × Ingestion: ")

    @pytest.mark.parametrize(
        ("answers", "states"),
        [
            ([[], [[None, 0]]], ["ok", "ok"]),
            ([[], []], ["ok", "ok"]),
            ([[["Transformation", "no such column", 7]], [["2026-11-27T09:00:00Z", 2]]], ["warning", "problem"]),
            ([WorkspaceQueryError("no table"), WorkspaceQueryError("no right")], ["warning", "warning"]),
        ],
        ids=["nothing", "no rows", "errors and a cap", "no answers"],
    )
    def test_azure_is_asked_for_errors_and_a_daily_cap(self, answers, states):
        """A table that does not exist yet is told with what fills it."""

        class Azure:
            address = SimpleNamespace(is_local=False)
            asked: ClassVar[list[str]] = []

            def query(self, kql):
                self.asked.append(kql)
                answer = answers[len(self.asked) - 1]
                if isinstance(answer, Exception):
                    raise answer
                return SimpleNamespace(rows=answer)

        steps = list(ingestion_steps(Azure(), "Custom-App"))
        assert [step.name for step in steps] == ["errors", "daily cap"]
        assert [step.state for step in steps] == states
        assert 'InputStreamId == "Custom-App"' in Azure.asked[0]
        if states == ["warning", "problem"]:
            assert steps[0].notes == ("7 × Transformation: no such column",)
            assert "reached at 2026-11-27" in steps[1].seen
        if states == ["warning", "warning"]:
            assert "--diagnostics" in steps[0].advice[0]

    def test_without_a_workspace_the_arrival_step_is_a_problem(self, check, secured, monkeypatch):
        """Waiting was requested, so a missing workspace is a problem."""
        for name, value in {**secured.trust_environment, **secured.identity_environment}.items():
            monkeypatch.setenv(name, value)
        words = ("--credential", "managed_identity", "--send", "--wait", "5", "--workspace", "my-workspace")
        code, steps = check(secured.environment, *words)

        assert code == 1
        assert steps["send"]["state"] == "ok"
        assert "my-workspace" in steps["arrival"]["seen"]


class TestWords:
    @pytest.fixture
    def said(self, capsys, monkeypatch):
        def said(address, *words):
            for name, value in address.items():
                monkeypatch.setenv(name, value)
            code = cli.main(["check", *words])
            return code, capsys.readouterr().out

        return said

    def test_each_step_is_a_line_with_its_mark(self, said, shared):
        """The verdict is on the last line."""
        code, out = said(shared.environment)

        assert code == 0
        assert re.findall(r"^(\S+) +(\w+) ", out, re.MULTILINE)[:3] == [
            ("✓", "configuration"),
            ("✓", "name"),
            ("✓", "connection"),
        ]
        assert out.endswith("\nRows will arrive.\n")

    def test_no_step_shows_a_token_or_a_login(self):
        """Whatever an error quotes, a step is printed without it."""
        console = Console(file=io.StringIO())
        steps = Steps(console)
        steps.add(Step(name="rule", state="problem", seen="InvalidHeader: 'Bearer eyJabcdefghi.x.y' http://a:b@c:9/"))

        assert "eyJ" not in console.file.getvalue() + steps.json()
        assert "http://c:9/" in steps.json()

    def test_skipped_steps_weaken_the_verdict(self, said):
        """The verdict then covers only the steps that were taken."""
        with Endpoint() as endpoint:
            code, out = said(environment(endpoint.url))

        assert code == 0
        assert out.endswith("\nNo problem was found in the steps that could be taken.\n")

    def test_problems_are_counted_and_lines_fit(self, said, shared):
        """This holds in a pipe too, and no line ends with spaces."""
        code, out = said(shared.environment, "--columns", '{"Text": "message"}')

        assert code == 1
        assert "\n             do: Text is sent, but the rule does not declare it" in out
        assert "\n           note: never filled" in out
        assert out.endswith("\nNot all rows will arrive: 1 problem, see above.\n")
        assert max(map(len, out.splitlines())) <= 100
        assert re.findall(r"[ \t]+$", out, re.MULTILINE) == []

    def test_several_problems_are_counted_in_the_plural(self, said):
        """The noun is in the plural as well."""
        _, out = said(environment("https://127.0.0.1:9"), "--credential", "environment")

        assert "2 problems" in out

    @pytest.mark.parametrize(("encoding", "mark"), [("ascii", "NO x"), ("utf-8", "✗  x")])
    def test_marks_are_letters_if_the_terminal_lacks_the_characters(self, encoding, mark):
        """A terminal also shows a message while the command waits."""
        file = io.TextIOWrapper(io.BytesIO(), encoding)
        steps = Steps(Console(file=file, force_terminal=True, color_system=None, width=40))
        with steps.status("waiting"):
            pass
        steps.add(Step(name="x", state="problem", seen="\x1b[31m" + "wörd " * 20))
        file.flush()
        out = file.buffer.getvalue().decode(encoding)

        assert mark in out
        assert "\x1b[31m" not in out
        assert len([line for line in out.splitlines() if "rd" in line]) in {4, 7}


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--wait", "5"], "--wait waits for the row that --send sends: give --send as well"),
            (["--handler", "azure"], "--handler azure needs --config"),
            (["--dcr", "nowhere.json"], "dcr='nowhere.json' cannot be read"),
        ],
    )
    def test_contradictory_options_are_refused(self, words, said, capsys, monkeypatch):
        """The exit code is 2, and no step is taken."""
        monkeypatch.delenv("LOGS_DCR_STREAM_NAME", raising=False)

        assert cli.main(["check", *words]) == 2
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "100000"])
    def test_wait_accepts_only_numbers_of_seconds(self, seconds, capsys):
        """The maximum is one day."""
        with pytest.raises(SystemExit) as caught:
            cli.main(["check", "--send", f"--wait={seconds}"])

        assert caught.value.code == 2
        assert (
            f"argument --wait: {seconds!r} is not a number of seconds from 0.001 to 86,400" in capsys.readouterr().err
        )

    def test_no_token_is_sent_over_plain_http(self, capsys, check, secured, monkeypatch):
        """This includes requests to another Resource Manager."""
        for name, value in {**secured.trust_environment, **secured.identity_environment}.items():
            monkeypatch.setenv(name, value)
        chosen = '{"managed_identity": {"identity_config": {}}}'
        words = ("--credential", chosen, "--resource-manager", "http://example.org")
        code, steps = check(secured.environment, *words)

        assert code == 1
        assert steps["token"]["seen"].startswith("managed_identity; ")
        assert "resource-manager='http://example.org' would send a token in clear text" in steps["columns"]["seen"]
