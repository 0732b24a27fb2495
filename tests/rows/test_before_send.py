"""`before_send=` changes or drops rows, fails closed, and never comes into its own way."""

import logging

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Pipeline
from logging_azmon.errors import ConfigurationError
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock, capture
from support.delivering import a_rule, is_balanced
from support.rows import load, make_record

TABLE = {
    "TimeGenerated": "time",
    "Level": "level",
    "Message": "message",
    "Order": "order:long",
    "Host": "host",
    "Instance": "instance",
    "Sequence": "sequence",
    "Properties": "*",
}


class Hooked:
    """Log to a pipeline with a hook, and collect rows and reports."""

    def __init__(self, hook, columns=TABLE, **options):
        self.destination = FakeDestination()
        self.reports = []
        self.pipeline = Pipeline(
            **a_rule(),
            columns=columns,
            destination=self.destination,
            clock=ManualClock(jumps=True),
            background=False,
            before_send=hook,
            report=self.reports.append,
            **options,
        )
        self.logger = logging.Logger("app")
        self.logger.addHandler(AzureMonitorHandler(pipeline=self.pipeline))

    def rows(self, *messages, **extra):
        for message in messages:
            self.logger.warning(message, extra=extra)
        self.is_flushed = self.pipeline.flush()
        return [row for row in self.destination.rows if " dropped: " not in row["Message"]]

    @property
    def stats(self):
        stats = self.pipeline.stats()
        assert is_balanced(stats)
        return stats


class TestRows:
    def test_the_hook_gets_the_row_as_json_has_it(self):
        """Without instance and numbers, which are set later; the time is text."""
        seen = []
        (row,) = Hooked(lambda row: seen.append(dict(row)) or row).rows("hello", order=7, more=[1])
        assert seen[0].keys() == {"TimeGenerated", "Level", "Message", "Order", "Host", "Properties"}
        assert seen[0]["TimeGenerated"].endswith("Z")
        assert seen[0] == {key: row[key] for key in seen[0]}
        assert (row["Sequence"], len(row["Instance"])) == (0, 16)

    def test_the_hook_changes_adds_and_removes_columns(self):
        """What the table lacks goes to the column for the rest, as do values that do not fit."""

        def hook(row):
            del row["Level"]
            row |= {"Message": "changed", "Order": "not a number", "Region": {"a": (1,)}, "Host": None, 5: "five"}
            return row

        hooked = Hooked(hook)
        (row,) = hooked.rows("hello", more=1)
        assert row["Message"] == "changed"
        assert not row.keys() & {"Level", "Order", "Host"}
        assert row["Properties"] == {"more": 1, "Order": "not a number", "Region": {"a": [1]}, "5": "five"}
        assert hooked.stats.misfits == 1

    def test_a_rest_that_the_hook_replaced_takes_what_is_left(self):
        """Whatever it was replaced by."""
        (row,) = Hooked(lambda row: {**row, "Properties": None, "Region": "west"}).rows("hello", more=1)
        assert row["Properties"] == {"Region": "west"}
        (row,) = Hooked(lambda row: {**row, "Properties": [1]}).rows("hello", more=1)
        assert row["Properties"] == [1]

    def test_without_a_column_for_the_rest_added_columns_are_counted_as_misfits(self):
        """They have no place."""
        hooked = Hooked(lambda row: {**row, "Region": "west"}, columns={"Message": "message"})
        assert hooked.rows("hello") == [{"Message": "hello"}]
        assert hooked.stats.misfits == 1

    def test_the_hook_cannot_set_instance_and_sequence(self):
        """They tell copies and gaps."""
        (row,) = Hooked(lambda row: {**row, "Instance": "mine", "Sequence": 99}).rows("hello")
        assert (row["Sequence"], row["Instance"] == "mine") == (0, False)

    def test_a_row_that_became_too_long_is_shrunk(self):
        """As any other."""
        hooked = Hooked(lambda row: {**row, "Message": "x" * 60_000, "Properties": ["y" * 60_000]}, batch_bytes=50_000)
        (row,) = hooked.rows("hello")
        assert len(str(row)) < 50_000

    def test_rows_are_redacted_before(self):
        """The hook sees what would be sent."""
        seen = []
        hooked = Hooked(lambda row: seen.append(row["Message"]) or row, redact="secrets")
        hooked.rows("password=hunter2")
        assert seen == ["password=[redacted: secret]"]

    def test_fields_that_a_command_has_read_go_through_the_hook(self):
        """`logging-azmon send` reads them itself."""
        encoder = lifecycle_of(Hooked(lambda row: {**row, "Message": "changed"}).pipeline).encoder
        fields = encoder._draft.record_reader.read(make_record("hello"), None)  # noqa: SLF001 - as the command does
        assert load(encoder(fields))["Message"] == "changed"

    def test_captured_rows_have_been_through_the_hook(self):
        """A test sees what would be sent."""
        hooked = Hooked(lambda row: {**row, "Message": "changed"})
        with capture() as rows:
            hooked.logger.warning("hello")
        assert [row["Message"] for row in rows] == ["changed"]

    def test_events_go_through_the_hook(self):
        """The event that goes on is not changed."""
        with FakeDestination() as destination:
            processor = AzureMonitorProcessor(
                **a_rule(),
                destination=destination,
                background=False,
                before_send=lambda row: {**row, "Message": "changed"},
            )
            assert processor(None, "info", {"event": "hello"}) == {"event": "hello"}
            assert processor.flush()
            assert destination.rows[0]["Message"] == "changed"
            processor.close()


class TestDropped:
    def test_a_row_that_the_hook_drops_is_counted_and_leaves_no_gap(self):
        """It is no loss: the flush succeeds, and nothing is reported."""
        hooked = Hooked(lambda row: None if row["Message"] == "drop" else row)
        rows = hooked.rows("keep", "drop", "keep", "drop", "keep")
        assert [row["Sequence"] for row in rows] == [0, 1, 2]
        assert hooked.stats.dropped == {"filtered": 2}
        assert hooked.is_flushed
        assert hooked.reports == []
        assert len(hooked.destination.rows) == 3

    def test_dropped_rows_are_not_told_as_losses_during_an_outage(self):
        """The report says how many rows are lost."""
        hooked = Hooked(lambda row: None if row["Message"] == "drop" else row)
        hooked.destination.play(Answer(status=503))
        hooked.rows("keep", "drop")
        assert "1 row is waiting, next try" in str(hooked.reports[0])

    @pytest.mark.parametrize(
        ("hook", "said"),
        [
            (lambda row: 1 / 0, "before_send raised ZeroDivisionError"),
            (lambda row: row["Missing"], "before_send raised KeyError"),
            (lambda row: "text", "before_send returned str; it must return the row as a dict, or None"),
        ],
    )
    def test_a_hook_that_fails_drops_the_row_and_is_reported_without_its_content(self, hook, said):
        """A row that should perhaps have been masked must not be sent as it was."""
        hooked = Hooked(hook)
        assert hooked.rows("secret-content") == []
        assert hooked.stats.dropped == {"hook_failed": 1}
        assert f"1 row dropped: {said}" in [str(report) for report in hooked.reports]
        assert "secret-content" not in str(hooked.reports)

    def test_a_hook_that_recurses_for_ever_fails_like_any_other(self):
        """The log call returns."""

        def hook(row):
            return hook(row)

        hooked = Hooked(hook)
        assert hooked.rows("x") == []
        assert sum(hooked.stats.dropped.values()) == 1


class TestFeedback:
    def test_what_the_hook_logs_becomes_no_row(self):
        """Otherwise each row would make another."""
        hooked = Hooked(lambda row: hooked.logger.warning("from the hook") or row)
        assert [row["Message"] for row in hooked.rows("hello")] == ["hello"]
        assert hooked.stats.accepted == 1

    def test_the_librarys_own_rows_do_not_go_through_the_hook(self):
        """A loss is told even if the hook drops everything."""
        hooked = Hooked(lambda row: 1 / 0 if row["Message"] == "bad" else row)
        hooked.rows("bad", "good")
        hooked.rows("good")
        (notice,) = [row for row in hooked.destination.rows if "dropped: hook_failed" in row["Message"]]
        assert notice["Sequence"] >= 1

    def test_the_encoder_shows_its_hook(self):
        """As objects do whose state one debugs."""
        assert "HookedEncoder" in repr(lifecycle_of(Hooked(len).pipeline).encoder)


def test_a_hook_that_cannot_be_called_is_refused():
    """In dictConfig, a callable is written with ext://."""
    with pytest.raises(ConfigurationError, match=r"before_send='x' is not callable; give a callable, in dictConfig as"):
        Pipeline(**a_rule(), before_send="x")
