"""The examples that are programs or functions: run as they stand, judged by the rows that arrive."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from logging_azmon._config.presets import PRESETS
from logging_azmon.local import Workspace
from support.endpoint import Endpoint, Hang
from support.lifecycle import LIMIT_SECONDS

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ADDRESS = {"LOGS_DCR_RULE_ID": "dcr-1", "LOGS_DCR_STREAM_NAME": "Custom-App"}


def run(name: str, *arguments: str, where: Path = EXAMPLES, code: int = 0, **environ: str) -> tuple[str, str]:
    """Run an example to its end; return what it printed on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=where,
        env=os.environ | ADDRESS | environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Serve all tests that look at their own rows only."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def arrived(endpoint: Endpoint) -> Callable[[], list[dict[str, Any]]]:
    """Return the rows that have arrived since the test began, without what differs each time."""
    before = len(endpoint.rows)

    def rows() -> list[dict[str, Any]]:
        return [
            {name: value for name, value in row.items() if name not in {"TimeGenerated", "Line"}}
            for row in sorted(endpoint.rows[before:], key=lambda row: row["TimeGenerated"])
        ]

    return rows


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Endpoint], ModuleType]]:
    """Import an example as its host does; afterwards the loggers are as they were."""
    loggers = [logging.getLogger(name) for name in (None, "shop", "nightly")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]

    def imported(name: str, endpoint: Endpoint) -> ModuleType:
        for variable, value in (ADDRESS | {"DATA_COLLECTION_ENDPOINT": endpoint.url}).items():
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
def test_configuration_files_mean_the_same(kind: str, endpoint: Endpoint, arrived: Any) -> None:
    """Levels, extras with and without a column of their own, exceptions; dictConfig and fileConfig."""
    where = EXAMPLES / "config_files"
    run("config_files/app.py", f"logging.{kind}", where=where, DATA_COLLECTION_ENDPOINT=endpoint.url)

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


def test_loguru_hands_over_extras_and_exceptions(endpoint: Endpoint, arrived: Any) -> None:
    """What is bound, what belongs to the context, and what is an argument only of the message's; nothing twice."""
    out, err = run("loguru_app.py", DATA_COLLECTION_ENDPOINT=endpoint.url)

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


def test_opentelemetry_rows_have_the_ids_of_their_span(endpoint: Endpoint, arrived: Any) -> None:
    """Of the innermost one; outside there are none."""
    out, err = run("opentelemetry_app.py", DATA_COLLECTION_ENDPOINT=endpoint.url)

    late, failed, done = arrived()
    assert err == ""
    assert (failed["TraceId"], failed["SpanId"]) == tuple(out.split())
    assert late["TraceId"] == failed["TraceId"]
    assert late["SpanId"] != failed["SpanId"]
    assert not {"TraceId", "SpanId"} & set(done)


class TestFunctions:
    """They may be frozen when they return, so that nothing may be left then."""

    def test_an_azure_function_has_delivered_when_it_returns(self, load: Any, endpoint: Endpoint, arrived: Any) -> None:
        """Each time, also when it fails."""
        import azure.functions as func

        module = load("azure_function/function_app.py", endpoint)
        (function,) = module.app.get_functions()
        call = function.get_user_function()

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

    def test_a_lambda_has_delivered_when_it_returns(self, load: Any, endpoint: Endpoint, arrived: Any) -> None:
        """Each time, also when it fails."""
        module = load("aws_lambda.py", endpoint)
        context = SimpleNamespace(aws_request_id="r-17", get_remaining_time_in_millis=lambda: 30_000)

        assert module.lambda_handler({"order": "1001"}, context) == {"statusCode": 202}
        assert arrived()[-1]["Properties"] == {"order": 1001, "request": "r-17"}
        with pytest.raises(KeyError):
            module.lambda_handler({}, context)
        assert arrived()[-1]["Exception"].endswith("KeyError: 'order'")
        assert len(arrived()) == 2

    def test_a_lambda_answers_in_time_while_azure_hangs(self, load: Any) -> None:
        """What it leaves behind goes with the next invocation."""
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

    def test_a_job_ends_with_its_log_delivered(self, endpoint: Endpoint, arrived: Any) -> None:
        """And with status 0."""
        assert run("job.py", DATA_COLLECTION_ENDPOINT=endpoint.url) == ("", "")
        assert [row["Message"] for row in arrived()] == [
            "begins",
            *(f"order {number} sent" for number in (1, 2, 3)),
            "ends",
        ]

    def test_a_job_tells_by_its_status_that_its_log_is_missing(self, load: Any) -> None:
        """Without waiting for Azure longer than it was told."""
        with Endpoint(Hang("answer")) as endpoint:
            module = load("job.py", endpoint)
            module.FLUSH_SECONDS = 0.1
            assert module.main() == 1
            endpoint.release()


class TestStreams:
    """Judged by the local workspace, which knows what the rule declares and what Azure's table takes."""

    RULE = EXAMPLES / "several_streams" / "rule.json"

    def test_each_logger_fills_its_table(self) -> None:
        """Nothing is dropped, converted or cut on the way."""
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
    def test_the_rule_declares_what_the_preset_sends(self, stream: str, preset: str) -> None:
        """All of it, because Azure drops the rest without a word."""
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


def test_a_migrated_table_goes_on_under_its_old_names() -> None:
    """With the types that the old API gave its columns."""
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
