"""Plan a fleet: what it asks of a rule's quota, what an outage needs, and what a day of rows is as billed.

Then it plays a deploy on a virtual clock, with the library's own pacing: all processes start at once.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .._config.service_limits import QUOTA_BYTES, QUOTA_REQUESTS
from .._config.settings import Settings, read
from ._fleet import HEADROOM, Need, Paper
from ._numbers import counted, number, whole
from ._simulation import Course, Fleet, Minute, Simulation
from ._timespan import read_duration, said

EXTRA = "cli"
EXAMPLES = (
    "logging-azmon plan --processes 40 --rows-per-second 20 --bytes 600",
    "logging-azmon plan --processes 10000 --rows-per-second 1 --bytes 400 --rules 4 --minutes 0",
)
# Of a larger fleet a part is played, against the same part of the quota.
MOST_PLAYED = 10_000
_MOST_REQUESTS = 2_000_000
_BAR = 40
_WHOLE, _POSITIVE = whole("whole number", 1, 10_000_000), number("number", 0.0001, 1_000_000)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--processes", type=_WHOLE, required=True, metavar="N", help="how many processes log")
    parser.add_argument(
        "--rows-per-second", type=_POSITIVE, required=True, metavar="R", help="rows of each process in a second"
    )
    parser.add_argument("--bytes", type=_WHOLE, required=True, metavar="B", help="length of a row as JSON, on average")
    parser.add_argument(
        "--rules", type=_WHOLE, default=1, metavar="N", help="rules that the fleet is divided among (1)"
    )
    parser.add_argument(
        "--batch-seconds", type=_POSITIVE, default=5.0, metavar="SECONDS", help="the setting (%(default)s)"
    )
    parser.add_argument("--outage", type=_duration, default="1h", help="an outage to live through (%(default)s)")
    parser.add_argument(
        "--minutes",
        type=whole("number of minutes", 0, 600),
        default=20,
        metavar="N",
        help="how much of the deploy to play, 0 for none (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="write the figures as JSON")


def _duration(text: str) -> float:
    try:
        return read_duration(text).total_seconds()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; give 30m, 2h or PT1H") from None


def run(arguments: argparse.Namespace) -> int:
    """Work it out, play it, and show both."""
    paper = Paper(
        Need(
            processes=arguments.processes,
            rows_per_second=arguments.rows_per_second,
            row_bytes=arguments.bytes,
            rules=arguments.rules,
            outage_seconds=arguments.outage,
        ),
        _settings(arguments.batch_seconds),
    )
    if arguments.json:
        course = _play(paper, arguments.minutes) if arguments.minutes else None
        json.dump(_figures(paper, course), sys.stdout, indent=2)
        print()
        return 0
    _show(paper)
    if arguments.minutes:
        _show_course(_play(paper, arguments.minutes))
    return 0


def _settings(batch_seconds: float) -> Settings:
    place = {"endpoint": "https://fleet.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
    return read(place | {"batch_seconds": batch_seconds}, {})


def _play(paper: Paper, minutes: int) -> Course:
    """Play the deploy of the processes of one rule, or of a part of them where there are more than can be."""
    from rich.progress import Progress

    from ._console import errors

    mine = math.ceil(paper.need.processes / paper.need.rules)
    share = min(1.0, MOST_PLAYED / mine, _MOST_REQUESTS / (min(paper.requests, 3 * QUOTA_REQUESTS) * minutes))
    played = max(1, round(mine * share))
    fleet = Fleet(
        processes=played,
        rows_per_second=paper.need.rows_per_second,
        row_bytes=paper.need.row_bytes,
        quota_requests=max(1, round(QUOTA_REQUESTS * played / mine)),
        quota_bytes=max(1, round(QUOTA_BYTES * played / mine)),
    )
    course = Course()
    with Progress(console=errors(), transient=True) as progress:
        task = progress.add_task(f"a deploy of {played:,} processes", total=minutes)
        for course in Simulation(paper.settings, fleet).run(minutes):  # noqa: B007 - the last one is the result
            progress.advance(task)
    return course.of_all(mine / played)


def _figures(paper: Paper, course: Course | None) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "requests_per_minute": round(paper.requests),
        "requests_quota": QUOTA_REQUESTS,
        "bytes_per_minute": round(paper.bytes),
        "bytes_quota": QUOTA_BYTES,
        "fits": paper.fits,
        "rules_needed": paper.rules_needed,
        "batch_seconds_needed": paper.batch_seconds_needed,
        "outage_seconds": paper.need.outage_seconds,
        "outage_bytes_per_process": round(paper.outage_bytes),
        "memory_lasts_seconds": round(paper.memory_lasts),
        "catching_up_seconds": None if paper.catching_up is None else round(paper.catching_up),
        "rows_per_day": round(paper.rows_a_day),
        "json_gigabytes_per_day": round(paper.json_gigabytes_a_day, 3),
        "billed_gigabytes_per_day": round(paper.billed_gigabytes_a_day, 3),
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


def _show(paper: Paper) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ._console import console

    out, need = console(), paper.need
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("each rule, a minute", "the fleet asks", "a rule takes", "used"):
        table.add_column(name, justify="left" if name.startswith("each") else "right")
    for name, asked, quota, unit in (
        ("requests", paper.requests, QUOTA_REQUESTS, ""),
        ("data", paper.bytes / 1e9, QUOTA_BYTES / 1e9, " GB"),
    ):
        used = asked / quota
        style = "bold red" if used > 1 else "yellow" if used > HEADROOM else "green"
        table.add_row(name, f"{_number(asked)}{unit}", f"{_number(quota)}{unit}", Text(f"{used:,.0%}", style))
    out.print(
        f"{need.processes:,} processes, each {need.rows_per_second:g} rows/s of {need.row_bytes:,} bytes,"
        f" batch_seconds={paper.settings.batch_seconds:g}, {counted(need.rules, 'rule')}",
        soft_wrap=True,
    )
    out.print(table)
    for head, words in (("Quota", _quota(paper)), _outage(paper), _day(paper)):
        out.print(Text.assemble((f"{head}: ", "bold"), words))


def _outage(paper: Paper) -> tuple[str, str]:
    kept, queue = paper.outage_bytes, paper.settings.queue_bytes
    full = f"queue_bytes={queue:,} is full after {_words(paper.memory_lasts)}"
    if kept <= queue:
        where = f"queue_bytes={queue:,} (the default) holds that"
    elif kept <= paper.settings.spool_bytes:
        where = f"{full}; set queue_bytes={math.ceil(kept):,} or a spool (its default, 1 GiB, holds that)"
    else:
        where = f"{full}; that takes a spool with spool_bytes={math.ceil(kept):,}"
    back = paper.catching_up
    after = "the rule has no room to catch up" if back is None else f"the rule catches up in {_words(back)}"
    sizes = f"{kept / 1e6:,.1f} MB in each process, {kept * paper.need.processes / 1e9:,.1f} GB in all"
    return f"An outage of {_words(paper.need.outage_seconds)}", f"{sizes}; {where}; afterwards {after}"


def _day(paper: Paper) -> tuple[str, str]:
    sizes = (
        f"{paper.rows_a_day:,.0f} rows, {_number(paper.json_gigabytes_a_day)} GB of JSON, billed as about"
        f" {_number(paper.billed_gigabytes_a_day)} GB (stored columns without their names)"
    )
    return "A day", f"{sizes}; what it really is says: App_CL | summarize sum(_BilledSize) / 1e9"


def _quota(paper: Paper) -> str:
    if paper.fits:
        return f"fits, with more than {1 - HEADROOM:.0%} to spare"
    ways = []
    seconds = paper.batch_seconds_needed
    if seconds is not None and paper.rules_for_bytes <= paper.need.rules:
        ways.append(f"batch_seconds={seconds:g}")
    ways.append(f"{counted(paper.rules_needed, 'rule')} (each with its part of the processes)")
    text = f"too much for {counted(paper.need.rules, 'rule')}: take {' or '.join(ways)}"
    if paper.bytes > QUOTA_BYTES:
        return f"{text}; waiting longer does not help, because it is the data that is too much"
    return f"{text}; as it is, batches wait longer by themselves when the service answers 429"


def _show_course(course: Course) -> None:
    from rich.table import Table
    from rich.text import Text

    from ._console import console

    out = console()
    out.print(Text("\nA deploy: all processes of a rule start within one second", "bold"))
    most = max(minute.asked for minute in course.minutes)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("right", "right", "left", "right"):
        grid.add_column(justify=justify)
    full, gone = ("#", "x") if out.options.ascii_only else ("▆", "▆")
    grid.add_row(*(Text(head, "bright_black") for head in ("minute", "requests", "taken and refused", "429")))
    for places, minute in _stretches(course.minutes, most):
        taken = round(_BAR * minute.taken / most)
        bar = Text.assemble((full * taken, "green"), (gone * (round(_BAR * minute.asked / most) - taken), "red"))
        grid.add_row(places, f"{minute.asked:,}", bar, f"{minute.refused:,}" if minute.refused else "")
    out.print(grid)
    settled = course.settled_after()
    if settled is None:
        out.print(Text("It does not settle below the quota in this time: see above what would.", "bold red"))
    else:
        when = "at once" if settled == 0 else f"after {counted(settled, 'minute')}"
        out.print(Text(f"It settles below the quota {when}.", "bold green"))
    dropped = sum(course.dropped.values())
    out.print(
        f"{course.accepted:,} rows = {course.delivered:,} delivered + {course.waiting:,} waiting + {dropped:,} dropped;"
        f" at most {course.most_waiting_bytes / 1e6:,.2f} MB waited in one process"
    )


def _stretches(minutes: Sequence[Minute], most: int) -> Iterator[tuple[str, Minute]]:
    """Yield minutes by their numbers, those that are much alike as one; but each in which something is refused."""
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

    return said(dt.timedelta(seconds=max(1, round(seconds))) if seconds < 86_400 * 999 else dt.timedelta(days=999))
