"""In README and docs/, links have a target, every page can be reached, and headings are unique."""

import re

import pytest

from support.pages import DOCS, NAMES, README, ROOT, anchor, headings, read, toctree, without_code

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
WRITTEN = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("charts/*.md"))]
SOURCES = [README, *WRITTEN, *OTHERS]


def links(page):
    """Yield the target of each link, except links to other hosts."""
    text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text("utf-8")))
    return [link for link in LINK.findall(text) if not re.match(r"https?:", link)]


def anchors(page):
    """Return the fragments that address a page's headings."""
    return {
        anchor(heading) for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text("utf-8")), re.MULTILINE)
    }


@pytest.mark.parametrize("page", SOURCES, ids=lambda page: page.name)
def test_every_link_has_a_target(page):
    """The target is a file, or a heading of a page."""
    assert page in OTHERS or page.name in {"changelog.md", "index.md"} or links(page)
    for link in links(page):
        file, _, fragment = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


def test_links_are_relative():
    """A link names a page or file by its path, because the address of the repository is not known."""
    addresses = {address for page in SOURCES for address in re.findall(r"https://[^\s)>`]+", page.read_text("utf-8"))}

    assert {re.match(r"https://([^/]+)", address)[1] for address in addresses} <= {
        "keepachangelog.com",
        "learn.microsoft.com",
        "semver.org",
        "…",
    }


def test_pages_of_the_site_do_not_link_to_readme():
    """The site has no README."""
    assert [page.name for page in WRITTEN if "README" in "".join(links(page))] == []


def test_every_page_is_in_the_table_of_contents():
    """Each page is there once, and every entry is a page. The notes are a part of the page on performance."""
    pages = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in WRITTEN)

    assert sorted([*toctree(), "index", "charts/notes"]) == pages
    assert "{include} charts/notes.md" in read("performance")


def test_every_page_can_be_reached_from_readme():
    """README links to the page directly or to the index."""
    linked = {link.partition("#")[0] for link in links(README)}

    assert "docs/index.md" in linked
    assert {"docs/getting-started.md", "docs/why.md", "docs/delivery.md", "docs/api.md"} <= linked


def test_every_picture_is_shown_on_a_page():
    """No picture is unused."""
    shown = {(page.parent / link).resolve() for page in SOURCES for link in links(page)}
    pictures = {path for kind in ("*.png", "charts/*.svg") for path in DOCS.glob(kind)}

    assert pictures
    assert {path.name for path in pictures if path.resolve() not in shown} == set()


def test_no_page_has_two_equal_headings():
    """Equal headings would share an anchor. Each page begins with its title, its only heading of the first level."""
    for name in NAMES:
        if name == "changelog":
            continue
        found = headings(name)
        assert sorted(set(found)) == sorted(found), name
        assert len(re.findall(r"^# ", without_code(read(name)), re.MULTILINE)) == 1, name
