"""The release step makes README's relative links absolute."""

import importlib.util
import re
import subprocess
import sys

import pytest

from support.pages import DOCS, README

SCRIPT = DOCS / "absolute_links.py"
spec = importlib.util.spec_from_file_location("absolute_links", SCRIPT)
absolute_links = importlib.util.module_from_spec(spec)
spec.loader.exec_module(absolute_links)

BASE, IMAGES = "https://code.example.org/logs/tree/v1", "https://raw.example.org/logs/v1/"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[a](docs/a.md#b)", f"[a]({BASE}/docs/a.md#b)"),
        ("[`a`](examples)", f"[`a`]({BASE}/examples)"),
        ("![a](docs/a.svg)", f"![a]({IMAGES}docs/a.svg)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](https://semver.org/)", "[a](https://semver.org/)"),
        ("`[a](b)`", "`[a](b)`"),
        ("```python\nx[a](b)\n```", "```python\nx[a](b)\n```"),
    ],
)
def test_only_relative_link_targets_are_rewritten(written, expected):
    """Links and pictures each get their base address; code is left unchanged."""
    assert absolute_links.absolute(written, BASE, IMAGES) == expected


def test_no_relative_link_remains_in_a_released_readme():
    """The script is called as for a release; all other text is unchanged."""
    text = README.read_text("utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, BASE, IMAGES],
        input=text.encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    rewritten = done.stdout.decode()

    targets = re.findall(r"\]\(([^)\s]+)\)", rewritten)
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert rewritten.replace(f"{BASE}/", "").replace(IMAGES, "") == text


@pytest.mark.parametrize("arguments", [[], ["code.example.org"], [BASE, "docs"], [BASE, BASE, BASE]])
def test_without_base_addresses_the_script_says_that_it_needs_them(arguments):
    """The script does not guess an address."""
    done = subprocess.run([sys.executable, SCRIPT, *arguments], input=b"", capture_output=True, timeout=60, check=False)

    assert done.returncode == 2
    assert b"BASE is the address" in done.stderr
    assert done.stdout == b""
