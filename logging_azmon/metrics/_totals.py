"""The metrics of all pipelines of this process, of those that have ended too.

Rules:
- A pipeline is known weakly. What it has counted is noted whenever it has sent a batch, and when it is closed. If it is
  gone, the last note is added to what has ended, so that no counter falls.
- The lock is held for arithmetic only, and no other lock is taken under it.
- A forked child begins with empty notes, because its pipelines count from zero.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from .._delivery.reporter import print_line
from .._pipeline.all_pipelines import pipelines
from .._pipeline.lifecycle import Lifecycle
from .._process import at_fork
from .._process.real_threads import RLock
from ..trouble import described
from ._readings import Reading, counts, levels


class Totals:
    """Add up the metrics of all pipelines."""

    def __init__(self) -> None:
        self._lock = RLock()
        # What each pipeline had counted when it was noted last.
        self._noted: dict[weakref.ref[Lifecycle], Reading] = {}
        # The sum of those that are gone.
        self._ended: Reading = {}
        # Called after each note.
        self.on_note: Callable[[], object] = lambda: None
        self._has_complained = False

    def begin(self) -> None:
        """Note all pipelines from now on."""
        for lifecycle in pipelines.alive():
            self.note(lifecycle)
        pipelines.watch(self.note)

    def note(self, lifecycle: Lifecycle) -> None:
        """Note what a pipeline has counted so far; a failure is told once, and costs nothing but metrics."""
        try:
            self._note(lifecycle)
            self.on_note()
        except Exception as error:  # noqa: BLE001 - a full disk, a directory that is gone, or a bug of ours
            if not self._has_complained:
                self._has_complained = True
                print_line(f"metrics cannot be written: {described(error)}")

    def _note(self, lifecycle: Lifecycle) -> None:
        reading = counts(lifecycle)
        reference = weakref.ref(lifecycle)
        with self._lock:
            before = self._noted.get(reference, {})
            # Another thread may have noted more meanwhile.
            self._noted[reference] = {key: max(number, before.get(key, 0)) for key, number in reading.items()}
            self._add_ended()

    def _add_ended(self) -> None:
        for reference in [reference for reference in self._noted if reference() is None]:
            _add(self._ended, self._noted.pop(reference))

    def read(self) -> Reading:
        """Return the sums."""
        at_fork.ensure_restarted()
        # Held until the end, so that none of them ends meanwhile and is counted twice.
        alive = pipelines.alive()
        with self._lock:
            self._add_ended()
            total = dict(self._ended)
        for lifecycle in alive:
            _add(total, counts(lifecycle))
            _add(total, levels(lifecycle))
        return total

    def restart(self) -> None:
        """Begin anew in a forked child."""
        self._lock = RLock()
        self._noted = {}
        self._ended = {}


def _add(total: Reading, reading: Reading) -> None:
    for key, number in reading.items():
        before = total.get(key, 0)
        total[key] = max(before, number) if key[0].kind == "age" else before + number


totals = Totals()
totals.begin()
at_fork.register(at_fork.Turn.PIPELINES, restart=totals.restart)
