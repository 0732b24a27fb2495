"""The results page and its charts show the figures, and the published ones agree with each other."""

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

import charts
import goals
import instructions
import page
import results
import tables
import workers
from sampling import figure, shown

ROOT = workers.HERE.parent
SVG = "{http://www.w3.org/2000/svg}"
PUBLISHED = results.PUBLISHED.page
SECTIONS = page.parsed((PUBLISHED / page.NAME).read_text("utf-8"))
NOTES = (PUBLISHED / "notes.md").read_text("utf-8")


def texts_of(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def rows_of(section):
    """Return the cells of every table row, without Markdown's marks."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[tables.plain(cell).strip() for cell in line.strip("|").split("|")] for line in lines]


def number(cell):
    """Read the median of a figure."""
    found = re.match(r"-?[\d,.]+", cell)
    return float(found[0].replace(",", "")) if found else None


def test_a_chart_shows_each_name_with_its_median_and_the_goal():
    text = charts.bars(
        "A & B",
        "less is better",
        [charts.Bar("first <1>", figure([1.0, 2.0, 3.0]), is_ours=True), charts.Bar("second", figure([400.0]))],
        unit="ms",
        goal=charts.Goal("enough", 100.0),
    )
    svg = ET.fromstring(text)
    ours, other = [element for element in svg.iter(f"{SVG}rect") if element.get("class") in ("ours", "bar")]

    assert texts_of(text) == ["A & B", "less is better", "first <1>", "2 ms", "second", "400 ms", "enough"]
    assert float(other.get("width")) == pytest.approx(200 * float(ours.get("width")), rel=0.01)
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("is_logarithmic", [True, False])
def test_no_bar_leaves_its_chart(is_logarithmic):
    found = [charts.Bar(str(value), figure([value, value * 3])) for value in (0.01, 1.0, 5_000.0)]
    svg = ET.fromstring(charts.bars("", "", found, logarithmic=is_logarithmic))
    ends = [float(one.get("x")) + float(one.get("width")) for one in svg.iter(f"{SVG}rect")]

    assert max(ends) <= float(svg.get("width"))


def test_a_table_names_the_contenders_that_did_not_take_part():
    assert tables.cannot({"somebody": "it is not installed"}) == ["- somebody did not take part: it is not installed."]
    assert tables.cannot({}) == []


def test_a_ratio_is_shown_with_its_spread():
    assert tables.ratio(figure([0.5, 0.25, 1.0])) == "**0.5 ×** (0.25 to 1)"


@pytest.fixture
def measured():
    """Make a measurement whose text and chart contain its result."""
    return {
        name: SimpleNamespace(
            TITLE=name.title(),
            describe=lambda result: f"measured: {result}",
            draw=lambda result, name=name: {name: f"<svg>{result}</svg>"},
        )
        for name in ("first", "second")
    }


def taken(result):
    facts = dict.fromkeys(("at", "runs", "load_before", "processor", "cores", "system", "python"), "x")
    return {"taken": facts | {"versions": {}}, "result": result}


def test_a_section_is_replaced_by_new_figures_and_the_others_stay(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(goals, "GOALS", ())
    page.publish({"first": taken(1), "second": taken(2)}, measured, tmp_path)
    before = page.parsed((tmp_path / page.NAME).read_text("utf-8"))
    page.publish({"second": taken(3)}, measured, tmp_path)
    after = page.parsed((tmp_path / page.NAME).read_text("utf-8"))

    assert list(after) == ["Goals", "First", "Second"]
    assert {title for title in after if after[title] != before[title]} == {"Second"}
    assert after["Second"].endswith("![Second](second.svg)\n\nmeasured: 3")
    assert (tmp_path / "second.svg").read_text("utf-8") == "<svg>3</svg>"


def test_goals_are_published_once_every_measurement_has_figures(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(goals, "GOALS", ())
    page.publish({"first": taken(1)}, measured, tmp_path)
    assert list(page.parsed((tmp_path / page.NAME).read_text("utf-8"))) == ["First"]
    page.publish({"first": taken(1), "second": taken(2)}, measured, tmp_path)

    assert list(page.parsed((tmp_path / page.NAME).read_text("utf-8"))) == ["Goals", "First", "Second"]


def test_the_published_page_has_every_measurement_and_the_goals():
    assert list(SECTIONS) == [goals.TITLE, *(one.TITLE for one in results.MEASUREMENTS.values())]


def test_the_published_charts_are_those_of_the_page():
    shown_charts = [chart for section in SECTIONS.values() for chart in re.findall(r"\]\(([^)]+\.svg)\)", section)]

    assert sorted(shown_charts) == sorted(path.name for path in PUBLISHED.glob("*.svg"))


@pytest.mark.parametrize("title", [title for title, section in SECTIONS.items() if ".svg)" in section])
def test_a_published_chart_shows_figures_of_the_table_beside_it(title):
    """Neither is edited by hand: each bar's figure is in the table row of the same name."""
    (chart,) = re.findall(r"\]\(([^)]+\.svg)\)", SECTIONS[title])
    bars = texts_of((PUBLISHED / chart).read_text("utf-8"))[2:]
    rows = rows_of(SECTIONS[title])

    assert len(bars) >= 4
    for name, value in zip(bars[::2], bars[1::2], strict=False):
        (row, *_) = [row for row in rows if row[0] == tables.plain(name)]
        numbers = [number(cell) for cell in row[1:] if number(cell) is not None]
        # The table has three digits, the chart two: a value halfway between may have been rounded either way.
        assert value.split()[0] in {shown(one * way, 2) for one in numbers for way in (0.999, 1, 1.001)}, name


def test_the_published_instructions_are_those_of_the_baseline():
    baseline = instructions.read(results.PUBLISHED.baseline)["instructions"]
    rows = {row[0]: row[1:] for row in rows_of(SECTIONS[instructions.TITLE])}

    assert baseline
    for version, scenarios in baseline.items():
        counts = scenarios[instructions.SCENARIO]
        ratios = [f"{instructions.ratio(counts, name):.3f} ×" for name in ("ours", "compiled")]
        written = [f"{counts[name]:,}" for name in ("ours", "compiled", "queue_handler", "nothing")]
        assert rows[version] == [*ratios, *written]


def test_raw_figures_are_not_in_the_tree():
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()

    assert f"/{results.PUBLISHED.figures.relative_to(ROOT).as_posix()}" in ignored


def test_every_goal_is_published_with_its_bound_and_a_verdict_that_its_figure_bears_out():
    published = {row[0]: row[1:] for row in rows_of(SECTIONS[goals.TITLE])}

    for goal in goals.GOALS:
        bound, measured, verdict = published[tables.plain(goal.what)]
        assert bound == f"at {'least' if goal.is_least else 'most'} {goal.bound:g} ×"
        assert verdict == ("reached" if goal.is_reached_by(number(measured)) else "missed")


def test_every_missed_goal_has_its_reason_in_the_notes():
    published = {row[0]: row[-1] for row in rows_of(SECTIONS[goals.TITLE])}
    missed = [goal.what for goal in goals.GOALS if published[tables.plain(goal.what)] == "missed"]

    assert [what for what in missed if f"**{what}**: " not in NOTES] == []


def test_the_notes_name_only_goals_that_exist():
    named = re.findall(r"^\*\*(.+?)\*\*: ", NOTES, re.MULTILINE)

    assert named
    assert set(named) <= {goal.what for goal in goals.GOALS}


def test_readme_shows_charts_that_exist():
    shown_charts = re.findall(r"\]\((docs/charts/[^)]+)\)", ROOT.joinpath("README.md").read_text("utf-8"))

    assert any(name.endswith(".svg") for name in shown_charts)
    assert all((ROOT / name).exists() for name in shown_charts)


@pytest.mark.parametrize(
    ("bound", "is_least", "median", "verdict"),
    [(2, False, 2.0, "reached"), (2, False, 2.01, "missed"), (2, True, 2.0, "reached"), (2, True, 1.99, "missed")],
)
def test_a_goal_is_reached_by_its_median(bound, is_least, median, verdict):
    goal = goals.Goal(what="a call", bound=bound, is_least=is_least, figure=lambda results: results["call"])
    row = goal.row({"call": {"median": median, "low": 1.0, "high": 3.0}})

    assert row == [
        "a call",
        f"at {'least' if is_least else 'most'} 2 ×",
        f"{median:g} (1 to 3)",
        {"reached": "reached", "missed": "**missed**"}[verdict],
    ]
    assert goal.is_reached_by(median) == (verdict == "reached")


def test_the_goals_section_has_a_row_for_each_goal(monkeypatch):
    goal = goals.Goal(what="a call", bound=2, figure=lambda results: results["call"])
    monkeypatch.setattr(goals, "GOALS", (goal, goal))

    assert goals.describe({"call": figure([3.0])}).splitlines()[2:] == ["| a call | at most 2 × | 3 | **missed** |"] * 2
