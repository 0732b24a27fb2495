"""Count the instructions of a log call with valgrind: the count is the same on a busy machine as on an idle one.

The count of a call is the difference between two runs of different lengths, so starting and importing cancel out. The
gate compares ratios: ours, pure and compiled, to `QueueHandler`, all above a handler that does nothing and counted in
the same run. A ratio, unlike a count, holds from one build of an interpreter to another.
"""

from __future__ import annotations

import gc
import json
import logging
import logging.handlers
import os
import platform
import queue
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import callgrind
import tables
import workers
from sampling import CannotRun, Scale, significant

TITLE = "Instructions"
CALLS = 1_000
# Under valgrind a run takes fifty times as long, and longer on a busy machine.
LIMIT_SECONDS = 900.0
# By how much the ratio may grow if the baseline does not say.
TOLERANCE = 0.10
# Three arguments and three extras; the only scenario that is counted so far.
SCENARIO = "plain"
CONTENDERS = ("nothing", "queue_handler", "ours", "compiled")
# Our implementations: pure Python and, where it was built, the compiled one.
OURS = {"ours": "python", "compiled": "compiled"}
# The number of places that a profile keeps.
_SHOWN = 10
_COLUMNS = (*OURS, "queue_handler", "nothing")
_VERSION = "{}.{}".format(*sys.version_info)


def worker(contender: str, calls: int) -> int:
    """Log this many times; without a listener in the background, every run takes the same instructions."""
    handler: Any
    if contender == "nothing":
        handler = logging.NullHandler()
    elif contender == "queue_handler":
        handler = logging.handlers.QueueHandler(queue.Queue())
    else:
        from contenders import NOWHERE, Stub
        from logging_azmon import AzureMonitorHandler, Pipeline
        from shipping import RULE_ID, STREAM

        handler = AzureMonitorHandler(pipeline=Pipeline(NOWHERE, RULE_ID, STREAM, destination=Stub(), background=False))
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    gc.collect()
    gc.disable()
    # The first hundred calls fill the caches; the difference of the runs leaves them out.
    for number in range(100 + calls):
        logger.info(
            "order %d paid by %s after %.1f s",
            100_000 + number,
            "ada",
            1.5,
            extra={"order": 100_000 + number, "amount": 59.9, "country": "DE"},
        )
    # Skip the exit handlers, which would deliver the queued rows while instructions are counted.
    print('\n{"found": 0}', flush=True)
    os._exit(0)


def _count(case: tuple[str, int]) -> Counter[str]:
    contender, calls = case
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "counted")
        under = [
            "env", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", f"LOGGING_AZMON_IMPL={OURS.get(contender, '')}",
            "valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={path}",
        ]  # fmt: skip
        workers.ask("instructions:worker", before=under, limit=LIMIT_SECONDS, contender=contender, calls=calls)
        found = callgrind.places(path.read_text("utf-8", errors="replace"))
    if not found:
        raise CannotRun("valgrind counted nothing")
    return found


def count() -> dict[str, Any]:
    """Count for this interpreter: each contender twice, in two lengths."""
    if shutil.which("valgrind") is None:
        raise CannotRun("valgrind is not installed")
    contenders = [name for name in CONTENDERS if name != "compiled" or find_spec("logging_azmon._compiled")]
    cases = [(name, calls) for name in contenders for calls in (CALLS, 2 * CALLS)]
    # A second process does not affect a count.
    with ThreadPoolExecutor(2) as pool:
        counted = dict(zip(cases, pool.map(_count, cases), strict=True))
    # Counter's own subtraction would drop the negative differences.
    places = {place for found in counted.values() for place in found}
    a_call = {
        name: {place: (counted[name, 2 * CALLS][place] - counted[name, CALLS][place]) / CALLS for place in places}
        for name in contenders
    }
    counts = {name: round(sum(found.values())) for name, found in a_call.items()}
    dearest = sorted(places, key=lambda place: a_call["nothing"][place] - a_call["ours"][place])[:_SHOWN]
    return {
        "build": " ".join([platform.python_version(), *platform.python_build(), platform.python_compiler()]),
        "a_call": counts,
        "ratio": ratio(counts),
        "above_nothing": {
            place: {name: round(a_call[name][place] - a_call["nothing"][place]) for name in ("ours", "queue_handler")}
            for place in dearest
        },
    }


def measure(_: Scale) -> dict[str, Any]:
    """Count once: a count does not vary."""
    try:
        return {"counted": {_VERSION: count()}, "cannot": {}}
    except CannotRun as reason:
        return {"counted": {}, "cannot": {_VERSION: str(reason)}}


def record(result: dict[str, Any], before: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write the counts into the baseline; return them together with those of other versions of Python.

    `before` is this machine's earlier result, which also has the profiles; the baseline knows the counts alone.
    """
    baseline = read(path)
    known = {
        version: {"a_call": scenarios[SCENARIO], "ratio": ratio(scenarios[SCENARIO])}
        for version, scenarios in baseline["instructions"].items()
    }
    counted = dict(sorted((known | before.get("counted", {}) | result["counted"]).items()))
    baseline["instructions"] = {version: {SCENARIO: one["a_call"]} for version, one in counted.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(baseline, indent=1) + "\n", "utf-8")
    return {"counted": counted, "tolerance": baseline["tolerance"], "cannot": result["cannot"]}


def read(path: Path) -> dict[str, Any]:
    """Return the baseline: by how much the ratio may grow, and the instructions by version of Python and scenario."""
    baseline: dict[str, Any] = {"tolerance": TOLERANCE, "instructions": {}}
    return baseline | (json.loads(path.read_text("utf-8")) if path.exists() else {})


def ratio(a_call: dict[str, int], name: str = "ours") -> float:
    """Compare one of ours with `QueueHandler`, both above a handler that does nothing."""
    return significant((a_call[name] - a_call["nothing"]) / (a_call["queue_handler"] - a_call["nothing"]))


def check(path: Path) -> int:
    """Count, and compare with the baseline; return the exit status, which is 1 if a call takes more than allowed."""
    baseline = read(path)
    before = baseline["instructions"].get(_VERSION, {}).get(SCENARIO)
    if before is None:
        print(f"instructions: the baseline has no Python {_VERSION}, so nothing is compared")
        return 0
    try:
        now = count()
    except CannotRun as reason:
        print(f"instructions: not counted: {reason}")
        return 0
    return verdict(now["a_call"], before, baseline["tolerance"])


def verdict(now: dict[str, int], before: dict[str, int], tolerance: float) -> int:
    """Print by how much the ratios have grown; return 1 if one of them has by more than the tolerance."""
    growths = []
    for name, implementation in OURS.items():
        if name not in now or name not in before:
            print(f"instructions: {implementation}: {'no baseline' if name in now else 'not built'}, so not compared")
            continue
        growths.append(ratio(now, name) / ratio(before, name) - 1)
        print(
            f"instructions: {implementation}: {now[name]:,} a call on Python {_VERSION}, {ratio(now, name):g} ×"
            f" QueueHandler's above nothing; baseline: {ratio(before, name):g} ×, so {growths[-1]:+.1%}"
        )
    if max(growths) <= tolerance:
        return 0
    print(
        f"instructions: that is more than {tolerance:.0%}. If it is intended, record it:"
        f" python -m tox run -e bench-py{_VERSION.replace('.', '')} -- instructions",
        file=sys.stderr,
    )
    return 1


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    rows = [
        [
            version,
            *(f"**{ratio(found['a_call'], name):.3f} ×**" if name in found["a_call"] else "" for name in OURS),
            *(f"{found['a_call'][name]:,}" if name in found["a_call"] else "" for name in _COLUMNS),
        ]
        for version, found in result["counted"].items()
    ]
    parts = [
        (
            "Instructions of a log call with three arguments and three extras, counted by `valgrind"
            " --tool=callgrind` as the difference of two runs. `.ci/run` counts again and fails if the"
            f" ratio has grown by more than {result['tolerance']:.0%}; it reads the counts from"
            " `benchmarks/baseline.json`."
        ),
        tables.markdown(
            [
                "Python",
                "pure vs. `QueueHandler`",
                "compiled vs. `QueueHandler`",
                "pure",
                "compiled",
                "`QueueHandler`",
                "a handler that does nothing",
            ],
            rows,
        ),
    ]
    # One profile is enough: the others are alike.
    profiles = [(version, one["above_nothing"]) for version, one in result["counted"].items() if "above_nothing" in one]
    parts += [text for version, places in profiles[:1] for text in _profile(version, places)]
    return "\n\n".join(
        [*parts, *tables.cannot({f"Python {version}": why for version, why in result["cannot"].items()})]
    )


def _profile(version: str, places: dict[str, dict[str, int]]) -> list[str]:
    whole = {name: sum(found[name] for found in places.values()) for name in ("ours", "queue_handler")}
    rows = [[f"`{place}`", f"{found['ours']:,}", f"{found['queue_handler']:,}"] for place, found in places.items()]
    rows.append(["total of these", f"{whole['ours']:,}", f"{whole['queue_handler']:,}"])
    return [
        f"A profile on {version}, above nothing, by source file or library; `ceval.c` is the interpreter's loop.",
        tables.markdown(["", "ours", "`QueueHandler`"], rows),
    ]


def draw(_: dict[str, Any]) -> dict[str, str]:
    """Draw nothing: a few numbers suffice."""
    return {}
