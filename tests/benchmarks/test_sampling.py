"""The statistics of the benchmarks are correct."""

import pytest

from sampling import CannotRun, exponent, figure, interleaved, line, quantiles, ratios, shown, significant


def test_a_figure_is_the_median_with_the_lowest_and_the_highest_run():
    assert figure([5.0, 1.0, 9.0, 2.0, 3.0]) == {"median": 3.0, "low": 1.0, "high": 9.0}


def test_ratios_compare_run_by_run():
    assert ratios([2.0, 40.0, 9.0], [1.0, 10.0, 3.0]) == {"median": 3.0, "low": 2.0, "high": 4.0}


def test_quantiles_are_measured_values():
    assert quantiles(range(1_000, 0, -1)) == {"p50": 500, "p99": 990, "p99.9": 999, "worst": 1_000}
    assert quantiles([7.0]) == {"p50": 7.0, "p99": 7.0, "p99.9": 7.0, "worst": 7.0}


@pytest.mark.parametrize(
    ("value", "rounded"), [(123_456.0, 123_500.0), (0.000123456, 0.0001235), (-9.87654, -9.877), (0.0, 0.0)]
)
def test_figures_have_four_significant_digits(value, rounded):
    assert significant(value) == rounded


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1_000_000.0, 7, "1,000,000"), (203_812.0, 3, "204,000"), (12.345, 3, "12.3"), (0.0074, 2, "0.0074"), (0, 3, "0")],
)
def test_large_figures_are_written_without_an_exponent(value, digits, text):
    assert shown(value, digits) == text


def test_fitting_a_line_finds_its_fixed_part_and_its_slope():
    assert line({x: 3.0 + 0.5 * x for x in (1, 10, 100, 60_000)}) == {"fixed": 3.0, "each": 0.5, "error": 0.0}


def test_the_error_of_a_fitted_line_is_that_of_its_worst_point():
    found = line({1: 1.0, 2: 2.0, 3: 3.0, 4: 8.0})

    assert found["error"] == pytest.approx(
        max(abs(found["fixed"] + found["each"] * x - y) / y for x, y in ((1, 1), (2, 2), (3, 3), (4, 8))), abs=0.01
    )
    assert found["error"] > 0.1


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, -0.5])
def test_the_fitted_exponent_distinguishes_constant_from_proportional_cost(power):
    assert exponent({x: 7.0 * x**power for x in (1, 10, 100, 3_000)}) == pytest.approx(power, abs=0.01)


def test_rounds_are_interleaved_and_every_other_one_runs_backwards():
    order = []
    found, unable = interleaved(["a", "b"], 3, lambda name: order.append(name) or len(order))

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert (found, unable) == ({"a": [1, 4, 5], "b": [2, 3, 6]}, {})


def test_a_contender_that_cannot_run_does_not_stop_the_others():
    def measure(name):
        if name == "absent":
            raise CannotRun("it is not there")
        return 1.0

    assert interleaved(["absent", "present"], 2, measure) == ({"present": [1.0, 1.0]}, {"absent": "it is not there"})
