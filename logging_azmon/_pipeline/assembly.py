"""Puts together what delivers: ledger, buffer and delivery, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._config.settings import Settings
from .._delivery.breaker import Lane
from .._delivery.delivery import Delivery, Destination
from .._delivery.reporter import Reporter
from .._process.clock import Clock
from .._queue.ledger import Ledger
from .._queue.memory import MemoryBuffer
from .._rows.encoder import Encoder

if TYPE_CHECKING:
    from .._spool.files import Disk


class Parts(NamedTuple):
    """Hold what begins anew with each process."""

    ledger: Ledger
    buffer: MemoryBuffer
    delivery: Delivery


def assemble(  # noqa: PLR0917 - the parts it puts together
    settings: Settings,
    destination: Destination,
    reporter: Reporter,
    encoder: Encoder,
    clock: Clock,
    shared_lane: Lane,
    wake: Callable[[], object],
    disk: Disk | None = None,
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
