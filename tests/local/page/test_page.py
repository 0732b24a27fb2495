"""The page of the local workspace, as a browser shows it. Each test also watches console and network: see `page`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from logging_azmon.local import Workspace
from support.browser import Browser, find_browser

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
FOCUSED = (
    "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"
)

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/checkout.py", line 88, in charge
    receipt = gateway.charge(total)
              ^^^^^^^^^^^^^^^^^^^^^
shop.PaymentTimeout: no answer after 5.0 s"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on PATH")
    with Browser(path, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def workspace():
    with Workspace() as workspace:
        yield workspace


@pytest.fixture
def page(browser, workspace):
    """The page, live. After the test: nothing on the console, and no request to anywhere but the workspace."""
    with browser.page() as page:
        page.refusals = 0
        show(page, workspace)
        yield page
        complaints = page.complaints()
        # A browser notes each refused query by itself; there is no way to ask it not to.
        noted = [complaint for complaint in complaints if re.search(r"status of 400 .*/query", complaint)]
        assert [complaint for complaint in complaints if complaint not in noted] == []
        assert len(noted) == page.refusals
        assert [url for url in page.requests() if not url.startswith(f"{workspace.endpoint}/")] == []


def show(page, workspace, fragment=""):
    page.goto(f"{workspace.endpoint}/{fragment}")
    page.wait("document.getElementById('connection').dataset.state === 'live'")


def a_row(message, *, at=None, **columns):
    at = at or datetime.now(UTC)
    time = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"TimeGenerated": time, "Level": "INFO", "Logger": "shop", "Message": message} | columns


def send(workspace, *rows):
    request = urllib.request.Request(
        f"{workspace.endpoint}/dataCollectionRules/{workspace.rule_id}/streams/{workspace.stream}?api-version=2023-01-01",
        data=json.dumps(rows).encode(),
        headers={"Authorization": "Bearer test", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def wait_for_messages(page, *messages):
    page.wait(f"JSON.stringify({MESSAGES}) === JSON.stringify({json.dumps(messages)})")


def run_query(page, kql):
    """Write a query into the editor with the keyboard and run it."""
    page.js("document.activeElement.blur()")
    page.key("2")
    page.wait("document.activeElement.tagName === 'TEXTAREA'")
    page.key("Control+a")
    page.type(kql)
    page.key("Control+Enter")


# The list


def test_rows_appear_as_they_are_stored_without_a_reload(page, workspace):
    page.js("window.loadedOnce = true")
    send(workspace, a_row("the first"))
    wait_for_messages(page, "the first")
    send(workspace, a_row("the second"), a_row("the third"))
    wait_for_messages(page, "the first", "the second", "the third")
    page.wait("document.querySelector('.tables .rows').textContent === '3'")
    assert page.js("window.loadedOnce") is True


def test_what_was_stored_earlier_is_there_when_the_page_opens(page, workspace):
    send(workspace, *(a_row(f"row {n}") for n in range(5)))
    wait_for_messages(page, *(f"row {n}" for n in range(5)))
    show(page, workspace)
    wait_for_messages(page, *(f"row {n}" for n in range(5)))


def test_tables_are_listed_with_their_row_counts_and_columns(page, workspace):
    send(workspace, a_row("one"), a_row("two"))
    page.wait("document.querySelector('.tables .current').innerText.replace(/\\s+/g, ' ').startsWith('App_CL 2')")
    page.click(".tables .current summary")
    page.wait("document.querySelector('.tables .current .table-columns').innerText.includes('datetime')")
    columns = page.js("document.querySelector('.tables .current .table-columns').innerText.split(/\\s+/)")
    assert {"TimeGenerated", "Message", "Properties", "dynamic", "Sequence", "long"} <= set(columns)


def test_rows_are_filtered_by_level_logger_and_text(page, workspace):
    send(
        workspace,
        a_row("served", Logger="shop.http"),
        a_row("slow query", Level="WARNING", Logger="shop.db", Properties={"table": "orders"}),
        a_row("lost connection", Level="ERROR", Logger="shop.db"),
        a_row("lost card", Level="ERROR", Logger="shop.http"),
    )
    wait_for_messages(page, "served", "slow query", "lost connection", "lost card")

    page.click("#level-filter .error")
    wait_for_messages(page, "lost connection", "lost card")
    page.click("#level-filter .warning")
    wait_for_messages(page, "slow query", "lost connection", "lost card")

    page.js("document.getElementById('logger-filter').focus()")
    page.js("document.getElementById('logger-filter').value = 'shop.db'")
    page.js("document.getElementById('logger-filter').dispatchEvent(new Event('change'))")
    wait_for_messages(page, "slow query", "lost connection")

    page.js("document.getElementById('text-filter').focus()")
    page.type("ORDERS -lost")
    wait_for_messages(page, "slow query")
    send(
        workspace, a_row("not for me"), a_row("slow again", Level="WARNING", Logger="shop.db.pool", Exception="orders")
    )
    wait_for_messages(page, "slow query", "slow again")
    assert page.js("document.getElementById('row-count').textContent") == "2 match in 6 rows"

    page.click("#clear-filters")
    page.wait(f"{MESSAGES}.length === 6")


def test_a_filter_that_nothing_passes_says_so(page, workspace):
    send(workspace, a_row("served"))
    wait_for_messages(page, "served")
    page.js("document.getElementById('text-filter').focus()")
    page.type("zebra")
    page.wait("!document.getElementById('no-match').hidden")


def test_a_row_opens_to_all_its_columns_with_the_exception_formatted_and_dynamic_values_as_a_tree(page, workspace):
    properties = {"order": {"id": 4711, "items": ["tea", "cup"]}, "paid": False}
    send(workspace, a_row("payment failed", Level="ERROR", Exception=TRACEBACK, Properties=properties, Line=88))
    wait_for_messages(page, "payment failed")
    assert "shop.PaymentTimeout: no answer" in page.js("document.querySelector('.row .raised').textContent")

    page.click("#log-list .row")
    page.wait("document.querySelector('#detail .traceback')")
    detail = page.js("document.getElementById('detail').innerText")
    for text in ("payment failed", "TimeGenerated", "Line", "88", "order", "4711", "cup", "paid", "false"):
        assert text in detail
    assert page.js("document.querySelector('#detail .traceback').textContent") == TRACEBACK
    assert page.js("document.querySelector('#detail .tb-raised strong').textContent") == "shop.PaymentTimeout"
    assert page.js("document.querySelector('#detail .tb-file').textContent") == "checkout.py"
    assert page.js("document.querySelectorAll('#detail .json details').length") == 2

    page.key("Escape")
    page.wait("document.getElementById('detail').hidden")


def test_rows_older_than_the_tail_can_be_loaded_and_none_comes_twice(page, workspace):
    start = datetime.now(UTC) - timedelta(hours=1)
    rows = [a_row(f"row {n}", at=start + timedelta(seconds=n // 4), Sequence=n) for n in range(2500)]
    send(workspace, *rows)
    assert len(workspace.rows("App_CL")) == 2500
    show(page, workspace)
    page.wait("document.getElementById('row-count').textContent === '1,000 of 2,500 rows'")
    page.click("#load-earlier")
    page.wait("document.getElementById('row-count').textContent === '2,500 rows'")
    page.js("document.getElementById('log-list').focus()")
    page.key("Home")
    page.wait(f"{MESSAGES}[0].startsWith('row ')")
    page.wait("document.getElementById('load-earlier').hidden")


def test_scrolling_up_stops_following_and_new_rows_are_offered(page, workspace):
    send(workspace, *(a_row(f"row {n}") for n in range(200)))
    page.wait(f"{MESSAGES}.at(-1) === 'row 199'")
    page.js("document.getElementById('log-list').scrollTop = 0")
    page.wait("document.getElementById('follow').getAttribute('aria-pressed') === 'false'")
    send(workspace, a_row("row 200"), a_row("row 201"))
    page.wait("document.getElementById('newer').textContent === '2 newer rows ↓'")
    assert page.js(f"{MESSAGES}[0]") == "row 0"
    page.click("#newer")
    page.wait(f"{MESSAGES}.at(-1) === 'row 201'")
    assert page.js("document.getElementById('follow').getAttribute('aria-pressed')") == "true"


def test_a_hundred_thousand_rows_stay_fluid(page, workspace):
    """Counted is the main thread's own time for a frame, which a busy machine does not change; a frame has 16.7 ms."""
    start = datetime.now(UTC) - timedelta(hours=10)
    for chunk in range(0, 110_000, 2000):
        rows = (a_row(f"row {n}", at=start + timedelta(seconds=n / 4), Sequence=n) for n in range(chunk, chunk + 2000))
        send(workspace, *rows)
    assert workspace.query("App_CL | count") == [{"Count": 110_000}]
    show(page, workspace)
    for held in (21_000, 41_000, 61_000, 81_000, 100_000):
        page.click("#load-earlier")
        page.wait(f"document.getElementById('row-count').textContent === '{held:,} of 110,000 rows'")
    page.call("Performance.enable", timeDomain="threadTicks")

    def busy():
        metrics = page.call("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    before = busy()
    page.js(
        """new Promise((done) => {
          const list = document.getElementById('log-list');
          let frames = 0;
          list.scrollTop = 1000;
          const next = () => {
            if (++frames > 120) return done();
            list.scrollTop += 700;  // nearly every row in sight is another one in each frame
            requestAnimationFrame(next);
          };
          requestAnimationFrame(next);
        })"""
    )
    assert (busy() - before) / 120 * 1000 < 12
    assert page.js("document.querySelectorAll('.row').length") < 100


def test_the_page_comes_back_after_the_workspace_was_restarted(browser):
    """Without the guard of `page`: a browser notes on the console that nobody answered."""
    with browser.page() as page:
        with Workspace() as first:
            show(page, first)
            send(first, a_row("before"))
            wait_for_messages(page, "before")
            port = int(first.endpoint.rpartition(":")[2])
        page.wait("document.getElementById('connection').dataset.state === 'offline'")
        with Workspace(port=port) as second:
            page.wait("document.getElementById('connection').dataset.state === 'live'", 30)
            page.wait(f"{MESSAGES}.length === 0")  # what the first one held in memory is gone
            send(second, a_row("after"))
            wait_for_messages(page, "after")


# The histogram


def spread(workspace):
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    send(workspace, *(a_row(f"row {n}", at=start + timedelta(minutes=n)) for n in range(20)))


def test_the_histogram_is_brushed_to_zoom_and_back(page, workspace):
    spread(workspace)
    page.wait(f"{MESSAGES}.length === 20 && document.querySelector('.histogram canvas')")
    page.wait("document.querySelector('.histogram-head').innerText.includes('20 rows over time')")
    x, y, width, height = page.js(
        "(({ x, y, width, height }) => [x, y, width, height])"
        "(document.querySelector('.u-over').getBoundingClientRect())"
    )
    page.drag((x + 2, y + height / 2), (x + width / 2, y + height / 2))
    page.wait(f"{MESSAGES}.length > 5 && {MESSAGES}.length < 15 && {MESSAGES}[0] === 'row 0'")
    page.js(
        "[...document.querySelectorAll('.histogram button')].find((b) => b.textContent === 'Whole time range').click()"
    )
    page.wait(f"{MESSAGES}.length === 20")


def test_the_histogram_zooms_by_the_keyboard_too(page, workspace):
    spread(workspace)
    page.wait(f"{MESSAGES}.length === 20 && document.querySelector('.histogram canvas')")
    page.js("document.querySelector('.histogram .plot').focus()")
    page.key("Home", "Shift+ArrowRight", "Shift+ArrowRight", "Enter")
    page.wait(f"{MESSAGES}.length < 5 && {MESSAGES}[0] === 'row 0'")
    page.key("Escape")
    page.wait(f"{MESSAGES}.length === 20")


# Queries


def test_a_query_gives_its_table_and_a_row_of_it_opens(page, workspace):
    send(workspace, a_row("a"), a_row("b", Logger="jobs"), a_row("c"))
    wait_for_messages(page, "a", "b", "c")
    run_query(page, "App_CL | summarize Rows = count() by Logger | order by Rows desc")
    page.wait(f"JSON.stringify({RESULT}) === JSON.stringify([['shop', '2'], ['jobs', '1']])")
    assert "2 rows" in page.js("document.getElementById('query-status').textContent")
    assert page.js("document.querySelector('.chart')") is None

    page.click(".result-head [role=columnheader]:first-child button")
    page.wait(f"JSON.stringify({RESULT}) === JSON.stringify([['jobs', '1'], ['shop', '2']])")
    assert page.js("document.querySelector('[aria-sort=ascending]').innerText.trim()").startswith("Logger")

    page.click(".result-grid .row:not([hidden])")
    page.wait("document.getElementById('row-dialog').open")
    assert "jobs" in page.js("document.getElementById('row-dialog').innerText")
    page.key("Escape")
    page.wait("!document.getElementById('row-dialog').open")


def test_a_query_by_bins_of_time_is_drawn_as_a_chart(page, workspace):
    spread(workspace)
    send(workspace, a_row("broken", Level="ERROR"))
    page.wait(f"{MESSAGES}.length === 21")
    run_query(page, "App_CL\n| summarize count() by bin(TimeGenerated, 1m), Level")
    page.wait(f"document.querySelector('.chart canvas') && {RESULT}.length > 5")
    assert page.js("document.querySelector('.legend').innerText.split(/\\s+/)") == ["ERROR", "INFO"]
    painted = """(() => {
      const { width, height } = document.querySelector('.chart canvas');
      const { data } = document.querySelector('.chart canvas').getContext('2d').getImageData(0, 0, width, height);
      const colours = new Set();
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
      return colours.size;
    })()"""
    assert page.js(painted) >= 2

    run_query(page, "App_CL | count")
    page.wait(f"JSON.stringify({RESULT}) === '[[\"21\"]]'")
    assert page.js("document.querySelector('.chart')") is None


def test_an_example_is_inserted_and_run(page, workspace):
    send(workspace, a_row("a"), a_row("b", Level="ERROR"))
    wait_for_messages(page, "a", "b")
    titles = page.js("[...document.getElementById('examples').options].map((option) => option.textContent)")
    page.key("2")
    for index, title in enumerate(titles[1:], 1):
        page.js(
            f"{{ const list = document.getElementById('examples'); list.selectedIndex = {index};"
            " list.dispatchEvent(new Event('change')); }"
        )
        status = page.wait("/\\d+ rows?|Failed/.exec(document.getElementById('query-status').textContent)?.[0]")
        assert status != "Failed", title


def test_an_error_is_marked_at_its_position(page, workspace):
    page.refusals = 1
    run_query(page, "App_CL\n| where Level == \n| wherever x")
    page.wait("!document.getElementById('query-error').hidden && document.querySelector('.squiggle')")
    message = page.js("document.getElementById('query-error').innerText")
    line, column = map(int, re.match(r"Line (\d+), column (\d+)", message).groups())
    assert (line, column) > (1, 6)
    before = page.js("document.querySelector('.squiggle').previousSibling.data")
    assert before.count("\n") + 1 == line
    assert page.js("document.querySelector('.editor textarea').getAttribute('aria-invalid')") == "true"

    page.click("#query-error button")
    assert page.js("document.activeElement.selectionStart") == len(before)
    run_query(page, "App_CL | count")
    page.wait("document.getElementById('query-error').hidden && !document.querySelector('.squiggle')")


def test_what_the_filter_shows_can_be_opened_as_a_query(page, workspace):
    send(
        workspace,
        a_row('quoted "text"', Level="ERROR", Logger="shop.db"),
        a_row("other", Level="ERROR", Logger="shop.dbx"),
        a_row('quoted "text" too', Logger="shop.db"),
    )
    page.wait(f"{MESSAGES}.length === 3")
    page.click("#level-filter .error")
    page.js("document.getElementById('logger-filter').value = 'shop.db'")
    page.js("document.getElementById('logger-filter').dispatchEvent(new Event('change'))")
    page.js("document.getElementById('text-filter').focus()")
    page.type("QUOTED")
    wait_for_messages(page, 'quoted "text"')
    page.js("document.activeElement.blur()")
    page.key("q")
    page.wait("document.getElementById('query-status').textContent.startsWith('1 row ')")
    assert 'Logger == "shop.db"' in page.js("document.querySelector('.editor textarea').value")


# Problems


def test_what_was_dropped_is_shown_with_the_column_and_what_to_change(page, workspace):
    page.key("3")
    page.wait("document.getElementById('view-problems').innerText.includes('Nothing was dropped')")
    send(workspace, a_row("painted", Colour="red"))
    page.wait("document.querySelector('.problem-column')?.textContent === 'Colour'")
    assert page.js("document.querySelector('.problem-list .badge').textContent") == "dropped"
    assert page.js("document.querySelector('.problem-list td:last-child').textContent.length") > 20
    assert page.js("document.getElementById('problem-count').textContent") == "1"


# The first row


def test_an_empty_workspace_shows_how_to_send_the_first_row(browser, page, workspace):
    page.wait("!document.getElementById('empty').hidden")
    variables, snippet = page.js("[...document.querySelectorAll('.empty pre')].map((block) => block.textContent)")
    settings = dict(re.findall(r'^export (\w+)="(.*)"$', variables, re.MULTILINE))
    assert settings == {
        "DATA_COLLECTION_ENDPOINT": workspace.endpoint,
        "LOGS_DCR_RULE_ID": workspace.rule_id,
        "LOGS_DCR_STREAM_NAME": workspace.stream,
    }
    browser.call(
        "Browser.grantPermissions",
        permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        browserContextId=page.context,
    )
    page.click(".empty .copy")
    page.wait("document.querySelector('.empty .copy').textContent === 'Copied'")

    subprocess.run([sys.executable, "-c", snippet], env=os.environ | settings, check=True, timeout=60)
    wait_for_messages(page, "order placed")
    assert page.js("document.getElementById('empty').hidden") is True


# Safety


MARKUP = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script><b>bold</b>"


def test_markup_in_a_row_is_displayed_and_never_run(page, workspace):
    columns = dict.fromkeys(("Level", "Logger", "Exception", "Host", "Stray"), MARKUP)
    send(workspace, a_row(MARKUP, Properties={MARKUP: {"x": [MARKUP]}}, **columns))
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


def test_the_page_lives_under_a_policy_that_allows_its_own_files_alone(page, workspace):
    """Whatever it does under the policy and should not shows on the console, which `page` wants clean."""
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


# Keyboard, themes, sizes


def test_everything_can_be_done_by_the_keyboard_alone(page, workspace):
    send(workspace, *(a_row(f"row {n}", Level="ERROR" if n % 2 else "INFO", Properties={"n": n}) for n in range(40)))
    page.wait(f"{MESSAGES}.at(-1) === 'row 39'")

    page.key("Tab")  # the link past the header comes first, and can be seen
    assert page.js("document.activeElement.className") == "skip"
    page.wait("document.activeElement.getBoundingClientRect().top >= 0")
    page.js("document.activeElement.blur()")

    page.key("/")
    assert page.js(FOCUSED) == "text-filter"
    page.type('"row 3"')
    page.wait(f"{MESSAGES}.length === 11")
    page.key("ArrowDown")
    assert page.js(FOCUSED) == "log-list"
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.key("Home", "j", "ArrowDown", "k", "Enter")
    page.wait("document.querySelector('.detail-message')?.textContent === 'row 30'")
    page.key("ArrowDown")
    page.wait("document.querySelector('.detail-message')?.textContent === 'row 31'")
    active = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert page.js(f"{active}.ariaSelected") == "true"
    page.key("Escape")
    page.wait("document.getElementById('detail').hidden")
    assert page.js(FOCUSED) == "log-list"
    page.key("Escape")
    page.wait("document.getElementById('text-filter').value === ''")
    page.key("e")
    page.wait(f"{MESSAGES}.every((text) => Number(text.slice(4)) % 2)")
    page.key("e", "f")
    page.wait("document.getElementById('follow').getAttribute('aria-pressed') === 'true'")

    run_query(page, "App_CL | take 3")
    page.wait(f"{RESULT}.length === 3")
    page.key("Tab")  # the editor does not keep it
    assert page.js("document.activeElement.tagName") != "TEXTAREA"
    for _ in range(30):
        if page.js(FOCUSED) == "Result":
            break
        page.key("Tab")
    page.key("End", "Enter")
    page.wait("document.getElementById('row-dialog').open")
    page.key("Escape")
    page.wait("!document.getElementById('row-dialog').open && document.activeElement.ariaLabel === 'Result'")

    page.key("3")
    page.wait("!document.getElementById('view-problems').hidden")
    page.key("?")
    page.wait("document.getElementById('help').open")
    page.key("Escape")
    page.wait("!document.getElementById('help').open")
    page.key("1", "]")
    page.wait("document.querySelector('.tables [aria-current]').textContent.startsWith('DCRLogErrors')")


def test_names_are_completed_in_the_editor(page, workspace):
    send(workspace, a_row("one"))
    wait_for_messages(page, "one")
    run_query(page, "App_CL | where Lev")
    page.refusals = page.wait("document.getElementById('query-error').hidden ? 0 : 1")
    page.key("Control+ ")
    page.wait("document.querySelector('.pce-ac-row')?.textContent.includes('Level')")
    page.key("Enter")
    page.wait("document.querySelector('.editor textarea').value.endsWith('where Level')")


def test_every_control_has_a_name(page, workspace):
    send(workspace, a_row("one"))
    wait_for_messages(page, "one")
    for view in ("1", "2", "3"):
        page.key(view)
        page.js("document.activeElement.blur()")
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        controls = {"button", "link", "textbox", "searchbox", "combobox", "grid", "dialog"}
        for node in nodes:
            if not node["ignored"] and node["role"]["value"] in controls:
                assert node["name"]["value"].strip(), node


def test_the_theme_follows_the_system_until_another_is_chosen(browser, workspace):
    background = "getComputedStyle(document.body).backgroundColor"
    with browser.page(dark=True) as page:
        show(page, workspace)
        dark = page.js(background)
        page.key("t")
        page.wait(f"document.documentElement.dataset.theme === 'light' && {background} !== '{dark}'")
        show(page, workspace)
        assert page.js(background) != dark
        page.key("t")
        page.wait(f"document.documentElement.dataset.theme === 'dark' && {background} === '{dark}'")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_background(browser, workspace, dark):
    """WCAG AA: 4.5 to 1, for each colour of text on each surface it is used on."""
    levels = ("critical", "error", "warning", "info", "debug", "other")
    pairs = [("text", surface) for surface in ("bg", "surface", "sunken", "raised", "hover", "selected")]
    pairs += [("muted", surface) for surface in ("bg", "surface", "sunken", "raised", "hover", "selected")]
    pairs += [(level, surface) for level in levels for surface in ("surface", "hover", "selected", f"{level}-soft")]
    pairs += [("accent", "surface"), ("accent", "bg"), ("on-accent", "accent"), ("good", "surface")]
    with browser.page(dark=dark) as page:
        show(page, workspace)
        ratios = page.js(
            f"""(() => {{
              const context = document.createElement('canvas').getContext('2d', {{ willReadFrequently: true }});
              const luminance = (name) => {{
                const probe = document.body.appendChild(document.createElement('i'));
                probe.style.color = `var(--${{name}})`;
                context.fillStyle = getComputedStyle(probe).color;
                probe.remove();
                context.fillRect(0, 0, 1, 1);
                const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => byte / 255);
                const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
              }};
              return {json.dumps(pairs)}.map(([text, on]) => {{
                const [a, b] = [luminance(text), luminance(on)];
                return [`${{text}} on ${{on}}`, Math.max(a, b) / Math.min(a, b)];
              }});
            }})()"""
        )
        assert [pair for pair in ratios if pair[1] < 4.5] == []


@pytest.mark.parametrize("width", [1280, 800, 380])
def test_the_page_fits_the_window(browser, workspace, width):
    send(workspace, a_row("a message that is rather long " * 20, Level="ERROR", Exception=TRACEBACK))
    with browser.page(width=width) as page:
        show(page, workspace)
        page.wait(f"{MESSAGES}.length === 1")
        for view in ("1", "2", "3"):
            page.js("document.activeElement.blur()")
            page.key(view)
            assert page.js("document.documentElement.scrollWidth") <= width
        page.js("document.activeElement.blur()")
        page.key("1")
        page.click("#log-list .row")
        page.wait("document.querySelector('#detail .traceback')")
        assert page.js("document.documentElement.scrollWidth") <= width
        close = "document.querySelector('#detail [aria-label=\"Close the row\"]')"
        right = page.js(f"{close}.getBoundingClientRect().right")
        assert right <= width
