"""The built documentation is complete and works offline; `python -m tox -e docs` builds it and runs these tests."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import logging_azmon
from logging_azmon import local, testing
from support.pages import toctree

SITE = os.environ.get("DOCS_SITE", "")
pytestmark = pytest.mark.skipif(not SITE, reason="DOCS_SITE does not name a built site; tox -e docs does")

PUBLIC = [
    *(f"{module.__name__}.{name}" for module in (logging_azmon, local, testing) for name in module.__all__),
    "logging_azmon.pytest_plugin.azmon_rows",
    "logging_azmon.pytest_plugin.azmon_workspace",
]

# The attributes whose addresses a browser fetches without a click.
FETCHED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


class Fetches(HTMLParser):
    """Collect the addresses that a page fetches."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address:
            self.addresses.append(address)


def pages():
    return sorted(Path(SITE).rglob("*.html")) if SITE else []


def test_every_page_is_built():
    """The search and the index of names are built too."""
    built = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages()}

    assert {*toctree(), "index", "search", "genindex"} <= built


def test_no_page_fetches_from_another_host():
    """Scripts, styles and fonts are local."""
    for page in pages():
        foreign = [
            address
            for address in Fetches(page.read_text("utf-8")).addresses
            if re.match(r"(https?:)?//", address) and not address.startswith("data:")
        ]
        assert foreign == [], page.name


def test_no_style_sheet_fetches_from_another_host():
    """A style sheet does not import another from there either."""
    styles = list(Path(SITE).rglob("*.css"))

    assert styles
    for style in styles:
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^\"')]+", style.read_text("utf-8")) == [], (
            style.name
        )


def test_the_search_works_offline():
    """The index is a script beside the pages, which a browser loads without a server."""
    site = Path(SITE)
    index = site.joinpath("searchindex.js").read_text("utf-8")

    assert index.startswith("Search.setIndex(")
    assert "backpressur" in index or "overflow" in index
    assert "searchindex.js" in site.joinpath("search.html").read_text("utf-8")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_entry_in_the_reference(name):
    """The entry has an anchor to link to."""
    text = Path(SITE).joinpath("api.html").read_text("utf-8")

    assert f'id="{name}"' in text


def test_the_changelog_is_a_page():
    """Its links lead to pages of the site."""
    text = Path(SITE).joinpath("changelog.html").read_text("utf-8")

    assert 'href="frameworks.html"' in text
    assert 'href="docs/' not in text
