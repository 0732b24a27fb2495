"""The fakes that users' tests and ours rely on."""

import gc
import logging
import logging.config
import threading
from queue import SimpleQueue

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock, capture

ADDRESS = {"endpoint": "http://127.0.0.1:9", "rule_id": "dcr-1", "stream": "Custom-App"}
LIMIT = 30


@pytest.fixture
def logger():
    """A logger of its own, left as it was found."""
    logger = logging.getLogger("test_testing")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.propagate = True
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def manual(destination, **more):
    """Make a pipeline that delivers in `flush`, on the test's thread, in time that jumps."""
    return Pipeline(
        **ADDRESS,
        destination=destination,
        clock=ManualClock(jumps=True),
        background=False,
        **{"columns": "lean"} | more,
    )


def attach(logger, pipeline=None, **more):
    handler = AzureMonitorHandler(pipeline=pipeline) if pipeline else AzureMonitorHandler(**ADDRESS, **more)
    logger.addHandler(handler)
    return handler


def messages(rows):
    return [row["Message"] for row in rows]


class TestCapture:
    def test_gives_the_rows_in_order(self, logger):
        """As they would be sent: columns of the table, values of its types."""
        attach(logger)

        with capture() as rows:
            logger.info("hello %s", "you", extra={"answer": 42})
            logger.error("second")

        assert messages(rows) == ["hello you", "second"]
        assert (rows[0]["Level"], rows[0]["Logger"], rows[0]["Properties"]) == ("INFO", "test_testing", {"answer": 42})
        assert rows[0]["TimeGenerated"].endswith("Z")

    def test_sends_nothing_counts_nothing_and_starts_no_thread(self, logger):
        """An application's test leaves no trace in its pipeline."""
        handler = attach(logger)
        before, threads = handler.stats(), set(threading.enumerate())

        with capture():
            logger.info("hello")
            assert handler.flush()

        assert handler.stats() == before
        assert set(threading.enumerate()) == threads

    def test_has_the_rows_of_pipelines_made_before_and_meanwhile(self, logger):
        """An application may set up its logging in its own time."""
        attach(logger)

        with capture() as rows:
            attach(logger, columns={"Message": "message", "Second": {"value": True}})
            logger.info("hello")

        assert [row.get("Second") for row in rows] == [None, True]

    def test_has_the_rows_logged_after_a_dict_config(self, logger):
        """Which closes the handlers there were and makes others."""
        handler = {"class": "logging_azmon.AzureMonitorHandler", **ADDRESS}
        loggers = {"test_testing": {"handlers": ["azure"], "level": "INFO", "propagate": False}}
        config = {"version": 1, "disable_existing_loggers": False, "handlers": {"azure": handler}, "loggers": loggers}
        logging.config.dictConfig(config)

        with capture() as rows:
            logger.info("first")
            logging.config.dictConfig(config)
            logger.info("second")

        assert messages(rows) == ["first", "second"]

    def test_has_the_rows_of_several_threads(self, logger):
        """None is lost, none is torn."""
        attach(logger)

        with capture() as rows:
            threads = [
                threading.Thread(target=lambda: [logger.info("%d", number) for number in range(200)]) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LIMIT)

        assert sorted(messages(rows)) == sorted(str(number) for number in range(200) for _ in range(4))

    def test_inner_capture_has_the_rows_and_gives_them_back(self, logger):
        """A fixture may capture around a test that does so itself."""
        attach(logger)

        with capture() as outer:
            logger.info("before")
            with capture() as inner:
                logger.info("within")
            logger.info("after")

        assert (messages(outer), messages(inner)) == (["before", "after"], ["within"])

    def test_ends_when_the_block_raises(self, logger):
        """A failing test must not take the rows of the next."""
        destination = FakeDestination()
        pipeline = manual(destination)
        attach(logger, pipeline)

        captured = []

        def fail():
            with capture() as rows:
                captured.append(rows)
                logger.info("within")
                raise OSError

        with pytest.raises(OSError):  # noqa: PT011 - whatever it is
            fail()
        logger.info("after")

        assert pipeline.flush()
        assert (messages(captured[0]), messages(destination.rows)) == (["within"], ["after"])

    def test_leaves_what_waited_before_to_its_destination(self, logger):
        """A flush within delivers it, and the rows of the block stay out."""
        destination = FakeDestination()
        pipeline = manual(destination)
        attach(logger, pipeline)
        logger.info("before")

        with capture() as rows:
            logger.info("within")
            assert pipeline.flush()

        assert (messages(rows), messages(destination.rows)) == (["within"], ["before"])

    def test_pipelines_made_within_send_afterwards(self, logger):
        """The set-up of a test may outlive its first block."""
        destination = FakeDestination()
        with capture():
            pipeline = manual(destination)
            attach(logger, pipeline)
        logger.info("after")

        assert pipeline.flush()
        assert messages(destination.rows) == ["after"]

    def test_keeps_no_pipeline_alive(self):
        """A thousand tests make a thousand of them."""
        with capture():
            pipeline = manual(FakeDestination())
            counted = len([item for item in gc.get_objects() if type(item) is Pipeline])
            pipeline.close()
            del pipeline
            gc.collect()

            assert len([item for item in gc.get_objects() if type(item) is Pipeline]) < counted


class TestFakeDestination:
    def test_stores_what_it_is_sent(self, logger):
        """Row by row, and batch by batch."""
        with FakeDestination() as destination:
            pipeline = manual(destination)
            attach(logger, pipeline)
            logger.info("one")
            logger.info("two")
            assert pipeline.flush()
            logger.info("three")
            assert pipeline.flush()

        assert messages(destination.rows) == ["one", "two", "three"]
        assert [messages(batch) for batch in destination.batches] == [["one", "two"], ["three"]]

    def test_plays_its_script_and_then_accepts(self, logger):
        """Every try is a batch; rows are stored once."""
        with FakeDestination(Answer(status=503), Answer(failure=Failure.CONNECTION)) as destination:
            destination.play(Answer(status=429, retry_after="1"))
            pipeline = manual(destination)
            attach(logger, pipeline)
            logger.info("hello")
            assert pipeline.flush(timeout=600)

        assert messages(destination.rows) == ["hello"]
        assert len(destination.batches) == 4

    @pytest.mark.parametrize(
        ("answer", "stored"),
        [
            (Answer(status=204), 1),
            (Answer(status=204, message="with words"), 1),
            (Answer(status=200), 0),
            (Answer(status=503), 0),
            (Answer(failure=Failure.CONNECTION), 0),
            (Answer(status=204, failure=Failure.UNREADABLE), 0),
        ],
    )
    def test_stores_rows_for_a_204_alone(self, answer, stored):
        """As the service does."""
        destination = FakeDestination(answer)

        assert destination.send(b'{"Message":"hello"}\n') is answer
        assert len(destination.rows) == stored

    def test_a_callable_sees_the_rows_and_answers(self):
        """Or raises, as a destination of one's own might."""

        def refuse(rows):
            return Answer(status=400 if rows[0]["Message"] == "poison" else 204)

        def fail(rows):
            raise OSError("no")

        destination = FakeDestination(refuse, refuse, fail)

        assert destination.send(b'{"Message":"poison"}\n') == Answer(status=400)
        assert destination.send(b'{"Message":"hello"}\n') == Answer(status=204)
        with pytest.raises(OSError, match="no"):
            destination.send(b'{"Message":"hello"}\n')
        assert messages(destination.rows) == ["hello"]

    def test_can_be_waited_for(self, logger):
        """From the test's thread, while listeners deliver."""
        with FakeDestination() as destination:
            pipeline = Pipeline(**ADDRESS, destination=destination, batch_seconds=0.01)
            attach(logger, pipeline)
            logger.info("hello")
            destination.wait_for(lambda seen: len(seen.rows) == 1)

    def test_says_what_it_has_seen_when_waiting_was_in_vain(self):
        """A number helps more than a time-out."""
        destination = FakeDestination()
        destination.send(b'{"Message":"hello"}\n')

        with pytest.raises(AssertionError, match=r"still waiting after 0\.01 s; 1 batches, 1 rows stored"):
            destination.wait_for(lambda seen: len(seen.rows) == 2, seconds=0.01)


def send_after_close(destination):
    destination.close()
    destination.send(b'{"Message":"hello"}\n')


MISUSE = [
    (send_after_close, "a batch after close"),
    (lambda destination: destination.send(b""), "an empty batch"),
    (lambda destination: destination.send(b"{]\n"), "a line that is no JSON object: b'{]'"),
    (lambda destination: destination.send(b'{"a":1}\n[2]\n'), "a line that is no JSON object: b'[2]'"),
    (lambda destination: (destination.play(503), destination.send(b"{}\n")), "the script gave 503, which is no Answer"),
    (
        lambda destination: (destination.play(lambda rows: None), destination.send(b"{}\n")),
        "the script gave None, which is no Answer",
    ),
]


@pytest.mark.parametrize(("misuse", "said"), MISUSE, ids=[said.partition(":")[0] for _, said in MISUSE])
class TestMisuse:
    def test_is_raised_by_check(self, misuse, said):
        """And not where it happened: that is a delivering thread, which survives everything."""
        destination = FakeDestination()
        destination.check()
        misuse(destination)

        with pytest.raises(AssertionError) as caught:
            destination.check()
        assert str(caught.value) == said

    def test_is_raised_at_the_end_of_a_with(self, misuse, said):
        """So that nobody forgets to look."""
        with pytest.raises(AssertionError) as caught, FakeDestination() as destination:
            misuse(destination)
        assert str(caught.value) == said

    def test_does_not_hide_what_the_block_raised(self, misuse, said):
        """The first error is the one to read."""

        def fail():
            with FakeDestination() as destination:
                misuse(destination)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

    def test_is_raised_by_wait_for(self, misuse, said):
        """Rather than a time-out that hides the reason, or a success that hides it even better."""
        destination = FakeDestination()
        misuse(destination)

        with pytest.raises(AssertionError) as caught:
            destination.wait_for(lambda seen: True)
        assert str(caught.value) == said


def test_a_forked_child_may_send_again():
    """What its parent closed is the parent's."""
    with FakeDestination() as destination:
        destination.close()
        destination.forget()
        destination.send(b'{"Message":"hello"}\n')


class TestManualClock:
    def test_stands_still(self):
        """Until somebody says otherwise."""
        clock = ManualClock(now=5.0, wall=7.0)

        assert (clock.monotonic(), clock.time()) == (5.0, 7.0)
        clock.advance(2.5)
        assert (clock.monotonic(), clock.time()) == (7.5, 9.5)

    def test_wakes_those_who_wait(self):
        """All of them, so that each can look at the time."""
        clock = ManualClock()
        woken = SimpleQueue()

        def wait():
            clock.wait(SimpleQueue(), 10)
            woken.put(clock.monotonic())

        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        clock.wait_for_waiters(3)
        clock.advance(10)
        for thread in threads:
            thread.join(LIMIT)

        assert [woken.get(timeout=LIMIT) for _ in threads] == [1_010.0] * 3

    def test_a_token_ends_a_wait(self):
        """Time does not move for that."""
        clock, tokens = ManualClock(), SimpleQueue()
        tokens.put(None)

        clock.wait(tokens, 10)

        assert clock.monotonic() == 1_000.0
        assert tokens.empty()

    @pytest.mark.parametrize("jumps", [False, True])
    @pytest.mark.parametrize("seconds", [0, -1])
    def test_no_time_is_no_wait(self, seconds, jumps):
        """As with the machine's clock."""
        clock = ManualClock(jumps=jumps)

        clock.wait(SimpleQueue(), seconds)

        assert clock.monotonic() == 1_000.0

    def test_jumps_ahead_if_asked_to(self):
        """The wait is over at once, and so long has passed."""
        clock = ManualClock(jumps=True)

        clock.wait(SimpleQueue(), 10)

        assert clock.monotonic() == 1_010.0

    def test_does_not_jump_where_a_token_waits(self):
        """There is nothing to wait for."""
        clock, tokens = ManualClock(jumps=True), SimpleQueue()
        tokens.put(None)

        clock.wait(tokens, 10)

        assert clock.monotonic() == 1_000.0
        assert tokens.empty()

    def test_a_flush_in_vain_ends_in_manual_time(self, logger):
        """A minute of retries takes none."""
        destination = FakeDestination(*[Answer(status=503)] * 1_000)
        pipeline = manual(destination, report=lambda trouble: None)
        attach(logger, pipeline)
        logger.info("hello")

        assert not pipeline.flush(timeout=60)
        assert len(destination.batches) > 1

    def test_a_flush_ends_where_the_next_try_is_too_late(self, logger):
        """It waits for its time-out, and neither for ever nor in a busy loop."""
        destination = FakeDestination(Answer(status=503, retry_after="200"))
        pipeline = manual(destination, report=lambda trouble: None)
        attach(logger, pipeline)
        logger.info("hello")

        assert not pipeline.flush(timeout=60)
        assert len(destination.batches) == 1
        assert pipeline.flush(timeout=300)

    def test_time_does_not_go_back(self):
        """Monotonic means what it says."""
        with pytest.raises(AssertionError, match="time does not go back, not even by 1 s"):
            ManualClock().advance(-1)

    def test_a_test_that_forgets_to_advance_is_told(self, monkeypatch):
        """On its own thread; a listener has nothing better to do than wait."""
        monkeypatch.setattr("logging_azmon.testing._REAL_SECONDS", 0.01)
        clock, ended = ManualClock(), threading.Event()

        with pytest.raises(AssertionError, match="nobody has advanced the clock for"):
            clock.wait(SimpleQueue(), 10)

        thread = threading.Thread(target=lambda: (clock.wait(SimpleQueue(), 10), ended.set()))
        thread.start()
        thread.join(LIMIT)
        assert ended.is_set()

    def test_says_how_many_wait_when_there_should_be_more(self):
        """A listener that has died, say."""
        with pytest.raises(AssertionError, match="only 0 of 2 threads wait for the clock"):
            ManualClock().wait_for_waiters(2, seconds=0.01)
