"""Puts together what delivers: ledger, buffer and delivery, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._config.settings import Settings
from .._delivery.breaker import Lane
from .._delivery.delivery import Delivery, Destination
from .._delivery.reporter import Reporter
from .._process.clock import Clock
from .._queue.backlog import Backlog
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger
from .._queue.memory import MemoryStore
from .._queue.overflow import Block, DropNew, DropOld, Overflow
from .._rows.encoder import Encoder

if TYPE_CHECKING:
    from .._spool.files import Files


class Parts(NamedTuple):
    """Hold what begins anew with each process."""

    ledger: Ledger
    buffer: BatchQueue
    delivery: Delivery


def assemble(  # noqa: PLR0917 - the parts it puts together
    settings: Settings,
    destination: Destination,
    reporter: Reporter,
    encoder: Encoder,
    clock: Clock,
    shared_lane: Lane,
    wake: Callable[[], None],
    disk: Files | None = None,
) -> Parts:
    """Put the parts together; `disk` is for tests."""
    ledger = Ledger()
    buffer = _buffer(settings, ledger, reporter, clock, wake, disk)
    return Parts(ledger, buffer, Delivery(settings, buffer, destination, ledger, reporter, encoder, clock, shared_lane))


def _buffer(  # noqa: PLR0917 - as above
    settings: Settings,
    ledger: Ledger,
    reporter: Reporter,
    clock: Clock,
    wake: Callable[[], None],
    disk: Files | None,
) -> BatchQueue:
    backlog = Backlog()
    batch_bytes = settings.batch_bytes
    memory = MemoryStore(ledger, clock, backlog, wake=wake, queue_bytes=settings.queue_bytes, batch_bytes=batch_bytes)
    overflow = _overflow(settings)
    if settings.spool is None:
        return BatchQueue(ledger, clock, backlog, memory, overflow, wake)
    # Imported only where there is a spool.
    from .._spool.directory import Directory
    from .._spool.notes import Notes
    from .._spool.segment import Target
    from .._spool.store import SpoolStore

    target = Target(endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream, cloud=settings.cloud)
    spool = SpoolStore(
        ledger,
        clock,
        backlog,
        memory,
        directory=Directory(settings.spool, target, disk),
        wake=wake,
        batch_bytes=batch_bytes,
        spool_bytes=settings.spool_bytes,
        fsync=settings.spool_fsync,
        notes=Notes(clock, reporter),
    )
    return BatchQueue(ledger, clock, backlog, spool, overflow, wake)


def _overflow(settings: Settings) -> Overflow:
    if settings.overflow == "block":
        return Block(settings.block_seconds)
    return DropOld() if settings.overflow == "drop_old" else DropNew()
