"""Simulate a small web shop that only logs: half of it through `logging`, half through structlog.

It uses nothing of Azure or of this library, and logs as applications do, with extras, context variables and
exceptions. Every run is the same, request by request; only the times differ.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import structlog

PATHS = ("/", "/search", "/search", "/items", "/items", "/items", "/cart", "/checkout")
USUAL_MS = {"/": 12, "/search": 85, "/items": 31, "/cart": 24, "/checkout": 140}
SLOW_EVERY, CANCEL_EVERY, FAIL_EVERY = 37, 29, 61

web = logging.getLogger("shop.web")
database = logging.getLogger("shop.database")


class CardRefusedError(Exception):
    """A customer's bank refuses the payment."""


def _structured(name: str) -> Any:
    """Make a structlog logger that goes through the standard library, as `structlog.configure` would."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


orders = _structured("shop.orders")
payments = _structured("shop.payments")


def requests() -> Iterator[str]:
    """Serve requests without end; yield the number of each."""
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret
    count = 0
    while True:
        count += 1
        number = f"r-{count:04}"
        _serve(number, count, chance)
        yield number


def _serve(number: str, count: int, chance: random.Random) -> None:
    is_failing, is_slow = count % FAIL_EVERY == 0, count % SLOW_EVERY == 0
    path = "/checkout" if is_failing else "/search" if is_slow else chance.choice(PATHS)
    took = USUAL_MS[path] * chance.uniform(0.6, 1.9)
    with structlog.contextvars.bound_contextvars(request=number):
        if is_slow:
            took += 1_000 * chance.uniform(1.1, 2.4)
            statement = "SELECT * FROM items WHERE name LIKE ?"
            database.warning(
                "slow query took %d ms", took, extra={"request": number, "statement": statement, "rows": 48_210}
            )
        else:
            database.debug("query done", extra={"request": number, "duration_ms": round(took / 3, 1)})
        status = 200
        if path == "/checkout":
            status = _check_out(count, chance)
    extra = {"request": number, "method": "POST" if path == "/checkout" else "GET", "path": path, "status": status}
    level = logging.ERROR if status >= 500 else logging.INFO
    web.log(level, "%s %s %d", extra["method"], path, status, extra=extra | {"duration_ms": round(took, 1)})


def _check_out(count: int, chance: random.Random) -> int:
    amount = round(chance.uniform(9, 240), 2)
    orders.info("order placed", order=10_000 + count, amount=amount, currency="EUR", items=chance.randint(1, 6))
    try:
        _charge(amount, is_refused=count % FAIL_EVERY == 0)
    except CardRefusedError:
        payments.exception("payment failed, order kept for a retry", order=10_000 + count, card={"brand": "visa"})
        return 502
    if count % CANCEL_EVERY == 0:
        orders.warning("order cancelled by the customer", order=10_000 + count)
    return 200


def _charge(amount: float, *, is_refused: bool) -> None:
    if is_refused:
        raise CardRefusedError(f"the bank refused {amount:.2f} EUR")
