"""The rows of a table as Server-Sent Events."""

import json

from logging_azmon.local import Workspace
from logging_azmon.local.page import event_stream
from logging_azmon.local.page.event_stream import EventStreams
from support.local_client import call, connect, port_of, request_head, send, stream_declaration


def events(ws, table, count):
    """Read a tail's events until `count` rows have come."""
    port = port_of(ws)
    rows = []
    with connect(port) as connection:
        connection.sendall(request_head(port, path=f"/api/tail?table={table}", method="GET"))
        with connection.makefile("rb") as reader:
            yield "open"
            while len(rows) < count:
                line = reader.readline()
                assert line, "the tail has ended"
                if line.startswith(b"data: "):
                    rows.extend(json.loads(line[6:]))
    yield rows


def test_a_tail_sends_stored_rows_and_then_new_ones():
    with Workspace() as ws:
        send(ws, [{"Message": "old", "Properties": {"a": [1]}}])
        ws.rows("App_CL")
        tail = events(ws, "App_CL", 3)
        next(tail)
        send(ws, [{"Message": "new"}, {"Message": "newer"}])
        rows = next(tail)
    assert [row["Message"] for row in rows] == ["old", "new", "newer"]
    assert rows[0]["Properties"] == {"a": [1]}
    assert rows[0]["TimeGenerated"].endswith("Z")


def test_a_tail_begins_with_the_newest_thousand_rows():
    with Workspace() as ws:
        send(ws, [{"Sequence": n} for n in range(1_500)])
        ws.rows("App_CL")
        tail = events(ws, "App_CL", 1_000)
        next(tail)
        assert [row["Sequence"] for row in next(tail)] == list(range(500, 1_500))


def test_a_tail_of_an_unknown_table_is_answered_with_404(workspace):
    assert call(workspace, "GET", "/api/tail?table=Nope").status == 404


def test_tails_beyond_the_limit_are_refused():
    with Workspace() as ws:
        port = port_of(ws)
        connections = [connect(port) for _ in range(17)]
        starts = []
        for connection in connections:
            connection.sendall(request_head(port, path="/api/tail?table=App_CL", method="GET"))
            starts.append(connection.recv(12))
        assert starts == [b"HTTP/1.1 200"] * 16 + [b"HTTP/1.1 503"]
        for connection in connections:
            connection.close()


def test_a_tail_without_new_rows_sends_keep_alives(store):
    stream = EventStreams(store, keep_alive_seconds=0.01).open("App_CL").stream
    sent = (part for part in stream if part)
    assert [next(sent) for _ in range(3)] == [b": listening\n\n", b": still listening\n\n", b": still listening\n\n"]
    stream.close()


def test_a_tail_of_a_quiet_table_lets_the_server_look_for_its_client_between_keep_alives(store, monkeypatch):
    monkeypatch.setattr(event_stream, "LOOK_SECONDS", 0.01)
    stream = EventStreams(store, keep_alive_seconds=60).open("App_CL").stream
    assert [next(stream) for _ in range(3)] == [b": listening\n\n", b"", b""]
    stream.close()


def test_the_tails_of_clients_that_are_gone_make_room_for_new_ones():
    """A page that is reloaded again and again keeps its tail."""
    with Workspace() as ws:
        port = port_of(ws)
        for _ in range(20):
            with connect(port) as connection:
                connection.sendall(request_head(port, path="/api/tail?table=App_CL", method="GET"))
                assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_column_named_rowid_is_sent_and_hides_no_rows():
    columns = {"rowid": "string", "Message": "string"}
    rule = {
        "streamDeclarations": {"Custom-R": stream_declaration({"TimeGenerated": "datetime", **columns})},
        "dataFlows": [{"streams": ["Custom-R"], "outputStream": "Custom-R_CL"}],
    }
    with Workspace(rule) as ws:
        send(ws, [{"rowid": "x", "Message": "a"}, {"rowid": "y", "Message": "b"}], stream="Custom-R")
        ws.rows("R_CL")
        tail = events(ws, "R_CL", 3)
        next(tail)
        send(ws, [{"rowid": "z", "Message": "c"}], stream="Custom-R")
        assert [(row["rowid"], row["Message"]) for row in next(tail)] == [("x", "a"), ("y", "b"), ("z", "c")]
