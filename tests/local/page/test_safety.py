"""Untrusted rows cannot run anything, and the page loads nothing from other hosts."""

import re

from support.page import RESULT, a_row, run_query, send_rows, wait_for_messages

MARKUP = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script><b>bold</b>"


def test_markup_in_a_row_is_displayed_and_never_run(page, workspace):
    columns = dict.fromkeys(("Level", "Logger", "Exception", "Host", "Stray"), MARKUP)
    send_rows(workspace, a_row(MARKUP, Properties={MARKUP: {"x": [MARKUP]}}, **columns))
    wait_for_messages(page, MARKUP)
    page.click("#log-list .row")
    page.wait("document.querySelector('#detail .json')")
    assert page.js("document.querySelector('.detail-message').textContent") == MARKUP
    assert page.js("document.querySelector('#detail .json-string').textContent") == MARKUP
    page.key("Escape")

    run_query(page, f'App_CL | where Message != "{MARKUP}x" | project Message, Properties')
    page.wait(f"{RESULT}.length === 1")
    page.click(".result-grid .row:not([hidden])")
    page.wait("document.getElementById('row-dialog').open")
    page.key("Escape")
    page.wait("document.activeElement.ariaLabel === 'Result'")
    run_query(page, "App_CL | summarize count() by bin(TimeGenerated, 1m), Level")
    page.wait("document.querySelector('.legend')")
    assert MARKUP in page.js("document.querySelector('.legend').innerText")
    page.js("document.activeElement.blur()")
    page.key("3")
    page.wait("document.querySelector('.problem-column')")

    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('img:not([src=\"/page/icon.svg\"]), body script, main b').length") == 0


def test_the_browser_refuses_everything_but_the_files_of_the_page(page, workspace):
    """Refusals appear on the console, which the fixture `page` checks to be empty."""
    policy = page.js("document.querySelector('meta[http-equiv=Content-Security-Policy]').content")
    assert "default-src 'none'" in policy
    assert set(re.findall(r"'[^']*'|https?:|data:|\*", policy)) == {"'none'", "'self'"}
    page.js(
        "{ const style = document.createElement('style');"
        " style.textContent = '* { color: red }'; document.head.append(style); }"
    )
    page.wait("getComputedStyle(document.body).color !== 'rgb(255, 0, 0)'")
    refused = [complaint for complaint in page.complaints() if "Content Security Policy" in complaint]
    assert len(refused) == 2  # by the page's own policy, and by the header's
    page.events.clear()
