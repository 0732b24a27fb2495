"""The wait before a retry, as a pure function."""

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.answer import Answer
from logging_azmon._delivery.retry import (
    MAX_RETRY_AFTER_SECONDS,
    MIN_RETRY_AFTER_SECONDS,
    backoff,
    retry_after_seconds,
    retry_delay,
)

NOW = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        ("300", 300.0),
        ("301", 300.0),
        ("86400", 300.0),
        ("1e400", 300.0),
        ("inf", 300.0),
        ("-inf", 0.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("1 minute", None),
        (email.utils.format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True), 30.0),
        (email.utils.format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True), 0.0),
        (email.utils.format_datetime(datetime.fromtimestamp(NOW + 9999, UTC), usegmt=True), 300.0),
        ((datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=40)).strftime("%a, %d %b %Y %H:%M:%S"), 40.0),
        (datetime.fromtimestamp(NOW + 50, timezone(timedelta(hours=9))).strftime("%d %b %Y %H:%M:%S +0900"), 50.0),
        ("Fri, 20 Nov 2026 14:03:11 -0000", 60.0),
        ("Fri, 99 Nov 2026 14:03:11 GMT", None),
        ("Fri, 20 Nov 99999 14:03:11 GMT", None),
    ],
)
def test_retry_after_is_parsed_as_seconds_or_a_date_up_to_five_minutes(header, seconds):
    assert retry_after_seconds(header, NOW) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ \S*"), st.floats(0, 4e9))
def test_any_retry_after_is_parsed_or_ignored(header, now):
    seconds = retry_after_seconds(header, now)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(
    st.sampled_from(["outage", "throttled", "configuration"]),
    st.none() | st.text() | st.floats().map(str),
    st.integers(1, 10**6),
    st.floats(0.01, 3_600),
    st.floats(0, 1, exclude_max=True),
)
def test_wait_is_never_longer_than_the_longest_or_the_retry_after(trouble, header, failures, longest, chance):
    delay = retry_delay(
        trouble, Answer(retry_after=header), failures=failures, longest=longest, now=NOW, random=lambda: chance
    )
    asked = retry_after_seconds(header, NOW) or 0.0
    assert 0.0 <= delay.seconds <= max(longest, asked)
    if asked >= MIN_RETRY_AFTER_SECONDS:
        assert delay.seconds == asked


@pytest.mark.parametrize("trouble", ["outage", "throttled"])
def test_waits_double_with_full_jitter_up_to_the_longest(trouble):
    def delays(chance):
        return [
            retry_delay(trouble, Answer(), failures=n, longest=60.0, now=NOW, random=lambda: chance).seconds
            for n in range(1, 10)
        ]

    assert delays(1.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert delays(0.5) == [seconds / 2 for seconds in delays(1.0)]
    assert delays(0.0) == [0.0] * 9


def test_configuration_errors_are_retried_slowly_from_the_first_time_on():
    def delay(chance):
        return retry_delay("configuration", Answer(), failures=1, longest=60.0, now=NOW, random=lambda: chance).seconds

    assert (delay(0.0), delay(1.0)) == (30.0, 60.0)


@pytest.mark.parametrize("header", ["0", "0.001", "-5", "Fri, 20 Nov 2020 14:02:11 GMT"])
def test_retry_after_of_zero_or_in_the_past_does_not_retry_without_a_pause(header):
    answer = Answer(status=503, retry_after=header)
    delay = retry_delay("outage", answer, failures=8, longest=60.0, now=NOW, random=lambda: 0.5)
    assert delay.seconds == 30.0
    assert not delay.from_server


def test_only_a_wait_from_the_server_must_not_be_cut_short():
    def from_server(trouble, header):
        answer = Answer(retry_after=header)
        return retry_delay(trouble, answer, failures=1, longest=60.0, now=NOW, random=lambda: 0.5).from_server

    assert from_server("outage", "10")
    assert from_server("throttled", "10")
    assert not from_server("throttled", None)
    assert not from_server("configuration", "10")


def test_backoff_never_overflows():
    assert backoff(10**9, 3_600.0) == 3_600.0
