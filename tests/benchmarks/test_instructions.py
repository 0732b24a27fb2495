"""The instructions of a log call are counted, and the gate compares them with the baseline."""

import json

import pytest

import callgrind
import instructions
import results

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


def counts(ratio):
    """Make counts of a call with this ratio to QueueHandler's."""
    return {"nothing": 50_000, "queue_handler": 100_000, "ours": round(50_000 + ratio * 50_000)}


@pytest.fixture
def baseline(tmp_path):
    """Give the path of a baseline with two versions of Python."""
    path = tmp_path / "baseline.json"
    known = {version: {"plain": counts(0.4)} for version in ("3.1", "3.2")}
    path.write_text(json.dumps({"tolerance": 0.1, "instructions": known}), "utf-8")
    return path


def test_instructions_are_summed_by_source_file_or_library():
    """The cost of a callee is counted in the callee, inlined code in the file that it comes from."""
    assert callgrind.places(COUNTED) == {"ceval.c": 530, "object.h": 30, "orjson": 8_000}


def test_the_baseline_allows_a_tenth_more_instructions_on_each_supported_python():
    baseline = instructions.read(results.PUBLISHED.baseline)

    assert baseline["tolerance"] == 0.1
    assert list(baseline["instructions"]) == ["3.11", "3.12", "3.13"]


@pytest.mark.parametrize(("ratio", "status"), [(0.2, 0), (0.5, 0), (0.549, 0), (0.551, 1), (2.0, 1)])
def test_a_call_may_take_a_tenth_more_instructions_and_no_more(ratio, status, capsys):
    assert instructions.verdict(counts(ratio), counts(0.5), 0.1) == status
    printed = capsys.readouterr()
    assert "baseline: 0.5" in printed.out
    assert ("record it" in printed.err) == bool(status)


@pytest.mark.parametrize(("ratio", "status"), [(0.219, 0), (0.221, 1)])
def test_the_compiled_implementation_has_a_gate_of_its_own(ratio, status, capsys):
    before = counts(0.5) | {"compiled": 60_000}
    now = counts(0.5) | {"compiled": round(50_000 + ratio * 50_000)}
    assert instructions.verdict(now, before, 0.1) == status
    assert "compiled: 6" in capsys.readouterr().out


@pytest.mark.parametrize(("missing", "reason"), [("now", "not built"), ("before", "no baseline")])
def test_an_implementation_that_cannot_be_compared_is_reported_and_does_not_fail(missing, reason, capsys):
    both = {"now": counts(0.5), "before": counts(0.5)}
    both["before" if missing == "now" else "now"]["compiled"] = 60_000
    assert instructions.verdict(both["now"], both["before"], 0.1) == 0
    assert f"compiled: {reason}, so not compared" in capsys.readouterr().out


def test_a_python_without_a_baseline_is_reported_and_does_not_fail(tmp_path, capsys):
    assert instructions.check(tmp_path / "none.json") == 0
    assert "so nothing is compared" in capsys.readouterr().out


def test_recording_one_python_keeps_the_counts_of_the_others(baseline):
    result = {"counted": {"3.2": {"a_call": counts(0.3), "ratio": 0.3}}, "cannot": {}}
    merged = instructions.record(result, {}, baseline)

    assert {version: one["ratio"] for version, one in merged["counted"].items()} == {"3.1": 0.4, "3.2": 0.3}
    assert instructions.read(baseline)["instructions"] == {"3.1": {"plain": counts(0.4)}, "3.2": {"plain": counts(0.3)}}


def test_recording_keeps_the_profiles_that_were_taken_on_this_machine(baseline):
    before = {"counted": {"3.1": {"a_call": counts(0.4), "ratio": 0.4, "above_nothing": {"ceval.c": 1}}}}
    merged = instructions.record({"counted": {}, "cannot": {}}, before, baseline)

    assert merged["counted"]["3.1"]["above_nothing"] == {"ceval.c": 1}
