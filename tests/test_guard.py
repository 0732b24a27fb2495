"""Which threads deliver, so that what they log makes no row."""

import sys
import threading

from logging_azmon import guard


class TestGuard:
    def test_marks_are_of_a_thread_and_may_be_nested(self):
        with guard.delivering():
            with guard.delivering():
                pass
            assert guard.is_delivering()
            seen = []
            thread = threading.Thread(target=lambda: seen.append(guard.is_delivering()))
            thread.start()
            thread.join(10)
        assert seen == [False]
        assert not guard.is_delivering()

    def test_a_forked_child_begins_without_marks(self):
        with guard.delivering(), guard.delivering():
            guard.renew()
            assert not guard.is_delivering()
        assert not guard.is_delivering()

    def test_opentelemetry_may_be_half_imported(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.utils", type(sys)("utils"))
        with guard.delivering():
            assert guard.is_delivering()
