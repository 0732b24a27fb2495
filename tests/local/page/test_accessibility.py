"""Keyboard, names, contrast, themes and window sizes."""

import json

import pytest

from support.page import MESSAGES, RESULT, TRACEBACK, a_row, run_query, send_rows, show, wait_for_messages

FOCUSED = (
    "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"
)


def test_the_whole_page_can_be_used_by_keyboard_alone(page, workspace):
    send_rows(
        workspace, *(a_row(f"row {n}", Level="ERROR" if n % 2 else "INFO", Properties={"n": n}) for n in range(40))
    )
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
    page.key("Tab")  # Tab leaves the editor
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


def test_every_control_has_an_accessible_name(page, workspace):
    send_rows(workspace, a_row("one"))
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
def test_text_has_enough_contrast_with_its_background(browser, workspace, dark):
    """WCAG AA requires 4.5 to 1, for each colour of text on each background that it is used on."""
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
    send_rows(workspace, a_row("a message that is rather long " * 20, Level="ERROR", Exception=TRACEBACK))
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
