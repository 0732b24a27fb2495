"""Tell from facts whether a pipeline delivers, and if not, why. Pure."""

from __future__ import annotations

from .._config.settings import Settings
from .._queue.ledger import LossReason, lost
from ..health import Health, Place, Status
from ..stats import Stats
from ..trouble import count

# For how many seconds after its last loss a pipeline counts as losing.
LOSS_SECONDS = 300.0

SWITCHED_OFF = Health(status="off", reason="sending is switched off, by enabled=False or LOGGING_AZMON_DISABLED")


def diagnose(
    settings: Settings,
    stats: Stats,
    *,
    now: float,
    wall_time: float,
    takes_rows: bool,
    oldest_row: float | None,
    last_delivery: float | None,
    last_loss: tuple[float, LossReason] | None,
    interval: float,
    failure: str,
    retry_seconds: float | None,
) -> Health:
    """Return the health of a pipeline that is switched on.

    `interval` is the longest time that a row waits for its batch to fill, `failure` says what failed last, and is empty
    if the last request succeeded. The moment of the last loss is in wall time, all others are on the monotonic clock.
    """
    place = Place(
        endpoint=settings.endpoint,
        rule_id=settings.rule_id,
        stream=settings.stream,
        status="failing" if failure else "ok",
        reason=failure,
        retry_seconds=retry_seconds if failure else None,
    )
    # The wall clock, by which adopted rows are judged, may have been set back.
    age = None if oldest_row is None else max(0.0, now - oldest_row)
    longest = interval + settings.connect_seconds + settings.read_seconds
    waiting = stats.queued + stats.spooled + stats.in_flight
    status: Status
    if not takes_rows:
        status, reason = "closed", "the pipeline was closed"
    elif last_loss is not None and wall_time - last_loss[0] < LOSS_SECONDS:
        status, reason = "losing", _loss(stats, max(0.0, wall_time - last_loss[0]), last_loss[1])
    elif age is not None and failure:
        status, reason = "waiting", f"{_waiting(waiting, age)}: {failure}"
    elif age is not None and age > longest:
        status, reason = "waiting", f"{_waiting(waiting, age)}, although no request has failed: {_SLOW}"
    elif age is not None:
        status, reason = "ok", _waiting(waiting, age)
    else:
        status, reason = "ok", "no row waits"
    return Health(
        status=status,
        reason=reason,
        oldest_row_seconds=age,
        last_delivery_seconds=None if last_delivery is None else now - last_delivery,
        places=(place,),
    )


_SLOW = "rows come faster than they are delivered, or no thread can run"


def _waiting(rows: int, age: float) -> str:
    if rows == 1:
        return f"1 row waits for {age:.0f} s"
    # Rows that another process left are counted when their file is read.
    return f"{count(rows) if rows else 'rows'} wait, the oldest for {age:.0f} s"


def _loss(stats: Stats, seconds: float, reason: LossReason) -> str:
    rows = stats.rejected + lost(stats.dropped)
    how = "rejected by the service" if reason == "rejected" else f"dropped: {reason}"
    return f"{count(rows)} lost so far, the last {seconds:.0f} s ago ({how})"
