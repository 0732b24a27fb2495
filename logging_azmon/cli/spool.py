"""Show what waits in a spool's directory, deliver it, or put rejected rows back.

Without an option nothing is changed. --send delivers what dead processes have left; living ones send theirs themselves.
Ends with 1 if rows are left that should have been sent, with 2 if there is no such directory.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from .._config.validators import CREDENTIALS
from .._delivery.reporter import Trouble
from ._cells import visible
from ._help import complain
from ._interrupts import stopping
from ._numbers import counted

if TYPE_CHECKING:
    import threading

    from .._spool.segment import Target
    from ._spooled import Listed

EXAMPLES = (
    "logging-azmon spool /var/spool/shop",
    "logging-azmon spool /var/spool/shop --retry-rejected",
    "logging-azmon spool /var/spool/shop --send --credential managed_identity",
)
USAGE_ERROR = 2
_SLICE_SECONDS = 0.2
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
# Of files that have no business there.
_MOST_NAMED = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("directory", metavar="DIR", help="what was given as spool=")
    parser.add_argument("--send", action="store_true", help="deliver what dead processes have left there")
    parser.add_argument(
        "--retry-rejected", action="store_true", help="put rejected rows back, for the next process or --send"
    )
    parser.add_argument(
        "--credential", choices=CREDENTIALS, default="default", help="who sends, as in credential= (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked, then show what there is."""
    directory = arguments.directory
    if not Path(directory).is_dir():
        return _fail(f"{directory} is no directory: give what the handler has as spool=; its first row makes it")
    try:
        if arguments.retry_rejected and not _retry(directory):
            return 1
        if arguments.send:
            return _send(directory, arguments.credential)
        _show(directory)
    except OSError as error:
        return _fail(str(error))
    return 0


def _fail(said: str) -> int:
    complain(f"logging-azmon spool: {said}")
    return USAGE_ERROR


def _show(directory: str) -> None:
    from ..cli import _spooled

    segments = _spooled.listed(directory)
    total = f"{counted(len(segments), 'segment')}, {counted(sum(each.rows for each in segments), 'row')}"
    print(f"{directory}: {total}, {_bytes(sum(each.size for each in segments))}")
    if segments:
        print("\n" + "\n".join(_table(segments)))
    for target in dict.fromkeys(each.target for each in segments if each.target is not None):
        said = f"{target.stream}: rule {target.rule_id} at {target.endpoint}, cloud {target.cloud}"
        print(f"\n{visible(said)}", end="")
    if segments:
        print()
    refused: Counter[str] = Counter()
    for _, lines in _spooled.rejected(directory):
        refused.update(_answer(line) for line in lines)
    if refused:
        print(f"\nRejected: {counted(refused.total(), 'row')} in {directory}/rejected")
        for answer, rows in refused.most_common():
            print(f"{rows:>9,}  {answer}")
    strangers = _spooled.strangers(directory)
    if strangers:
        more = f" and {len(strangers) - _MOST_NAMED:,} more" if len(strangers) > _MOST_NAMED else ""
        print(f"\nLeft alone, no files of a spool: {', '.join(map(repr, strangers[:_MOST_NAMED]))}{more}")


def _table(segments: list[Listed]) -> list[str]:
    heads = ("stream", "rows", "size", "age", "owner")
    cells = [
        (
            visible(each.target.stream) if each.target else "cannot be read",
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
        return visible(f"{answer['status']} {answer['code']}: {answer['message']}")
    except (ValueError, LookupError, TypeError):
        return "a line that cannot be read"


def _retry(directory: str) -> bool:
    from ..cli import _spooled

    rows, left = _spooled.put_back(directory)
    print(f"{counted(rows, 'rejected row')} put back.")
    if left:
        print(f"logging-azmon spool: {counted(left, 'line')} in rejected/ cannot be read", file=sys.stderr)
    return not left


def _send(directory: str, credential: str) -> int:
    from ..cli import _spooled

    waiting: Counter[Target] = Counter()
    for each in _spooled.listed(directory):
        if each.target is not None and not each.is_alive:
            waiting[each.target] += each.rows
    with stopping() as stopped:
        left = [target for target, rows in waiting.items() if not _sent(directory, target, rows, credential, stopped)]
    if not waiting:
        print("There is nothing to send.")
    for target in left:
        print(f"logging-azmon spool: rows for {visible(str(target))} are left", file=sys.stderr)
    return 1 if left else 0


def _sent(directory: str, target: Target, rows: int, credential: str, stopped: threading.Event) -> bool:
    """Deliver what dead owners have left for one target; return whether nothing of it is left."""
    from ..errors import ConfigurationError
    from ..pipeline import Pipeline, lifecycle_of

    print(f"{visible(str(target))}: {counted(rows, 'row')}")
    try:
        pipeline = Pipeline(
            target.endpoint,
            target.rule_id,
            target.stream,
            credential,
            cloud=target.cloud,  # type: ignore[arg-type]  # the pipeline checks it
            spool=directory,
            report=_report,
        )
    except ConfigurationError as error:
        print(f"logging-azmon spool: {error}", file=sys.stderr)
        return False
    lifecycle = lifecycle_of(pipeline)
    lifecycle.report_losses_without_rows()
    lifecycle.urge()
    is_done = False
    while not is_done and not stopped.is_set():
        is_done = lifecycle.drain(_SLICE_SECONDS)
        _tell(pipeline.stats().delivered, rows)
    pipeline.close(0)
    stats = pipeline.stats()
    refused = f", {stats.rejected:,} rejected" if stats.rejected else ""
    lost = f", {sum(stats.dropped.values()):,} could not be read" if stats.dropped else ""
    print(f"\r{stats.delivered:,} of {counted(rows, 'row')} delivered{refused}{lost}")
    return is_done


def _report(trouble: Trouble) -> None:
    # Others' files, and what is left, are shown anyway.
    if trouble.reason not in ("strange", "closed"):
        print(f"logging-azmon spool: {trouble}", file=sys.stderr)


def _tell(delivered: int, rows: int) -> None:
    """Show progress, where somebody looks on."""
    if sys.stdout.isatty():
        print(f"\r{delivered:,} of {rows:,} delivered", end="", flush=True)


def _bytes(size: int) -> str:
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1_000:,.0f} KB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"


def _age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"
