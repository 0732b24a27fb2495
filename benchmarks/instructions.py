"""How many instructions log calls take, counted by valgrind: the same on a busy machine as on an idle one.

What is counted is the difference between two runs of different lengths, so that starting and importing cancel out. What
is compared is a ratio to `QueueHandler`, both above a handler that does nothing, counted in the same breath: it holds
from one build of an interpreter to another.
"""

from __future__ import annotations

import gc
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
from pathlib import Path
from typing import Any

import callgrind
import tables
import workers
from sampling import CannotRun, Scale, significant

TITLE = "Instructions"
CALLS = 1_000
# Under valgrind everything takes fifty times as long, and on a busy machine longer.
LIMIT_SECONDS = 900.0
# By how much the ratio may grow before it counts as a regression.
TOLERANCE = 0.10
CONTENDERS = ("nothing", "queue_handler", "ours")
# Of so many places it is told what they cost.
_SHOWN = 10
_VERSION = "{}.{}".format(*sys.version_info)


def worker(contender: str, calls: int) -> int:
    """Log so many times. With nobody in the background, each run is like the last."""
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
    # The caches are filled when counting begins.
    for number in range(100 + calls):
        logger.info(
            "order %d paid by %s after %.1f s",
            100_000 + number,
            "ada",
            1.5,
            extra={"order": 100_000 + number, "amount": 59.9, "country": "DE"},
        )
    # Without the exit: what waits is not to be delivered under the counter.
    print('\n{"found": 0}', flush=True)
    os._exit(0)


def _count(case: tuple[str, int]) -> Counter[str]:
    contender, calls = case
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "counted")
        under = [
            "env", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1",
            "valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={path}",
        ]  # fmt: skip
        workers.ask("instructions:worker", before=under, limit=LIMIT_SECONDS, contender=contender, calls=calls)
        found = callgrind.places(path.read_text("utf-8", errors="replace"))
    if not found:
        raise CannotRun("valgrind counted nothing")
    return found


def count() -> dict[str, Any]:
    """Count for this interpreter."""
    if shutil.which("valgrind") is None:
        raise CannotRun("valgrind is not installed")
    cases = [(contender, calls) for contender in CONTENDERS for calls in (CALLS, 2 * CALLS)]
    # Counting does not mind company.
    with ThreadPoolExecutor(2) as pool:
        counted = dict(zip(cases, pool.map(_count, cases), strict=True))
    # Not Counter's own difference, which leaves out what is below nothing.
    places = {place for found in counted.values() for place in found}
    a_call = {
        name: {place: (counted[name, 2 * CALLS][place] - counted[name, CALLS][place]) / CALLS for place in places}
        for name in CONTENDERS
    }
    each = {name: sum(found.values()) for name, found in a_call.items()}
    above = {name: value - each["nothing"] for name, value in each.items()}
    dearest = sorted(places, key=lambda place: a_call["nothing"][place] - a_call["ours"][place])[:_SHOWN]
    return {
        "build": " ".join([platform.python_version(), *platform.python_build(), platform.python_compiler()]),
        "a_call": {name: round(value) for name, value in each.items()},
        "ratio": significant(above["ours"] / above["queue_handler"]),
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


def keep(before: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Keep what was recorded for other versions of Python."""
    counted = before.get("counted", {}) | result["counted"]
    return {"counted": dict(sorted(counted.items())), "cannot": result["cannot"]}


def check(recorded: dict[str, Any]) -> int:
    """Compare with what is recorded; return the exit status, which is 1 if a call has grown."""
    before = recorded.get("instructions", {}).get("result", {}).get("counted", {}).get(_VERSION)
    if before is None:
        print(f"instructions: nothing is recorded for Python {_VERSION}, so nothing is compared")
        return 0
    try:
        now = count()
    except CannotRun as reason:
        print(f"instructions: not counted: {reason}")
        return 0
    return verdict(now, before)


def verdict(now: dict[str, Any], before: dict[str, Any]) -> int:
    """Say by how much the ratio has grown; return 1 if that is too much."""
    grown = now["ratio"] / before["ratio"] - 1
    print(
        f"instructions: {now['a_call']['ours']:,} a call on Python {_VERSION}, {now['ratio']:g} ×"
        f" QueueHandler's above nothing; recorded: {before['ratio']:g}, so {grown:+.1%}"
    )
    if grown <= TOLERANCE:
        return 0
    print(
        f"instructions: that is more than {TOLERANCE:.0%}. If it has to be, record it:"
        f" python -m tox run -e bench-py{_VERSION.replace('.', '')} -- instructions",
        file=sys.stderr,
    )
    return 1


def tell(result: dict[str, Any]) -> str:
    """Write the results' section."""
    rows = [
        [
            version,
            f"**{found['ratio']:.3f} ×**",
            *(f"{found['a_call'][name]:,}" for name in ("ours", "queue_handler", "nothing")),
        ]
        for version, found in result["counted"].items()
    ]
    parts = [
        (
            "Instructions of a log call with three arguments and three extras, counted by `valgrind"
            " --tool=callgrind` as the difference of two runs. `.ci/run` counts again and fails when the"
            f" ratio has grown by more than {TOLERANCE:.0%}."
        ),
        tables.markdown(
            ["Python", "against `QueueHandler`", "ours", "`QueueHandler`", "a handler that does nothing"], rows
        ),
    ]
    # One will do: the others are alike.
    for version, found in list(result["counted"].items())[:1]:
        parts += _profile(version, found.get("above_nothing", {}))
    return "\n\n".join(
        [*parts, *tables.cannot({f"Python {version}": why for version, why in result["cannot"].items()})]
    )


def _profile(version: str, places: dict[str, dict[str, int]]) -> list[str]:
    if not places:
        return []
    whole = {name: sum(found[name] for found in places.values()) for name in ("ours", "queue_handler")}
    rows = [[f"`{place}`", f"{found['ours']:,}", f"{found['queue_handler']:,}"] for place, found in places.items()]
    rows.append(["these together", f"{whole['ours']:,}", f"{whole['queue_handler']:,}"])
    return [
        f"Where they are on {version}, above nothing, by source file or library: `ceval.c` is the interpreter's loop.",
        tables.markdown(["", "ours", "`QueueHandler`"], rows),
    ]


def draw(_: dict[str, Any]) -> dict[str, str]:
    """Draw nothing: a few numbers say it."""
    return {}
