"""The command `logging-azmon plan` estimates a fleet's load, and simulates its deploy on a virtual clock."""

import json
import random

import pytest

from logging_azmon._config.settings import read
from logging_azmon.cli import main
from logging_azmon.cli.plan import command as plan
from logging_azmon.cli.plan.estimate import Estimate, Workload
from logging_azmon.cli.plan.simulation import Fleet, Minute, Simulation

PLACE = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}


def settings(**more):
    return read(PLACE | more, {})


def estimate(processes, rate, size, *, rules=1, outage=3_600.0, **more):
    need = Workload(processes=processes, rows_per_second=rate, row_bytes=size, rules=rules, outage_seconds=outage)
    return Estimate(need, settings(**more))


def played(minutes, fleet, **more):
    *_, course = Simulation(settings(**more), fleet).run(minutes)
    return course


def fleet(processes=500, rate=1.0, size=300, **more):
    """Make a fleet with a share of the quota, as if it were a part of ten thousand processes."""
    share = processes / 10_000
    quota = {"quota_requests": round(12_000 * share), "quota_bytes": round(2_000_000_000 * share)}
    return Fleet(processes=processes, rows_per_second=rate, row_bytes=size, **quota | more)


def adds_up(course):
    return course.accepted == course.delivered + course.waiting + sum(course.dropped.values())


class TestPaper:
    @pytest.mark.parametrize(
        ("processes", "rate", "size", "seconds"),
        [
            (20, 0.01, 300, 5.0),
            (20, 1.0, 300, 5.0),
            (20, 20.0, 600, 5.0),
            (20, 3.0, 2_000, 60.0),
            (4, 1_000.0, 900, 5.0),
            (4, 0.5, 900_000, 5.0),
        ],
    )
    def test_estimated_requests_match_the_librarys_pacing(self, processes, rate, size, seconds):
        """The estimate is within a tenth of a simulation without a quota."""
        on_paper = estimate(processes, rate, size, batch_seconds=seconds)
        unbounded = Fleet(processes=processes, rows_per_second=rate, row_bytes=size, quota_bytes=10**12)
        course = played(30, unbounded, batch_seconds=seconds)
        asked = sum(minute.asked for minute in course.minutes[5:]) / 25

        assert asked == pytest.approx(on_paper.requests, rel=0.1)

    def test_ten_thousand_processes_ask_for_ten_times_a_rules_requests(self):
        on_paper = estimate(10_000, 1, 300)

        assert on_paper.requests == pytest.approx(120_000)
        assert not on_paper.fits
        assert estimate(10_000, 1, 300, rules=on_paper.rules_needed).fits
        assert estimate(10_000, 1, 300, batch_seconds=on_paper.batch_seconds_needed).fits

    def test_too_much_data_needs_more_rules_however_it_is_batched(self):
        on_paper = estimate(10_000, 20, 600)

        assert on_paper.bytes == pytest.approx(7.2e9)
        assert on_paper.rules_for_bytes == 5
        assert on_paper.catch_up_seconds is None

    def test_no_advised_batch_waits_longer_than_two_minutes(self):
        assert estimate(100_000, 1, 300).batch_seconds_needed is None

    def test_longer_intervals_do_not_help_if_batches_are_full_sooner(self):
        assert estimate(10_000, 100, 9_000).batch_seconds_needed is None

    def test_an_outage_is_estimated_in_bytes_time_and_catch_up(self):
        on_paper = estimate(400, 20, 600)

        assert on_paper.outage_bytes == 20 * 600 * 3_600 + 1_000_000
        assert on_paper.memory_lasts_seconds == pytest.approx(64 * 1024**2 / 12_000)
        assert on_paper.catch_up_seconds == pytest.approx(3_600 * 0.288 / (2 - 0.288))

    def test_a_day_is_estimated_in_rows_and_decimal_gigabytes(self):
        on_paper = estimate(10, 1, 1_000)

        assert (on_paper.rows_a_day, on_paper.json_gigabytes_a_day) == (864_000, 0.864)
        assert on_paper.billed_gigabytes_a_day == pytest.approx(0.648)


class TestDeploy:
    def test_thousands_of_processes_that_start_at_once_settle_below_the_quota_and_lose_nothing(self):
        """The fleet settles within eight minutes; from then on, its requests are within the quota.

        Two thousand processes share a fifth of the quota: ten thousand behave alike, with five times the numbers.
        """
        course = played(9, fleet(2_000))

        assert course.minutes[0].asked > 2_400
        assert max(minute.taken for minute in course.minutes) == 2_400
        assert course.settled_after() <= 8
        assert all(minute.asked <= 2_400 and not minute.refused for minute in course.minutes[8:])
        assert adds_up(course)
        assert not course.dropped
        assert course.most_waiting_bytes < 1_000_000

    def test_over_hours_less_than_one_request_in_a_hundred_is_refused(self):
        course = played(120, fleet(200))
        later = course.minutes[10:]

        assert sum(minute.refused for minute in later) < 0.01 * sum(minute.asked for minute in later)
        assert sum(minute.asked for minute in later) > 0.5 * 240 * len(later), "the quota is used"
        assert not course.dropped

    def test_a_fleet_settles_even_without_retry_after(self):
        course = played(20, fleet(200, sends_retry_after=False))

        assert course.settled_after() <= 12
        assert adds_up(course)
        assert not course.dropped

    def test_a_fleet_near_the_quota_of_bytes_settles(self):
        course = played(40, fleet(200, rate=10.0))

        assert sum(minute.refused for minute in course.minutes[20:]) <= 0.05 * sum(m.asked for m in course.minutes[20:])
        assert not course.dropped
        assert adds_up(course)

    def test_more_data_than_the_quota_never_settles_and_rows_without_room_are_counted(self):
        course = played(10, fleet(50, rate=100.0, size=1_000, quota_bytes=2_000_000), queue_bytes=3_000_000)

        assert course.settled_after() is None
        assert course.dropped["queue_full"] > 0
        assert adds_up(course)
        assert course.most_waiting_bytes <= 3_000_000

    def test_a_fleet_that_fits_is_never_refused(self):
        course = played(5, fleet(10, quota_requests=1_000))

        assert course.settled_after() == 0
        assert not any(minute.refused for minute in course.minutes)

    def test_a_simulation_is_repeatable_and_restores_the_random_state(self):
        random.seed(1)
        first = played(3, fleet(50))
        expected = random.Random(1).random()

        assert random.random() == expected
        assert played(3, fleet(50)).minutes == first.minutes


class TestCommand:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch):
        """Simulate a part of each fleet; the tests above cover thousands of processes."""
        monkeypatch.setattr(plan, "MAX_SIMULATED", 200)

    def plan(self, capsys, *words):
        assert main(["plan", *words]) == 0
        return " ".join(capsys.readouterr().out.split())

    def test_a_fleet_beyond_the_quota_gets_advice(self, capsys):
        out = self.plan(capsys, "--processes", "10000", "--rows-per-second", "1", "--bytes", "400", "--minutes", "1")

        assert "requests 120,000 12,000 1,000%" in out
        assert "too much for 1 rule: use batch_seconds=69 or 13 rules" in out
        assert "An outage of 1 hour: 2.4 MB in each process" in out
        assert "864,000,000 rows, 346 GB of JSON, billed as about 259 GB" in out
        assert "The fleet does not settle within the quota in this time" in out
        assert "0 dropped" in out

    def test_a_fleet_within_the_quota_is_reported_as_sufficient(self, capsys):
        out = self.plan(capsys, "--processes", "4", "--rows-per-second", "20", "--bytes", "600", "--minutes", "2")

        assert "Quota: sufficient, with more than 20% to spare" in out
        assert "The fleet is within the quota from the start." in out

    def test_the_minute_after_which_the_fleet_settles_is_printed(self, capsys):
        out = self.plan(capsys, "--processes", "40000", "--rows-per-second", "0.3", "--bytes", "400", "--rules", "3")

        assert " minutes." in out.partition("The fleet settles within the quota after ")[2]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--bytes", "60000"], "a longer batch_seconds does not help, because the volume of data is too large"),
            (["--bytes", "1000", "--outage", "20h"], "set queue_bytes=73,000,000 or a spool"),
            (["--bytes", "60000", "--outage", "20h"], "use a spool with spool_bytes=4,321,000,000"),
        ],
    )
    def test_the_advice_fits_the_workload(self, capsys, words, said):
        assert said in self.plan(capsys, "--processes", "5000", "--rows-per-second", "1", "--minutes", "0", *words)

    def test_json_has_every_figure(self, capsys):
        words = ["--processes", "20000", "--rows-per-second", "1", "--bytes", "400", "--json"]
        assert main(["plan", *words, "--minutes", "1"]) == 0
        figures = json.loads(capsys.readouterr().out)

        assert figures["requests_per_minute"] == 240_000
        assert figures["deploy"]["requests_asked"][0] > 12_000
        assert figures["deploy"]["rows_dropped"] == 0
        assert main(["plan", *words, "--minutes", "0"]) == 0
        assert "deploy" not in json.loads(capsys.readouterr().out)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--processes", "0"),
            ("--processes", "many"),
            ("--rows-per-second", "-1"),
            ("--rows-per-second", "x"),
            ("--outage", "soon"),
            ("--minutes", "-5"),
        ],
    )
    def test_an_invalid_number_is_refused_with_its_value(self, capsys, option, value):
        words = {"--processes": "1", "--rows-per-second": "1", "--bytes": "1", option: value}
        with pytest.raises(SystemExit):
            main(["plan", *(f"{name}={given}" for name, given in words.items())])

        assert f"argument {option}: {value!r} is not a " in capsys.readouterr().err


def test_similar_minutes_are_merged_unless_requests_were_refused():
    asked = [(90, 60), (90, 60), (60, 60), (60, 60), (61, 61), (30, 30), (60, 60), (60, 60)]
    minutes = [Minute(asked=asked, taken=taken) for asked, taken in asked]

    assert [places for places, _ in plan._stretches(minutes, 90)] == ["1", "2", "3-5", "6", "7-8"]  # noqa: SLF001
    assert [places for places, _ in plan._stretches(minutes[:1], 90)] == ["1"]  # noqa: SLF001
