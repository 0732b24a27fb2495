"""Look for orphans, the segments that dead owners have left, and adopt them, so that this pipeline delivers them.

Rules: delivering threads call this module, and one at a time does, because it holds the ownership lock. The directory
is listed once in a while, and the owners found are adopted a few at a time, until none of the list is left. A list may
be outdated: an owner's segments are looked at again once its lock is held, and what is not on the list is found by the
next one.
"""

from __future__ import annotations

import os

from .._queue.batch import Batch
from .components import SpoolComponents
from .files import TRANSIENT
from .owner import Owner
from .segment import Segment, Stored, begun_at
from .space import Space

LOOK_SECONDS = 5.0
# Each adopted owner's lock is an open descriptor, so only a few are held at a time: more if they hold little.
MAX_ADOPTED = 64
_FEW_ADOPTED = 8
# Adopted batches are numbered in these steps, which leaves numbers for their parts.
_STEP = 2**32
_FIRST_ADOPTED = -(2**62)


class Adoption:
    """Adopt orphans."""

    def __init__(self, components: SpoolComponents, space: Space, *, batch_bytes: int) -> None:
        self._ledger = components.ledger
        self._backlog = components.backlog
        self._directory = components.directory
        self._ownership = components.ownership
        self._reports = components.reports
        self._clock = components.clock
        self._space = space
        # More than this is not adopted at once, unless few owners hold it.
        self._most_bytes = _FEW_ADOPTED * batch_bytes
        self._next_number = _FIRST_ADOPTED
        # The owners that were found and not tried yet, the oldest last, each with its segments.
        self._found: list[tuple[str, list[str]]] = []
        self._next_list = float("-inf")

    def __repr__(self) -> str:
        return f"<Adoption found={len(self._found)}>"

    def adopt_orphans(self, now: float, *, is_urgent: bool) -> None:
        """Release owners that have no segments, and adopt a few dead ones; list the directory anew if that is urgent.

        Do nothing if another thread holds the ownership lock; if it is urgent, give it a moment to release the lock.
        """
        lock = self._ownership.lock
        if self._ownership.try_lock() if is_urgent else lock.acquire(blocking=False):
            try:
                self._search(now, is_urgent=is_urgent)
            finally:
                lock.release()

    def _search(self, now: float, *, is_urgent: bool) -> None:
        path = self._directory.path
        not_ours = self._directory.not_ours
        try:
            self._ownership.release_idle()
            if is_urgent or now >= self._next_list:
                self._next_list = now + LOOK_SECONDS
                self._found = self._directory.orphans(set(self._ownership.owners))
            self._adopt_found()
        except FileNotFoundError:
            pass  # nothing was ever written there
        except OSError as error:
            self._reports.add("disk", f"the spool {path} cannot be searched ({error})")
        self._ownership.next_look = self._next_list
        if self._directory.not_ours - not_ours:
            files = len(self._directory.not_ours)
            text = f"{files} of the files in the spool {path} are for another endpoint, rule or stream, or unreadable"
            self._reports.add("foreign", f"{text}; see: logging-azmon spool {path}")

    def _adopt_found(self) -> None:
        """Adopt the owners found, as many as may be held; raise the last error after the others."""
        owners = self._ownership.owners
        failure: OSError | None = None
        while self._found and len(owners) <= MAX_ADOPTED:
            if len(owners) > _FEW_ADOPTED and self._space.adopted_bytes >= self._most_bytes:
                break
            try:
                adopted = self._directory.adopt(*self._found.pop())
            except OSError as error:
                failure = error
                if error.errno in TRANSIENT:
                    self._found.clear()  # the others would fail as well
                continue
            if adopted is not None:
                self._adopt(*adopted)
        if failure is not None:
            raise failure

    def _adopt(self, owner: Owner, segments: list[tuple[Segment, int]]) -> None:
        # A segment's name says when it was begun, by the wall clock.
        wall_to_monotonic = self._clock.monotonic() - self._clock.time()
        with self._ledger.lock:
            self._ownership.owners[owner.name] = owner
            batches = []
            for segment, start in segments:
                stored = Stored(segment, start, segment.size - start)
                batch = Batch(b"", 0, self._next_number, place="spooled", is_adopted=True, stored=stored)
                batch.since = begun_at(os.path.basename(segment.path)) + wall_to_monotonic
                batch.is_uncounted = batch.is_announced = True
                batches.append(batch)
                self._next_number += _STEP
                self._space.adopt(segment)
            self._backlog.insert_adopted(batches)
