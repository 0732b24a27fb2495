"""Assemble the components of a pipeline of which each process has its own: ledger, queue, scheduler, delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._config.settings import Settings
from .._delivery.breaker import CircuitBreaker
from .._delivery.delivery import Delivery
from .._delivery.destination import Destination
from .._delivery.loss_notices import LossNotices
from .._delivery.reporter import Reporter
from .._delivery.scheduler import Scheduler
from .._process.clock import Clock
from .._queue.backlog import Backlog
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger
from .._queue.memory_store import MemoryStore
from .._queue.overflow import Block, DropNew, DropOld, Overflow
from .._queue.pipeline_state import PipelineState
from .._queue.store import Durable, Store
from .._rows.before_send import HookedEncoder
from .._rows.encoder import Encoder
from .._rows.shrink import shrink_row

if TYPE_CHECKING:
    from .._spool.files import Files


class Components(NamedTuple):
    """Hold the components that a forked child replaces by new ones."""

    ledger: Ledger
    queue: BatchQueue
    scheduler: Scheduler
    notices: LossNotices
    delivery: Delivery


def assemble(
    settings: Settings,
    *,
    state: PipelineState,
    destination: Destination,
    reporter: Reporter,
    encoder: Encoder | HookedEncoder,
    clock: Clock,
    breaker: CircuitBreaker,
    wake: Callable[[], object],
    on_end: Callable[[], None] = lambda: None,
    files: Files | None = None,
) -> Components:
    """Assemble the components.

    `state` outlives a fork, other pipelines share `breaker`, `on_end` is called after each batch that was sent, and
    `files` is for tests.
    """
    ledger = Ledger(clock.monotonic)
    backlog = Backlog()
    memory = MemoryStore(
        ledger, clock, backlog, wake=wake, queue_bytes=settings.queue_bytes, batch_bytes=settings.batch_bytes
    )
    store: Store = memory
    durable: Durable | None = None
    if settings.spool is not None:
        # Imported here, because most applications have no spool.
        from .._spool.components import SpoolComponents
        from .._spool.deferred_reports import DeferredReports
        from .._spool.directory import Directory
        from .._spool.ownership import Ownership
        from .._spool.segment import Target
        from .._spool.spool_store import SpoolStore

        target = Target(
            endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream, cloud=settings.cloud
        )
        directory = Directory(settings.spool, target, files)
        reports = DeferredReports(clock, reporter)
        store = durable = SpoolStore(
            SpoolComponents(
                ledger=ledger,
                clock=clock,
                backlog=backlog,
                wake=wake,
                directory=directory,
                reports=reports,
                ownership=Ownership(directory, ledger.lock, reports),
            ),
            memory,
            batch_bytes=settings.batch_bytes,
            spool_bytes=settings.spool_bytes,
            fsync=settings.spool_fsync,
        )
    queue = BatchQueue(
        ledger=ledger,
        clock=clock,
        backlog=backlog,
        store=store,
        overflow=_overflow(settings),
        state=state,
        wake=wake,
        durable=durable,
    )
    scheduler = Scheduler(
        queue=queue, state=state, clock=clock, shared_breaker=breaker, batch_seconds=settings.batch_seconds
    )
    notices = LossNotices(
        ledger=ledger,
        queue=queue,
        reporter=reporter,
        clock=clock,
        notice=encoder.notice,
        batch_seconds=settings.batch_seconds,
    )
    delivery = Delivery(
        settings=settings,
        queue=queue,
        scheduler=scheduler,
        destination=destination,
        ledger=ledger,
        reporter=reporter,
        clock=clock,
        shrink=shrink_row,
        on_delivered=notices.put_if_due,
        on_end=on_end,
    )
    return Components(ledger, queue, scheduler, notices, delivery)


def _overflow(settings: Settings) -> Overflow:
    if settings.overflow == "block":
        return Block(settings.block_seconds)
    return DropOld() if settings.overflow == "drop_old" else DropNew()
