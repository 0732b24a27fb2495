"""README and docs/ as a whole: links lead somewhere, pages are found, headings are unique."""

import re

import pytest

from support.pages import DOCS, NAMES, README, ROOT, anchor, headings, read, toctree, without_code

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
WRITTEN = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("charts/*.md"))]
SOURCES = [README, *WRITTEN, *OTHERS]


def links(page):
    """Yield the target of each link, without those to other hosts."""
    text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text("utf-8")))
    return [link for link in LINK.findall(text) if not re.match(r"https?:", link)]


def anchors(page):
    """Return the fragments that lead to a page's headings."""
    return {
        anchor(heading) for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text("utf-8")), re.MULTILINE)
    }


@pytest.mark.parametrize("page", SOURCES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """To a file, or to a heading of a page."""
    assert page in OTHERS or page.name in {"changelog.md", "index.md"} or links(page)
    for link in links(page):
        file, _, fragment = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


def test_links_are_relative():
    """To a page or a file of this tree by its path: no address of it is known."""
    addresses = {address for page in SOURCES for address in re.findall(r"https://[^\s)>`]+", page.read_text("utf-8"))}

    assert {re.match(r"https://([^/]+)", address)[1] for address in addresses} <= {
        "keepachangelog.com",
        "learn.microsoft.com",
        "semver.org",
        "…",
    }


def test_pages_link_to_pages_and_not_to_readme():
    """The site has no README."""
    assert [page.name for page in WRITTEN if "README" in "".join(links(page))] == []


def test_every_page_is_in_the_table_of_contents():
    """Once, and every entry is a page. The notes are a part of the page on performance."""
    pages = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in WRITTEN)

    assert sorted([*toctree(), "index", "charts/notes"]) == pages
    assert "{include} charts/notes.md" in read("performance")


def test_every_page_is_found_from_readme():
    """Directly, or by the index."""
    linked = {link.partition("#")[0] for link in links(README)}

    assert "docs/index.md" in linked
    assert {"docs/getting-started.md", "docs/why.md", "docs/delivery.md", "docs/api.md"} <= linked


def test_every_picture_is_shown():
    """On some page."""
    shown = {(page.parent / link).resolve() for page in SOURCES for link in links(page)}
    pictures = {path for kind in ("*.png", "charts/*.svg") for path in DOCS.glob(kind)}

    assert pictures
    assert {path.name for path in pictures if path.resolve() not in shown} == set()


def test_no_heading_is_there_twice():
    """On a page: two would have one anchor. And each page begins with its title, the only one of the first level."""
    for name in NAMES:
        if name == "changelog":
            continue
        found = headings(name)
        assert sorted(set(found)) == sorted(found), name
        assert len(re.findall(r"^# ", without_code(read(name)), re.MULTILINE)) == 1, name
