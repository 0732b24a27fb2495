"""`health` tells whether rows are delivered, and if not, why: what a probe and an operator are told."""

import logging
from dataclasses import FrozenInstanceError, asdict, fields
from typing import get_args, get_type_hints

import orjson
import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Health, Pipeline, Place
from logging_azmon._pipeline.diagnosis import LOSS_SECONDS
from logging_azmon._spool.segment import begun_at, is_segment
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock
from support.delivering import leave_in_spool
from support.pipelines import address, manual_pipeline

OUTAGE = Answer(failure=Failure.CONNECTION, message="connection refused")
FORBIDDEN = Answer(status=403, code="AuthorizationFailed", message="no")
POISON = Answer(status=400, code="InvalidPayload", message="bad")


def quiet(trouble):
    """Receive reports, and keep them from stderr."""


class Shop:
    """A pipeline without threads, on a clock that stands still, and a logger of its own."""

    def __init__(self, *answers, **options):
        self.destination = FakeDestination(*answers)
        self.clock = ManualClock()
        options = {"report": quiet, "background": False} | options
        self.pipeline = Pipeline(*address(), destination=self.destination, clock=self.clock, **options)
        self.handler = AzureMonitorHandler(pipeline=self.pipeline)

    def log(self, *messages):
        for message in messages:
            self.handler.handle(logging.makeLogRecord({"msg": message}))

    def step(self):
        """Deliver what is due, once, on this thread."""
        lifecycle_of(self.pipeline).make_all_due()
        lifecycle_of(self.pipeline).listeners.deliver_one(10)

    @property
    def health(self):
        return self.pipeline.health()


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.handler.close()
    shop.pipeline.close(0)


class TestOk:
    def test_a_pipeline_without_rows_is_ok(self, shop):
        """Nothing was ever logged, so there is nothing to tell."""
        settings = shop.pipeline.settings

        assert shop.health == Health(
            status="ok",
            reason="no row waits",
            places=(Place(endpoint=settings.endpoint, rule_id=settings.rule_id, stream=settings.stream, status="ok"),),
        )

    def test_a_row_that_waits_for_its_batch_is_ok(self, shop):
        """Its age is told."""
        shop.log("a", "b")
        shop.clock.advance(4)

        assert (shop.health.status, shop.health.reason) == ("ok", "2 rows wait, the oldest for 4 s")
        assert shop.health.oldest_row_seconds == 4

    def test_delivered_rows_are_ok_and_the_time_since_is_told(self, shop):
        """Before the first delivery there is no such time."""
        shop.log("a")
        assert shop.health.last_delivery_seconds is None
        shop.step()
        shop.clock.advance(30)

        assert (shop.health.status, shop.health.reason) == ("ok", "no row waits")
        assert (shop.health.oldest_row_seconds, shop.health.last_delivery_seconds) == (None, 30)

    def test_an_outage_without_waiting_rows_is_ok_but_its_place_is_failing(self, shop):
        """Another pipeline to the same rule has failed, and this one has nothing to send."""
        other = Pipeline(
            shop.pipeline.settings.endpoint,
            shop.pipeline.settings.rule_id,
            "Custom-Other_CL",
            destination=FakeDestination(OUTAGE),
            clock=shop.clock,
            background=False,
            report=quiet,
        )
        lifecycle_of(other).intake.accept(logging.makeLogRecord({"msg": "a"}), None)
        lifecycle_of(other).make_all_due()
        lifecycle_of(other).listeners.deliver_one(10)

        (place,) = shop.health.places
        assert (shop.health.status, other.health().status) == ("ok", "waiting")
        assert place.status == "failing"
        assert "connection refused" in place.reason
        other.close(0)


class TestWaiting:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (OUTAGE, "connection refused"),
            (FORBIDDEN, "Monitoring Metrics Publisher"),
            (Answer(status=429), "quota"),
            (Answer(failure=Failure.CREDENTIAL, message="no identity"), "credential="),
        ],
    )
    def test_rows_wait_during_an_outage_and_the_reason_says_what_to_do(self, shop, answer, said):
        """They wait longer than they should as soon as a request has failed; nothing is lost."""
        shop.destination.play(answer)
        shop.log("a")
        shop.clock.advance(2)
        shop.step()
        shop.clock.advance(0.5)

        health = shop.health
        (place,) = health.places

        assert health.status == "waiting"
        assert health.reason == f"1 row waits for 2 s: {place.reason}"
        assert said in place.reason
        assert place.status == "failing"
        assert place.retry_seconds is not None
        assert health.oldest_row_seconds == 2.5

    def test_after_the_outage_it_is_ok_again(self, shop):
        """The first success ends it."""
        shop.destination.play(OUTAGE)
        shop.log("a")
        shop.step()
        assert shop.health.status == "waiting"
        shop.clock.advance(60)
        shop.step()

        (place,) = shop.health.places
        assert (shop.health.status, place.status, place.reason, place.retry_seconds) == ("ok", "ok", "", None)

    def test_while_a_probe_is_in_flight_no_retry_is_planned(self, shop):
        """The end of the probe decides when the next try is."""
        seen = []

        def probe(rows):
            seen.append(shop.health)
            return Answer(status=204)

        shop.destination.play(OUTAGE, probe)
        shop.log("a")
        shop.step()
        shop.clock.advance(60)
        shop.step()

        assert [(health.status, health.places[0].retry_seconds) for health in seen] == [("waiting", None)]

    def test_rows_that_wait_too_long_without_a_failure_are_told(self, shop):
        """More come than are delivered, a request hangs, or no thread runs."""
        shop.log("a", "b")
        settings = shop.pipeline.settings
        longest = settings.batch_seconds + settings.connect_seconds + settings.read_seconds
        shop.clock.advance(longest)
        assert shop.health.status == "ok"
        shop.clock.advance(1)

        assert shop.health.status == "waiting"
        assert shop.health.reason.startswith("2 rows wait, the oldest for 41 s, although no request has failed")

    def test_a_row_in_flight_counts_with_its_age(self, shop):
        """A request that hangs must not hide the row that it carries."""
        seen = []
        shop.destination.play(lambda rows: (seen.append(shop.health), Answer(status=204))[1])
        shop.log("a")
        shop.clock.advance(3)
        shop.step()

        assert [health.oldest_row_seconds for health in seen] == [3]

    def test_an_unexpected_error_is_a_failure_with_words(self, shop):
        """A bug of ours makes rows wait like an outage."""

        def bug(rows):
            raise RuntimeError("a bug")

        shop.destination.play(bug)
        shop.log("a")
        shop.step()

        assert shop.health.status == "waiting"
        assert "RuntimeError('a bug')" in shop.health.reason


class TestLosing:
    def test_dropped_rows_are_told_for_five_minutes(self):
        """Also when everything else is well again."""
        shop = Shop(queue_bytes=8_192, batch_bytes=4_096)
        shop.log("x" * 3_000, "x" * 3_000, "x" * 3_000)
        shop.clock.advance(12)

        assert shop.health.status == "losing"
        assert shop.health.reason == "1 row lost so far, the last 12 s ago (dropped: queue_full)"
        while shop.pipeline.stats().queued:
            shop.step()
        shop.clock.advance(LOSS_SECONDS - 12 - 0.1)
        assert shop.health.status == "losing"
        shop.clock.advance(0.2)

        assert shop.health.status == "ok"
        shop.pipeline.close(0)

    def test_rows_dropped_in_favour_of_newer_ones_are_lost(self):
        """`drop_old` counts them in another place."""
        shop = Shop(queue_bytes=8_192, batch_bytes=4_096, overflow="drop_old")
        shop.log("x" * 3_000, "x" * 3_000, "x" * 3_000)

        assert shop.health.reason == "1 row lost so far, the last 0 s ago (dropped: queue_full)"
        shop.pipeline.close(0)

    def test_rejected_rows_are_lost(self):
        """The service has refused them for good."""
        shop = Shop(POISON)
        shop.log("a")
        shop.step()

        assert shop.health.status == "losing"
        assert shop.health.reason == "1 row lost so far, the last 0 s ago (rejected by the service)"
        shop.pipeline.close(0)

    def test_losses_come_before_an_outage(self):
        """The first status that holds is told; the place tells of the outage."""
        shop = Shop(OUTAGE, queue_bytes=8_192, batch_bytes=4_096)
        shop.log("x" * 3_000, "x" * 3_000, "x" * 3_000)
        shop.step()

        assert (shop.health.status, shop.health.places[0].status) == ("losing", "failing")
        shop.pipeline.close(0)

    def test_rows_that_could_not_be_made_are_lost(self, shop):
        """Those that exhausted the stack are counted when they are asked for."""
        lifecycle_of(shop.pipeline).intake.uncounted[RecursionError("deep")] = None

        assert shop.health.reason == "1 row lost so far, the last 0 s ago (dropped: internal)"


class TestClosedAndOff:
    def test_a_closed_pipeline_is_closed_whatever_it_lost(self):
        """It takes no more rows."""
        shop = Shop()
        shop.log("a")
        shop.pipeline.close(0)

        assert (shop.health.status, shop.health.reason) == ("closed", "the pipeline was closed")

    def test_a_pipeline_that_is_switched_off_is_off_also_when_closed(self):
        """It has no place."""
        handler = AzureMonitorHandler(enabled=False)
        assert handler.health().status == "off"
        handler.close()

        assert handler.health() == Health(
            status="off", reason="sending is switched off, by enabled=False or LOGGING_AZMON_DISABLED"
        )


class TestSpool:
    def test_rows_of_a_dead_process_have_the_age_of_their_file(self, tmp_path):
        """They wait since it wrote them, not since they were found."""
        where = address()
        leave_in_spool(tmp_path, where[0], "a")
        clock = ManualClock()
        pipeline = Pipeline(
            where[0],
            "dcr-1",
            "Custom-App_CL",
            spool=tmp_path,
            columns={"Message": "message"},
            destination=FakeDestination(OUTAGE),
            background=False,
            clock=clock,
            report=quiet,
        )
        (begun,) = [begun_at(path.name) for path in tmp_path.iterdir() if is_segment(path.name)]
        lifecycle_of(pipeline).make_all_due()

        health = pipeline.health()

        assert health.oldest_row_seconds == pytest.approx(clock.time() - begun, abs=1)
        assert health.reason.startswith("rows wait, the oldest for ")
        pipeline.close(0)

    def test_rows_on_disk_have_an_age(self, tmp_path):
        """As those in memory."""
        shop = Shop(spool=tmp_path)
        shop.log("a")
        shop.clock.advance(7)

        assert shop.health.oldest_row_seconds == 7
        shop.pipeline.close(0)


class TestForm:
    def test_every_front_door_has_the_health_of_its_pipeline(self, shop):
        """As it has its counters."""
        processor = AzureMonitorProcessor(pipeline=shop.pipeline)

        assert shop.handler.health() == processor.health() == shop.pipeline.health()

    def test_it_is_frozen(self, shop):
        """A snapshot does not change."""
        with pytest.raises(FrozenInstanceError):
            shop.health.status = "ok"

    def test_it_can_be_sent_as_json(self, shop):
        """A probe's view returns it as it is."""
        assert orjson.loads(orjson.dumps(asdict(shop.health)))["places"][0]["stream"] == "Custom-App_CL"

    def test_the_statuses_are_documented_in_the_order_in_which_they_are_tried(self):
        """`help(Health)` is what an operator reads."""
        statuses = get_args(get_type_hints(Health)["status"])

        assert statuses == ("off", "closed", "losing", "waiting", "ok")
        assert [line.split('"')[1] for line in Health.__doc__.splitlines() if line.strip().startswith('- "')] == list(
            statuses
        )
        assert {field.name for field in fields(Health)} == {
            "status",
            "reason",
            "oldest_row_seconds",
            "last_delivery_seconds",
            "places",
        }

    def test_a_child_begins_anew(self):
        """The ages are those of its own rows."""
        pipeline = manual_pipeline(FakeDestination(), report=quiet)
        handler = AzureMonitorHandler(pipeline=pipeline)
        handler.handle(logging.makeLogRecord({"msg": "the parent's"}))
        lifecycle_of(pipeline).restart()

        assert pipeline.health().oldest_row_seconds is None
        handler.close()
        pipeline.close(0)
