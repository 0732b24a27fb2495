"""Faults that apply to uploads."""

import threading

import pytest

from logging_azmon.errors import ConfigurationError
from logging_azmon.local import Workspace
from support.local_client import TIMEOUT, ask, call, send


def test_faults_apply_in_order_and_then_uploads_succeed():
    with Workspace(faults=["503*2", "429,retry-after=7"]) as ws:
        answers = [send(ws, [{}]) for _ in range(4)]
        assert [answer.status for answer in answers] == [503, 503, 429, 204]
        assert answers[2].headers["retry-after"] == "7"
        assert len(ws.rows("App_CL")) == 1


def test_a_reset_loses_the_rows_but_a_stored_reset_loses_only_the_answer():
    with Workspace() as ws:
        ws.fault("reset", "reset,stored")
        for expected in (0, 1):
            with pytest.raises(ConnectionError):
                send(ws, [{}])
            assert len(ws.rows("App_CL")) == expected
        assert send(ws, [{}]).status == 204


def test_a_latency_delays_the_answer_until_faults_are_cleared():
    with Workspace() as ws:
        ws.fault("latency=600")
        answered = threading.Event()
        thread = threading.Thread(target=lambda: send(ws, [{}]).status == 204 and answered.set(), daemon=True)
        thread.start()
        assert not answered.wait(0.2)
        ws.clear_faults()
        assert answered.wait(TIMEOUT)
        thread.join(TIMEOUT)


def test_an_outage_resets_every_upload_until_it_ends():
    with Workspace(faults=["outage=600"]) as ws:
        with pytest.raises(ConnectionError):
            send(ws, [{}])
        assert ask(ws, "print 1").status == 200
        assert call(ws, "GET", "/api/faults").json[0].startswith("outage=")
        assert call(ws, "DELETE", "/api/faults").json == []
        assert send(ws, [{}]).status == 204


def test_faults_can_be_controlled_over_http():
    with Workspace() as ws:
        assert call(ws, "POST", "/api/faults", ["503*2", "reset"]).json == ["503*2", "reset*1"]
        assert send(ws, [{}]).status == 503
        assert call(ws, "GET", "/api/faults").json == ["503*1", "reset*1"]
        assert call(ws, "PUT", "/api/faults").status == 405
        assert call(ws, "POST", "/api/faults", b"{").status == 400


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "x",
        "200",
        "499",
        "503*0",
        "503,stored",
        "reset,retry-after=5",
        "outage=5*2",
        "latency=4000",
        "latency=-1",
        5,
    ],
)
def test_a_malformed_fault_is_refused_with_the_accepted_forms(fault):
    with Workspace() as ws, pytest.raises(ValueError, match=r"is not a fault: write 503\*3"):
        ws.fault(fault)
    with pytest.raises(ConfigurationError, match="is not a fault"):
        Workspace(faults=[fault])
