"""The histogram over the rows."""

from support.page import MESSAGES, send_a_row_a_minute


def test_a_range_of_the_histogram_selected_by_mouse_is_zoomed_to_and_back(page, workspace):
    send_a_row_a_minute(workspace)
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


def test_a_range_of_the_histogram_selected_by_keyboard_is_zoomed_to(page, workspace):
    send_a_row_a_minute(workspace)
    page.wait(f"{MESSAGES}.length === 20 && document.querySelector('.histogram canvas')")
    page.js("document.querySelector('.histogram .plot').focus()")
    page.key("Home", "Shift+ArrowRight", "Shift+ArrowRight", "Enter")
    page.wait(f"{MESSAGES}.length < 5 && {MESSAGES}[0] === 'row 0'")
    page.key("Escape")
    page.wait(f"{MESSAGES}.length === 20")
