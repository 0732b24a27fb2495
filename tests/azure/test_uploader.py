"""The wire and the SDK: the body, address, token and proxy of an upload."""

# ruff: noqa: SLF001 - the SDK is replaced at its border

import gzip
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import orjson
import pytest
from urllib3.util import connection

from logging_azmon import AzureMonitorHandler
from logging_azmon._azure.redaction import without_secrets
from logging_azmon._azure.uploader import Uploader
from logging_azmon._config.service_limits import MAX_BODY_BYTES
from logging_azmon._delivery.answer import Failure
from logging_azmon.pipeline import lifecycle_of
from support.credentials import Forbidden
from support.delivering import AZURE, Bench, closing, line, messages, settings_of
from support.endpoint import Endpoint, status


def uploader_of(server, **arguments):
    return Uploader(settings_of(**({"endpoint": server.url} | arguments)))


class TestWire:
    def test_lines_become_a_json_array(self, server):
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(b'{"A":1}\n{"B":"\\n,\xc3\xa9"}\n').status == 204
            assert uploader.send(bytearray(b'{"A":1}\n')).status == 204
        assert [request.body for request in server.requests] == [b'[{"A":1},{"B":"\\n,\xc3\xa9"}]', b'[{"A":1}]']

    def test_request_names_the_rule_the_stream_and_the_library(self, server):
        uploader = uploader_of(server, rule_id="dcr-77", stream="Custom-X.y_CL")
        with closing(uploader):
            uploader.send(line("a"))
        (request,) = server.requests
        assert request.path == "/dataCollectionRules/dcr-77/streams/Custom-X.y_CL"
        assert request.query == {"api-version": "2023-01-01"}
        assert "logging-azmon/" in request.headers["user-agent"]
        assert request.headers["x-ms-client-request-id"]

    @pytest.mark.parametrize("batch_bytes", [1_000_000, 50 * 1024 * 1024])
    def test_body_on_the_wire_never_exceeds_the_limit_of_the_service(self, server, batch_bytes):
        """Rows that cannot be compressed are split before a request is made."""
        bench = Bench(endpoint=server.url, destination=Uploader, batch_bytes=batch_bytes, queue_bytes=200 * 1024 * 1024)
        noise = [os.urandom(30_000).hex() for _ in range(100)]
        with closing(bench.destination):
            bench.put(*noise)
            bench.run()
        assert messages(server.rows) == noise
        assert all(len(request.raw) <= MAX_BODY_BYTES for request in server.requests)
        assert all(len(request.body) <= batch_bytes for request in server.requests)
        assert bench.stats.requests == len(server.requests)
        assert bench.stats.rejected == 0

    def test_single_row_that_is_too_large_for_the_wire_is_shrunk_until_it_fits(self, server):
        bench = Bench(
            endpoint=server.url, destination=Uploader, batch_bytes=50 * 1024 * 1024, queue_bytes=200 * 1024 * 1024
        )
        row = {"Message": "big"} | {f"C{n}": os.urandom(30_000).hex() for n in range(100)}
        with closing(bench.destination):
            bench.put_batch(orjson.dumps(row) + b"\n")
            bench.run()
        assert messages(server.rows) == ["big"]

    def test_zlib_compresses_if_isal_is_missing(self, server, monkeypatch):
        monkeypatch.setitem(sys.modules, "isal", None)
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(line("a" * 10_000)).status == 204
        assert gzip.decompress(server.requests[0].raw) == b"[%b]" % line("a" * 10_000)[:-1]
        assert len(server.requests[0].raw) < 1_000

    def test_a_lack_of_memory_is_not_told_as_the_services_answer(self, server, monkeypatch):
        """The advice to check the proxy would mislead. The rows are tried again, as after any unexpected error."""
        monkeypatch.setattr("logging_azmon._azure.uploader._array", Mock(side_effect=[MemoryError, bytearray(b"[]")]))
        bench = Bench(endpoint=server.url, destination=Uploader)
        with closing(bench.destination):
            bench.put_batch("a")
            bench.run()
        assert "unexpected MemoryError() while delivering; the rows are tried again" in bench.reported("internal")[0]
        assert bench.stats.delivered == 1

    def test_a_local_client_imports_no_credential_for_later_ones(self, server, monkeypatch):
        """The first client that needs one is still built under the lock that a fork waits for."""
        monkeypatch.setattr("logging_azmon._azure.uploader._imported", imported := set())
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(line("a")).status == 204
        assert imported == {"local"}

    def test_no_lines_become_an_empty_array(self, server):
        """The `check` command sends none."""
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(b"").status == 204
        assert gzip.decompress(server.requests[0].raw) == b"[]"

    def test_one_connection_serves_many_batches(self, server):
        uploader = uploader_of(server)
        with closing(uploader):
            for number in range(20):
                uploader.send(line(number))
        assert server.connections == 1

    def test_threads_share_one_client_without_a_warning(self, server, caplog):
        uploader = uploader_of(server, uploads=8)
        start = threading.Barrier(8)

        def send():
            start.wait(10)
            for number in range(5):
                assert uploader.send(line(number)).status == 204

        threads = [threading.Thread(target=send) for _ in range(8)]
        with closing(uploader), caplog.at_level(logging.WARNING):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        assert len(server.rows) == 40
        assert server.connections <= 8
        assert caplog.records == []

    def test_upload_after_close_opens_a_new_connection(self, server):
        uploader = uploader_of(server)
        uploader.close()
        uploader.send(line("a"))
        uploader.close()
        uploader.close()
        with closing(uploader):
            assert uploader.send(line("b")).status == 204
        assert server.connections == 2

    def test_forked_child_leaves_the_connections_of_its_parent_alone(self, server):
        uploader = uploader_of(server)
        uploader.send(line("a"))
        parents = uploader._connection
        uploader.forget()
        with closing(uploader, parents):
            uploader.send(line("b"))
            assert parents.client is not uploader._connection.client

    @pytest.mark.parametrize(
        ("seconds", "connect", "read"),
        [(None, 5, 30), (3.0, 3.0, 3.0), (8.0, 5, 8.0), (100.0, 5, 30), (0.0, 0.01, 0.01)],
    )
    def test_timeouts_are_passed_on_and_shortened_by_the_time_limit(self, server, seconds, connect, read):
        uploader, seen = uploader_of(server), {}

        class Client:
            def upload(self, *args, **options):
                seen.update(options)

            def close(self):
                pass

        with closing(uploader):
            uploader._connected().client.close()
            uploader._connection.client = Client()
            uploader.send(line("a"), seconds=seconds)
        assert (seen["connection_timeout"], seen["read_timeout"]) == (connect, read)


class TestLoopback:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_loopback_endpoint_gets_a_dummy_token_without_a_credential(self, server, host):
        credential = Forbidden()
        uploader = uploader_of(server, endpoint=server.url.replace("127.0.0.1", host), credential=credential)
        with closing(uploader):
            assert uploader.send(line("a")).status == 204
        assert not credential.asked
        assert server.requests[0].headers["authorization"] == "Bearer local"

    def test_loopback_endpoint_is_reached_without_a_proxy(self, server, monkeypatch):
        with Endpoint() as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            uploader = uploader_of(server)
            with closing(uploader):
                assert uploader.send(line("a")).status == 204
            assert proxy.connections == 0


class TestProxies:
    """Uploads over HTTPS with a fake credential: the proxy sees only the CONNECT request."""

    class Token:
        def get_token(self, *scopes, **options):
            from azure.core.credentials import AccessToken

            self.scopes = scopes
            return AccessToken("secret-token", 4_000_000_000)

    def send(self, **arguments):
        uploader = Uploader(settings_of(credential=self.Token(), **arguments))
        with closing(uploader):
            return uploader.send(line("a"))

    def test_proxy_of_the_environment_is_used(self, server, monkeypatch):
        server.default = status(502)
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        answer = self.send()
        assert answer.failure is Failure.CONNECTION
        assert [request.method for request in server.requests] == ["CONNECT"]

    def test_proxy_of_the_handler_comes_before_all_that_the_environment_says(self, server, monkeypatch):
        """One sender may need another proxy than the rest of the process."""
        server.default = status(502)
        with Endpoint() as other:
            monkeypatch.setenv("HTTPS_PROXY", other.url)
            monkeypatch.setenv("NO_PROXY", "*")
            answer = self.send(proxy=server.url)
            assert other.connections == 0
        assert answer.failure is Failure.CONNECTION
        assert [request.method for request in server.requests] == ["CONNECT"]

    def test_password_of_the_handlers_proxy_is_sent_and_never_shown(self, server):
        server.default = status(407)
        answer = self.send(proxy=server.url.replace("//", "//user:hunter2@"))
        assert answer.status == 407
        assert "hunter2" not in repr(answer)
        assert without_secrets("the host hunter2 is not known") == "the host (not shown) is not known"
        assert server.requests[0].headers["proxy-authorization"].startswith("Basic ")

    def test_local_endpoint_is_reached_directly_although_the_handler_has_a_proxy(self, server):
        """One variable for a fleet must not break a developer's machine."""
        with Endpoint() as proxy:
            uploader = uploader_of(server, proxy=proxy.url)
            with closing(uploader):
                assert uploader.send(line("a")).status == 204
            assert proxy.connections == 0

    def test_proxy_that_requires_a_login_is_a_407_without_the_password(self, server, monkeypatch):
        server.default = status(407)
        monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//user:hunter2@"))
        answer = self.send()
        assert answer.status == 407
        assert "hunter2" not in repr(answer)

    def test_no_proxy_variable_is_heeded(self, server, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        answer = self.send(endpoint="https://127.0.0.1:9", connect_seconds=1.0)
        assert answer.failure is Failure.CONNECTION
        assert server.connections == 0


def test_uploads_import_nothing_once_the_client_is_built():
    """A fork waits only while the client is built: a child forked during a later import could never finish it."""
    source = """
import sys
from support.endpoint import Endpoint, status
from logging_azmon._config.settings import read
from logging_azmon._azure.uploader import Uploader
with Endpoint(status(400)) as endpoint:
    uploader = Uploader(read({"endpoint": endpoint.url, "rule_id": "dcr-1", "stream": "Custom-A"}, {}))
    uploader._connected()
    before = set(sys.modules)
    for _ in range(2):
        uploader.send(b'{"a":1}\\n')
    endpoint.refuse()
    uploader.send(b'{"a":1}\\n')
    uploader.close()
print(sorted(set(sys.modules) - before))
"""
    path = str(Path(__file__).parent.parent)
    program = subprocess.run(
        [sys.executable, "-c", source],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert program.stdout.strip() == "[]", program.stderr


def test_slow_uplink_does_not_time_out(monkeypatch):
    """The limit is `connect_seconds` for each piece of a body, not for the whole body."""
    pace, taken = threading.Event(), []

    def take(listening):
        client, _ = listening.accept()
        with client:
            size = None
            data = b""
            while size is None or len(data) < size:
                data += client.recv(16_384)
                pace.wait(0.025)
                if size is None and b"\r\n\r\n" in data:
                    head, _, _ = data.partition(b"\r\n\r\n")
                    size = len(head) + 4 + int(re.search(rb"content-length: (\d+)", head.lower())[1])
            taken.append(len(data))
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def narrow(*args, create=connection.create_connection, **more):
        made = create(*args, **more)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        return made

    monkeypatch.setattr(connection, "create_connection", narrow)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=take, args=(listening,))
        thread.start()
        uploader = Uploader(
            settings_of(endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}", connect_seconds=0.5, read_seconds=30)
        )
        with closing(uploader):
            begun = time.monotonic()
            answer = uploader.send(line(os.urandom(600_000).hex()))
            took = time.monotonic() - begun
        thread.join(10)
    assert answer.status == 204
    assert taken[0] > 500_000
    assert took > 0.5, "the uplink was not slow"


class TestSecrets:
    SECRET = "hunter2-very-secret"

    def test_secrets_are_in_no_repr(self):
        class Credential:
            def __repr__(self):
                return TestSecrets.SECRET

            def get_token(self, *scopes, **options):
                raise AssertionError

        for credential in (Credential(), {"managed_identity": {"client_id": self.SECRET}}):
            handler = AzureMonitorHandler(**AZURE, credential=credential)
            for thing in (
                handler,
                handler.pipeline,
                handler.pipeline.settings,
                lifecycle_of(handler.pipeline).destination,
            ):
                assert self.SECRET not in repr(thing)
            handler.close()

    def test_secrets_are_in_no_report(self, server):
        class Credential:
            def get_token(self, *scopes, **options):
                from azure.core.credentials import AccessToken

                return AccessToken(TestSecrets.SECRET, 4_000_000_000)

        bench = Bench(endpoint=server.url.replace("http", "https"), credential=Credential(), destination=Uploader)
        bench.put_batch("a")
        bench.step()
        bench.destination.close()
        assert bench.troubles
        assert self.SECRET not in repr(bench.troubles)

    def test_text_of_a_response_becomes_one_line_without_control_characters(self, server):
        said = {"error": {"code": "A\x1b[31m\nB", "message": "x" * 2_000 + "\x07"}}
        server.play(status(503, body=orjson.dumps(said)))
        uploader = uploader_of(server)
        with closing(uploader):
            answer = uploader.send(line("a"))
        assert answer.code == "A?[31m B"
        assert len(answer.message) <= 301
        assert answer.message.isprintable()


class TestTracing:
    @pytest.fixture
    def spans(self):
        """Collect the spans of the requests instrumentation and of the SDK's own tracing."""
        from azure.core.settings import settings
        from opentelemetry import trace
        from opentelemetry.instrumentation.requests import RequestsInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        instrumentor = RequestsInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        old = trace._TRACER_PROVIDER
        trace._TRACER_PROVIDER = provider
        settings.tracing_enabled = True
        yield exporter
        settings.tracing_enabled.unset_value()
        trace._TRACER_PROVIDER = old
        instrumentor.uninstrument()

    def test_upload_makes_no_span_but_requests_of_the_application_do(self, server, spans):
        import requests

        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(line("a")).status == 204
        assert spans.get_finished_spans() == ()
        with requests.get(server.url, timeout=10) as response:
            assert response.status_code == 204
        assert len(spans.get_finished_spans()) == 1

    def test_upload_makes_no_span_if_tracing_is_set_up_after_the_first_upload(self, server, request):
        uploader = uploader_of(server)
        with closing(uploader):
            uploader.send(line("a"))
            spans = request.getfixturevalue("spans")
            uploader.send(line("b"))
        assert spans.get_finished_spans() == ()


class TestLaziness:
    def run(self, script, **environment):
        code = "import sys\nimport logging_azmon\nfrom logging_azmon.testing import *\n" + script
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_new_handler_imports_neither_azure_nor_requests_and_starts_no_thread(self):
        done = self.run(
            f"""
import threading
handler = logging_azmon.AzureMonitorHandler(**{AZURE!r})
print([name for name in sys.modules if name.split(".")[0] in ("azure", "requests", "urllib3", "msal", "isal", "ssl")])
print(threading.active_count())
handler.close()
print("azure" in sys.modules)
"""
        )
        assert done.stdout.split("\n")[:3] == ["[]", "1", "False"], done

    def test_sdk_is_imported_by_delivering_threads_only(self, server):
        done = self.run(
            f"""
import builtins, logging, threading
real, threads = builtins.__import__, set()
def watching(name, *args, **options):
    if name.split(".")[0] in ("azure", "requests"):
        threads.add(threading.current_thread().name.split("-")[0])
    return real(name, *args, **options)
builtins.__import__ = watching
handler = logging_azmon.AzureMonitorHandler("{server.url}", "dcr-1", "Custom-A_CL")
logger = logging.Logger("app")
logger.addHandler(handler)
logger.warning("row")
assert handler.flush()
handler.close()
print(threads)
"""
        )
        assert done.stdout == "{'logging_azmon'}\n", done
        assert messages(server.rows) == ["row"]
