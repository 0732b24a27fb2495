"""The disk space of a spool: whether there is room for another segment, and the removal of segments.

Rules: sizes change under the ledger's lock. No file is removed under it. A segment is removed once all its rows are
settled; a crash before that may duplicate rows, but loses none.

Several processes may share a directory, and none of them knows what the others are about to write. So each measures the
directory before it begins a segment, and where there are others, a new segment takes a share of the free bytes only.
"""

from __future__ import annotations

from dataclasses import replace

from .components import SpoolComponents
from .directory import Others
from .segment import Segment

# How old a measurement may be, for each file in the directory: each costs about 3 us, so measuring costs 1 % of a core.
_MEASURE_SECONDS_PER_FILE = 0.000_3
# The smallest share of the free bytes that a segment takes is this part of a batch: many small files deliver slowly.
_SMALLEST_SHARE = 16
# How long to use memory alone after the disk has failed.
_MEND_SECONDS = 1.0


class Space:
    """Account for the bytes of one pipeline's segments, and of the rest of the spool."""

    def __init__(self, components: SpoolComponents, *, spool_bytes: int) -> None:
        self._directory = components.directory
        self._ownership = components.ownership
        self._reports = components.reports
        self._clock = components.clock
        self._lock = components.ledger.lock
        self._spool_bytes = spool_bytes
        # The bytes of this pipeline's segments.
        self._used_bytes = 0
        # What others have in the directory, and rejected rows, as last measured.
        self._others = Others()
        # The bytes of the adopted segments, which are part of this pipeline's.
        self.adopted_bytes = 0
        self._next_measurement = float("-inf")
        # Whether the directory was full when the last row came.
        self.is_full = False
        # When the disk may be used again after it has failed.
        self._broken_until = float("-inf")

    def __repr__(self) -> str:
        return f"<Space bytes={self._used_bytes} others={self._others.size}>"

    def fail(self, error: Exception) -> None:
        """Note that the disk failed: rows go through memory for a while."""
        self.is_full = False
        self._broken_until = self._clock.monotonic() + _MEND_SECONDS
        path = self._directory.path
        self._reports.add("disk", f"the spool {path} cannot be used ({error}); rows go through memory")

    def is_usable(self, now: float) -> bool:
        """Return whether the disk may be used: it has not failed a moment ago."""
        return now >= self._broken_until

    def disable(self) -> None:
        """Use the disk no more, in a forked child."""
        self._broken_until = float("inf")

    def room(self, least: int, most: int) -> int:
        """Return how large a new segment may become, from `least` to `most`; 0, and note it, if there is no room."""
        self._measure()
        free = self._spool_bytes - self._used_bytes - self._others.size
        share = max(free // (1 + self._others.owners), most // _SMALLEST_SHARE)
        size = min(max(least, share), most, free)
        self.is_full = size < least
        return 0 if self.is_full else size

    def _measure(self) -> None:
        """Measure the files of other owners, unless that was done a moment ago."""
        now = self._clock.monotonic()
        if now >= self._next_measurement:
            self._others = self._directory.others(set(self._ownership.owners))
            self._next_measurement = now + _MEASURE_SECONDS_PER_FILE * self._others.files

    def fits(self, size: int) -> bool:
        """Return whether this many bytes fit, by the last measurement."""
        return self._used_bytes + self._others.size + size <= self._spool_bytes

    @property
    def own_limit(self) -> int:
        """Return how many bytes this pipeline's segments may have together, by the last measurement."""
        return self._spool_bytes - self._others.size

    def add(self, segment: Segment) -> None:
        """Count a segment that was begun."""
        self._used_bytes += segment.size

    def adopt(self, segment: Segment) -> None:
        """Count a segment that was another owner's when the directory was last measured."""
        self._used_bytes += segment.size
        self.adopted_bytes += segment.size
        segment.is_adopted = True
        self._others = replace(self._others, size=max(0, self._others.size - segment.size))

    def set_size(self, segment: Segment, size: int) -> None:
        """Count a segment's actual size instead of the size that it might have grown to."""
        self._used_bytes += size - segment.size
        segment.size = size

    def release_part(self, segment: Segment) -> Segment | None:
        """Note that a batch no longer needs its segment; return the segment if it was the last one to."""
        with self._lock:
            return segment if segment.leave() else None

    def remove(self, segment: Segment | None) -> None:
        """Remove a segment whose rows are all settled; do nothing for None."""
        if segment is None:
            return
        try:
            self._directory.files.remove(segment.path)
        except OSError as error:
            text = f"{segment.path} is delivered, but cannot be removed ({error}); it may be sent again"
            self._reports.add("disk", text)
        else:
            segment.owner.remove_segment()
        with self._lock:
            self._used_bytes -= segment.size
            if segment.is_adopted:
                self.adopted_bytes -= segment.size
            self._ownership.release_soon(segment.owner)
