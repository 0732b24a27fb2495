"""Report trouble to the user's callable or on stderr, never through logging.

Rules: delivering, flushing and closing threads report. A log call reports only rows after `close`, rows lost to a bug
of ours, and a `pipeline` argument that names no pipeline.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .._process import feedback
from ..trouble import REPORT_SECONDS, Trouble, described

# All limits are reset past this number of keys, so that error codes which never repeat cannot fill the memory.
_MAX_KEYS = 256


class Reporter:
    """Pass each trouble to the user's callable, or print it on stderr, the same kind at most once a minute."""

    def __init__(self, report: Callable[[Trouble], Any] | None, monotonic: Callable[[], float]) -> None:
        self._report = report
        self._monotonic = monotonic
        # By kind and reason: when the next line may be printed, and how many lines were held back so far.
        self._silent_until: dict[tuple[str, str], float] = {}
        self._held_back: dict[tuple[str, str], int] = {}

    def __call__(self, trouble: Trouble, *, at_once: bool = False) -> None:
        """Report without raising; rows that the callable logs never enter a pipeline.

        `at_once` prints the line even if a similar one was printed in the last minute.
        """
        with feedback.delivering():
            if self._report is not None:
                try:
                    self._report(trouble)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - the user's callable; its failure is printed instead
                    self._print(("internal", "report"), f"report= raised {described(error)} for: {trouble}")
            elif at_once:
                print_line(trouble.text)
            else:
                self._print((trouble.kind, trouble.reason or trouble.code or str(trouble.status)), trouble.text)

    def _print(self, key: tuple[str, str], text: str) -> None:
        now = self._monotonic()
        if now < self._silent_until.get(key, now):
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return
        if len(self._silent_until) >= _MAX_KEYS:
            self._silent_until.clear()
            self._held_back.clear()
        self._silent_until[key] = now + REPORT_SECONDS
        held_back = self._held_back.pop(key, 0)
        more = f" ({held_back:,} more like this since the last line)" if held_back else ""
        print_line(f"{text}{more}")


def print_line(text: str) -> None:
    """Write a line to the process's own stderr: `sys.stderr` may be an object that logs, as Celery's is.

    The line bypasses the stream's buffer if it has one: a daemon thread that holds the buffer's lock while the
    interpreter shuts down aborts the process.
    """
    try:
        stream: Any = sys.__stderr__
        line = f"logging_azmon: {text}\n"
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if raw is not None:
            raw.write(line.encode(stream.encoding, "backslashreplace"))
        else:
            stream.write(line)
            stream.flush()
    except (AttributeError, OSError, ValueError):
        return  # stderr is missing or closed, and there is no other place to write to
