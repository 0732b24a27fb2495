"""Batches: dividing them loses no row, and changes no order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._queue.batch import Attempts, Batch, by_time, halves, shrunk
from support.batch_queues import lines_of
from support.delivering import line


class TestDividing:
    @given(st.lists(st.text(max_size=5), min_size=2, max_size=40))
    def test_halves_hold_all_rows_in_their_order(self, texts):
        rows = [line(text) for text in texts]
        batch = Batch(b"".join(rows), len(rows), 7, attempts=Attempts(tries=4, first_try=1.0), is_notice=True)
        first, second = halves(batch)
        assert bytes(first.data) + bytes(second.data) == b"".join(rows)
        assert (first.rows, second.rows) == (len(rows) // 2, len(rows) - len(rows) // 2)
        assert (first.first_row, second.first_row) == (7, 7 + first.rows)
        assert first.attempts.split_budget is second.attempts.split_budget is batch.attempts.split_budget
        assert (first.attempts.tries, first.attempts.first_try, first.is_notice) == (0, 1.0, True)

    @given(st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=40))
    def test_groups_by_time_hold_all_rows_in_their_order_none_too_far_apart(self, minutes):
        rows = [
            line(
                number,
                TimeGenerated=f"2026-11-{20 + minute // 1440}T{minute // 60 % 24:02}:{minute % 60:02}:00.000000Z",
            )
            for number, minute in enumerate(minutes)
        ]
        batch = Batch(b"".join(rows), len(rows), 7)
        groups = by_time(batch)
        if not groups:
            assert max(minutes) - min(minutes) < 30
            return
        positions = {row: position for position, row in enumerate(rows)}
        seen = []
        for group in groups:
            places = [positions[row] for row in lines_of([group])]
            assert places == sorted(places)
            times = [minutes[place] for place in places]
            assert max(times) - min(times) < 30
            assert group.rows == len(places)
            assert group.first_row == 7
            seen += places
        assert sorted(seen) == list(range(len(rows)))

    @pytest.mark.parametrize(
        "stamps", [[None, None], ["soon", "2026"], [5, {}], ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"]]
    )
    def test_dividing_by_unreadable_times_raises_nothing_and_loses_no_row(self, stamps):
        rows = [line("row", TimeGenerated=stamp) for stamp in stamps]
        groups = by_time(Batch(b"".join(rows), 2, 0))
        assert sum(group.rows for group in groups) in {0, 2}

    def test_dividing_rows_spoiled_by_a_json_fragment_loses_no_row(self):
        rows = [line("row", TimeGenerated="2026-11-20T10:00:00Z"), b"{]\n", b"[]\n"]
        groups = by_time(Batch(b"".join(rows), 3, 0))
        assert sum(group.rows for group in groups) == 3

    def test_a_shrunk_batch_has_one_row_and_no_tries(self):
        row = line("long", 500)
        part = shrunk(Batch(row, 1, 7, attempts=Attempts(tries=3, first_try=1.0)), line("short"))

        assert (bytes(part.data), part.rows, part.first_row) == (line("short"), 1, 7)
        assert (part.attempts.tries, part.attempts.first_try, part.attempts.is_shrunk) == (0, 1.0, True)
