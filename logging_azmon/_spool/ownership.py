"""The owners whose segments this pipeline holds: the one that it writes as, and those that it has adopted.

Rules: a thread holds `lock` while it creates an owner, looks for orphans, or takes or releases owners' locks. The order
of locks is ownership, then ledger: a thread that holds the ledger's lock only tries this one. A fork does not wait for
it: a search may take long, and a forked child makes another ownership.

A log call never waits for `lock`, because a search for orphans may take long. It waits only for another log call that
creates the owner, by a lock of its own, so that rows which are logged at the same time are all on disk.
"""

from __future__ import annotations

from collections.abc import Callable

from .._process.may_wait import holds
from .._process.real_threads import RLock
from .deferred_reports import DeferredReports
from .directory import Directory
from .owner import Owner

_LOCK_SECONDS = 1.0


class Ownership:
    """Hold the owners of one pipeline."""

    def __init__(self, directory: Directory, ledger_lock: RLock, reports: DeferredReports) -> None:
        self.lock = RLock()
        # Held by a log call that creates the owner.
        self._creating = RLock()
        # The owner that this pipeline writes as.
        self.writer: Owner | None = None
        # All owners whose segments this pipeline holds, by name.
        self.owners: dict[str, Owner] = {}
        # When to look for orphans again.
        self.next_look = float("-inf")
        self._directory = directory
        self._ledger_lock = ledger_lock
        self._reports = reports

    def __repr__(self) -> str:
        return f"<Ownership writer={self.writer!r} owners={len(self.owners)}>"

    def try_lock(self) -> bool:
        """Take the lock; wait a second for it, but not while this thread holds the ledger's lock."""
        return self._acquire(self.lock)

    def _acquire(self, lock: RLock) -> bool:
        return lock.acquire(timeout=0 if holds(self._ledger_lock) else _LOCK_SECONDS)

    def ensure_writer(self, fail: Callable[[OSError], None]) -> bool:
        """Create the owner that this pipeline writes as, unless it exists; return False if that is not possible now."""
        if not self._acquire(self._creating):
            return False
        try:
            return self.writer is not None or self._create_writer(fail)
        finally:
            self._creating.release()

    def _create_writer(self, fail: Callable[[OSError], None]) -> bool:
        if not self.lock.acquire(blocking=False):
            return False
        try:
            owner = self._directory.create_owner()
            self.owners[owner.name] = owner
            self.writer = owner
        except OSError as error:
            fail(error)
        finally:
            self.lock.release()
        return self.writer is not None

    def drop_writer(self) -> None:
        """Write as another owner from now on."""
        self.writer = None

    def release_soon(self, owner: Owner) -> None:
        """Make the next look for orphans due if this owner is idle: it releases owners without segments."""
        if not owner.segments and owner is not self.writer:
            self.next_look = float("-inf")

    def release_idle(self) -> None:
        """Release the owners that have no segments left; the lock is held."""
        self._release(
            [owner for owner in list(self.owners.values()) if not owner.segments and owner is not self.writer]
        )

    def release_all(self) -> None:
        """Release all owners except the one that writes, if the lock is free."""
        if self.try_lock():
            try:
                self._release([owner for owner in list(self.owners.values()) if owner is not self.writer])
            finally:
                self.lock.release()

    def _release(self, owners: list[Owner]) -> None:
        for owner in owners:
            self.owners.pop(owner.name, None)
            try:
                owner.release()
            except OSError as error:
                self._reports.add("disk", f"a lock in {self._directory.path} cannot be released ({error})")
