"""Takes one batch to its end: sends it, and does with its rows what the answer means.

Rules: called by one thread at a time for each batch, which owns it. Every batch is settled or given back, whatever
happens; nothing here raises. No lock is held while anything is sent.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import orjson

from .buffer import Batch, MemoryBuffer
from .clock import Clock
from .encode import Encoder, shrink
from .outcome import Action, Answer, Decision, explain, judge, retry_delay
from .pacing import Lane, Pace
from .report import Ledger, Reporter, Trouble, clock_time, count
from .settings import Settings

# What splitting may cost in requests: for one batch, and for a pipeline in a minute (a twentieth of a rule's quota).
SPLITS_PER_BATCH = 256
SPLITS_PER_MINUTE = 600
# The service refuses a body whose rows are more than 30 minutes apart; one more second for its own arithmetic.
_TIME_RANGE_SECONDS = 30 * 60 - 1
_CLOSING_RETRY_SECONDS = 1.0
_NEVER = 60.0


class Destination(Protocol):
    """Send lines and say what came back. Dumb: the pipeline alone retries, splits and counts."""

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Send rows, given as lines of JSON."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    def forget(self) -> None:
        """Leave a parent's connections to the parent."""
        ...


class Delivery:
    """Decide which batch goes when, and see it through."""

    def __init__(  # noqa: PLR0917 - the parts it puts to work
        self,
        settings: Settings,
        buffer: MemoryBuffer,
        destination: Destination,
        ledger: Ledger,
        reporter: Reporter,
        encoder: Encoder,
        clock: Clock,
        shared_lane: Lane,
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._destination = destination
        self._ledger = ledger
        self._report = reporter
        self._encoder = encoder
        self._clock = clock
        self._shared = shared_lane
        self._own = Lane()
        self._pace = Pace(settings.batch_seconds)
        self._splits: deque[float] = deque()
        self._notice_after = 0.0
        # Set by close: tries come faster, and nothing is given back that nobody would take.
        self.is_closing = False
        self.is_abandoned = False

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this when a pause may have ended."""
        self._shared.subscribe(wake)
        self._own.subscribe(wake)

    @property
    def is_troubled(self) -> bool:
        """Tell whether the last requests failed."""
        return self._shared.is_troubled or self._own.is_troubled

    def hurry(self) -> None:
        """Cut short a pause of our own making."""
        now = self._clock.monotonic()
        self._shared.hurry(now)
        self._own.hurry(now)

    def has_full_batch(self) -> bool:
        """Tell whether a batch waits for nothing but somebody to send it."""
        return self._buffer.is_ready(self._clock.monotonic(), is_due=False)

    def is_done(self) -> bool:
        """Tell whether no row waits or is on its way."""
        return self._buffer.is_empty

    def next_batch(self) -> tuple[tuple[Batch, int, int] | None, float]:
        """Return a batch with its tickets, or how long there is nothing to do at most."""
        now = self._clock.monotonic()
        pauses = [lane.wait_seconds(now) for lane in (self._shared, self._own)]
        if any(pause != 0.0 for pause in pauses):
            return None, max(_NEVER if pause is None else pause for pause in pauses)
        since = self._buffer.open_since()
        due = None if since is None else self._pace.due_at(since, self._shared.stretch)
        is_due = self.is_closing or (due is not None and due <= now)
        if self._buffer.is_ready(now, is_due=is_due):
            taken = self._enter_and_take(now, is_due=is_due)
            return taken, 0.0 if taken is not None else _NEVER
        waits = [moment - now for moment in (due, self._buffer.next_retry()) if moment is not None]
        return None, max(0.0, min(waits, default=_NEVER))

    def _enter_and_take(self, now: float, *, is_due: bool) -> tuple[Batch, int, int] | None:
        shared = self._shared.enter(now)
        if shared is None:
            return None
        own = self._own.enter(now)
        batch = None if own is None else self._buffer.take(now, is_due=is_due)
        if own is None or batch is None:
            self._shared.left(shared)
            if own is not None:
                self._own.left(own)
            return None
        if batch.first_try is None:
            batch.first_try = now
            batch.split_budget = [SPLITS_PER_BATCH]
            self._pace.taken(now)
        return batch, shared, own

    def deliver(self, batch: Batch, shared: int, own: int, *, seconds: float | None = None) -> None:
        """See a batch through: in the end it is settled, or given back to be tried later."""
        pieces = deque([batch])
        try:
            while pieces:
                piece = pieces.popleft()
                answer, decision = self._send(piece, seconds)
                if decision.action is Action.RETRY:
                    pieces.appendleft(piece)
                    self._pause(piece, answer, decision, shared, own)
                    break
                has_recovered = self._shared.passed(shared) | self._own.passed(own)
                pieces.extendleft(reversed(self._finish(piece, answer, decision)))
                if has_recovered:
                    self._say("recovered", f"{self._settings.endpoint} takes rows again")
        except Exception as error:  # noqa: BLE001 - a bug of ours must not cost rows: they are given back, and it is told
            self._say("internal", f"unexpected {error!r} while delivering; the rows are tried again")
            self._shared.left(shared)
            delay = self._settings.retry_seconds
            self._own.failed(own, self._clock.monotonic(), delay, is_ordered=False, is_throttled=False)
        finally:
            for piece in reversed(pieces):
                self._give_back(piece)

    def _send(self, piece: Batch, seconds: float | None) -> tuple[Answer, Decision]:
        """Send once, or twice if the token was refused."""
        has_renewed = False
        while True:
            self._ledger.sent(len(piece.data), is_retry=piece.tries > 0)
            piece.tries += 1
            answer = self._destination.send(piece.data, seconds=seconds)
            decision = judge(answer, rows=piece.rows, has_renewed=has_renewed, is_shrunk=piece.is_shrunk)
            if decision.action is not Action.RENEW:
                return answer, decision
            # The client has dropped the token and fetches another.
            has_renewed = True

    def _finish(self, piece: Batch, answer: Answer, decision: Decision) -> list[Batch]:
        """Settle a piece that the service has judged; return the smaller ones that are to be sent in its place."""
        action = decision.action
        if action is Action.DONE:
            self._buffer.settle(piece)
            self._tell_losses()
            return []
        if action is Action.SHRINK:
            data = shrink(bytes(piece.data), len(piece.data) // 2)
            pieces = [replace(piece, data=data, is_shrunk=True)]
        elif action is Action.REJECT or not self._may_split(piece):
            self._reject(piece, answer)
            return []
        elif action is Action.SPLIT_BY_TIME:
            pieces = _split_by_time(piece) or _halves(piece)
        else:
            pieces = _halves(piece)
        self._buffer.replace(piece, pieces)
        return pieces

    def _may_split(self, piece: Batch) -> bool:
        """Take two requests from the budgets, if they are there."""
        now = self._clock.monotonic()
        while self._splits and self._splits[0] <= now - 60:
            self._splits.popleft()
        if piece.split_budget[0] < 2 or len(self._splits) + 2 > SPLITS_PER_MINUTE:
            return False
        piece.split_budget[0] -= 2
        self._splits.extend((now, now))
        return True

    def _reject(self, piece: Batch, answer: Answer) -> None:
        self._buffer.settle(piece, rejected=True)
        settings = self._settings
        said = explain(answer, endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream)
        self._say(
            "rejected", f"{count(piece.rows)} rejected: {said}", answer, rows=piece.rows, rows_json=bytes(piece.data)
        )

    def _pause(self, piece: Batch, answer: Answer, decision: Decision, shared: int, own: int) -> None:
        """Stop everybody whom this answer concerns, and say so."""
        now = self._clock.monotonic()
        is_configuration = decision.trouble == "configuration"
        lane, ticket = (self._own, own) if is_configuration else (self._shared, shared)
        longest = self._settings.retry_seconds
        if self.is_closing:
            longest = min(longest, _CLOSING_RETRY_SECONDS)
        delay = retry_delay(
            decision,
            answer,
            failures=lane.failures_with(ticket),
            longest=longest,
            now=self._clock.time(),
            random=random.random,
        )
        is_ordered = answer.retry_after is not None and not is_configuration
        if is_configuration:
            self._shared.left(shared)
        else:
            self._own.left(own)
        # One batch that always fails must not hold up the others: it waits longer than they do.
        piece.not_before = now + delay * min(piece.tries, 8) if piece.tries > 2 else 0.0
        lane.failed(ticket, now, delay, is_ordered=is_ordered, is_throttled=decision.trouble == "throttled")
        settings = self._settings
        said = explain(answer, endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream)
        stats = self._ledger.snapshot()
        waiting, dropped = stats.queued + stats.in_flight, sum(stats.dropped.values())
        lost = f", {count(dropped)} dropped so far" if dropped else ""
        said = f"{said}; {count(waiting)} waiting{lost}, next try in {delay:.0f} s"
        self._say(decision.trouble, said, answer, rows=waiting)

    def _give_back(self, piece: Batch) -> None:
        limit = self._settings.give_up_seconds
        tried_for = self._clock.monotonic() - (piece.first_try or 0.0)
        if self.is_abandoned:
            self._buffer.settle(piece, lost="closed")
        elif limit is not None and tried_for >= limit:
            self._buffer.settle(piece, lost="gave_up")
            self._say(
                "lost",
                f"{count(piece.rows)} given up after {tried_for:.0f} s (give_up_seconds={limit:g})",
                rows=piece.rows,
            )
        else:
            self._buffer.give_back(piece)

    def _tell_losses(self) -> None:
        """After a success, tell what was lost in rows of our own; at most once each `batch_seconds`."""
        now = self._clock.monotonic()
        if self._ledger.has_untold and now >= self._notice_after:
            self._notice_after = now + self._settings.batch_seconds
            self.put_notices()

    def put_notices(self) -> None:
        """Queue a row for each reason for which rows were lost; what finds no room is told later."""
        for reason, loss in self._ledger.take_untold().items():
            said = f"{count(loss.rows)} dropped: {reason}, {clock_time(loss.first)} to {clock_time(loss.last)} UTC"
            if not self._buffer.put_notice(self._encoder.notice(said, "WARNING", 30)):
                self._ledger.untell(reason, loss)
            self._say("lost", said, rows=loss.rows, reason=reason)

    def _say(self, kind: str, said: str, answer: Answer | None = None, **more: Any) -> None:
        status, code = (None, "") if answer is None else (answer.status, answer.code)
        self._report(Trouble(kind=kind, text=said, status=status, code=code, **more))


def _halves(piece: Batch) -> list[Batch]:
    data = bytes(piece.data)
    lines = data.splitlines(keepends=True)
    middle = len(lines) // 2
    return [_part(piece, lines[:middle]), _part(piece, lines[middle:])]


def _split_by_time(piece: Batch) -> list[Batch]:
    """Group rows that are less than 30 minutes apart; nothing if that does not divide them."""
    import datetime as dt

    def seconds(line: bytes) -> float:
        stamp = orjson.loads(line).get("TimeGenerated")
        return dt.datetime.fromisoformat(stamp).timestamp() if isinstance(stamp, str) else 0.0

    groups: list[list[bytes]] = []
    start = float("-inf")
    for moment, line in sorted((seconds(line), line) for line in bytes(piece.data).splitlines(keepends=True)):
        if moment - start > _TIME_RANGE_SECONDS:
            start = moment
            groups.append([])
        groups[-1].append(line)
    return [_part(piece, group) for group in groups] if len(groups) > 1 else []


def _part(piece: Batch, lines: list[bytes]) -> Batch:
    return replace(piece, data=b"".join(lines), rows=len(lines), notices=0)
