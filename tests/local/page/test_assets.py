"""The files of the page: their paths, and the limits of their content."""

import re
from importlib.resources import files

import pytest

from support.local_client import call


@pytest.mark.parametrize("path", ["/nope", "/page/nope.js", "/page/../app.py", "/page/%2e%2e/app.py", "//", "/page/"])
def test_a_path_that_does_not_exist_is_answered_with_404(workspace, path):
    assert call(workspace, "GET", path).status == 404


def test_the_page_has_a_policy_that_forbids_loading_from_other_hosts(workspace):
    answer = call(workspace, "GET", "/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"unsafe|data:", answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_module_of_the_page_writes_markup_or_names_another_host():
    """Other tests cover the vendored libraries: no request leaves, and only the editor writes markup, its own."""
    folder = files("logging_azmon.local") / "page"
    own = [entry for entry in folder.iterdir() if entry.name.endswith((".js", ".css", ".html"))]
    assert len(own) > 15
    for entry in own:
        text = entry.read_text("utf-8").replace("No module of the page uses innerHTML.", "")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), entry.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), entry.name
        assert not re.search(r"<script(?! (src|type))|<style|\sstyle=|\son\w+=\"", text), entry.name


def test_vendored_libraries_ship_with_their_licences():
    vendor = files("logging_azmon.local") / "page" / "vendor"
    names = {entry.name for entry in vendor.iterdir()}
    assert {"uplot.js", "LICENSE-uplot", "editor.js", "LICENSE-prism-code-editor", "README.md"} <= names
    for name in ("LICENSE-uplot", "LICENSE-prism-code-editor"):
        assert "Permission is hereby granted, free of charge" in (vendor / name).read_text("utf-8")
