"""The examples that are programs or functions run unchanged, and their rows arrive."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from logging_azmon._config.presets import PRESETS
from logging_azmon.local import Workspace
from support.endpoint import Endpoint, Hang
from support.lifecycle import address_variables
from support.pipelines import LIMIT_SECONDS, messages

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name, *arguments, url="", where=EXAMPLES, **environ):
    """Run an example to its end, and return its stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=where,
        env=os.environ | address_variables(url, stream="Custom-App") | environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def endpoint():
    """Give each test its own endpoint, so that late rows do not count in the next test."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def arrived(endpoint):
    """Return the rows that have arrived, without the columns that differ in each run."""

    def rows():
        return [
            {name: value for name, value in row.items() if name not in {"TimeGenerated", "Line"}}
            for row in sorted(endpoint.rows, key=lambda row: row["TimeGenerated"])
        ]

    return rows


@pytest.fixture
def load(monkeypatch):
    """Import an example as its host does, and restore the loggers afterwards."""
    loggers = [logging.getLogger(name) for name in (None, "shop", "nightly")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]

    def imported(name, endpoint):
        for variable, value in address_variables(endpoint.url, stream="Custom-App").items():
            monkeypatch.setenv(variable, value)
        spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield imported
    for logger, handlers, level in before:
        for handler in [handler for handler in logger.handlers if handler not in handlers]:
            logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.parametrize("kind", ["yaml", "json", "ini"])
def test_the_configuration_files_in_yaml_json_and_ini_mean_the_same(kind, endpoint, arrived):
    """This covers levels, exceptions and extras with and without a column, by dictConfig and fileConfig."""
    where = EXAMPLES / "config_files"
    _, err = run("config_files/app.py", f"logging.{kind}", where=where, url=endpoint.url)
    assert err.startswith("not of interest to Azure\norder 1001 paid\norder 1003 is unknown\nTraceback ")
    assert err.endswith("\nKeyError: '1003'\n"), "a record of another library on the console"

    paid, unknown = arrived()

    assert paid == {
        "Level": "INFO",
        "Logger": "shop",
        "Message": "order 1001 paid",
        "OrderId": 1001,
        "Properties": {"amount": 59.9},
    }
    assert unknown.pop("Exception").endswith("KeyError: '1003'")
    assert unknown == {"Level": "ERROR", "Logger": "shop", "Message": "order 1003 is unknown", "OrderId": 1003}


def test_loguru_extras_and_exceptions_arrive_once(endpoint, arrived):
    """The extras are bound values, context values and arguments of the message."""
    out, err = run("loguru_app.py", url=endpoint.url)

    assert (out, "KeyError: '1003'" in err) == ("", True)
    paid, card, unknown = arrived()

    assert paid == {
        "Level": "SUCCESS",
        "Logger": "__main__",
        "Message": "order 1001 paid",
        "Function": "main",
        "OrderId": 1001,
    }
    assert card["Message"] == "paid with card"
    assert card["Properties"] == {"request": "r-17", "method": "card"}
    assert (unknown["Level"], unknown["Message"]) == ("ERROR", "order is unknown")
    assert unknown["Exception"].endswith("KeyError: '1003'")


def test_rows_have_the_ids_of_their_opentelemetry_span(endpoint, arrived):
    """The ids are those of the innermost span; outside a span there are none."""
    out, err = run("opentelemetry_app.py", url=endpoint.url)

    late, failed, done = arrived()

    assert err == ""
    assert (failed["TraceId"], failed["SpanId"]) == tuple(out.split())
    assert late["TraceId"] == failed["TraceId"]
    assert late["SpanId"] != failed["SpanId"]
    assert not {"TraceId", "SpanId"} & set(done)


def test_an_azure_function_has_delivered_its_rows_when_it_returns_or_raises(load, endpoint, arrived, monkeypatch):
    """The host may freeze the process afterwards."""
    import azure.functions as func

    module = load("azure_function/function_app.py", endpoint)
    (function,) = module.app.get_functions()
    call = function.get_user_function()
    # The example flushes for 3 s, which a busy machine may need for the imports of the first delivery.
    flush = module.azure.flush
    monkeypatch.setattr(module.azure, "flush", lambda timeout: flush(LIMIT_SECONDS))

    for number in ("1001", "1002"):
        request = func.HttpRequest("GET", "/api/orders", params={"order": number}, body=b"")
        assert call(request).status_code == 202
        assert arrived()[-1]["Message"] == f"order {number} came in"
    with pytest.raises(ValueError, match="seven"):
        call(func.HttpRequest("GET", "/api/orders", params={"order": "seven"}, body=b""))
    failed = arrived()[-1]

    assert failed["Message"] == "orders failed"
    assert "invalid literal for int() with base 10: 'seven'" in failed["Exception"]
    assert len(arrived()) == 3


def test_a_lambda_has_delivered_its_rows_when_it_returns_or_raises(load, endpoint, arrived):
    """AWS may freeze the process afterwards."""
    module = load("aws_lambda.py", endpoint)
    module.FLUSH_SECONDS = LIMIT_SECONDS
    context = SimpleNamespace(aws_request_id="r-17", get_remaining_time_in_millis=lambda: 1_000 * LIMIT_SECONDS)

    assert module.lambda_handler({"order": "1001"}, context) == {"statusCode": 202}
    assert arrived()[-1]["Properties"] == {"order": 1001, "request": "r-17"}
    with pytest.raises(KeyError):
        module.lambda_handler({}, context)

    assert arrived()[-1]["Exception"].endswith("KeyError: 'order'")
    assert len(arrived()) == 2


def test_a_lambda_answers_in_time_while_azure_hangs(load):
    """The next invocation delivers the remaining rows."""
    with Endpoint(Hang("answer")) as endpoint:
        module = load("aws_lambda.py", endpoint)
        little = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: 700)
        begun = time.monotonic()
        assert module.lambda_handler({"order": "1"}, little) == {"statusCode": 202}
        assert time.monotonic() - begun < module.FLUSH_SECONDS
        assert endpoint.rows == []

        endpoint.release()
        much = SimpleNamespace(aws_request_id="r-2", get_remaining_time_in_millis=lambda: 60_000)
        module.FLUSH_SECONDS = LIMIT_SECONDS
        module.lambda_handler({"order": "2"}, much)

        assert sorted(row["Properties"]["request"] for row in endpoint.rows) == ["r-1", "r-2"]


def test_a_job_ends_with_status_0_and_its_rows_delivered(endpoint, arrived):
    out, err = run("job.py", url=endpoint.url)
    expected = ["begins", *(f"order {number} sent" for number in (1, 2, 3)), "ends"]

    assert (out, err.splitlines()) == ("", expected)
    assert messages(arrived()) == expected


def test_a_job_exits_with_status_1_if_its_rows_are_not_delivered_in_time(load):
    """It waits for Azure no longer than FLUSH_SECONDS."""
    with Endpoint(Hang("answer")) as endpoint:
        module = load("job.py", endpoint)
        module.FLUSH_SECONDS = 0.1
        assert module.main() == 1
        endpoint.release()


class TestStreams:
    """Check with the local workspace, which knows the columns of the rule and of Azure's table."""

    RULE = EXAMPLES / "several_streams" / "rule.json"

    def test_each_logger_of_the_streams_example_fills_its_own_table(self):
        """No value is dropped, converted or cut on the way."""
        with Workspace(self.RULE) as workspace:
            run("several_streams/app.py", **workspace.environment)

            assert workspace.problems() == []
            (paid,) = workspace.rows("App_CL")
            assert (paid["Logger"], paid["Message"], paid["Properties"]) == (
                "shop.orders",
                "order 1001 paid",
                {"order": 1001},
            )
            (refund,) = workspace.rows("Audit_CL")
            assert (refund["Actor"], refund["Action"], refund["Subject"]) == ("ada", "refund", "order 1001")
            assert refund["Details"] == {"amount": 59.9}
            (refused,) = workspace.rows("CommonSecurityLog")

            assert (refused["DeviceVendor"], refused["SourceIP"], refused["LogSeverity"]) == ("Shop", "10.0.0.7", "6")
            assert json.loads(refused["AdditionalExtensions"]) == {"tries": 3}

    @pytest.mark.parametrize(("stream", "preset"), [("Custom-App", "lean"), ("Custom-Security", "common_security_log")])
    def test_the_rule_of_the_streams_example_declares_every_column_the_preset_sends(self, stream, preset):
        """Azure drops undeclared columns silently."""
        declared = json.loads(self.RULE.read_text("utf-8"))["properties"]["streamDeclarations"][stream]["columns"]

        assert declared == [{"name": column.name, "type": column.type} for column in PRESETS[preset]]


OLD_RULE = {
    "immutableId": "dcr-1",
    "streamDeclarations": {
        "Custom-Shop": {
            "columns": [
                {"name": "TimeGenerated", "type": "datetime"},
                {"name": "Level_s", "type": "string"},
                {"name": "Logger_s", "type": "string"},
                {"name": "Message_s", "type": "string"},
                {"name": "Exception_s", "type": "string"},
                {"name": "OrderId_d", "type": "real"},
                {"name": "Express_b", "type": "boolean"},
                {"name": "PaidAt_t", "type": "datetime"},
                {"name": "Session_g", "type": "string"},
            ]
        }
    },
    "dataFlows": [
        {
            "streams": ["Custom-Shop"],
            "transformKql": "source | extend Session_g = toguid(Session_g)",
            "outputStream": "Custom-Shop_CL",
        }
    ],
}


def test_a_migrated_table_keeps_its_old_column_names_and_types():
    """The types are those that the old API gave its columns."""
    with Workspace(OLD_RULE) as workspace:
        run("migration.py", **workspace.environment)

        assert workspace.problems() == []
        (row,) = workspace.rows("Shop_CL")
        types = workspace.tables["Shop_CL"]

    assert (row["Level_s"], row["Logger_s"], row["Message_s"]) == ("ERROR", "shop", "order 1001 is late")
    assert (row["OrderId_d"], row["Express_b"]) == (1001.0, True)
    assert row["PaidAt_t"].isoformat() == "2026-09-14T08:30:00+00:00"
    assert str(row["Session_g"]) == "8145d822-13a7-44ad-859c-36f31a84f6dd"
    assert types["Session_g"] == "guid"
