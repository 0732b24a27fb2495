"""README is short enough to be read, and its figures are measured ones."""

import re

from logging_azmon._config.settings import ENVIRONMENT
from logging_azmon._process.atomicity import NEWEST_TESTED
from logging_azmon.cli.plan.estimate import BILLED_SHARE
from support.pages import README, ROOT, blocks, read, section


def test_readme_is_short_enough_to_be_read():
    """It is long enough to answer a newcomer's questions; everything else is in docs/."""
    assert 140 <= len(README.read_text("utf-8").splitlines()) <= 180


def test_code_fits_into_a_terminal():
    """The index page of the site shows it too."""
    assert max(len(line) for _, code in blocks("README", "python") for line in code.splitlines()) <= 80


def test_a_program_to_try_is_saved_elsewhere():
    """In this directory the linter would find it, and README's last command would fail."""
    assert "save it as `first.py` in a directory of its own, outside of this one" in read("README").replace("\n", " ")
    assert "a new directory, outside of this one, and save this there as `first.py`" in read("getting-started").replace(
        "\n", " "
    )


def test_the_variables_are_named_before_they_are_needed():
    """In the short part, which the site's index shows too."""
    short = README.read_text("utf-8").partition("<!-- end-short -->")[0]

    assert [variable for variable in ENVIRONMENT.values() if f"`{variable}`" not in short] == []


def test_the_python_versions_in_readme_are_those_of_the_package():
    """The tests run on these versions."""
    classifiers = re.findall(r"Python :: (3\.\d+)", ROOT.joinpath("pyproject.toml").read_text("utf-8"))
    text = ROOT.joinpath(".ci/run").read_text("utf-8")
    versions = re.search(r"^versions=\((.*)\)$", text, re.MULTILINE)[1].split()
    expected = f"CPython {versions[0]} to {versions[-1]}"

    assert versions == classifiers
    assert versions[-1] == ".".join(map(str, NEWEST_TESTED))
    for page, heading in (("README", "Install"), ("getting-started", "Installation")):
        assert expected in section(page, heading).replace("\n", " "), page


def test_every_time_in_readme_is_a_measured_one():
    """Each is in the tables of docs/charts/results.md, and so are those of the summary in docs/performance.md."""
    text = section("README", "What it costs").partition("**Time.**")[2].partition("![")[0].replace("\n", " ")
    summary = read("performance").partition("## A log call")[0]
    tables = read("charts/results")
    figures = re.findall(r"(\d[\d,.]*\d) (?:µs|rows|MB|MiB|times)", text)

    assert figures == ["9.01", "4.73"]
    for figure in [*figures, *re.findall(r"(\d[\d,.]*\d) (?:µs|rows of|times)", summary.replace("\n", " "))]:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d,]|\.\d)", tables), figure


def test_the_price_in_readme_is_dated_and_its_sum_is_correct():
    """The benchmarks use rows of 480 bytes too; the billed share is the one that `plan` calculates with."""
    text = section("README", "What it costs").replace("\n", " ")
    price = float(re.search(r"about ([\d.]+) USD in the Analytics plan", text)[1])
    gigabytes, total = re.search(
        r"million rows of 480 bytes of JSON are billed as about ([\d.]+) GB, or about ([\d.]+) USD", text
    ).groups()

    assert "check yours" in text
    assert float(gigabytes) == BILLED_SHARE * 480 * 1e6 / 1e9
    assert abs(float(total) - float(gigabytes) * price) < 0.01
    assert "ows of 480 bytes" in read("charts/results")
