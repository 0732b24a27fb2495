"""Moments are written in UTC with six decimals, and naive times are local."""

import datetime as dt
import time

import pytest

from logging_azmon._rows.timestamps import is_utc_text, moment_text, utc_text, with_zone


def test_a_naive_time_is_local(monkeypatch):
    """The service would read a naive time as UTC."""
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    try:
        assert moment_text(dt.datetime(2026, 1, 2, 3, 4, 5)) == "2026-01-01T21:34:05.000000Z"
        assert moment_text("2026-01-02 03:04:05") == "2026-01-01T21:34:05.000000Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_datetime_that_is_not_a_moment_is_refused():
    """pandas.NaT is a datetime that is not a moment."""
    with pytest.raises(ValueError, match="NaT"):
        utc_text(
            type("NaT", (dt.datetime,), {"astimezone": lambda s, _: s, "isoformat": lambda s, **_: "NaT"})(1, 1, 1)
        )


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), "2026-01-02T03:04:05.000006Z"),
        (dt.date(2026, 1, 2), "2026-01-02T00:00:00.000000Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000Z"),
        (-1.5, "1969-12-31T23:59:58.500000Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (1e300, None),
        (float("nan"), None),
        ("yesterday", None),
        ([], None),
    ],
)
def test_datetimes_dates_text_and_seconds_are_written_in_the_same_form(moment, text):
    assert moment_text(moment) == text


@pytest.mark.parametrize(
    ("moment", "is_one"),
    [
        ("2026-01-02T03:04:05.000006Z", True),
        ("2026-01-02T03:04:05Z", False),
        ("2026-01-02 03:04:05.000006Z", False),
        (1.5, False),
    ],
)
def test_text_in_the_form_of_rows_is_recognised(moment, is_one):
    assert is_utc_text(moment) is is_one


def test_text_in_the_form_of_rows_that_is_not_a_time_is_refused():
    with pytest.raises(ValueError, match="month"):
        is_utc_text("2026-13-02T03:04:05.000006Z")


class TestZones:
    LOGGED = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC).timestamp()

    @pytest.fixture(autouse=True)
    def far_from_utc(self, monkeypatch):
        """Set the local time zone to five and a half hours east of UTC."""
        monkeypatch.setenv("TZ", "XYZ-05:30")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    @pytest.mark.parametrize("moment", ["2026-01-02 12:00:00", dt.datetime(2026, 1, 2, 12)])
    def test_a_naive_time_that_is_the_current_time_in_utc_is_taken_as_utc(self, moment):
        assert with_zone(moment, self.LOGGED) == dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)

    @pytest.mark.parametrize(
        "moment",
        [
            "2026-01-02 17:30:00",
            "2026-01-02 01:00:00",
            "2026-01-02T12:00:00Z",
            "2026-01-02T12:00:00+01:00",
            "soon",
            dt.datetime.min,
            1.5,
            None,
        ],
    )
    def test_a_time_that_is_not_the_current_time_in_utc_is_left_unchanged(self, moment):
        """Local times, times of another moment, times with a zone, and values that are not a time."""
        assert with_zone(moment, self.LOGGED) is moment
