"""The record of what was lost or changed."""

import datetime as dt

from logging_azmon.local.storage.problems import MAX_KEPT, Problems, mistyped, not_stored


def test_the_number_of_recorded_problems_is_bounded():
    problems = Problems(lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    for n in range(MAX_KEPT + 5):
        problems.add(mistyped("Custom-App", f"c{n}", 1, "int"))
    assert len(problems.newest()) == len(problems.take_new()) == MAX_KEPT
    assert problems.newest()[0].column == f"c{MAX_KEPT + 4}"
    assert problems.take_new() == []


def test_the_problem_of_a_full_memory_advises_a_data_directory():
    assert "--data" in not_stored("Custom-App", 1, "Out of Memory Error: …")["advice"]
