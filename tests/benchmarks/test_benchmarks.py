"""The benchmarks: their arithmetic is right, each of them runs, and what is published is what they wrote."""

import gzip
import http.client
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

import callgrind
import charts
import goals
import instructions
import results
import sink
import tables
import workers
from sampling import CannotRun, Scale, exponent, figure, interleaved, line, quantiles, ratios, shown, significant

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
README = BENCHMARKS.parent.joinpath("README.md").read_text("utf-8")
SVG = "{http://www.w3.org/2000/svg}"


# Arithmetic.


def test_a_figure_is_the_median_with_the_lowest_and_the_highest_run():
    assert figure([5.0, 1.0, 9.0, 2.0, 3.0]) == {"median": 3.0, "low": 1.0, "high": 9.0}


def test_ratios_compare_run_by_run():
    assert ratios([2.0, 40.0, 9.0], [1.0, 10.0, 3.0]) == {"median": 3.0, "low": 2.0, "high": 4.0}


def test_quantiles_are_values_that_were_measured():
    assert quantiles(range(1_000, 0, -1)) == {"p50": 500, "p99": 990, "p99.9": 999, "worst": 1_000}
    assert quantiles([7.0]) == {"p50": 7.0, "p99": 7.0, "p99.9": 7.0, "worst": 7.0}


@pytest.mark.parametrize(
    ("value", "rounded"), [(123_456.0, 123_500.0), (0.000123456, 0.0001235), (-9.87654, -9.877), (0.0, 0.0)]
)
def test_figures_have_four_digits(value, rounded):
    assert significant(value) == rounded


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1_000_000.0, 7, "1,000,000"), (203_812.0, 3, "204,000"), (12.345, 3, "12.3"), (0.0074, 2, "0.0074"), (0, 3, "0")],
)
def test_large_figures_are_written_out(value, digits, text):
    assert shown(value, digits) == text


def test_a_line_is_found_with_what_is_fixed_and_what_each_costs():
    assert line({x: 3.0 + 0.5 * x for x in (1, 10, 100, 60_000)}) == {"fixed": 3.0, "each": 0.5, "error": 0.0}


def test_a_line_says_how_far_its_worst_point_is_away():
    found = line({1: 1.0, 2: 2.0, 3: 3.0, 4: 8.0})
    assert found["error"] == pytest.approx(
        max(abs(found["fixed"] + found["each"] * x - y) / y for x, y in ((1, 1), (2, 2), (3, 3), (4, 8))), abs=0.01
    )
    assert found["error"] > 0.1


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, -0.5])
def test_an_exponent_tells_constant_from_proportional(power):
    assert exponent({x: 7.0 * x**power for x in (1, 10, 100, 3_000)}) == pytest.approx(power, abs=0.01)


def test_rounds_are_interleaved_and_every_other_one_runs_backwards():
    order = []
    found, unable = interleaved(["a", "b"], 3, lambda name: order.append(name) or len(order))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert (found, unable) == ({"a": [1, 4, 5], "b": [2, 3, 6]}, {})


def test_those_who_can_run_do_so_without_the_others():
    def measure(name):
        if name == "absent":
            raise CannotRun("it is not there")
        return 1.0

    assert interleaved(["absent", "present"], 2, measure) == ({"present": [1.0, 1.0]}, {"absent": "it is not there"})


# The measurements.


SMALL = {
    "log_call": ("nothing", "queue_handler", "ours", "structlog_nothing", "structlog_json"),
    "to_acknowledged": ("ours",),
    "outage": ("drop_new",),
    "growth": (),
    "interference": ("nothing", "ours"),
    "web": ("ours",),
}


def figures_in(found):
    """Yield each figure of a result, however deep."""
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
def test_a_measurement_yields_figures_for_all_who_can_run(name, tmp_path):
    with workers.here():
        assert results.run([name], Scale(runs=1, share=0.002, only=SMALL[name]), tmp_path)
    section = results.read(tmp_path)[name]
    result = section["result"]
    found = list(figures_in(result))
    assert found
    assert all(one["low"] <= one["median"] <= one["high"] for one in found)
    missing = {who for who in SMALL[name] if who not in str(result)}
    assert not missing
    page = (tmp_path / "results.md").read_text("utf-8")
    assert f"## {results.MEASUREMENTS[name].TITLE}" in page
    assert all((tmp_path / chart).exists() for chart in re.findall(r"\]\((.+\.svg)\)", page))


def test_nobody_loses_rows_on_the_way_to_the_endpoint():
    with workers.here():
        result = results.MEASUREMENTS["to_acknowledged"].measure(Scale(runs=1, share=0.002, only=("ours", "sdk_list")))
    found = [one for case in result["cases"] for one in case["found"].values()]
    assert [one["lost"]["median"] for one in found] == [0] * 8
    assert all(abs(case["found"]["ours"]["bytes_a_row"]["median"] - 480) < 12 for case in result["cases"])


def test_the_endpoint_counts_what_has_arrived():
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


def test_who_cannot_run_says_why():
    with pytest.raises(CannotRun, match="nobody_has_this is not installed"):
        workers.ask("nobody_has_this:worker")


def test_a_worker_that_fails_says_with_which_words():
    with pytest.raises(CannotRun, match="has no attribute 'nothing'"):
        workers.ask("growth:nothing")


# What is written.


def test_a_chart_shows_each_name_with_its_median_and_the_goal():
    text = charts.bars(
        "A & B",
        "less is better",
        [charts.Bar("first <1>", figure([1.0, 2.0, 3.0]), is_ours=True), charts.Bar("second", figure([400.0]))],
        unit="ms",
        goal=charts.Goal("enough", 100.0),
    )
    svg = ET.fromstring(text)
    texts = [element.text for element in svg.iter(f"{SVG}text")]
    assert texts == ["A & B", "less is better", "first <1>", "2 ms", "second", "400 ms", "enough"]
    ours, other = [element for element in svg.iter(f"{SVG}rect") if element.get("class") in ("ours", "bar")]
    assert float(other.get("width")) == pytest.approx(200 * float(ours.get("width")), rel=0.01)
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("is_logarithmic", [True, False])
def test_no_bar_leaves_the_chart(is_logarithmic):
    found = [charts.Bar(str(value), figure([value, value * 3])) for value in (0.01, 1.0, 5_000.0)]
    svg = ET.fromstring(charts.bars("", "", found, logarithmic=is_logarithmic))
    ends = [float(one.get("x")) + float(one.get("width")) for one in svg.iter(f"{SVG}rect")]
    assert max(ends) <= float(svg.get("width"))


def test_a_table_says_who_did_not_take_part():
    assert tables.cannot({"somebody": "it is not installed"}) == ["- somebody did not take part: it is not installed."]
    assert tables.cannot({}) == []
    assert tables.ratio(figure([0.5, 0.25, 1.0])) == "**0.5 ×** (0.25 to 1)"


def test_what_was_found_before_stays(tmp_path):
    with workers.here():
        results.run(["growth"], Scale(runs=1, share=0.001), tmp_path)
        results.run(["outage"], Scale(runs=1, share=0.001, only=("block",)), tmp_path)
    assert list(results.read(tmp_path)) == ["outage", "growth"]


def test_a_measurement_that_breaks_off_costs_no_other(tmp_path, monkeypatch, capsys):
    def measure(_):
        raise CannotRun("not ready within 180 s")

    monkeypatch.setitem(results.MEASUREMENTS, "web", SimpleNamespace(measure=measure))
    with workers.here():
        assert not results.run(["web", "growth"], Scale(runs=1, share=0.001), tmp_path)
    assert "broke off: not ready within 180 s" in capsys.readouterr().out
    assert list(results.read(tmp_path)) == ["growth"]


def test_the_published_results_are_the_measured_ones():
    """Nobody edits them by hand: README's charts come from the same file as the tables."""
    found = results.read(BENCHMARKS)
    files = results.told(found)
    assert found.keys() == results.MEASUREMENTS.keys()
    assert {path.name for path in BENCHMARKS.glob("*.svg")} == {name for name in files if name.endswith(".svg")}
    for name, text in files.items():
        assert (BENCHMARKS / name).read_text("utf-8") == text, f"{name} is not what results.json says"


def test_every_goal_that_is_missed_says_why():
    """And none is hidden: with all results there, all goals are told."""
    found = results.read(BENCHMARKS)
    assert len(goals.tell(found)) >= 2
    assert [goal.what for goal in goals.GOALS if not goal.is_reached(found) and not goal.because] == []


def test_readme_shows_charts_that_exist():
    shown = re.findall(r"\]\((docs/charts/[^)]+)\)", README)
    assert any(name.endswith(".svg") for name in shown)
    assert all((BENCHMARKS.parent / name).exists() for name in shown)


def test_the_wheel_holds_no_benchmarks():
    assert not [file for file in metadata.files("logging-azmon") if "benchmarks" in file.parts]


# Goals.


@pytest.mark.parametrize(
    ("bound", "is_least", "median", "said"),
    [(2, False, 2.0, "reached"), (2, False, 2.01, "missed"), (2, True, 2.0, "reached"), (2, True, 1.99, "missed")],
)
def test_a_goal_is_reached_by_its_median(bound, is_least, median, said):
    goal = goals.Goal(what="a call", bound=bound, is_least=is_least, found=lambda found: found["call"])
    found = {"call": {"median": median, "low": 1.0, "high": 3.0}}

    assert goal.row(found) == [
        "a call",
        f"at {'least' if is_least else 'most'} 2 ×",
        f"{median:g} (1 to 3)",
        {"reached": "reached", "missed": "**missed**"}[said],
    ]
    assert goal.is_reached(found) == (said == "reached")


def test_what_is_missed_is_told_with_its_reason(monkeypatch):
    call = {"median": 3.0, "low": 3.0, "high": 3.0}
    goal = goals.Goal(what="a call", bound=2, found=lambda found: found["call"], because="It is the interpreter.")
    monkeypatch.setattr(goals, "GOALS", (goal,))

    assert goals.tell({"call": call})[-1] == "- *a call*: It is the interpreter."
    assert goals.tell({"call": call | {"median": 1.0}})[-1].endswith("| reached |")
    assert goals.tell({}) == [], "not before everything has been measured"


# Instructions.

COUNTED = """\
positions: line
events: Ir
ob=(1) /usr/lib/libpython3.11.so.1.0
fl=(1) /src/Python/ceval.c
fn=(1) eval
10 500
+3 20
fi=(2) /src/Include/object.h
4 30
fe=(1)
* 7
cob=(2) /lib/orjson/orjson.cpython-311-x86_64-linux-gnu.so
cfi=(3) ???
cfn=(2) 0x0000000000013cc0
calls=1 0
12 9000
13 1

fn=(3) eval_too
1 2

ob=(2)
fl=(3)
fn=(2)
0 8000
summary: 8560
"""


def test_instructions_are_summed_up_by_source_file_or_library():
    """What a callee cost is counted there, what was inlined where it came from."""
    assert callgrind.places(COUNTED) == {"ceval.c": 530, "object.h": 30, "orjson": 8_000}


def counted(ratio):
    return {"build": "3", "a_call": {"ours": 90_000, "queue_handler": 100_000, "nothing": 50_000}, "ratio": ratio}


@pytest.mark.parametrize(("ratio", "status"), [(0.2, 0), (0.5, 0), (0.549, 0), (0.551, 1), (2.0, 1)])
def test_a_call_may_take_a_tenth_more_instructions_and_no_more(ratio, status, capsys):
    assert instructions.verdict(counted(ratio), counted(0.5)) == status
    said = capsys.readouterr()
    assert "recorded: 0.5" in said.out
    assert ("record it" in said.err) == bool(status)


def test_nothing_recorded_is_said_and_is_no_failure(capsys):
    assert instructions.check({}) == 0
    assert "nothing is recorded" in capsys.readouterr().out


def test_what_is_recorded_for_another_python_stays():
    before = {"counted": {"3.1": counted(0.4), "3.2": counted(0.4)}, "cannot": {}}
    kept = instructions.keep(before, {"counted": {"3.2": counted(0.3)}, "cannot": {}})
    assert {version: found["ratio"] for version, found in kept["counted"].items()} == {"3.1": 0.4, "3.2": 0.3}


# The command.


def test_an_unknown_measurement_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, BENCHMARKS, "speed"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "no measurement speed; there are log_call, to_acknowledged" in done.stderr
