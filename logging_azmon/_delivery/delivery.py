"""Deliver one batch: send it, and settle, divide or give back its rows as the answer requires.

Rules:
- The thread that calls `deliver` owns the batch until it returns.
- Whatever happens, every row of the batch is settled or given back, and the tickets are released.
- No lock is held during a request.
- An `Exception` is reported here; other exceptions, such as SystemExit and KeyboardInterrupt, are raised.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from .._config.service_limits import MAX_BODY_BYTES, QUOTA_REQUESTS
from .._config.settings import Settings
from .._process.clock import Clock
from .._queue.batch import Batch, by_time, halves, shrunk, unjoined
from .._queue.ledger import Ledger, lost
from ..trouble import Kind, Trouble, count, described, utc_time
from .answer import Answer, Failure
from .batch_source import BatchSource
from .budget import Budget
from .decision import Action, Decision, RetryReason, judge
from .destination import Destination
from .explanations import explain
from .reporter import Reporter
from .retry import Delay, backoff, retry_delay
from .scheduler import Scheduler, Tickets

# How many requests per minute a pipeline may spend on splitting: a twentieth of a rule's quota.
SPLITS_PER_MINUTE = QUOTA_REQUESTS // 20
# More than gzip adds to a body that cannot be compressed: five bytes per 64 KB, and its frame.
_GZIP_OVERHEAD = 1_024
# Rows are not shrunk below this: a row with hardly any text is worth less than a report of its rejection.
_MIN_SHRUNK_BYTES = 4_096
# The longest wait before a retry while a flush waits, or the pipeline closes.
_HURRIED_RETRY_SECONDS = 1.0


class Delivery:
    """Send batches, and retry, split, shrink or reject their rows as the answers require."""

    def __init__(
        self,
        *,
        settings: Settings,
        queue: BatchSource,
        scheduler: Scheduler,
        destination: Destination,
        ledger: Ledger,
        reporter: Reporter,
        clock: Clock,
        shrink: Callable[[bytes, int], bytes],
        on_delivered: Callable[[], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`shrink` cuts a row down to a number of bytes.

        `on_delivered` is called after each delivery, and `on_end` after each batch, delivered or not.
        """
        self._settings = settings
        self._queue = queue
        self._scheduler = scheduler
        self._destination = destination
        self._ledger = ledger
        self._report = reporter
        self._clock = clock
        self._shrink = shrink
        self._on_delivered = on_delivered
        self._on_end = on_end
        self._splits = Budget(SPLITS_PER_MINUTE, 60.0)

    def deliver(self, batch: Batch, tickets: Tickets, *, seconds: float | None = None) -> None:
        """Send a batch until all its rows are settled, or the rest is given back to be sent later.

        `seconds` limits how long that may take; rows not sent by then are given back.
        """
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        # The parts that are not settled. A part stays here until smaller ones replace it, so that no row is lost.
        parts = deque([batch])
        try:
            while parts:
                left = None if deadline is None else deadline - self._clock.monotonic()
                if left is not None and left <= 0:
                    break
                answer, decision = self._send(parts[0], left)
                smaller = None if decision.action is Action.RETRY else self._settle(parts[0], answer, decision)
                if smaller is None:
                    self._pause(parts[0], answer, decision.reason, tickets)
                    break
                parts.popleft()
                parts.extendleft(reversed(smaller))
                if answer.failure is None and self._scheduler.succeeded(tickets):
                    self._say("recovered", f"{self._settings.endpoint} takes rows again")
                if decision.action is Action.DONE:
                    self._on_delivered()
        except BaseException as error:
            # A bug of ours must neither cost rows nor be repeated without a pause.
            if isinstance(error, Exception):
                self._say("internal", f"unexpected {described(error)} while delivering; the rows are tried again")
            delay = self._delay("configuration", Answer(), 1)
            self._back_off(parts[0] if parts else batch, tickets, delay, f"unexpected {described(error)}")
            if not isinstance(error, Exception):
                raise
        finally:
            for part in reversed(parts):
                self._give_back(part)
            self._scheduler.release(tickets)
            self._on_end()

    def _send(self, part: Batch, seconds: float | None) -> tuple[Answer, Decision]:
        """Send a part once, or twice if the token was refused."""
        has_renewed = False
        while True:
            part.attempts.tries += 1
            answer = self._destination.send(part.data, seconds=seconds)
            decision = judge(answer, rows=part.rows, has_renewed=has_renewed, is_shrunk=part.attempts.is_shrunk)
            if answer.failure is not Failure.TOO_LARGE:
                self._ledger.sent(len(part.data), is_retry=part.attempts.tries > 1)
                outcome = answer.failure.value if answer.failure is not None else answer.status or "unreadable"
                self._ledger.answered(outcome, is_retried=decision.action in {Action.RETRY, Action.RENEW})
            if decision.action is not Action.RENEW:
                return answer, decision
            # The client has dropped the refused token, and requests a new one for the next try.
            has_renewed = True

    def _settle(self, part: Batch, answer: Answer, decision: Decision) -> list[Batch] | None:
        """Settle a part, or replace it by smaller ones and return these; return None if splitting it must wait."""
        if decision.action is Action.DONE:
            self._queue.settle(part)
            return []
        smaller = self._divide(part, answer, decision.action)
        if smaller:
            self._queue.replace(part, smaller)
        elif smaller is not None:
            self._reject(part, answer)
        return smaller

    def _divide(self, part: Batch, answer: Answer, action: Action) -> list[Batch] | None:
        """Return smaller parts to send instead of a part: an empty list to reject it, None to let it wait."""
        if action is Action.REJECT:
            return []
        if action is Action.SHRINK:
            # A row shorter than the limit on the wire fits, however badly it compresses.
            limit = max(_MIN_SHRUNK_BYTES, min(len(part.data) // 2, MAX_BODY_BYTES - _GZIP_OVERHEAD))
            data = self._shrink(bytes(part.data), limit)
            return [shrunk(part, data)]
        if action is Action.SPLIT_BY_SIZE:
            # Each row may be small enough, so if the budget is used up, the rows wait and are not rejected. A part that
            # was known to be too large has cost no request, so its halves are not charged to the budget.
            smaller = halves(part)
            return smaller if answer.failure is not None or self._may_split(len(smaller)) else None
        if action is Action.SPLIT_BY_TIME and (smaller := by_time(part)):
            return smaller if self._may_split(len(smaller)) else None
        # Dead processes' batches, which were joined to save requests, are not rejected for each other's rows.
        return halves(part) if self._may_isolate(part) else unjoined(part)

    def _may_split(self, requests: int) -> bool:
        return self._splits.grant(requests, self._clock.monotonic())

    def _may_isolate(self, part: Batch) -> bool:
        """Take two requests from the batch's budget and from the pipeline's, if both have them left."""
        if part.attempts.split_budget[0] < 2 or not self._splits.grant(2, self._clock.monotonic()):
            return False
        part.attempts.split_budget[0] -= 2
        return True

    def _reject(self, part: Batch, answer: Answer) -> None:
        details = {"time": utc_time(self._clock.time()), "status": answer.status, "code": answer.code}
        kept = self._queue.reject(part, details | {"message": answer.message})
        self._say(
            "rejected",
            f"{count(part.rows)} rejected: {self._explain(answer)}{f'; kept in {kept}' if kept else ''}",
            answer,
            rows=part.rows,
            rows_json=bytes(part.data),
        )

    def _pause(self, part: Batch, answer: Answer, reason: RetryReason | None, tickets: Tickets) -> None:
        """Pause the pipelines that an answer concerns, and report it; without a reason, the split budget is used up."""
        is_shared = reason in ("outage", "throttled")
        failures = self._scheduler.failures_with(tickets, is_shared=is_shared)
        delay = self._delay(reason or "configuration", answer, failures)
        why = self._explain(answer)
        if reason is None:
            why = f"{why}; splitting has used up its {SPLITS_PER_MINUTE} requests a minute"
        wait = self._back_off(part, tickets, delay, why, is_shared=is_shared, is_throttled=reason == "throttled")
        stats = self._ledger.snapshot()
        waiting, dropped = stats.queued + stats.in_flight + stats.spooled, lost(stats.dropped)
        so_far = f", {count(dropped)} dropped so far" if dropped else ""
        verb = "is" if waiting == 1 else "are"
        # Other rows may be sent before this part is tried again.
        soon = delay.seconds if waiting > part.rows else wait
        text = f"{why}; {count(waiting)} {verb} waiting{so_far}, next try in {soon:.{0 if soon >= 10 else 1}f} s"
        self._say(reason or "throttled", text, answer, rows=waiting)

    def _delay(self, reason: RetryReason, answer: Answer, failures: int) -> Delay:
        return retry_delay(
            reason,
            answer,
            failures=failures,
            longest=self._longest_wait(),
            now=self._clock.time(),
            random=random.random,
        )

    def _longest_wait(self) -> float:
        longest = self._settings.retry_seconds
        return min(longest, _HURRIED_RETRY_SECONDS) if self._scheduler.is_hurried else longest

    def _back_off(
        self,
        part: Batch,
        tickets: Tickets,
        delay: Delay,
        failure: str,
        *,
        is_shared: bool = False,
        is_throttled: bool = False,
    ) -> float:
        """Pause the senders; delay a part that fails repeatedly for longer, so that it does not hold up others.

        Return how many seconds the part waits.
        """
        wait = delay.seconds
        if part.attempts.tries > 2 and not self._scheduler.is_hurried:
            longer = backoff(part.attempts.tries, self._longest_wait()) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            wait = max(wait, longer)
            part.attempts.not_before = self._clock.monotonic() + wait
        self._scheduler.failed(tickets, delay, is_shared=is_shared, is_throttled=is_throttled, failure=failure)
        return wait

    def _explain(self, answer: Answer) -> str:
        settings = self._settings
        return explain(answer, endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream)

    def _give_back(self, part: Batch) -> None:
        limit = self._settings.give_up_seconds
        tried_for = self._clock.monotonic() - (part.attempts.first_try or 0.0)
        if limit is not None and tried_for >= limit and part.attempts.tries:
            self._queue.settle(part, lost="gave_up")
            text = f"{count(part.rows)} given up after {tried_for:.0f} s (give_up_seconds={limit:g})"
            self._say("lost", text, reason="gave_up", rows=part.rows)
        else:
            self._queue.give_back(part)

    def _say(self, kind: Kind, text: str, answer: Answer | None = None, **more: Any) -> None:
        # Without a status there was no response, and the code is one of ours.
        status, code = (None, "") if answer is None or answer.status is None else (answer.status, answer.code)
        self._report(Trouble(kind=kind, text=text, status=status, code=code, **more))
