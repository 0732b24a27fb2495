"""Apply faults to the next uploads: error answers, delays, resets and outages.

A fault is one word, so that it fits a command line: ``503*3`` answers three uploads with 503, ``429*2,retry-after=5``
answers two with 429 and Retry-After, ``latency=0.5*10`` delays ten by half a second, ``reset`` resets one connection,
``reset,stored`` resets it after its rows were stored (the 204 is lost), ``outage=10`` resets every connection for ten
seconds from now. Faults apply in the order in which they were added; an outage takes precedence.

Any thread may call in; `_lock` guards the list and is not held during a delay.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from ..http.message import Response, failure
from ..http.server import HangupError

MAX_SECONDS = 3600.0
MAX_TIMES = 1_000_000

_GRAMMAR = re.compile(
    r"(?:(?P<status>[45]\d\d)|(?P<reset>reset)|latency=(?P<latency>\d+(?:\.\d+)?)|outage=(?P<outage>\d+(?:\.\d+)?))"
    r"(?:\*(?P<times>\d{1,7}))?(?:,retry-after=(?P<retry_after>\d{1,5}))?(?P<stored>,stored)?"
)


@dataclass
class _Fault:
    text: str
    times: int
    status: int | None = None
    retry_after: str | None = None
    latency: float = 0.0
    stored: bool = False


class Faults:
    """Keep the requested faults, and apply them to uploads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[_Fault] = []
        self._outage_until = float("-inf")
        self._cleared = threading.Event()

    def add(self, text: object) -> None:
        """Add a fault, or raise a ValueError that says how faults are written."""
        found = _GRAMMAR.fullmatch(text) if isinstance(text, str) else None
        if found is None or not isinstance(text, str) or not _is_valid(found):
            raise ValueError(
                f"{text!r:.100} is not a fault: write 503*3, 429*2,retry-after=5, latency=0.5*10, reset, reset,stored"
                " or outage=10"
            )
        if found["outage"]:
            with self._lock:
                self._outage_until = self._clock() + float(found["outage"])
            return
        fault = _Fault(
            text=text,
            times=int(found["times"] or 1),
            status=int(found["status"]) if found["status"] else None,
            retry_after=found["retry_after"],
            latency=float(found["latency"] or 0),
            stored=bool(found["stored"]),
        )
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Remove all faults and end all delays."""
        with self._lock:
            self._waiting.clear()
            self._outage_until = float("-inf")
            self._cleared.set()
            self._cleared = threading.Event()

    def waiting(self) -> list[str]:
        """Return the faults that have not been applied yet."""
        with self._lock:
            remaining = self._outage_until - self._clock()
            outage = [f"outage={remaining:.1f}"] if remaining > 0 else []
            return outage + [f"{fault.text.split('*')[0].split(',')[0]}*{fault.times}" for fault in self._waiting]

    def apply(self, act: Callable[[], Response]) -> Response:
        """Apply the next fault, or answer with `act` if there is none."""
        with self._lock:
            if self._clock() < self._outage_until:
                raise HangupError
            fault, cleared = self._next(), self._cleared
        if fault is None:
            return act()
        if fault.status is not None:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            phrase = HTTPStatus(fault.status).phrase
            return failure(fault.status, phrase.replace(" ", ""), f"A fault that was requested: {phrase}.", headers)
        if fault.latency:
            cleared.wait(fault.latency)
            return act()
        if fault.stored:
            act()
        raise HangupError

    def _next(self) -> _Fault | None:
        if not self._waiting:
            return None
        fault = self._waiting[0]
        fault.times -= 1
        if fault.times == 0:
            self._waiting.pop(0)
        return fault


def _is_valid(found: re.Match[str]) -> bool:
    if found["status"] and int(found["status"]) not in set(HTTPStatus):
        return False
    if found["times"] and (found["outage"] or not 1 <= int(found["times"]) <= MAX_TIMES):
        return False
    if (found["retry_after"] and not found["status"]) or (found["stored"] and not found["reset"]):
        return False
    return float(found["latency"] or found["outage"] or 0) <= MAX_SECONDS
