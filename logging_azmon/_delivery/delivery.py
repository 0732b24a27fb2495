"""Takes one batch to its end: sends it, and does with its rows what the answer means.

Rules: called by one thread at a time for each batch, which owns it. Every batch is settled or given back, whatever
happens; nothing leaves here but SystemExit and its like. No lock is held while anything is sent.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol

from .._config.service_limits import MAX_BODY_BYTES, QUOTA_REQUESTS
from .._config.settings import Settings
from .._process.clock import Clock
from .._queue.batch import Batch, by_time, halves
from .._queue.ledger import Ledger
from .._queue.memory import MemoryBuffer
from .._rows.encoder import Encoder
from .._rows.shrink import shrink_row
from .breaker import Lane
from .pacing import Budget, Pace
from .reporter import Kind, Reporter, Trouble, clock_time, count, described, utc_time
from .retry import (
    Action,
    Answer,
    Decision,
    Delay,
    Failure,
    Retry,
    backoff,
    explain,
    judge,
    retry_delay,
)

# What splitting may cost a pipeline in requests in a minute: a twentieth of a rule's quota.
SPLITS_PER_MINUTE = QUOTA_REQUESTS // 20
# What gzip adds to a body that cannot be compressed: five bytes for 64 KB, and its frame.
_GZIP_OVERHEAD = 1_024
_LEAST_SHRUNK_BYTES = 4_096
_CLOSING_RETRY_SECONDS = 1.0
# How long a listener waits that has nothing to wait for: what is new wakes it.
_NOTHING_TO_DO_SECONDS = 60.0


class Work(NamedTuple):
    """Hand a batch to whoever delivers it, with its tickets: of the lane that all share, and of the pipeline's own."""

    batch: Batch
    shared_ticket: int
    own_ticket: int


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
        self._splits = Budget(SPLITS_PER_MINUTE, 60.0)
        self._notice_after = 0.0
        # Whether losses are told in rows, too.
        self.tells_in_rows = True
        # Set by close: all that waits is due, and tries come faster.
        self.is_closing = False

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this bound method, as long as its object lives, when a pause may have ended."""
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

    def has_rows(self) -> bool:
        """Tell whether a row waits or is on its way."""
        return not self._buffer.is_empty

    def next_batch(self) -> tuple[Work | None, float]:
        """Return a batch with its tickets, or how long there is nothing to do at most."""
        now = self._clock.monotonic()
        self._buffer.look(now)
        pauses = [lane.wait_seconds(now) for lane in (self._shared, self._own)]
        if any(pause != 0.0 for pause in pauses):
            return None, max(_NOTHING_TO_DO_SECONDS if pause is None else pause for pause in pauses)
        since = self._buffer.open_since()
        due = None if since is None else self._pace.due_at(since, self._shared.stretch)
        is_due = self.is_closing or (due is not None and due <= now)
        if self._buffer.is_ready(now, is_due=is_due):
            # If another thread was faster: look again.
            return self._enter_and_take(now, is_due=is_due), 0.0
        waits = [moment - now for moment in (due, self._buffer.next_retry()) if moment is not None]
        return None, max(0.0, min(waits, default=_NOTHING_TO_DO_SECONDS))

    def _enter_and_take(self, now: float, *, is_due: bool) -> Work | None:
        shared = self._shared.enter(now)
        if shared is None:
            return None
        own = self._own.enter(now)
        batch: Batch | None = None
        try:
            if own is not None:
                batch = self._buffer.take(now, is_due=is_due)
        finally:
            # Also when that fails: with a probe that never comes back nobody would send any more.
            if batch is None:
                self._shared.left(shared)
                if own is not None:
                    self._own.left(own)
        if own is None or batch is None:
            return None
        if batch.first_try is None:
            batch.first_try = now
            self._pace.taken(now)
        return Work(batch, shared, own)

    def deliver(self, batch: Batch, shared: int, own: int, *, seconds: float | None = None) -> None:
        """See a batch through: in the end it is settled, or given back to be tried later.

        `seconds` is how long that may take for somebody who cannot wait; what is not sent by then is given back.
        """
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        rest = deque([batch])
        try:
            # A part stays in front until smaller ones take its place, so that nothing is lost on the way.
            while rest:
                left = None if deadline is None else deadline - self._clock.monotonic()
                if left is not None and left <= 0:
                    break
                answer, decision = self._send(rest[0], left)
                smaller = None if decision.action is Action.RETRY else self._finish(rest[0], answer, decision)
                if smaller is None:
                    trouble = decision.trouble or "divisions"
                    self._pause(rest[0], answer, trouble, shared, own)
                    break
                rest.popleft()
                rest.extendleft(reversed(smaller))
                if answer.failure is None:
                    self._passed(shared, own)
                if decision.action is Action.DONE:
                    self._tell_losses()
        except BaseException as error:
            # A bug of ours must not cost rows: they are given back, and it is told, by the listener if it is no bug.
            if isinstance(error, Exception):
                self._say("internal", f"unexpected {described(error)} while delivering; the rows are tried again")
            self._hold(rest[0] if rest else batch, self._own, own, self._delay(Answer(), "configuration", 1))
            if not isinstance(error, Exception):
                raise
        finally:
            for part in reversed(rest):
                self._give_back(part)
            self._shared.left(shared)
            self._own.left(own)

    def _passed(self, shared: int, own: int) -> None:
        now = self._clock.monotonic()
        if self._shared.passed(shared, now) | self._own.passed(own, now):
            self._say("recovered", f"{self._settings.endpoint} takes rows again")

    def _send(self, part: Batch, seconds: float | None) -> tuple[Answer, Decision]:
        """Send once, or twice if the token was refused."""
        has_renewed = False
        while True:
            part.tries += 1
            answer = self._destination.send(part.data, seconds=seconds)
            if answer.failure is not Failure.TOO_LARGE:
                self._ledger.sent(len(part.data), is_retry=part.tries > 1)
            decision = judge(answer, rows=part.rows, has_renewed=has_renewed, is_shrunk=part.is_shrunk)
            if decision.action is not Action.RENEW:
                return answer, decision
            # The client has dropped the token and fetches another.
            has_renewed = True

    def _finish(self, part: Batch, answer: Answer, decision: Decision) -> list[Batch] | None:
        """Settle a part that was judged; return the smaller ones to be sent in its place. None: keep it for later."""
        action = decision.action
        if action is Action.DONE:
            self._buffer.settle(part)
            return []
        if action is Action.SHRINK:
            # What is shorter than the wire's limit fits, however badly it compresses; a short row is better rejected
            # as it is than delivered without its words.
            limit = max(_LEAST_SHRUNK_BYTES, min(len(part.data) // 2, MAX_BODY_BYTES - _GZIP_OVERHEAD))
            data = shrink_row(bytes(part.data), limit)
            smaller = [replace(part, data=data, is_shrunk=True, tries=0)]
        elif action is Action.REJECT:
            smaller = []
        elif action is Action.SPLIT_BY_SIZE:
            # Nothing is wrong with these rows: where many must be divided, they wait rather than be rejected. Those
            # that were not sent have cost no request.
            smaller = halves(part)
            if answer.failure is None and not self._splits.grant(len(smaller), self._clock.monotonic()):
                return None
        elif action is Action.SPLIT_BY_TIME and (smaller := by_time(part)):
            if not self._splits.grant(len(smaller), self._clock.monotonic()):
                return None
        else:
            smaller = halves(part) if self._may_isolate(part) else []
        if smaller:
            self._buffer.replace(part, smaller)
        else:
            self._reject(part, answer)
        return smaller

    def _may_isolate(self, part: Batch) -> bool:
        """Take two requests from the batch's budget and from the minute's, if they are there."""
        if part.split_budget[0] < 2 or not self._splits.grant(2, self._clock.monotonic()):
            return False
        part.split_budget[0] -= 2
        return True

    def _reject(self, part: Batch, answer: Answer) -> None:
        said = {"time": utc_time(self._clock.time()), "status": answer.status, "code": answer.code}
        kept = self._buffer.reject(part, said | {"message": answer.message})
        self._say(
            "rejected",
            f"{count(part.rows)} rejected: {self._explain(answer)}{f'; kept in {kept}' if kept else ''}",
            answer,
            rows=part.rows,
            rows_json=bytes(part.data),
        )

    def _pause(self, part: Batch, answer: Answer, trouble: Retry | Literal["divisions"], shared: int, own: int) -> None:
        """Stop everybody whom this answer concerns, and say so; "divisions" stands for a limit of our own."""
        is_own = trouble in ("configuration", "divisions")
        lane, ticket = (self._own, own) if is_own else (self._shared, shared)
        delay = self._delay(answer, "configuration" if trouble == "divisions" else trouble, lane.failures_with(ticket))
        self._hold(part, lane, ticket, delay, is_throttled=trouble == "throttled")
        stats = self._ledger.snapshot()
        waiting, dropped = stats.queued + stats.in_flight + stats.spooled, sum(stats.dropped.values())
        lost = f", {count(dropped)} dropped so far" if dropped else ""
        verb = "is" if waiting == 1 else "are"
        why = self._explain(answer)
        if trouble == "divisions":
            trouble, why = "throttled", f"{why}; more divisions than {SPLITS_PER_MINUTE} requests a minute allow"
        soon = f"{delay.seconds:.{0 if delay.seconds >= 10 else 1}f} s"
        said = f"{why}; {count(waiting)} {verb} waiting{lost}, next try in {soon}"
        self._say(trouble, said, answer, rows=waiting)

    def _delay(self, answer: Answer, trouble: Retry, failures: int) -> Delay:
        return retry_delay(
            trouble,
            answer,
            failures=failures,
            longest=self._longest_wait(),
            now=self._clock.time(),
            random=random.random,
        )

    def _longest_wait(self) -> float:
        longest = self._settings.retry_seconds
        return min(longest, _CLOSING_RETRY_SECONDS) if self.is_closing else longest

    def _hold(self, part: Batch, lane: Lane, ticket: int, delay: Delay, *, is_throttled: bool = False) -> None:
        """Pause a lane, and the part for longer: one that always fails must not hold up the others."""
        now = self._clock.monotonic()
        if part.tries > 2 and not self.is_closing:
            longest = self._longest_wait()
            part.not_before = now + max(delay.seconds, backoff(part.tries, longest) * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries
        lane.failed(ticket, now, delay.seconds, is_ordered=delay.is_ordered, is_throttled=is_throttled)

    def _explain(self, answer: Answer) -> str:
        settings = self._settings
        return explain(answer, endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream)

    def _give_back(self, part: Batch) -> None:
        limit = self._settings.give_up_seconds
        tried_for = self._clock.monotonic() - (part.first_try or 0.0)
        if limit is not None and tried_for >= limit and part.tries:
            self._buffer.settle(part, lost="gave_up")
            said = f"{count(part.rows)} given up after {tried_for:.0f} s (give_up_seconds={limit:g})"
            self._say("lost", said, reason="gave_up", rows=part.rows)
        else:
            self._buffer.give_back(part)

    def _tell_losses(self) -> None:
        """After a success, tell what was lost in rows of our own; at most once each `batch_seconds`."""
        now = self._clock.monotonic()
        if self._ledger.has_untold and now >= self._notice_after:
            self._notice_after = now + self._settings.batch_seconds
            self.put_notices()

    def put_notices(self) -> None:
        """Queue a row for each reason for which rows were lost; what finds no room is told later."""
        if not self.tells_in_rows:
            return
        for reason, loss in self._ledger.take_untold().items():
            said = f"{count(loss.rows)} dropped: {reason}, {clock_time(loss.first)} to {clock_time(loss.last)} UTC"
            if self._buffer.put_notice(self._encoder.notice(said, "WARNING", 30)):
                self._say("lost", said, rows=loss.rows, reason=reason)
            else:
                self._ledger.untell(reason, loss)

    def _say(self, kind: Kind, said: str, answer: Answer | None = None, **more: Any) -> None:
        status, code = (None, "") if answer is None else (answer.status, answer.code)
        self._report(Trouble(kind=kind, text=said, status=status, code=code, **more))
