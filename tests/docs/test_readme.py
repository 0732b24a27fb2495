"""README is short enough to be read, and its figures are measured ones."""

import re

from support.pages import README, ROOT, read, section


def test_readme_is_short_enough_to_be_read():
    """It is long enough to answer a newcomer's questions; everything else is in docs/."""
    assert 140 <= len(README.read_text("utf-8").splitlines()) <= 180


def test_the_python_versions_in_readme_are_those_of_the_package():
    """The tests run on these versions."""
    text = ROOT.joinpath(".ci/run").read_text("utf-8")
    versions = re.search(r"^versions=\((.*)\)$", text, re.MULTILINE)[1].split()
    expected = f"CPython {', '.join(versions[:-1])} and {versions[-1]}"

    for page, heading in (("README", "Install"), ("getting-started", "Installation")):
        assert expected in section(page, heading).replace("\n", " "), page


def test_every_time_in_readme_is_a_measured_one():
    """Each is in the tables of docs/charts/results.md, and so are those of the summary in docs/performance.md."""
    text = section("README", "What it costs").partition("**Time.**")[2].partition("![")[0].replace("\n", " ")
    summary = read("performance").partition("## A log call")[0]
    tables = read("charts/results")
    figures = re.findall(r"(\d[\d,.]*\d) (?:µs|rows|MB|MiB|times)", text)

    assert figures == ["9.01", "4.73", "10.2", "93,600", "44.9", "2.7", "68.5"]
    for figure in [*figures, *re.findall(r"(\d[\d,.]*\d) (?:µs|rows of|times)", summary.replace("\n", " "))]:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d,]|\.\d)", tables), figure


def test_the_price_in_readme_is_dated_and_its_sum_is_correct():
    """The benchmarks use rows of 480 bytes too."""
    text = section("README", "What it costs").replace("\n", " ")
    price = float(re.search(r"about ([\d.]+) USD in the Analytics plan", text)[1])
    gigabytes, total = re.search(r"million rows of 480 bytes are ([\d.]+) GB, or about ([\d.]+) USD", text).groups()

    assert "check yours" in text
    assert float(gigabytes) == 480 * 1e6 / 1e9
    assert abs(float(total) - float(gigabytes) * price) < 0.01
    assert "ows of 480 bytes" in read("charts/results")
