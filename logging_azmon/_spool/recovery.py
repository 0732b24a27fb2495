"""The queue on disk: segments that this process has filled, and those that dead ones have left, go out as batches.

The other half, with the rules, is `appender`. Here it is the delivering side that acts: rows are read and sent without
a lock, and a segment goes when the last of them has found its end.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

from .._process import at_fork
from .._queue.batch import Batch
from .._queue.ledger import Reason
from ..trouble import count
from .directory import MOST_ADOPTED, REJECTED_PART, Owner
from .files import PASSING
from .segment import Segment, begun_at, good_lines
from .store import LOOK_SECONDS, Appender

# The service replaces TimeGenerated when it is older.
OLD_SECONDS = 2 * 24 * 3_600
# Between the numbers of adopted batches there is room for those of their parts.
_STEP = 2**32

_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


class Spool(Appender):
    """Hand out what is on disk, and in memory what could not be written there."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        _spools.add(self)

    # The delivering side.

    def look(self, now: float) -> None:
        """Take what dead owners have left, from time to time, and tell what is to be told."""
        while self._untold:
            self._report(self._untold.popleft())
        if now >= self._next_look and not self._lost_for and self.desk.acquire(blocking=False):
            self._look_around(now)

    def _look_around(self, now: float) -> None:
        try:
            self._next_look = now + LOOK_SECONDS
            self._release([owner for owner in self._owners.values() if not owner.files and owner is not self._owner])
            strange = self._directory.strange
            if len(self._owners) <= MOST_ADOPTED:
                for owner, segments in self._directory.adopt(set(self._owners)):
                    self._adopt(owner, segments)
                    if len(self._owners) > MOST_ADOPTED:
                        break
            if self._directory.strange - strange:
                path, files = self._directory.path, len(self._directory.strange)
                said = (
                    f"{files} of the files in the spool {path} are for another endpoint, rule or stream, or unreadable"
                )
                self._note("strange", f"{said}; see: logging-azmon spool {path}")
        except FileNotFoundError:
            return  # nobody has written yet
        except OSError as error:
            self._note("disk", f"the spool {self._directory.path} cannot be looked through ({error})")
        finally:
            self.desk.release()

    def _adopt(self, owner: Owner, segments: list[tuple[Segment, int]]) -> None:
        with self._lock:
            self._owners[owner.name] = owner
            places = enumerate(list(self._waiting))
            first_own = next((place for place, other in places if other.number >= 0), len(self._waiting))
            for place, (segment, start) in enumerate(segments, first_own):
                batch = Batch(b"", 0, self._next_adopted, segment=segment, start=start, size=segment.size - start)
                self._next_adopted += _STEP
                self._disk_bytes += segment.size
                self._on_disk += 1
                self._waiting.insert(place, batch)

    def _first(self, now: float, *, is_due: bool) -> Batch | None:
        """Return the oldest that may go; but first what somebody flushes for."""
        if self._is_writing:
            return None
        oldest = super()._first(now, is_due=is_due)
        if oldest is None or oldest.number >= 0 or not self._urgent_before:
            return oldest
        for batch in list(self._waiting):
            if 0 <= batch.number < self._urgent_before and batch.not_before <= now and batch.has_rows:
                return batch
        return oldest

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Hand out the oldest batch that may go, with its rows."""
        while True:
            batch = super().take(now, is_due=is_due)
            if batch is None or batch.segment is None or batch.data or self._load(batch):
                return batch

    def _load(self, batch: Batch) -> bool:
        """Read a batch; False if there is nothing in it that could be sent."""
        now = self._clock.time()
        try:
            data = self._read(batch)
        except OSError as error:
            if error.errno in PASSING:
                self._note("disk", f"rows in the spool cannot be read now ({error}); they wait")
                batch.not_before = self._clock.monotonic() + LOOK_SECONDS
                self.give_back(batch)
            else:
                self._lose(batch, error)
            return False
        end = data.rfind(b"\n") + 1
        torn = int(end < len(data))
        data = data[:end]
        if batch.number < 0:
            data, bad = good_lines(data)
            torn += bad
        # Those that were counted when it was tried before are none of this time's.
        torn, batch.torn = max(0, torn - batch.torn), torn
        rows = data.count(b"\n")
        segment = batch.segment
        assert segment is not None  # noqa: S101 - for mypy
        found, lost = torn + max(0, rows - batch.rows), torn + max(0, batch.rows - rows)
        with self._lock:
            ledger = self._ledger
            if batch.number < 0:
                ledger.adopted += found
            else:
                ledger.accepted += found
            ledger.in_flight += found
            batch.rows += found
            ledger.drop("torn", lost, now, in_flight=lost)
            batch.rows = rows
            batch.data = data
            if segment.owner is self._owner and segment.parts == 1:
                self._measure(batch, segment)
        if torn:
            self._note("torn", f"{count(torn)} of a process that was killed could not be read", reason_is_loss=True)
        if now - begun_at(os.path.basename(segment.path)) > OLD_SECONDS:
            said = f"rows of {segment.path} are older than two days: the service replaces their TimeGenerated"
            self._note("old", f'{said} by the time of receipt; see README, "The spool"')
        if not rows:
            self.settle(batch)
        return bool(rows)

    def _lose(self, batch: Batch, error: OSError) -> None:
        """Do without a batch that cannot be read; its file stays, if there is one."""
        with self._lock:
            self._taken.discard(batch)
            self._ledger.drop("unreadable", batch.rows, self._clock.time(), in_flight=batch.rows)
            self._on_disk -= 1
            assert batch.segment is not None  # noqa: S101 - for mypy
            finished = self._part_with(batch.segment)
        if isinstance(error, FileNotFoundError):
            self._remove(finished)
        self._note("unreadable", f"rows in the spool cannot be read ({error})", reason_is_loss=bool(batch.rows))

    def open_since(self) -> float | None:
        """Tell when the open batch began, if it is one that this pipeline will send."""
        return None if self._is_late else super().open_since()

    def next_retry(self) -> float | None:
        """Tell when there may be something to do: a batch again, or a look at the directory."""
        retry = super().next_retry()
        if self._limit == 0:
            return retry
        return self._next_look if retry is None else min(retry, self._next_look)

    def give_back(self, batch: Batch) -> None:
        """Have a batch wait on disk again."""
        segment = batch.segment
        if segment is None:
            super().give_back(batch)
            return
        if batch.is_part and self._rewrite(batch):
            self._remove(self._part_with(segment))
        if not batch.is_part:
            batch.data = b""
        with self._lock:
            has_ended = bool(self._lost_for) and batch in self._taken
            if has_ended:
                self._taken.discard(batch)
                self._ledger.in_flight -= batch.rows
                self._ledger.spooled += batch.rows
                self._hand_over(batch)
        if has_ended:
            self.leave()
        else:
            super().give_back(batch)

    def replace(self, batch: Batch, parts: list[Batch]) -> None:
        """Exchange a taken batch for its parts; on disk it stays whole, until each has found its end."""
        with self._lock:
            if batch.segment is not None:
                batch.segment.parts += len(parts) - 1
                self._on_disk += len(parts) - 1
                for part in parts:
                    part.is_part = True
            super().replace(batch, parts)

    def settle(self, batch: Batch, *, rejected: bool = False, lost: Reason | None = None) -> None:
        """End a batch, once, and remove its segment with the last of its parts."""
        segment = batch.segment
        with self._lock:
            if batch not in self._taken:
                return
            finished = None if segment is None else self._part_with(segment)
        # First, so that nobody finds it when our lock is left.
        self._remove(finished)
        with self._lock:
            self._on_disk -= segment is not None
            super().settle(batch, rejected=rejected, lost=lost)

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Keep the rows of a refused batch with what the service said, and end it."""
        kept = ""
        owner = self._owner.name if self._owner is not None else "unspooled"
        try:
            most = self._spool_bytes // REJECTED_PART
            kept = self._directory.reject(owner, bytes(batch.data), answer, most=most)
        except OSError as error:
            self._note("rejected", f"rejected rows cannot be kept ({error})")
        self.settle(batch, rejected=True)
        return kept

    # Those who flush and close.

    @property
    def is_empty(self) -> bool:
        """Tell whether no row waits or is on its way, in memory or on disk."""
        return super().is_empty and self._on_disk == 0

    def urge(self) -> int:
        """Ask for all that waits to go now, also what others have left."""
        now = self._clock.monotonic()
        if not self._lost_for and self._takes_desk():
            self._look_around(now)
        self.look(now)
        return super().urge()

    def close(self) -> None:
        """Send no more rows but those that are there; later ones are for the next who opens the directory."""
        with self._lock:
            self._be_late()
            super().close()

    def _be_late(self) -> None:
        if not self._is_late:
            self._seal()
            self._is_late = True
            self._owner = None

    def abandon(self, reason: Reason) -> int:
        """Leave what waits on disk to others, and count what waits in memory as lost."""
        with self._lock:
            self._be_late()
            kept = [batch for batch in list(self._waiting) if batch.segment is not None]
            for batch in kept:
                self._waiting.remove(batch)
                self._hand_over(batch)
            lost = super().abandon(reason)
        self.leave()
        return lost

    def _hand_over(self, batch: Batch) -> None:
        """Have a batch wait for the next who opens the directory."""
        self._on_disk -= 1
        if batch.number < 0:
            self._ledger.spooled -= batch.rows
            self._ledger.handed_over += batch.rows

    def leave(self) -> None:
        """Let others have what is left, once nothing of it is on its way."""
        if self._limit or self._on_disk or not self._takes_desk():
            return
        try:
            self._release([owner for owner in self._owners.values() if owner is not self._owner])
        finally:
            self.desk.release()

    def _release(self, owners: list[Owner]) -> None:
        for owner in owners:
            self._owners.pop(owner.name, None)
            try:
                owner.release()
            except OSError as error:
                self._note("disk", f"a lock in {self._directory.path} cannot be left ({error})")

    def disown(self) -> None:
        """Leave all to the parent, in a forked child: a row in the middle of which it came about is the parent's."""
        segment, self._open = self._open.segment, self._none
        self._owner = None
        self._broken_until = float("inf")
        self._limit = 0
        if segment is not None and segment.fd >= 0:
            fd, segment.fd = segment.fd, -1
            self._disk.close(fd)


at_fork.register(at_fork.Turn.SPOOL_OWNERSHIP, locks=lambda: [spool.desk for spool in list(_spools)])
