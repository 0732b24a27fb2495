"""Puts together what delivers: ledger, buffer and delivery, as the settings say."""

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
from .._queue.ledger import Ledger
from .._queue.memory import MemoryBuffer
from .._rows.encoder import Encoder
from .._rows.shrink import shrink_row

if TYPE_CHECKING:
    from .._spool.files import Disk


class Parts(NamedTuple):
    """Hold what begins anew with each process."""

    ledger: Ledger
    buffer: MemoryBuffer
    scheduler: Scheduler
    notices: LossNotices
    delivery: Delivery


def assemble(  # noqa: PLR0917 - the parts it puts together
    settings: Settings,
    destination: Destination,
    reporter: Reporter,
    encoder: Encoder,
    clock: Clock,
    shared_breaker: CircuitBreaker,
    wake: Callable[[], object],
    disk: Disk | None = None,
) -> Parts:
    """Put the parts together; `disk` is for tests."""
    ledger = Ledger()
    buffer = _buffer(settings, ledger, reporter, clock, wake, disk)
    scheduler = Scheduler(
        queue=buffer, clock=clock, shared_breaker=shared_breaker, batch_seconds=settings.batch_seconds
    )
    notices = LossNotices(
        ledger=ledger,
        queue=buffer,
        reporter=reporter,
        clock=clock,
        notice=encoder.notice,
        batch_seconds=settings.batch_seconds,
    )
    delivery = Delivery(
        settings=settings,
        queue=buffer,
        scheduler=scheduler,
        destination=destination,
        ledger=ledger,
        reporter=reporter,
        clock=clock,
        shrink=shrink_row,
        on_delivered=notices.put_if_due,
    )
    return Parts(ledger, buffer, scheduler, notices, delivery)


def _buffer(  # noqa: PLR0917 - as above
    settings: Settings,
    ledger: Ledger,
    reporter: Reporter,
    clock: Clock,
    wake: Callable[[], object],
    disk: Disk | None,
) -> MemoryBuffer:
    memory = {
        "wake": wake,
        "queue_bytes": settings.queue_bytes,
        "batch_bytes": settings.batch_bytes,
        "overflow": settings.overflow,
        "block_seconds": settings.block_seconds,
    }
    if settings.spool is None:
        return MemoryBuffer(ledger, clock, **memory)  # type: ignore[arg-type]  # each is what the settings say
    # Not for those who have no use for it.
    from .._spool.directory import Directory
    from .._spool.recovery import Spool
    from .._spool.segment import Target

    target = Target(endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream, cloud=settings.cloud)
    return Spool(
        ledger,
        clock,
        directory=Directory(settings.spool, target, disk),
        spool_bytes=settings.spool_bytes,
        fsync=settings.spool_fsync,
        report=reporter,
        **memory,
    )
