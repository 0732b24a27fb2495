"""Every measurement runs, and yields figures for every contender that can run."""

import gzip
import http.client
import json
import re
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

import results
import sink
import workers
from results import Files
from sampling import CannotRun, Scale

SMALL = {
    "log_call": ("nothing", "queue_handler", "ours", "structlog_nothing", "structlog_json"),
    "to_acknowledged": ("ours",),
    "outage": ("drop_new",),
    "growth": (),
    "interference": ("nothing", "ours"),
    "web": ("ours",),
}


@pytest.fixture
def files(tmp_path):
    return Files.in_directory(tmp_path)


def figures_in(found):
    """Yield each figure of a result, at any depth."""
    if isinstance(found, dict):
        if found.keys() == {"median", "low", "high"}:
            yield found
        else:
            for part in found.values():
                yield from figures_in(part)
    elif isinstance(found, list):
        for part in found:
            yield from figures_in(part)


@pytest.mark.parametrize("name", SMALL)
def test_a_measurement_yields_figures_for_every_contender_that_can_run(name, files):
    with workers.here():
        assert results.run([name], Scale(runs=1, share=0.002, only=SMALL[name]), files)
    result = results.read(files.figures)[name]["result"]
    figures = list(figures_in(result))

    assert figures
    assert all(one["low"] <= one["median"] <= one["high"] for one in figures)
    assert [contender for contender in SMALL[name] if contender not in str(result)] == []
    text = (files.page / "results.md").read_text("utf-8")
    assert f"## {results.MEASUREMENTS[name].TITLE}" in text
    assert all((files.page / chart).exists() for chart in re.findall(r"\]\((.+\.svg)\)", text))


def test_no_contender_loses_rows_on_the_way_to_the_endpoint():
    with workers.here():
        result = results.MEASUREMENTS["to_acknowledged"].measure(Scale(runs=1, share=0.002, only=("ours", "sdk_list")))
    found = [one for case in result["cases"] for one in case["found"].values()]

    assert [one["lost"]["median"] for one in found] == [0] * 8
    assert all(abs(case["found"]["ours"]["bytes_a_row"]["median"] - 480) < 12 for case in result["cases"])


def test_the_endpoint_of_the_measurements_counts_the_rows_since_it_was_last_asked():
    rows = [{"n": 1}, {"n": 2}]
    with sink.running() as endpoint:
        connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
        for body in (gzip.compress(json.dumps(rows).encode()), b'[{"n":3}]'):
            connection.request("POST", "/anywhere", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 204
        connection.close()
        counted = endpoint.counted()

        assert (counted["requests"], counted["rows"]) == (2, 3)
        assert endpoint.counted()["rows"] == 0


def test_a_worker_whose_module_is_missing_names_the_module():
    with pytest.raises(CannotRun, match="nobody_has_this is not installed"):
        workers.ask("nobody_has_this:worker")


def test_the_error_of_a_failed_worker_is_reported():
    with pytest.raises(CannotRun, match="has no attribute 'nothing'"):
        workers.ask("growth:nothing")


def test_a_measurement_keeps_the_figures_of_the_others(files):
    with workers.here():
        results.run(["growth"], Scale(runs=1, share=0.001), files)
        results.run(["outage"], Scale(runs=1, share=0.001, only=("block",)), files)

    assert list(results.read(files.figures)) == ["outage", "growth"]


def test_a_measurement_that_breaks_off_does_not_stop_the_next(files, monkeypatch, capsys):
    def measure(_):
        raise CannotRun("not ready within 180 s")

    monkeypatch.setitem(results.MEASUREMENTS, "web", SimpleNamespace(TITLE="Web", measure=measure))
    with workers.here():
        assert not results.run(["web", "growth"], Scale(runs=1, share=0.001), files)

    assert "broke off: not ready within 180 s" in capsys.readouterr().out
    assert list(results.read(files.figures)) == ["growth"]


def test_an_unknown_measurement_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, workers.HERE, "speed"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert "no measurement speed; there are log_call, to_acknowledged" in done.stderr


def test_the_wheel_contains_no_benchmarks():
    assert not [file for file in metadata.files("logging-azmon") if "benchmarks" in file.parts]
