"""The threads that deliver, whose own log records make no rows."""

import gc
import logging
import sys
import threading

from logging_azmon._process import feedback


class TestDelivering:
    def test_a_delivering_thread_marks_only_itself_and_may_do_so_repeatedly(self):
        with feedback.delivering():
            with feedback.delivering():
                pass
            assert feedback.is_delivering()
            seen = []
            thread = threading.Thread(target=lambda: seen.append(feedback.is_delivering()))
            thread.start()
            thread.join(10)
        assert seen == [False]
        assert not feedback.is_delivering()

    def test_what_a_finalizer_logs_is_the_applications_whichever_thread_collects(self):
        """The garbage collector runs where memory is allocated, so it may run on a delivering thread."""

        class Cycle:
            def __init__(self):
                self.itself = self

            def __del__(self):
                seen.append(feedback.is_own(None))

        seen = []
        gc.collect()
        with feedback.delivering():
            Cycle()
            gc.collect()
            assert feedback.is_own(None)
        Cycle()
        gc.collect()
        assert seen == [False, False]
        assert feedback.collecting == set()

    def test_the_last_resort_of_logging_leaves_out_what_a_delivering_thread_logs(self, capsys, monkeypatch):
        """azure.identity logs a page of advice for each attempt; the report says it in a line."""
        logger = logging.Logger("nobody handles this")
        monkeypatch.setattr(logging.lastResort, "level", logging.WARNING)
        with feedback.delivering():
            logger.warning("visit https://aka.ms/azsdk")
        logger.warning("the application's own")

        assert capsys.readouterr().err == "the application's own\n"

    def test_an_application_without_a_last_resort_is_served_as_well(self, monkeypatch):
        monkeypatch.setattr(logging, "lastResort", None)
        monkeypatch.setattr(gc, "callbacks", [])
        with feedback.delivering():
            assert feedback.is_delivering()

    def test_a_forked_child_begins_without_delivering_threads(self):
        with feedback.delivering(), feedback.delivering():
            feedback.restart()
            assert not feedback.is_delivering()
        assert not feedback.is_delivering()

    def test_a_half_imported_opentelemetry_does_no_harm(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.utils", type(sys)("utils"))
        with feedback.delivering():
            assert feedback.is_delivering()
