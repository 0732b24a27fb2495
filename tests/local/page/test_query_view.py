"""The view of queries: editor, examples, result and chart."""

import re

from support.page import MESSAGES, RESULT, a_row, run_query, send_a_row_a_minute, send_rows, wait_for_messages


def test_the_result_of_a_query_is_a_table_whose_rows_open(page, workspace):
    send_rows(workspace, a_row("a"), a_row("b", Logger="jobs"), a_row("c"))
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


def test_a_result_by_bins_of_time_is_drawn_as_a_chart(page, workspace):
    send_a_row_a_minute(workspace)
    send_rows(workspace, a_row("broken", Level="ERROR"))
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
    send_rows(workspace, a_row("a"), a_row("b", Level="ERROR"))
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


def test_an_error_in_a_query_is_marked_at_its_position(page, workspace):
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


def test_the_filtered_rows_can_be_opened_as_a_query(page, workspace):
    send_rows(
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


def test_the_editor_completes_names(page, workspace):
    send_rows(workspace, a_row("one"))
    wait_for_messages(page, "one")
    run_query(page, "App_CL | where Lev")
    page.refusals = page.wait("document.getElementById('query-error').hidden ? 0 : 1")
    page.key("Control+ ")
    page.wait("document.querySelector('.pce-ac-row')?.textContent.includes('Level')")
    page.key("Enter")
    page.wait("document.querySelector('.editor textarea').value.endsWith('where Level')")
