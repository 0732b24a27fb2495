"""`logging-azmon template` adds what watches the rows: diagnostic setting, alerts and workbook.

Nothing here reaches Azure. Instead, Microsoft's own models of the resources read the ARM template, and each query runs
on the local workspace, over rows that must and rows that must not set it off.
"""

import datetime as dt
import json
import re

import pytest
from azure.mgmt.monitor import models as rule_models

from logging_azmon import cli
from logging_azmon._config.presets import preset
from logging_azmon.infra import RENDERERS, Design, left_out, queries
from logging_azmon.local import Workspace
from logging_azmon.table import Table
from support.local_client import send

GROUP = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Insights/actionGroups/on call"
COLUMNS = {
    "TimeGenerated": "time",
    "Level": "level",
    "Logger": "logger",
    "Message": "message",
    "Service": "service_name",
    "Instance": "instance",
    "Sequence": "sequence",
    "DurationMs": "duration_ms:real",
}
FULL = Table.from_mapping(COLUMNS)
WATCHED = {"diagnostics": True, "alerts": "ops@example.com", "workbook": True}
ALERTS = [
    "rows-dropped",
    "transformation-errors",
    "requests-near-quota",
    "rule-errors",
    "rows-lost",
    "rows-missing",
    "no-rows",
]
MODELS = {
    "Microsoft.Insights/actionGroups": rule_models.ActionGroupResource,
    "Microsoft.Insights/metricAlerts": rule_models.MetricAlertResource,
    "Microsoft.Insights/scheduledQueryRules": rule_models.ScheduledQueryRuleResource,
}


def design(**options):
    return Design(**({"columns": FULL} | WATCHED | options))


def template(made):
    return json.loads(RENDERERS["arm"](made))


def resources(made, kind):
    return [each for each in template(made)["resources"] if each["type"] == f"Microsoft.Insights/{kind}"]


def alerts(made):
    """Return the names of the alerts, without the rule's."""
    found = [*resources(made, "metricAlerts"), *resources(made, "scheduledQueryRules")]
    return [re.search(r"\{0\}-([\w-]+)", each["name"])[1] for each in found]


class TestResources:
    @pytest.mark.parametrize("kind", MODELS)
    def test_alerts_and_action_group_are_understood_by_microsofts_models(self, kind):
        """A property that the API does not know, or that is in the wrong place, would get lost in the models."""
        found = [each for each in template(design())["resources"] if each["type"] == kind]
        assert found

        for resource in found:
            body = {key: value for key, value in resource.items() if key in {"location", "kind", "properties"}}
            assert MODELS[kind].deserialize(body).serialize() == body

    def test_the_workbook_is_understood_by_microsofts_model(self):
        """Its content is a variable of the template, in which the workspace's id is known."""
        reason = "its library cannot be imported on this Python"
        models = pytest.importorskip("azure.mgmt.applicationinsights.models", reason=reason, exc_type=Exception)
        (workbook,) = resources(design(), "workbooks")
        body = {key: value for key, value in workbook.items() if key in {"location", "kind", "properties"}}

        assert models.Workbook.deserialize(body).serialize() == body
        assert workbook["properties"]["serializedData"] == "[string(variables('workbook'))]"
        assert template(design())["variables"]["workbook"]["version"] == "Notebook/1.0"

    def test_the_diagnostic_setting_is_the_rules_own(self):
        """The category LogErrors fills the table DCRLogErrors; each rule needs a setting of its own."""
        (setting,) = resources(design(), "diagnosticSettings")

        assert setting["scope"].endswith("'Microsoft.Insights/dataCollectionRules', parameters('ruleName'))]")
        assert setting["properties"]["logs"] == [{"category": "LogErrors", "enabled": True}]
        assert "workspaces" in setting["properties"]["workspaceId"]

    def test_all_alerts_are_made_if_the_columns_allow_it(self):
        """Each goes to the action group, which exists before it."""
        assert alerts(design()) == ALERTS
        (group,) = resources(design(), "actionGroups")
        assert group["properties"]["emailReceivers"][0]["emailAddress"] == "ops@example.com"
        for alert in [*resources(design(), "metricAlerts"), *resources(design(), "scheduledQueryRules")]:
            assert "actionGroups" in json.dumps(alert["properties"]["actions"])
            assert any("actionGroups" in needed for needed in alert["dependsOn"])

    def test_an_action_group_that_exists_is_used(self):
        """None is made."""
        made = design(alerts=GROUP)
        assert resources(made, "actionGroups") == []
        for alert in resources(made, "metricAlerts"):
            assert alert["properties"]["actions"] == [{"actionGroupId": GROUP}]

    def test_the_alert_for_requests_fires_below_the_quota(self):
        """A rule takes 12,000 requests a minute."""
        (near,) = [each for each in resources(design(), "metricAlerts") if "quota" in each["name"]]
        (criterion,) = near["properties"]["criteria"]["allOf"]
        assert (criterion["threshold"], near["properties"]["windowSize"]) == (10_800, "PT1M")

    def test_bicep_has_the_same_resources_as_arm(self):
        """Types, versions of the APIs, and queries."""
        text = RENDERERS["bicep"](design())
        kinds = [f"{each['type']}@{each['apiVersion']}" for each in template(design())["resources"]]
        assert sorted(re.findall(r"^resource \w+ '([^']+)' = ", text, re.MULTILINE)) == sorted(kinds)
        for alert in resources(design(), "scheduledQueryRules"):
            assert alert["properties"]["criteria"]["allOf"][0]["query"] in text

    def test_a_design_that_asks_for_nothing_has_none_of_it(self):
        """A template from before stays the same."""
        made = Design(columns=FULL)
        assert (alerts(made), left_out(made)) == ([], [])
        assert "variables" not in template(made)


class TestLeftOut:
    def test_parts_whose_columns_are_missing_are_left_out_with_the_reason(self):
        """The rest is made."""
        made = Design(columns=Table.from_mapping({"Text": "message"}), **WATCHED)
        assert alerts(made) == [
            "rows-dropped",
            "transformation-errors",
            "requests-near-quota",
            "rule-errors",
            "no-rows",
        ]
        assert left_out(made)[1:] == [
            "alert rows-lost: no column takes logger",
            "alert rows-missing: no column takes instance",
            "workbook, 'Rows by level': no column takes level",
            "workbook, 'Rows by service or host': no column takes service_name or host",
            "workbook, 'Losses': no column takes logger",
            "workbook, 'Gaps in Sequence': no column takes instance",
            "workbook, 'Slowest': no column for a number is called Duration or Elapsed",
            "workbook, 'Volume by logger': no column takes logger",
        ]
        assert "Log Columns Dropped per Min" in left_out(made)[0]

    @pytest.mark.parametrize(
        ("plan", "reason"), [("Basic", "has simple log alerts only"), ("Auxiliary", "has no alerts")]
    )
    def test_alerts_on_the_table_need_the_plan_analytics(self, plan, reason):
        """Those on the rule do not."""
        made = design(plan=plan)
        assert alerts(made) == ALERTS[:4]
        assert left_out(made)[1] == f"alert rows-lost: the plan {plan} {reason}"

    def test_the_alert_for_the_services_errors_needs_the_diagnostic_setting(self):
        """Otherwise its table would stay empty."""
        made = design(diagnostics=False)
        assert "rule-errors" not in alerts(made)
        assert "alert rule-errors: it reads DCRLogErrors, which --diagnostics fills" in left_out(made)

    def test_columns_of_azures_own_tables_are_named_as_in_the_table(self):
        """The rule renames a column that the table lacks."""
        columns = Table.from_mapping({"SyslogMessage": "message", "Program": "logger"})
        text = json.dumps(template(Design(columns=columns, table="Syslog", stream="Custom-Syslog", **WATCHED)))
        assert "['Program_CF'] == 'logging_azmon' and ['SyslogMessage'] has 'dropped'" in text


@pytest.fixture
def workspace():
    with Workspace(template(design())) as made:
        yield made


class TestQueries:
    """Each query runs, and answers what its alert or panel needs."""

    NOW = dt.datetime.now(dt.UTC)

    def rows(self, workspace, *rows):
        """Store rows, each with its age in minutes."""
        body = [{"TimeGenerated": (self.NOW - dt.timedelta(minutes=age)).isoformat(), **row} for age, row in rows]
        assert send(workspace, body).status == 204
        workspace.wait_for("App_CL", len(rows))

    def answer(self, workspace, query):
        return workspace.query(query("App_CL", queries.Columns(design())))

    def numbered(self, *numbers, instance="a"):
        # One row a minute, the newest 31 minutes old.
        return [
            (31 + len(numbers) - place, {"Instance": instance, "Sequence": number})
            for place, number in enumerate(numbers)
        ]

    def test_missing_rows_are_counted(self, workspace):
        """Two of one process, and one of another."""
        self.rows(
            workspace,
            *self.numbered(*[number for number in range(60) if number not in (20, 21)]),
            *self.numbered(*[number for number in range(40) if number != 15], instance="b"),
        )
        assert self.answer(workspace, queries.missing_rows) == [{"Missing": 3}]

    def test_rows_that_may_still_come_are_not_missing(self, workspace):
        """Nor are those of which a copy arrived, or whose neighbours are outside the period."""
        late = [(number, {"Instance": "a", "Sequence": 200 - number}) for number in range(30) if number % 2]
        old = [(115 + number, {"Instance": "c", "Sequence": 50 - 2 * number}) for number in range(10)]
        self.rows(workspace, *self.numbered(*range(60)), *self.numbered(*range(60)), *late, *old)
        assert self.answer(workspace, queries.missing_rows) in ([{"Missing": 0}], [{"Missing": None}])

    def test_lost_rows_are_those_of_the_library_that_tell_of_losses(self, workspace):
        """Not what an application says of its own."""
        self.rows(
            workspace,
            (1, {"Logger": "logging_azmon", "Message": "7 rows dropped: queue_full, 14:02:11 to 14:05:40 UTC"}),
            (2, {"Logger": "shop", "Message": "the basket was dropped"}),
        )
        assert [row["Loss"][:6] for row in self.answer(workspace, queries.lost_rows)] == ["7 rows"]

    @pytest.mark.parametrize("count", [0, 3])
    def test_the_rows_of_a_period_are_counted_also_if_there_are_none(self, workspace, count):
        """An alert on a table of no rows at all would never fire."""
        self.rows(workspace, *self.numbered(*range(count)))
        assert self.answer(workspace, queries.all_rows) == [{"Rows": count}]

    def test_every_panel_of_the_workbook_answers(self, workspace):
        """The volume needs `_BilledSize`, which the service adds to each row."""
        common = {"Level": "INFO", "Logger": "shop", "Service": "web", "Instance": "a"}
        self.rows(
            workspace,
            (1, common | {"Message": "slow", "DurationMs": 9.5, "Sequence": 0}),
            (0, common | {"Message": "fast", "DurationMs": 1.5, "Sequence": 2}),
        )
        billed = queries.cost_by_logger("App_CL | extend _BilledSize = 500000.0", queries.Columns(design()))
        assert workspace.query(billed) == [{"Logger": "shop", "Rows": 2, "MB": 1.0}]
        assert [row["Message"] for row in self.answer(workspace, queries.slowest)] == ["slow", "fast"]
        assert [row["Missing"] for row in self.answer(workspace, queries.gaps)] == [1]
        assert {row["Level"] for row in self.answer(workspace, queries.rows_by_level)} == {"INFO"}
        assert {row["Service"] for row in self.answer(workspace, queries.rows_by_source)} == {"web"}
        assert self.answer(workspace, queries.rule_errors) == []


class TestCommand:
    @pytest.mark.parametrize("language", ["terraform", "az"])
    def test_other_languages_are_refused(self, language, capsys):
        """The sentence says which are not."""
        assert cli.main(["template", language, "--workbook"]) == 2
        assert f"are written in bicep and arm, not {language}" in capsys.readouterr().err

    def test_what_was_left_out_is_said(self, capsys):
        """On stderr, beside the next steps."""
        assert cli.main(["template", "bicep", "--columns", "lean", "--alerts", "ops@example.com"]) == 0
        said = capsys.readouterr().err
        assert "Left out:\n" in said
        assert "  alert rows-missing: no column takes instance\n" in said

    @pytest.mark.parametrize("wrong", ["ops", "ops@", "/subscriptions/x", "a b@example.com", "ops@example"])
    def test_alerts_go_to_an_address_or_an_action_group(self, wrong, capsys):
        """Anything else is refused with what is accepted."""
        assert cli.main(["template", "bicep", "--alerts", wrong]) == 2
        assert "an e-mail address, or the resource id of an action group" in capsys.readouterr().err

    def test_columns_of_the_default_table_leave_out_little(self):
        """Only what needs a duration."""
        assert left_out(Design(columns=preset("default"), **WATCHED))[1:] == [
            "workbook, 'Slowest': no column for a number is called Duration or Elapsed"
        ]
