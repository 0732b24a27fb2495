"""Use the page of a local workspace in a browser."""

import json
from datetime import UTC, datetime, timedelta

from support.local_client import send

MESSAGES = """
  [...document.querySelectorAll('#log-list .row:not([hidden])')]
    .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
    .map((row) => row.querySelector('.text').textContent)
"""
RESULT = """
  [...document.querySelectorAll('.result-grid .row:not([hidden])')]
    .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
    .map((row) => [...row.children].map((cell) => cell.textContent))
"""
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/checkout.py", line 88, in charge
    receipt = gateway.charge(total)
              ^^^^^^^^^^^^^^^^^^^^^
shop.PaymentTimeout: no answer after 5.0 s"""


def show(page, workspace, fragment=""):
    """Load the page, and wait until it follows a table."""
    page.goto(f"{workspace.endpoint}/{fragment}")
    page.wait("document.getElementById('connection').dataset.state === 'live'")


def a_row(message, *, at=None, **columns):
    at = at or datetime.now(UTC)
    time = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"TimeGenerated": time, "Level": "INFO", "Logger": "shop", "Message": message} | columns


def send_rows(workspace, *rows):
    assert send(workspace, list(rows)).status == 204


def send_a_row_a_minute(workspace):
    """Send 20 rows, one for each of the last minutes."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    send_rows(workspace, *(a_row(f"row {n}", at=start + timedelta(minutes=n)) for n in range(20)))


def wait_for_messages(page, *messages):
    page.wait(f"JSON.stringify({MESSAGES}) === JSON.stringify({json.dumps(messages)})")


def run_query(page, kql):
    """Type a query into the editor and run it."""
    page.js("document.activeElement.blur()")
    page.key("2")
    page.wait("document.activeElement.tagName === 'TEXTAREA'")
    page.key("Control+a")
    page.type(kql)
    page.key("Control+Enter")
