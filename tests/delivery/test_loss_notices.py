"""Dropped rows are reported in rows of the library's own, so that a query finds the gap."""

from logging_azmon.testing import Answer
from support.delivering import Bench, messages

AWAY = Answer(status=503, code="ServiceUnavailable", message="away")


class TestLossNotices:
    def test_losses_of_an_outage_arrive_as_a_row_after_it(self):
        bench = Bench(Answer(status=503, retry_after="205"), batch_bytes=4_096, queue_bytes=8_192)
        bench.put(*range(80), size=100)
        bench.step()
        dropped = bench.put(*range(1_235), size=100).count(False)
        bench.clock.advance(205)
        dropped += bench.put("the last", size=100).count(False)
        bench.run()
        (notice,) = [row for row in bench.destination.rows if "dropped" in row["Message"]]
        first, last = "08:00:00", "08:03:25"
        assert notice["Message"] == f"{dropped:,} rows dropped: queue_full, {first} to {last} UTC"
        assert notice["Level"] == "WARNING"
        assert bench.reported("lost") == [notice["Message"]]
        assert bench.troubles[-1].reason == "queue_full"
        assert bench.troubles[-1].rows == dropped
        assert bench.stats.delivered == len(bench.destination.rows)

    def test_losses_of_each_reason_arrive_as_one_row(self):
        bench = Bench()
        bench.ledger.drop("queue_full", 2, 0.0, accepted=2)
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.put_batch("a")
        bench.run()
        assert messages(bench.destination.rows) == [
            "a",
            "2 rows dropped: queue_full, 00:00:00 to 00:00:00 UTC",
            "1 row dropped: internal, 00:00:00 to 00:00:00 UTC",
        ]

    def test_losses_are_reported_at_most_once_in_batch_seconds(self):
        bench = Bench(batch_seconds=5.0)
        for _ in range(20):
            bench.ledger.drop("queue_full", 1, 0.0, accepted=1)
            bench.put_batch("a")
            bench.run()
            bench.clock.advance(1.0)
        bench.clock.advance(5.0)
        bench.put_batch("a")
        bench.run()
        notices = [row for row in bench.destination.rows if row["Message"] != "a"]
        assert 4 <= len(notices) <= 6
        assert sum(int(row["Message"].split()[0]) for row in notices) == 20

    def test_losses_whose_notice_finds_no_room_are_reported_later(self):
        bench = Bench(batch_bytes=4_096, queue_bytes=8_192)
        bench.ledger.drop("queue_full", 5, 10.0, accepted=5)
        dropped = bench.put(*["x"] * 100, size=100).count(False)
        assert dropped
        bench.notices.put()
        bench.ledger.drop("queue_full", 2, 20.0, accepted=2)
        bench.run()
        bench.clock.advance(5.0)
        bench.put_batch("a")
        bench.run()
        notices = [message for message in messages(bench.destination.rows) if "dropped" in message]
        assert notices == [f"{5 + dropped + 2} rows dropped: queue_full, 00:00:10 to 00:00:20 UTC"]

    def test_losses_are_not_reported_while_notices_are_disabled(self):
        bench = Bench()
        bench.notices.is_enabled = False
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.put_batch("a")
        bench.run()
        assert messages(bench.destination.rows) == ["a"]
        assert bench.ledger.has_unreported

    def test_loss_of_a_notice_causes_no_other_notice(self):
        bench = Bench(batch_bytes=4_096, queue_bytes=8_192, overflow="drop_old", give_up_seconds=10.0)
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.notices.put()
        bench.destination.play(*[AWAY] * 50)
        bench.run()
        assert bench.stats.dropped == {"internal": 1, "gave_up": 1}
        assert not bench.ledger.has_unreported
        bench.destination.clear()
        bench.clock.advance(100)
        bench.put_batch("a")
        bench.run()
        assert messages(bench.destination.rows) == ["a"]
