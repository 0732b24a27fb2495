"""The objects that the classes of one spool share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._process.clock import Clock
from .._queue.backlog import Backlog
from .._queue.ledger import Ledger
from .deferred_reports import DeferredReports
from .directory import Directory
from .ownership import Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolComponents:
    """Hold the components of the pipeline that its spool uses, and those that the spool adds."""

    ledger: Ledger
    clock: Clock
    backlog: Backlog
    # Wakes a listener.
    wake: Callable[[], object]
    directory: Directory
    reports: DeferredReports
    ownership: Ownership
