"""Plan a fleet: its share of a rule's quota, the storage that an outage takes, and the volume billed a day.

It also simulates a deploy, in which all processes start at once, on a virtual clock with the library's own pacing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ..._config.service_limits import QUOTA_BYTES, QUOTA_REQUESTS
from ..._config.settings import Settings, read
from .._shared.numbers import number, pluralize, whole_number
from .._shared.timespan import duration_text, read_duration
from .estimate import HEADROOM, Estimate, Workload
from .simulation import Fleet, Minute, Simulation, SimulationResult

EXTRA = "cli"
EXAMPLES = (
    "logging-azmon plan --processes 40 --rows-per-second 20 --bytes 600",
    "logging-azmon plan --processes 10000 --rows-per-second 1 --bytes 400 --rules 4 --minutes 0",
)
# A larger fleet is simulated in part, against the same fraction of the quota.
MAX_SIMULATED = 10_000
_MAX_REQUESTS = 2_000_000
_BAR = 40
_WHOLE, _POSITIVE = whole_number("whole number", 1, 10_000_000), number("number", 0.0001, 1_000_000)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--processes", type=_WHOLE, required=True, metavar="N", help="number of processes that log")
    parser.add_argument(
        "--rows-per-second", type=_POSITIVE, required=True, metavar="R", help="rows a second that each process logs"
    )
    parser.add_argument("--bytes", type=_WHOLE, required=True, metavar="B", help="average length of a row as JSON")
    parser.add_argument(
        "--rules", type=_WHOLE, default=1, metavar="N", help="number of rules that share the fleet (%(default)s)"
    )
    parser.add_argument(
        "--batch-seconds",
        type=_POSITIVE,
        default=5.0,
        metavar="SECONDS",
        help="the setting batch_seconds (%(default)s)",
    )
    parser.add_argument(
        "--outage", type=_duration, default="1h", metavar="SPAN", help="length of an outage to survive (%(default)s)"
    )
    parser.add_argument(
        "--minutes",
        type=whole_number("number of minutes", 0, 600),
        default=20,
        metavar="N",
        help="minutes of the deploy to simulate, 0 for none (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _duration(text: str) -> float:
    try:
        return read_duration(text).total_seconds()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; give 30m, 2h or PT1H") from None


def run(arguments: argparse.Namespace) -> int:
    """Estimate, simulate, and print both."""
    estimate = Estimate(
        Workload(
            processes=arguments.processes,
            rows_per_second=arguments.rows_per_second,
            row_bytes=arguments.bytes,
            rules=arguments.rules,
            outage_seconds=arguments.outage,
        ),
        _settings(arguments.batch_seconds),
    )
    if arguments.json:
        course = _play(estimate, arguments.minutes) if arguments.minutes else None
        json.dump(_figures(estimate, course), sys.stdout, indent=2)
        print()
        return 0
    _show(estimate)
    if arguments.minutes:
        _show_course(_play(estimate, arguments.minutes))
    return 0


def _settings(batch_seconds: float) -> Settings:
    # Reading the settings requires an address; it is not used.
    address = {"endpoint": "https://fleet.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
    return read(address | {"batch_seconds": batch_seconds}, {})


def _play(estimate: Estimate, minutes: int) -> SimulationResult:
    """Simulate the deploy of one rule's processes, or of some of them if they are too many."""
    from rich.progress import Progress

    from .._shared.console import error_console

    per_rule = math.ceil(estimate.workload.processes / estimate.workload.rules)
    share = min(1.0, MAX_SIMULATED / per_rule, _MAX_REQUESTS / (min(estimate.requests, 3 * QUOTA_REQUESTS) * minutes))
    simulated = max(1, round(per_rule * share))
    fleet = Fleet(
        processes=simulated,
        rows_per_second=estimate.workload.rows_per_second,
        row_bytes=estimate.workload.row_bytes,
        quota_requests=max(1, round(QUOTA_REQUESTS * simulated / per_rule)),
        quota_bytes=max(1, round(QUOTA_BYTES * simulated / per_rule)),
    )
    course = SimulationResult()
    with Progress(console=error_console(), transient=True) as progress:
        task = progress.add_task(f"a deploy of {simulated:,} processes", total=minutes)
        for course in Simulation(estimate.settings, fleet).run(minutes):  # noqa: B007 - the last one is the result
            progress.advance(task)
    return course.scaled(per_rule / simulated)


def _figures(estimate: Estimate, course: SimulationResult | None) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "requests_per_minute": round(estimate.requests),
        "requests_quota": QUOTA_REQUESTS,
        "bytes_per_minute": round(estimate.bytes),
        "bytes_quota": QUOTA_BYTES,
        "fits": estimate.fits,
        "rules_needed": estimate.rules_needed,
        "batch_seconds_needed": estimate.batch_seconds_needed,
        "outage_seconds": estimate.workload.outage_seconds,
        "outage_bytes_per_process": round(estimate.outage_bytes),
        "memory_lasts_seconds": round(estimate.memory_lasts_seconds),
        "catching_up_seconds": None if estimate.catch_up_seconds is None else round(estimate.catch_up_seconds),
        "rows_per_day": round(estimate.rows_a_day),
        "json_gigabytes_per_day": round(estimate.json_gigabytes_a_day, 3),
        "billed_gigabytes_per_day": round(estimate.billed_gigabytes_a_day, 3),
    }
    if course is not None:
        figures["deploy"] = {
            "settled_after_minutes": course.settled_after(),
            "requests_asked": [minute.asked for minute in course.minutes],
            "requests_refused": [minute.refused for minute in course.minutes],
            "rows_accepted": course.accepted,
            "rows_delivered": course.delivered,
            "rows_waiting": course.waiting,
            "rows_dropped": sum(course.dropped.values()),
        }
    return figures


def _show(estimate: Estimate) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from .._shared.console import output_console

    out, workload = output_console(), estimate.workload
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("for each rule, per minute", "from the fleet", "quota", "used"):
        table.add_column(name, justify="left" if name.startswith("for each") else "right")
    for name, asked, quota, unit in (
        ("requests", estimate.requests, QUOTA_REQUESTS, ""),
        ("data", estimate.bytes / 1e9, QUOTA_BYTES / 1e9, " GB"),
    ):
        used = asked / quota
        style = "bold red" if used > 1 else "yellow" if used > HEADROOM else "green"
        table.add_row(name, f"{_number(asked)}{unit}", f"{_number(quota)}{unit}", Text(f"{used:,.0%}", style))
    out.print(
        f"{workload.processes:,} processes, each {workload.rows_per_second:g} rows/s of {workload.row_bytes:,} bytes,"
        f" batch_seconds={estimate.settings.batch_seconds:g}, {pluralize(workload.rules, 'rule')}",
        soft_wrap=True,
    )
    out.print(table)
    for head, words in (("Quota", _quota(estimate)), _outage(estimate), _day(estimate)):
        out.print(Text.assemble((f"{head}: ", "bold"), words))


def _outage(estimate: Estimate) -> tuple[str, str]:
    kept, queue = estimate.outage_bytes, estimate.settings.queue_bytes
    full = f"queue_bytes={queue:,} is full after {_words(estimate.memory_lasts_seconds)}"
    if kept <= queue:
        storage = f"queue_bytes={queue:,} (the default) holds that"
    elif kept <= estimate.settings.spool_bytes:
        storage = f"{full}; set queue_bytes={math.ceil(kept):,} or a spool (its default, 1 GiB, holds that)"
    else:
        storage = f"{full}; use a spool with spool_bytes={math.ceil(kept):,}"
    seconds = estimate.catch_up_seconds
    after = "the rule has no room to catch up" if seconds is None else f"the rule catches up in {_words(seconds)}"
    sizes = f"{kept / 1e6:,.1f} MB in each process, {kept * estimate.workload.processes / 1e9:,.1f} GB in all"
    return f"An outage of {_words(estimate.workload.outage_seconds)}", f"{sizes}; {storage}; afterwards {after}"


def _day(estimate: Estimate) -> tuple[str, str]:
    sizes = (
        f"{estimate.rows_a_day:,.0f} rows, {_number(estimate.json_gigabytes_a_day)} GB of JSON, billed as about"
        f" {_number(estimate.billed_gigabytes_a_day)} GB (column names are not billed)"
    )
    return "A day", f"{sizes}; for the exact figure, query App_CL | summarize sum(_BilledSize) / 1e9"


def _quota(estimate: Estimate) -> str:
    if estimate.fits:
        return f"sufficient, with more than {1 - HEADROOM:.0%} to spare"
    ways = []
    seconds = estimate.batch_seconds_needed
    if seconds is not None and estimate.rules_for_bytes <= estimate.workload.rules:
        ways.append(f"batch_seconds={seconds:g}")
    ways.append(f"{pluralize(estimate.rules_needed, 'rule')} (each with its share of the processes)")
    text = f"too much for {pluralize(estimate.workload.rules, 'rule')}: use {' or '.join(ways)}"
    if estimate.bytes > QUOTA_BYTES:
        return f"{text}; a longer batch_seconds does not help, because the volume of data is too large"
    return f"{text}; without a change, the library sends less often while the service answers 429"


def _show_course(course: SimulationResult) -> None:
    from rich.table import Table
    from rich.text import Text

    from .._shared.console import output_console

    out = output_console()
    out.print(Text("\nA deploy: all processes of a rule start within one second", "bold"))
    most = max(minute.asked for minute in course.minutes)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("right", "right", "left", "right"):
        grid.add_column(justify=justify)
    accepted, refused = ("#", "x") if out.options.ascii_only else ("▆", "▆")
    grid.add_row(*(Text(head, "bright_black") for head in ("minute", "requests", "accepted and refused", "429")))
    for numbers, minute in _stretches(course.minutes, most):
        taken = round(_BAR * minute.taken / most)
        rest = round(_BAR * minute.asked / most) - taken
        bar = Text.assemble((accepted * taken, "green"), (refused * rest, "red"))
        grid.add_row(numbers, f"{minute.asked:,}", bar, f"{minute.refused:,}" if minute.refused else "")
    out.print(grid)
    settled = course.settled_after()
    if settled is None:
        out.print(
            Text(
                "The fleet does not settle within the quota in this time: see Quota above for what would help.",
                "bold red",
            )
        )
    else:
        when = f"settles within the quota after {pluralize(settled, 'minute')}"
        out.print(Text(f"The fleet {when if settled else 'is within the quota from the start'}.", "bold green"))
    dropped = sum(course.dropped.values())
    out.print(
        f"{course.accepted:,} rows = {course.delivered:,} delivered + {course.waiting:,} waiting + {dropped:,} dropped;"
        f" at most {course.most_waiting_bytes / 1e6:,.2f} MB waited in one process"
    )


def _stretches(minutes: Sequence[Minute], most: int) -> Iterator[tuple[str, Minute]]:
    """Yield minutes with their numbers; similar minutes are merged, but not those in which requests were refused."""
    begin = 0
    for end, minute in enumerate([*minutes[1:], None], 1):
        first = minutes[begin]
        if minute is None or minute.refused or first.refused or abs(minute.asked - first.asked) > most / _BAR:
            yield (f"{begin + 1}-{end}" if end - begin > 1 else f"{end}"), first
            begin = end


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def _words(seconds: float) -> str:
    import datetime as dt

    return duration_text(
        dt.timedelta(seconds=max(1, round(seconds))) if seconds < 86_400 * 999 else dt.timedelta(days=999)
    )
