"""The running service's name, version, instance and environment come from OpenTelemetry's variables, or the host's."""

import pytest

from logging_azmon._config.rule_table import table_of
from logging_azmon._rows import service
from support.rows import DEFAULT_COLUMNS, Rows, exc_info, make_record

APP_SERVICE = {"WEBSITE_SITE_NAME": "shop", "WEBSITE_INSTANCE_ID": "0a1b", "WEBSITE_SLOT_NAME": "staging"}
CONTAINER_APP = {
    "CONTAINER_APP_NAME": "shop",
    "CONTAINER_APP_REVISION": "shop--20mh1s9",
    "CONTAINER_APP_REPLICA_NAME": "shop--20mh1s9-86c8c4b497-zx9bq",
}
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "shop",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/27/[7]0a1b",
}
COLUMNS = {
    "Service": "service_name",
    "Version": "service_version",
    "Replica": "service_instance",
    "Env": "environment",
    "Message": "message",
}
JOB = {"CONTAINER_APP_JOB_NAME": "nightly", "CONTAINER_APP_JOB_EXECUTION_NAME": "nightly-iwpi4il"}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """Remove whatever the machine that runs the tests has set."""
    others = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "KUBERNETES_SERVICE_HOST", "HOSTNAME")
    for name in (*APP_SERVICE, *CONTAINER_APP, *JOB, *LAMBDA, *others, "AZURE_FUNCTIONS_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


class TestFind:
    @pytest.mark.parametrize(
        ("environ", "found"),
        [
            ({}, {}),
            (
                {
                    "OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,service.version=1.4.2,service.instance.id=a%2Cb,"
                    " deployment.environment.name = production ,broken,team=x"
                },
                {
                    "service_name": "shop",
                    "service_version": "1.4.2",
                    "service_instance": "a,b",
                    "environment": "production",
                },
            ),
            ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old"}, {"environment": "old"}),
            (
                {"OTEL_SERVICE_NAME": " shop ", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other"},
                {"service_name": "shop"},
            ),
            ({"OTEL_SERVICE_NAME": " ", "OTEL_RESOURCE_ATTRIBUTES": ""}, {}),
            (APP_SERVICE, {"service_name": "shop", "service_instance": "0a1b", "environment": "staging"}),
            (
                {"WEBSITE_SITE_NAME": "jobs", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"},
                {"service_name": "jobs", "environment": "Development"},
            ),
            (
                {**CONTAINER_APP, "KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "shop--20mh1s9-86c8c4b497-zx9bq"},
                {
                    "service_name": "shop",
                    "service_version": "shop--20mh1s9",
                    "service_instance": "shop--20mh1s9-86c8c4b497-zx9bq",
                },
            ),
            (
                JOB,
                {"service_name": "nightly", "service_instance": "nightly-iwpi4il"},
            ),
            (
                LAMBDA,
                {"service_name": "shop", "service_version": "7", "service_instance": "2026/11/27/[7]0a1b"},
            ),
            (
                APP_SERVICE | {"OTEL_SERVICE_NAME": "checkout"},
                {"service_name": "checkout", "service_instance": "0a1b", "environment": "staging"},
            ),
        ],
    )
    def test_opentelemetrys_variables_win_over_those_of_the_host(self, environ, found):
        """Whatever is not set is left out."""
        assert service.find(environ) == found

    @pytest.mark.parametrize(
        ("pod", "owner"),
        [
            ("shop-api-7d4b9c6f5d-x2kqz", "shop-api"),
            ("shop-db-0", "shop-db"),
            ("shop-db-12", "shop-db"),
            ("shop-agent-x2kqz", None),
            ("shop", None),
            ("shop-production-local", None),
        ],
    )
    def test_in_kubernetes_the_service_is_the_owner_of_the_pod(self, pod, owner):
        """A name that was chosen by hand tells nothing; outside of Kubernetes, the host's name is only that."""
        found = service.find({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": pod})

        assert found == {"service_instance": pod} | ({"service_name": owner} if owner else {})
        assert service.find({"HOSTNAME": pod}) == {}
        assert service.find({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == {}


class TestColumns:
    @pytest.mark.parametrize(
        "make",
        [
            lambda rows, extra: rows.record(make_record(extra=extra)),
            lambda rows, extra: rows.record(make_record(extra=extra, exc_info=exc_info())),
            lambda rows, extra: rows.event({"event": "hello", **extra}),
        ],
        ids=["in one step", "by the encoder", "event"],
    )
    def test_the_fields_fill_their_columns_unless_an_extra_of_that_name_does(self, monkeypatch, make):
        """A table of today means what it means: its extras win, also for columns of another type."""
        for name, value in (APP_SERVICE | {"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.4.2"}).items():
            monkeypatch.setenv(name, value)
        rows = Rows({**COLUMNS, "Rest": "*"})
        row = {name: value for name, value in make(rows, {}).items() if name in COLUMNS}
        assert row["Message"].startswith("hello")
        assert {**row, "Message": ""} == {
            "Service": "shop",
            "Version": "1.4.2",
            "Replica": "0a1b",
            "Env": "staging",
            "Message": "",
        }

        own = {"service_name": "mine", "environment": "test", "other": 1}
        row = make(rows, own)
        assert (row["Service"], row["Version"], row["Env"]) == ("mine", "1.4.2", "test")
        assert row["Rest"].get("other") == 1
        assert not {"service_name", "environment"} & {*row["Rest"]}
        rows = Rows({"Env": "environment:int", "Message": "message"})
        assert "Env" not in make(rows, {})
        assert make(rows, {"environment": 5})["Env"] == 5
        assert rows.misfits == 0

    def test_without_any_variable_the_columns_are_left_out(self):
        assert Rows(COLUMNS).record(make_record()) == {"Message": "hello"}

    def test_extra_dot_name_is_the_extra_alone(self, monkeypatch):
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        columns = {f"C{number}": f"extra.{name}" for number, name in enumerate([*service.FIELDS, "template"])}
        rows = Rows({**columns, "Message": "message"})

        assert rows.record(make_record("%d", 5)) == {"Message": "5"}
        assert rows.record(make_record("%d", 5, extra={"template": "t"}))["C4"] == "t"

    def test_a_table_without_such_columns_sends_none_of_it(self, monkeypatch):
        """What the service is called is not added to anybody's Properties."""
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")

        assert Rows(DEFAULT_COLUMNS).record(make_record()).keys() == {"Time", "Level", "Message"}

    def test_a_rules_column_takes_the_extra_that_it_stood_for_or_else_the_field(self, monkeypatch):
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        declared = {"ServiceName": "string", "Template": "string", "Message": "string", "Properties": "dynamic"}
        rows = Rows(table_of(declared, {}))

        assert rows.record(make_record("%d", 5)) == {"ServiceName": "shop", "Template": "%d", "Message": "5"}
        for name in ("ServiceName", "service_name", "serviceName"):
            row = rows.record(make_record("%d", 5, extra={name: "mine", "Template": "own"}))
            assert row == {"ServiceName": "mine", "Template": "own", "Message": "5"}


class TestItemCount:
    def test_a_call_stands_for_itself_unless_it_says_otherwise(self):
        """Without a value the column is left out, which means 1; without the column the value is among the rest."""
        columns = {"Message": "message", "Rest": "*"}
        rows = Rows({**columns, "Items": "item_count"})

        assert "Items" not in rows.record(make_record())
        assert rows.record(make_record(extra={"item_count": 10}))["Items"] == 10
        assert Rows(columns).record(make_record(extra={"item_count": 10}))["Rest"] == {"item_count": 10}
