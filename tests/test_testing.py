"""The fakes that users' tests and our own rely on."""

import gc
import json
import logging
import logging.config
import threading
from queue import SimpleQueue

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock, capture
from support.pipelines import LIMIT_SECONDS, manual_pipeline, messages

ADDRESS = {"endpoint": "http://127.0.0.1:9", "rule_id": "dcr-1", "stream": "Custom-App"}


@pytest.fixture
def logger():
    """Return a logger that no other test uses, and restore it afterwards."""
    logger = logging.getLogger("test_testing")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.propagate = True
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def attach(logger, pipeline=None, **more):
    handler = AzureMonitorHandler(pipeline=pipeline) if pipeline else AzureMonitorHandler(**ADDRESS, **more)
    logger.addHandler(handler)
    return handler


def test_capture_gives_the_rows_in_order_as_they_would_be_sent(logger):
    """A row has the columns of the table, with values of their types."""
    attach(logger)

    with capture() as rows:
        logger.info("hello %s", "you", extra={"answer": 42})
        logger.error("second")

    assert messages(rows) == ["hello you", "second"]
    assert (rows[0]["Level"], rows[0]["Logger"], rows[0]["Properties"]) == ("INFO", "test_testing", {"answer": 42})
    assert rows[0]["TimeGenerated"].endswith("Z")


def test_a_captured_row_says_which_stream_it_is_of(logger):
    """An application with several streams can test which rows go where; rows are dicts all the same."""
    attach(logger)
    logger.addHandler(AzureMonitorHandler(**ADDRESS | {"stream": "Custom-Audit"}, columns={"Action": "message"}))

    with capture() as rows:
        logger.info("refund")
        late = AzureMonitorHandler(**ADDRESS | {"stream": "Custom-Late"})
        late.handle(logging.makeLogRecord({"msg": "late"}))

    assert [row.stream for row in rows] == ["Custom-App", "Custom-Audit", "Custom-Late"]
    assert rows.of("Custom-Audit") == [{"Action": "refund"}]
    assert messages(rows.of("Custom-App")) == ["refund"]
    assert rows.of("Custom-None") == []
    assert json.loads(json.dumps(rows)) == rows


def test_capture_sends_nothing_counts_nothing_and_starts_no_thread(logger):
    """A test leaves nothing in the application's pipeline."""
    handler = attach(logger)
    before, threads = handler.stats(), set(threading.enumerate())

    with capture():
        logger.info("hello")
        assert handler.flush()

    assert handler.stats() == before
    assert set(threading.enumerate()) == threads


def test_capture_collects_rows_of_pipelines_made_before_and_during_it(logger):
    """An application may set up its logging at any time."""
    attach(logger)

    with capture() as rows:
        attach(logger, columns={"Message": "message", "Second": {"value": True}})
        logger.info("hello")

    assert [row.get("Second") for row in rows] == [None, True]


def test_capture_collects_rows_logged_after_a_dict_config_inside_it(logger):
    """dictConfig closes the handlers and makes new ones."""
    handler = {"class": "logging_azmon.AzureMonitorHandler", **ADDRESS}
    loggers = {"test_testing": {"handlers": ["azure"], "level": "INFO", "propagate": False}}
    config = {"version": 1, "disable_existing_loggers": False, "handlers": {"azure": handler}, "loggers": loggers}
    logging.config.dictConfig(config)

    with capture() as rows:
        logger.info("first")
        logging.config.dictConfig(config)
        logger.info("second")

    assert messages(rows) == ["first", "second"]


def test_capture_collects_every_row_of_several_threads_once(logger):
    attach(logger)

    with capture() as rows:
        threads = [
            threading.Thread(target=lambda: [logger.info("%d", number) for number in range(200)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_SECONDS)

    assert sorted(messages(rows)) == sorted(str(number) for number in range(200) for _ in range(4))


def test_an_inner_capture_takes_its_rows_and_the_outer_one_the_others(logger):
    """A fixture may capture around a test that captures itself."""
    attach(logger)

    with capture() as outer:
        logger.info("before")
        with capture() as inner:
            logger.info("within")
        logger.info("after")

    assert (messages(outer), messages(inner)) == (["before", "after"], ["within"])


def test_capture_ends_when_its_block_raises(logger):
    """A failing test must not take the rows of the next one."""
    destination = FakeDestination()
    pipeline = manual_pipeline(destination)
    attach(logger, pipeline)

    captured = []

    def fail():
        with capture() as rows:
            captured.append(rows)
            logger.info("within")
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - any will do
        fail()
    logger.info("after")

    assert pipeline.flush()
    assert (messages(captured[0]), messages(destination.rows)) == (["within"], ["after"])


def test_rows_queued_before_a_capture_go_to_their_destination(logger):
    """A flush inside the block delivers them; the rows of the block are not sent."""
    destination = FakeDestination()
    pipeline = manual_pipeline(destination)
    attach(logger, pipeline)
    logger.info("before")

    with capture() as rows:
        logger.info("within")
        assert pipeline.flush()

    assert (messages(rows), messages(destination.rows)) == (["within"], ["before"])


def test_a_pipeline_made_inside_a_capture_sends_after_it(logger):
    """A pipeline made in a test's set-up may outlive the capture."""
    destination = FakeDestination()
    with capture():
        pipeline = manual_pipeline(destination)
        attach(logger, pipeline)
    logger.info("after")

    assert pipeline.flush()
    assert messages(destination.rows) == ["after"]


def test_capture_keeps_no_pipeline_alive():
    """A thousand tests make a thousand pipelines."""
    with capture():
        pipeline = manual_pipeline(FakeDestination())
        counted = len([item for item in gc.get_objects() if type(item) is Pipeline])
        pipeline.close()
        del pipeline
        gc.collect()

        assert len([item for item in gc.get_objects() if type(item) is Pipeline]) < counted


def test_a_fake_destination_stores_rows_and_batches(logger):
    with FakeDestination() as destination:
        pipeline = manual_pipeline(destination)
        attach(logger, pipeline)
        logger.info("one")
        logger.info("two")
        assert pipeline.flush()
        logger.info("three")
        assert pipeline.flush()

    assert messages(destination.rows) == ["one", "two", "three"]
    assert [messages(batch) for batch in destination.batches] == [["one", "two"], ["three"]]


def test_a_fake_destination_plays_its_script_and_then_accepts(logger):
    """Every attempt is a batch; rows are stored once."""
    with FakeDestination(Answer(status=503), Answer(failure=Failure.CONNECTION)) as destination:
        destination.play(Answer(status=429, retry_after="1"))
        pipeline = manual_pipeline(destination)
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
def test_a_fake_destination_stores_rows_only_for_a_204(answer, stored):
    """The service does the same."""
    destination = FakeDestination(answer)

    assert destination.send(b'{"Message":"hello"}\n') is answer
    assert len(destination.rows) == stored


def test_a_callable_in_the_script_sees_the_rows_and_answers_or_raises():
    """A user's own destination might do the same."""

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


def test_a_test_can_wait_for_rows_that_listeners_deliver_to_a_fake_destination(logger):
    with FakeDestination() as destination:
        pipeline = Pipeline(**ADDRESS, destination=destination, batch_seconds=0.01)
        attach(logger, pipeline)
        logger.info("hello")
        destination.wait_for(lambda seen: len(seen.rows) == 1)


def test_a_timed_out_wait_for_a_fake_destination_shows_what_it_received():
    """The numbers help more than a bare time-out."""
    destination = FakeDestination()
    destination.send(b'{"Message":"hello"}\n')

    with pytest.raises(AssertionError, match=r"still waiting after 0\.01 s; batches: 1, rows stored: 1"):
        destination.wait_for(lambda seen: len(seen.rows) == 2, seconds=0.01)


def send_after_close(destination):
    destination.close()
    destination.send(b'{"Message":"hello"}\n')


MISUSE = [
    (send_after_close, "a batch after close"),
    (lambda destination: destination.send(b""), "an empty batch"),
    (lambda destination: destination.send(b"{]\n"), "a line that is not a JSON object: b'{]'"),
    (lambda destination: destination.send(b'{"a":1}\n[2]\n'), "a line that is not a JSON object: b'[2]'"),
    (
        lambda destination: (destination.play(503), destination.send(b"{}\n")),
        "the script gave 503, which is not an Answer",
    ),
    (
        lambda destination: (destination.play(lambda rows: None), destination.send(b"{}\n")),
        "the script gave None, which is not an Answer",
    ),
]


every_misuse = pytest.mark.parametrize(
    ("misuse", "error"), MISUSE, ids=[error.partition(":")[0] for _, error in MISUSE]
)


@every_misuse
def test_misuse_of_a_fake_destination_is_raised_by_check(misuse, error):
    """It cannot be raised where it happens, on a delivering thread, which survives every error."""
    destination = FakeDestination()
    destination.check()
    misuse(destination)

    with pytest.raises(AssertionError) as caught:
        destination.check()

    assert str(caught.value) == error


@every_misuse
def test_misuse_of_a_fake_destination_is_raised_at_the_end_of_a_with(misuse, error):
    """A test therefore cannot forget to check."""
    with pytest.raises(AssertionError) as caught, FakeDestination() as destination:
        misuse(destination)

    assert str(caught.value) == error


@every_misuse
def test_misuse_of_a_fake_destination_does_not_hide_an_exception_of_the_block(misuse, error):
    """The first error is the important one."""

    def fail():
        with FakeDestination() as destination:
            misuse(destination)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


@every_misuse
def test_misuse_of_a_fake_destination_is_raised_by_wait_for(misuse, error):
    """Neither a time-out nor a success may hide the misuse."""
    destination = FakeDestination()
    misuse(destination)

    with pytest.raises(AssertionError) as caught:
        destination.wait_for(lambda seen: True)

    assert str(caught.value) == error


def test_a_fake_destination_closed_in_the_parent_takes_batches_in_a_forked_child():
    with FakeDestination() as destination:
        destination.close()
        destination.forget()
        destination.send(b'{"Message":"hello"}\n')


def test_a_manual_clock_stands_still_until_it_is_advanced():
    clock = ManualClock(now=5.0, wall=7.0)

    assert (clock.monotonic(), clock.time()) == (5.0, 7.0)
    clock.advance(2.5)

    assert (clock.monotonic(), clock.time()) == (7.5, 9.5)


def test_advancing_a_manual_clock_wakes_every_waiting_thread():
    """Each of the threads then reads the new time."""
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
        thread.join(LIMIT_SECONDS)

    assert [woken.get(timeout=LIMIT_SECONDS) for _ in threads] == [1_010.0] * 3


def test_a_token_ends_a_wait_for_a_manual_clock_and_time_stands_still():
    clock, tokens = ManualClock(), SimpleQueue()
    tokens.put(None)

    clock.wait(tokens, 10)

    assert clock.monotonic() == 1_000.0
    assert tokens.empty()


@pytest.mark.parametrize("jumps", [False, True])
@pytest.mark.parametrize("seconds", [0, -1])
def test_a_wait_of_zero_seconds_for_a_manual_clock_returns_at_once(seconds, jumps):
    """The machine's clock does the same."""
    clock = ManualClock(jumps=jumps)

    clock.wait(SimpleQueue(), seconds)

    assert clock.monotonic() == 1_000.0


def test_a_manual_clock_that_jumps_ends_a_wait_by_letting_its_time_pass():
    clock = ManualClock(jumps=True)

    clock.wait(SimpleQueue(), 10)

    assert clock.monotonic() == 1_010.0


def test_a_manual_clock_that_jumps_takes_a_token_if_there_is_one():
    clock, tokens = ManualClock(jumps=True), SimpleQueue()
    tokens.put(None)

    clock.wait(tokens, 10)

    assert clock.monotonic() == 1_000.0
    assert tokens.empty()


def test_a_flush_that_cannot_deliver_times_out_in_manual_time(logger):
    """A minute of retries takes no real time."""
    destination = FakeDestination(*[Answer(status=503)] * 1_000)
    pipeline = manual_pipeline(destination, report=lambda trouble: None)
    attach(logger, pipeline)
    logger.info("hello")

    assert not pipeline.flush(timeout=60)
    assert len(destination.batches) > 1


def test_a_flush_in_manual_time_ends_at_its_timeout_when_the_next_attempt_is_later(logger):
    """The flush neither waits for ever nor spins."""
    destination = FakeDestination(Answer(status=503, retry_after="200"))
    pipeline = manual_pipeline(destination, report=lambda trouble: None)
    attach(logger, pipeline)
    logger.info("hello")

    assert not pipeline.flush(timeout=60)
    assert len(destination.batches) == 1
    assert pipeline.flush(timeout=300)


def test_a_manual_clock_refuses_to_go_back():
    with pytest.raises(AssertionError, match="a clock cannot go back, here by 1 s"):
        ManualClock().advance(-1)


def test_a_test_that_forgets_to_advance_the_clock_fails_on_its_own_thread(monkeypatch):
    """A listener's wait does not fail, because waiting is its work."""
    monkeypatch.setattr("logging_azmon.testing._REAL_SECONDS", 0.01)
    clock, ended = ManualClock(), threading.Event()

    with pytest.raises(AssertionError, match="the clock was not advanced within"):
        clock.wait(SimpleQueue(), 10)

    thread = threading.Thread(target=lambda: (clock.wait(SimpleQueue(), 10), ended.set()))
    thread.start()
    thread.join(LIMIT_SECONDS)

    assert ended.is_set()


def test_a_timed_out_wait_for_waiters_says_how_many_there_are():
    """A listener that was expected to wait may have died."""
    with pytest.raises(AssertionError, match="only 0 of 2 threads wait for the clock"):
        ManualClock().wait_for_waiters(2, seconds=0.01)
