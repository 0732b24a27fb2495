"""Log calls are taken as rows, and captures follow them."""

import logging
from types import SimpleNamespace

import pytest

from logging_azmon import Pipeline
from logging_azmon._pipeline import capture
from logging_azmon._pipeline.intake import Intake
from logging_azmon.pipeline import lifecycle_of
from support.pipelines import address

RECORD = logging.LogRecord("app", logging.ERROR, __file__, 1, "row", None, None)


@pytest.fixture
def pipeline():
    made = Pipeline(*address(), background=False, report=lambda _: None)
    yield made
    made.close(0)


@pytest.mark.parametrize(
    "take",
    [lambda intake: intake.accept(RECORD, None), lambda intake: intake.accept_event({"event": "row"}, "info", None)],
)
def test_a_row_that_fails_at_the_end_of_the_stack_is_counted_and_nothing_is_raised(pipeline, take):
    """Also where a subclass or another handler calls `emit` itself, and so stands between the row and its counter."""
    intake = lifecycle_of(pipeline).intake

    def too_deep(_):
        raise RecursionError

    intake.redirect(too_deep)
    take(intake)
    intake.redirect(None)

    assert pipeline.stats().dropped == {"internal": 1}


def test_an_intake_follows_captures_once_it_can_put_rows():
    """A capture that begins while another thread makes a pipeline finds it complete, or not yet."""
    intake = Intake(None, None, None)

    assert intake not in capture.followers.alive()


def test_a_capture_that_ends_while_a_pipeline_is_made_takes_no_rows():
    """Another thread ends it between the look at the captures and the redirection."""
    queue = SimpleNamespace(put=lambda _: True)

    class Late(Intake):
        def redirect(self, put):
            super().redirect(put)
            captures.clear()

    captures = capture._captures  # noqa: SLF001 - as another thread would end it
    captures.append(lambda _: True)
    intake = Late(None, None, None)
    intake.connect(queue, None, None, on_thread=lambda: None)

    assert intake._put is queue.put  # noqa: SLF001 - where rows go


def test_a_capture_that_fails_to_begin_leaves_nothing_behind(pipeline):
    """Rows would go to it for ever, uncounted."""

    class Broken:
        def redirect(self, put):
            if put is not None:
                raise ValueError("broken")

    capture.followers.add(broken := Broken())
    with pytest.raises(ValueError, match="broken"), capture.captured(lambda _: True):
        pass
    del broken
    lifecycle_of(pipeline).intake.accept(RECORD, None)

    assert capture.current() is None
    assert pipeline.stats().accepted == 1
