"""A browser that shows the page of a workspace."""

import re

import pytest

from logging_azmon.local import Workspace
from support.browser import Browser, find_browser
from support.page import show


@pytest.fixture(scope="session")
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
    """Show the live page; then check that its console is empty and that every request went to the workspace."""
    with browser.page() as page:
        page.refusals = 0
        show(page, workspace)
        yield page
        complaints = page.complaints()
        # A browser always logs refused queries; tests that expect some set `page.refusals`.
        noted = [complaint for complaint in complaints if re.search(r"status of 400 .*/query", complaint)]
        assert [complaint for complaint in complaints if complaint not in noted] == []
        assert len(noted) == page.refusals
        assert [url for url in page.requests() if not url.startswith(f"{workspace.endpoint}/")] == []
