"""Show the rows that wait in a spool directory, deliver them, or queue rejected rows again.

Without options nothing is changed. --send delivers the rows of processes that have died; live processes send their own.
Exit code 0: done; 1: some rows were not sent or queued; 2: usage error, or no such directory.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ..._config.credential_checks import CREDENTIALS
from ...trouble import Trouble
from .._shared.cells import printable
from .._shared.help import print_error
from .._shared.interrupts import stopping
from .._shared.numbers import pluralize

if TYPE_CHECKING:
    from ..._spool.segment import Target
    from .contents import SegmentInfo

EXAMPLES = (
    "logging-azmon spool /var/spool/shop",
    "logging-azmon spool /var/spool/shop --retry-rejected",
    "logging-azmon spool /var/spool/shop --send --credential managed_identity",
)
USAGE_ERROR = 2
_SLICE_SECONDS = 0.2
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
# Maximum number of foreign files that the output names.
_MAX_NAMED = 10
_CLEAR_LINE = "\r\x1b[K"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("directory", metavar="DIR", help="spool directory, as in the handler's spool=")
    parser.add_argument("--send", action="store_true", help="deliver the rows of processes that have died")
    parser.add_argument(
        "--retry-rejected", action="store_true", help="queue rejected rows again, for the next process or --send"
    )
    parser.add_argument(
        "--credential",
        choices=CREDENTIALS,
        default="default",
        metavar="NAME",
        help=f"{', '.join(CREDENTIALS)}, as in the handler's credential= (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Deliver, queue again or show, as the options say; return 0, 1 or 2."""
    directory = arguments.directory
    if arguments.send:
        from .._shared.options import require_enabled

        require_enabled({})
    if not Path(directory).is_dir():
        return _fail(
            f"{directory} is not a directory: give the handler's spool=, a directory that its first row creates"
        )
    try:
        if arguments.retry_rejected and not _retry(directory):
            return 1
        if arguments.send:
            return _send(directory, arguments.credential)
        _show(directory)
    except OSError as error:
        return _fail(str(error))
    return 0


def _fail(message: str) -> int:
    print_error(f"logging-azmon spool: {message}")
    return USAGE_ERROR


def _show(directory: str) -> None:
    from . import contents

    segments = contents.list_segments(directory)
    total = f"{pluralize(len(segments), 'segment')}, {pluralize(sum(each.rows for each in segments), 'row')}"
    print(f"{directory}: {total}, {_bytes(sum(each.size for each in segments))}")
    if segments:
        print("\n" + "\n".join(_table(segments)))
    for target in dict.fromkeys(each.target for each in segments if each.target is not None):
        description = f"{target.stream}: rule {target.rule_id} at {target.endpoint}, cloud {target.cloud}"
        print(f"\n{printable(description)}", end="")
    if segments:
        print()
    refused: Counter[str] = Counter()
    for _, lines in contents.rejected_files(directory):
        refused.update(_answer(line) for line in lines)
    if refused:
        print(f"\nRejected: {pluralize(refused.total(), 'row')} in {directory}/rejected")
        for answer, rows in refused.most_common():
            print(f"{rows:>9,}  {answer}")
    foreign = contents.foreign_files(directory)
    if foreign:
        more = f" and {len(foreign) - _MAX_NAMED:,} more" if len(foreign) > _MAX_NAMED else ""
        print(f"\nIgnored, not files of a spool: {', '.join(map(repr, foreign[:_MAX_NAMED]))}{more}")


def _table(segments: list[SegmentInfo]) -> list[str]:
    heads = ("stream", "rows", "size", "age", "owner")
    cells = [
        (
            printable(each.target.stream) if each.target else "cannot be read",
            f"{each.rows:,}",
            _bytes(each.size),
            _age(each.age),
            "alive" if each.is_alive else "dead",
        )
        for each in segments
    ]
    widths = [max(len(row[column]) for row in (heads, *cells)) for column in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if column in (0, 4) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *cells)
    ]


def _answer(line: bytes) -> str:
    try:
        answer = orjson.loads(line)["answer"]
        return printable(f"{answer['status']} {answer['code']}: {answer['message']}")
    except (ValueError, LookupError, TypeError):
        return "a line that cannot be read"


def _retry(directory: str) -> bool:
    from . import contents

    rows, unreadable = contents.requeue_rejected(directory)
    print(f"{pluralize(rows, 'rejected row')} queued again.")
    if unreadable:
        print(f"logging-azmon spool: {pluralize(unreadable, 'line')} in rejected/ cannot be read", file=sys.stderr)
    return not unreadable


def _send(directory: str, credential: str) -> int:
    from . import contents

    waiting: Counter[Target] = Counter()
    for each in contents.list_segments(directory):
        if each.target is not None and not each.is_alive:
            waiting[each.target] += each.rows
    with stopping() as stopped:
        left = [
            target for target, rows in waiting.items() if not _deliver(directory, target, rows, credential, stopped)
        ]
    if not waiting:
        print("There is nothing to send.")
    for target in left:
        print(f"logging-azmon spool: rows for {printable(str(target))} are still in the spool", file=sys.stderr)
    return 1 if left else 0


def _deliver(directory: str, target: Target, rows: int, credential: str, stopped: threading.Event) -> bool:
    """Deliver the rows of dead owners for one target; return whether none are left."""
    from ..._pipeline.bulk import Bulk
    from ...errors import ConfigurationError
    from ...pipeline import Pipeline, lifecycle_of

    print(f"{printable(str(target))}: {pluralize(rows, 'row')}")
    progress = _Progress()
    try:
        pipeline = Pipeline(
            target.endpoint,
            target.rule_id,
            target.stream,
            credential,
            cloud=target.cloud,  # type: ignore[arg-type]  # the pipeline checks it
            spool=directory,
            report=progress.report,
        )
    except ConfigurationError as error:
        print(f"logging-azmon spool: {error}", file=sys.stderr)
        return False
    bulk = Bulk(lifecycle_of(pipeline), reports_losses=False)
    bulk.make_all_due()
    is_done = False
    while not is_done and not stopped.is_set():
        is_done = bulk.drain(_SLICE_SECONDS)
        progress.show(pipeline.stats().delivered, rows)
    pipeline.close(0)
    stats = pipeline.stats()
    refused = f", {stats.rejected:,} rejected" if stats.rejected else ""
    lost = f", {sum(stats.dropped.values()):,} could not be read" if stats.dropped else ""
    print(f"\r{stats.delivered:,} of {pluralize(rows, 'row')} delivered{refused}{lost}")
    return is_done


class _Progress:
    """Show progress on one line of a terminal, and clear that line before a report.

    The main thread shows, delivering threads report; `_lock` keeps one from writing into the other's line.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def show(self, delivered: int, rows: int) -> None:
        """Show how many rows have been delivered."""
        with self._lock:
            if sys.stdout.isatty():
                print(f"\r{delivered:,} of {rows:,} delivered", end="", flush=True)

    def report(self, trouble: Trouble) -> None:
        """Print a trouble, except for foreign files and rows that are left, which the command itself shows."""
        if trouble.reason in ("foreign", "closed"):
            return
        with self._lock:
            if sys.stdout.isatty():
                print(_CLEAR_LINE, end="", flush=True)
            print_error(f"logging-azmon spool: {trouble}")


def _bytes(size: int) -> str:
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1_000:,.0f} KB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"


def _age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"
