"""The states of a pipeline: each transition of the table, and no others."""

# ruff: noqa: SLF001 - a forked child is imitated in this process

import itertools
import logging
import threading

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._pipeline.lifecycle import Lifecycle
from logging_azmon._process.may_wait import logging_lock
from logging_azmon._queue.pipeline_state import TRANSITIONS, PipelineState, State
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.pipelines import LIMIT_SECONDS, listeners

RECORD = logging.LogRecord("app", logging.ERROR, __file__, 1, "row", None, None)
WAITS = Answer(status=503)


@pytest.fixture
def destination():
    with FakeDestination() as made:
        yield made


def lifecycle(destination, **options) -> Lifecycle:
    pipeline = Pipeline(
        "https://dce.example.org", "dcr-1", "Custom-App", destination=destination, report=lambda _: None, **options
    )
    return lifecycle_of(pipeline)


def join_listeners(destination, rows: int) -> None:
    """Wait for the listeners, which end when a pipeline that was closed has nothing left to deliver."""
    destination.wait_for(lambda fake: len(fake.rows) == rows)
    while threads := listeners():
        for thread in threads:
            if thread.is_alive():  # or else it is about to start
                thread.join(LIMIT_SECONDS)


class TestTable:
    @pytest.mark.parametrize(("start", "to"), list(itertools.product(State, State)))
    def test_a_pipelines_state_makes_the_transitions_of_the_table_and_no_others(self, start, to):
        """A refused transition returns False and leaves the state unchanged."""
        held = PipelineState(start)

        assert held.move(to) is (to in TRANSITIONS[start])
        assert held.state is (to if to in TRANSITIONS[start] else start)

    def test_every_state_is_reached_from_open(self):
        reached = {State.OPEN}
        for _ in State:
            reached |= {to for start in reached for to in TRANSITIONS[start]}

        assert reached == set(State)

    @pytest.mark.parametrize("state", list(State))
    def test_a_forked_child_begins_open_or_closed(self, state):
        """Whatever a closing or draining pipeline waits for is its parent's."""
        held = PipelineState(state)
        held.restart()

        assert held.state is (State.OPEN if state in {State.OPEN, State.CLOSING} else State.CLOSED)
        assert repr(held) == f"<PipelineState {held.state.value}>"

    @pytest.mark.parametrize("state", list(State))
    def test_rows_are_accepted_only_while_open_or_closing(self, state):
        assert PipelineState(state).takes_rows is (state in {State.OPEN, State.CLOSING})

    def test_only_one_of_many_threads_makes_a_transition(self):
        """A pipeline is therefore closed only once."""
        held, lock, made = PipelineState(), threading.RLock(), []
        barrier = threading.Barrier(8)

        def race():
            barrier.wait(10)
            with lock:
                made.append(held.move(State.DRAINING))

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

        assert sorted(made) == [False] * 7 + [True]


class TestTransitions:
    def test_open_to_draining_to_closed_when_a_pipeline_is_closed(self, destination):
        """While `close` waits, no row is accepted; when it returns, every row is settled."""
        seen = []
        pipeline = lifecycle(destination, background=False)
        destination.play(lambda _: seen.append(pipeline.state) or Answer(status=204))
        pipeline.intake.accept(RECORD, None)
        assert pipeline.state is State.OPEN
        pipeline.close()

        assert (seen, pipeline.state) == ([State.DRAINING], State.CLOSED)

    def test_open_to_closing_when_a_pipeline_is_closed_inside_dict_config(self, destination):
        """Rows of threads that still use the old handler are accepted until logging's lock has been free."""
        pipeline = lifecycle(destination)
        pipeline.intake.accept(RECORD, None)
        with logging_lock():
            pipeline.close()
            assert pipeline.state is State.CLOSING
            pipeline.close()
            assert pipeline.state is State.CLOSING
            pipeline.intake.accept(RECORD, None)
        join_listeners(destination, rows=2)

        assert pipeline.state is State.CLOSED

    def test_open_to_draining_inside_dict_config_if_no_row_was_logged(self, destination):
        pipeline = lifecycle(destination)
        with logging_lock():
            pipeline.close()

        assert pipeline.state is State.CLOSED

    def test_closing_to_draining_when_a_pipeline_is_closed_outside_dict_config(self, destination):
        pipeline = lifecycle(destination)
        pipeline.intake.accept(RECORD, None)
        with logging_lock():
            pipeline.close()
        pipeline.close()
        destination.wait_for(lambda fake: fake.rows)

        assert pipeline.state in {State.DRAINING, State.CLOSED}

    def test_closing_to_open_in_a_forked_child(self, destination):
        """The listener that would have closed the pipeline is the parent's; the child's handler still uses it."""
        pipeline = lifecycle(destination, clock=ManualClock())
        pipeline.intake.accept(RECORD, None)
        with logging_lock():
            pipeline.close()
            assert pipeline.state is State.CLOSING
            parents = pipeline.listeners
            pipeline.restart()
            # In a real child this listener does not exist.
            parents._state = PipelineState(State.CLOSED)
            parents.finish()

            assert pipeline.state is State.OPEN

    def test_the_heir_of_a_parent_that_cannot_deliver_takes_over_its_rows(self, destination):
        """uWSGI's master: of its children, one takes the rows that were logged while the application was loaded."""
        pipeline = lifecycle(destination, background=False, clock=ManualClock(jumps=True))
        for _ in range(3):
            pipeline.intake.accept(RECORD, None)
        pipeline.restart(is_heir=True)
        assert pipeline.flush()

        assert (len(destination.rows), pipeline.stats().accepted) == (3, 3)

    def test_a_forked_child_does_not_count_its_parents_failed_rows(self, destination):
        """A RecursionError of the parent, which is counted at its next snapshot."""
        pipeline = lifecycle(destination, background=False)
        pipeline.intake.uncounted[RecursionError()] = None
        pipeline.restart()

        assert pipeline.stats().accepted == 0

    def test_draining_to_closed_in_a_forked_child(self, destination):
        """The parent delivers the waiting rows; a row of the child counts as logged after close."""
        states = []
        pipeline = lifecycle(destination, background=False, clock=ManualClock(jumps=True))

        def fork(_):
            pipeline.restart()
            states.append(pipeline.state)
            pipeline.intake.accept(RECORD, None)
            return Answer(status=204)

        destination.play(fork)
        pipeline.intake.accept(RECORD, None)
        pipeline.close()

        assert states == [State.CLOSED]
        assert pipeline.stats().dropped == {"after_close": 1}

    def test_draining_to_closed_by_the_last_listener_after_the_handler_was_garbage_collected(self, destination):
        """No thread waits for that: the listeners end when no row is left."""
        handler = AzureMonitorHandler(
            pipeline=Pipeline("https://dce.example.org", "dcr-1", "Custom-App", destination=destination)
        )
        pipeline = lifecycle_of(handler.pipeline)
        pipeline.attach(owner := type("Owner", (), {})(), is_maker=True)
        handler.close()
        pipeline.intake.accept(RECORD, None)
        del owner
        join_listeners(destination, rows=1)

        assert pipeline.state is State.CLOSED

    @pytest.mark.parametrize("ways", [2, 5])
    def test_closed_stays_closed_however_often_it_is_closed(self, destination, ways):
        pipeline = lifecycle(destination, background=False)
        for _ in range(ways):
            pipeline.close()

        assert pipeline.state is State.CLOSED

    def test_draining_to_closed_when_rows_could_not_be_delivered(self, destination):
        """The rows are counted as lost, so every row is settled."""
        destination.play(*[WAITS] * 100)
        pipeline = lifecycle(destination, background=False, clock=ManualClock(jumps=True))
        pipeline.intake.accept(RECORD, None)
        pipeline.close()

        assert (pipeline.state, pipeline.stats().dropped) == (State.CLOSED, {"closed": 1})


def test_the_repr_of_a_pipeline_shows_state_queue_and_listeners(destination):
    """A debugger thus shows what the pipeline is doing."""
    pipeline = Pipeline("https://dce.example.org", "dcr-1", "Custom-App", destination=destination, background=False)
    shown = repr(pipeline)
    pipeline.close()

    assert shown.startswith("<Pipeline Custom-App of dcr-1: <BatchQueue open ")
    assert repr(pipeline).startswith("<Pipeline Custom-App of dcr-1: <BatchQueue closed ")
