"""The wire and the SDK: what is sent, where, with which token, through which proxy, and what is left alone."""

# ruff: noqa: SLF001 - the SDK is replaced at its border

import gzip
import itertools
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
import types
from contextlib import contextmanager, suppress
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from urllib3.util import connection

from logging_azmon import AzureMonitorHandler
from logging_azmon._azure import credential as credential_of
from logging_azmon._azure.error_mapping import answer_to
from logging_azmon._azure.uploader import Uploader
from logging_azmon._config.service_limits import MAX_BODY_BYTES
from logging_azmon._delivery.retry import Failure
from logging_azmon.pipeline import lifecycle_of
from support.delivering import AZURE, Bench, closing, line, messages, settings_of
from support.endpoint import Endpoint, status

LIMIT_SECONDS = 20.0
PROXIES = [name for scheme in ("HTTP", "HTTPS", "ALL", "NO") for name in (f"{scheme}_PROXY", f"{scheme}_PROXY".lower())]


@pytest.fixture
def server():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def uploader_of(server, **arguments):
    return Uploader(settings_of(**({"endpoint": server.url} | arguments)))


class Forbidden:
    """Be a credential that must not be asked."""

    asked = False

    def get_token(self, *scopes, **options):
        self.asked = True
        raise AssertionError


class TestWire:
    def test_rows_become_a_json_array(self, server):
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(b'{"A":1}\n{"B":"\\n,\xc3\xa9"}\n').status == 204
            assert uploader.send(bytearray(b'{"A":1}\n')).status == 204
        assert [request.body for request in server.requests] == [b'[{"A":1},{"B":"\\n,\xc3\xa9"}]', b'[{"A":1}]']

    def test_the_request_says_who_asks(self, server):
        uploader = uploader_of(server, rule_id="dcr-77", stream="Custom-X.y_CL")
        with closing(uploader):
            uploader.send(line("a"))
        (request,) = server.requests
        assert request.path == "/dataCollectionRules/dcr-77/streams/Custom-X.y_CL"
        assert request.query == {"api-version": "2023-01-01"}
        assert "logging-azmon/" in request.headers["user-agent"]
        assert request.headers["x-ms-client-request-id"]

    @pytest.mark.parametrize("batch_bytes", [1_000_000, 50 * 1024 * 1024])
    def test_no_body_is_longer_on_the_wire_than_the_service_takes(self, server, batch_bytes):
        """Rows that cannot be compressed are split here, and no request is spent on finding that out."""
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

    def test_a_single_row_that_cannot_fit_is_shrunk_until_it_does(self, server):
        bench = Bench(
            endpoint=server.url, destination=Uploader, batch_bytes=50 * 1024 * 1024, queue_bytes=200 * 1024 * 1024
        )
        row = {"Message": "big"} | {f"C{n}": os.urandom(30_000).hex() for n in range(100)}
        with closing(bench.destination):
            bench.put_batch(orjson.dumps(row) + b"\n")
            bench.run()
        assert messages(server.rows) == ["big"]

    def test_without_isal_zlib_compresses(self, server, monkeypatch):
        monkeypatch.setitem(sys.modules, "isal", None)
        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(line("a" * 10_000)).status == 204
        assert gzip.decompress(server.requests[0].raw) == b"[%b]" % line("a" * 10_000)[:-1]
        assert len(server.requests[0].raw) < 1_000

    def test_no_rows_are_an_empty_array(self, server):
        """What `check` sends."""
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

    def test_several_threads_share_one_client_and_warn_of_nothing(self, server, caplog):
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

    def test_closing_ends_the_connections_and_sending_goes_on_afterwards(self, server):
        uploader = uploader_of(server)
        uploader.close()
        uploader.send(line("a"))
        uploader.close()
        uploader.close()
        with closing(uploader):
            assert uploader.send(line("b")).status == 204
        assert server.connections == 2

    def test_a_child_leaves_its_parents_connections_alone(self, server):
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
    def test_time_outs_are_passed_and_shortened_for_whoever_cannot_wait(self, server, seconds, connect, read):
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
    def test_no_credential_is_asked_and_the_token_is_a_dummy(self, server, host):
        credential = Forbidden()
        uploader = uploader_of(server, endpoint=server.url.replace("127.0.0.1", host), credential=credential)
        with closing(uploader):
            assert uploader.send(line("a")).status == 204
        assert not credential.asked
        assert server.requests[0].headers["authorization"] == "Bearer local"

    def test_whatever_proxy_the_environment_names(self, server, monkeypatch):
        with Endpoint() as proxy:
            for name in PROXIES[:6]:
                monkeypatch.setenv(name, proxy.url)
            uploader = uploader_of(server)
            with closing(uploader):
                assert uploader.send(line("a")).status == 204
            assert proxy.connections == 0


class TestProxies:
    """With https: the credential is a fake, and the proxy sees the request to connect only."""

    class Token:
        def get_token(self, *scopes, **options):
            from azure.core.credentials import AccessToken

            self.scopes = scopes
            return AccessToken("secret-token", 4_000_000_000)

    def send(self, **arguments):
        uploader = Uploader(settings_of(credential=self.Token(), **arguments))
        with closing(uploader):
            return uploader.send(line("a"))

    def test_the_environments_proxy_is_used(self, server, monkeypatch):
        server.default = status(502)
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        answer = self.send()
        assert answer.failure is Failure.CONNECTION
        assert [request.method for request in server.requests] == ["CONNECT"]

    def test_a_proxy_that_asks_for_a_login_is_told_apart_and_its_password_is_never_told(self, server, monkeypatch):
        server.default = status(407)
        monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//user:hunter2@"))
        answer = self.send()
        assert answer.status == 407
        assert "hunter2" not in repr(answer)

    def test_no_proxy_is_heeded(self, server, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        answer = self.send(endpoint="https://127.0.0.1:9", connect_seconds=1.0)
        assert answer.failure is Failure.CONNECTION
        assert server.connections == 0


class Recorded:
    """Stand for an azure-identity class: remember how it was made."""

    made: list

    def __init__(self, **options):
        self.made.append((type(self).__name__, options))
        self.closed = 0

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        self.made.append(scopes)
        return AccessToken("token", 4_000_000_000)

    def close(self):
        self.made.append("closed")


@pytest.fixture
def identity(monkeypatch):
    """Replace azure.identity; return what is made and asked."""
    made = []
    module = types.ModuleType("azure.identity")
    for name in credential_of._CREDENTIAL_CLASSES.values():
        setattr(module, name, type(name, (Recorded,), {"made": made}))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    return made


PUBLIC = {"authority": "login.microsoftonline.com"}


class TestCredentials:
    @pytest.mark.parametrize(
        ("credential", "made"),
        [
            (None, ("DefaultAzureCredential", PUBLIC)),
            ("default", ("DefaultAzureCredential", PUBLIC)),
            ("workload_identity", ("WorkloadIdentityCredential", PUBLIC)),
            ("environment", ("EnvironmentCredential", PUBLIC)),
            ("azure_cli", ("AzureCliCredential", {})),
            ("managed_identity", ("ManagedIdentityCredential", {})),
            ({"managed_identity": {"client_id": "abc"}}, ("ManagedIdentityCredential", {"client_id": "abc"})),
            ({"default": {}}, ("DefaultAzureCredential", PUBLIC)),
            ({"default": {"authority": "login.example"}}, ("DefaultAzureCredential", {"authority": "login.example"})),
        ],
        ids=repr,
    )
    def test_each_name_makes_its_credential_with_its_options(self, identity, credential, made):
        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", credential=credential, connect_seconds=0.1))
        uploader.send(line("a"))
        assert identity == [made, ("https://monitor.azure.com/.default",)]
        uploader.close()
        assert identity[-1] == "closed"

    @pytest.mark.parametrize(
        ("cloud", "audience", "authority"),
        [
            ("public", "https://monitor.azure.com/.default", "login.microsoftonline.com"),
            ("china", "https://monitor.azure.cn/.default", "login.chinacloudapi.cn"),
            ("usgov", "https://monitor.azure.us/.default", "login.microsoftonline.us"),
        ],
    )
    def test_the_cloud_chooses_audience_and_authority(self, identity, cloud, audience, authority):
        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", cloud=cloud, connect_seconds=0.1))
        with closing(uploader):
            uploader.send(line("a"))
        assert identity[:2] == [("DefaultAzureCredential", {"authority": authority}), (audience,)]

    @pytest.mark.parametrize("credential", ["managed_identity", {"managed_identity": {"client_id": "abc"}}])
    def test_the_real_classes_accept_what_they_are_given(self, credential):
        made = credential_of.make_credential(credential, "public")
        assert type(made).__name__ == "ManagedIdentityCredential"
        made.close()

    @pytest.mark.parametrize("name", ["default", "environment", "azure_cli"])
    def test_the_real_classes_need_no_options(self, name):
        credential_of.make_credential(name, "public").close()

    def test_of_a_chain_each_says_why_in_few_words(self):
        """DefaultAzureCredential writes a page of links, in which that would be lost."""
        said = (
            "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
            "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables are not"
            " fully configured.\nVisit https://aka.ms/azsdk to troubleshoot this issue.\n"
            "\tManagedIdentityCredential: ManagedIdentityCredential authentication unavailable.\n"
            "\tSharedTokenCacheCredential: SharedTokenCacheCredential authentication unavailable. No accounts.\n"
            "\tAzureCliCredential: Please run 'az login' to set up an account\n"
            "To mitigate this issue, please refer to https://aka.ms/azsdk/python."
        )

        assert credential_of.why_none(RuntimeError(said)) == (
            "Environment, ManagedIdentity, SharedTokenCache: unavailable;"
            " AzureCli: Please run 'az login' to set up an account"
        )
        assert credential_of.why_none(RuntimeError("no luck")) == "RuntimeError: no luck"

    def test_the_real_chain_is_understood(self, monkeypatch):
        """Its form may change with a release."""
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import ChainedTokenCredential, EnvironmentCredential

        chain = ChainedTokenCredential(EnvironmentCredential(), EnvironmentCredential())
        with pytest.raises(ClientAuthenticationError) as caught:
            chain.get_token("https://monitor.azure.com/.default")

        assert credential_of.why_none(caught.value) == "Environment, Environment: unavailable"

    def test_one_that_cannot_be_made_is_a_credential_trouble_not_a_crash(self, monkeypatch):
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        uploader = Uploader(settings_of(credential="workload_identity"))
        answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert "ValueError" in answer.message
        uploader.close()

    def test_ones_own_is_left_open(self):
        class Own(Recorded):
            made: ClassVar = []

        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", credential=Own(), connect_seconds=0.1))
        uploader.send(line("a"))
        uploader.close()
        assert "closed" not in Own.made

    def test_only_one_thread_asks_at_a_time(self):
        running, most = [], []

        class Counting:
            def get_token(self, *scopes, **options):
                running.append(1)
                most.append(len(running))
                running.pop()
                raise ValueError

        uploader = Uploader(settings_of(credential=Counting()))
        threads = [threading.Thread(target=uploader.send, args=(line("a"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        uploader.close()
        assert most == [1] * 8

    def test_nobody_waits_for_another_threads_token_without_a_limit(self, monkeypatch):
        monkeypatch.setattr(credential_of, "ASKING_SECONDS", 0.01)
        uploader = Uploader(settings_of(credential=Forbidden()))
        uploader._connected()
        with closing(uploader), uploader._connection._credential._asking:
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert "another thread" in answer.message

    def test_whoever_cannot_wait_waits_for_a_token_no_longer_than_he_says(self):
        """As at exit, where close_seconds must hold whoever asks for the token meanwhile."""
        uploader = Uploader(settings_of(credential=Forbidden()))
        uploader._connected()
        begun = time.monotonic()
        with closing(uploader), uploader._connection._credential._asking:
            answer = uploader.send(line("a"), seconds=0.01)
        assert answer.failure is Failure.CREDENTIAL
        assert time.monotonic() - begun < 10

    def test_ctrl_c_is_not_swallowed(self):
        class Interrupted:
            def get_token(self, *scopes, **options):
                raise KeyboardInterrupt

        uploader = Uploader(settings_of(credential=Interrupted()))
        with closing(uploader), pytest.raises(KeyboardInterrupt):
            uploader.send(line("a"))


def test_requests_import_nothing_any_more():
    """A fork waits while the client is built, not while it sends: a child could never finish an import begun here."""
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


class TestFailures:
    """Which errors below the SDK mean that a connection broke, and which that somebody must look."""

    @pytest.mark.parametrize(
        ("cause", "failure"),
        [
            (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Failure.CONNECTION),
            (ssl.SSLZeroReturnError(6, "closed"), Failure.CONNECTION),
            (ConnectionResetError(104, "reset"), Failure.CONNECTION),
            (RemoteDisconnected("closed"), Failure.CONNECTION),
            (TimeoutError(), Failure.CONNECTION),
            (ssl.SSLCertVerificationError(1, "certificate verify failed"), Failure.TLS),
            (ssl.SSLError(1, "wrong version number"), Failure.TLS),
            (BadStatusLine("SSH-2.0"), Failure.UNREADABLE),
        ],
        ids=repr,
    )
    def test_the_cause_is_found_however_deep_it_is_wrapped(self, server, cause, failure):
        import requests
        import urllib3
        from azure.core.exceptions import ServiceRequestError, ServiceResponseError

        pool = urllib3.HTTPConnectionPool("127.0.0.1")
        wrapped = requests.exceptions.SSLError(
            urllib3.exceptions.MaxRetryError(pool, "/", urllib3.exceptions.SSLError(cause))
        )
        protocol = requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", cause))
        for error in (
            ServiceRequestError(wrapped, error=wrapped),
            ServiceResponseError(protocol, error=protocol),
            ServiceResponseError("x", error=cause),
        ):

            class Client:
                def upload(self, *args, error=error, **options):
                    raise error

                def close(self):
                    pass

            uploader = uploader_of(server)
            uploader._connected().client.close()
            uploader._connection.client = Client()
            answer = uploader.send(line("a"))
            assert answer.failure is failure
            assert answer.message in ("x", getattr(cause, "strerror", None) or str(cause) or "TimeoutError")
            uploader.close()


@contextmanager
def answering(head, pieces, read_seconds=LIMIT_SECONDS):
    """Answer one upload with a head, and then with pieces for as long as somebody reads them."""
    is_over = threading.Event()

    def serve():
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            # All of it: closing a connection with something unread in it would reset it.
            with connection.makefile("rb") as request:
                length = 0
                while (field := request.readline().lower()) != b"\r\n":
                    if field.startswith(b"content-length:"):
                        length = int(field.partition(b":")[2])
                request.read(length)
            connection.sendall(head)
            for piece in pieces:
                connection.sendall(piece)
                # As long as a slow network would take.
                if is_over.wait(0.005):
                    break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        uploader = Uploader(
            settings_of(endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}", read_seconds=read_seconds)
        )
        with closing(uploader):
            yield uploader
        is_over.set()
        thread.join(10)


def test_a_slow_uplink_is_no_time_out(monkeypatch):
    """The network has `connect_seconds` for each piece of a body, not for all of it."""
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
    assert took > 0.5, "it was no slow one"


class TestOddAnswers:
    """A response is read within limits of time and size, whoever sends it."""

    def test_one_that_trickles_is_left_after_read_seconds_altogether(self):
        """Each byte comes long before the time-out of a single read."""
        with answering(b"HTTP/1.1 400 No\r\ncontent-length: 9999\r\n\r\n", itertools.repeat(b"x"), 0.3) as uploader:
            begun = time.monotonic()
            answer = uploader.send(line("a"))
            took = time.monotonic() - begun
        assert (answer.failure, answer.message) == (Failure.CONNECTION, "the answer has no end")
        assert took < 5

    @pytest.mark.parametrize(
        ("head", "piece"),
        [(b"HTTP/1.1 204 No Content\r\nx-odd: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"", b"H")],
        ids=["header", "continue", "status"],
    )
    def test_so_is_one_whose_head_trickles(self, head, piece):
        with answering(head, itertools.repeat(piece), 0.3) as uploader:
            begun = time.monotonic()
            answer = uploader.send(line("a"))
            took = time.monotonic() - begun
        assert (answer.failure, answer.message) == (Failure.CONNECTION, "the answer has no end")
        assert took < 5

    def test_one_without_end_takes_no_memory(self):
        with answering(b"HTTP/1.1 500 No\r\n\r\n", itertools.repeat(b"x" * 100_000)) as uploader:
            tracemalloc.start()
            answer = uploader.send(line("a"))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert answer.status == 500
        assert most < 4_000_000

    def test_one_that_breaks_off_is_a_broken_connection_and_not_a_refusal_of_the_rows(self):
        """A 400 whose words are missing might be an InvalidStream: rows are kept then."""
        with answering(b"HTTP/1.1 400 No\r\ncontent-length: 9999\r\n\r\n", [b"x"]) as uploader:
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CONNECTION

    def test_a_compressed_and_chunked_one_is_understood(self):
        body = gzip.compress(b'{"error": {"code": "InvalidStream", "message": "no such stream"}}')
        head = b"HTTP/1.1 400 No\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        with answering(head, [b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"]) as uploader:
            answer = uploader.send(line("a"))
        assert (answer.status, answer.code, answer.message) == (400, "InvalidStream", "no such stream")

    def test_what_no_part_of_the_sdk_raises_is_named(self):
        answer = answer_to(ValueError("odd"))
        assert (answer.failure, answer.message) == (Failure.UNREADABLE, "ValueError: odd")


class TestSecrets:
    SECRET = "hunter2-very-secret"

    def test_none_is_in_a_repr(self):
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
                lifecycle_of(handler.pipeline)._destination,
            ):
                assert self.SECRET not in repr(thing)
            handler.close()

    def test_none_is_in_a_report(self, server):
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

    def test_what_others_write_is_one_line_without_control_characters(self, server):
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
        """Collect spans of the requests library's instrumentation, and of the SDK's own tracing."""
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

    def test_an_upload_makes_no_span_but_the_application_does(self, server, spans):
        import requests

        uploader = uploader_of(server)
        with closing(uploader):
            assert uploader.send(line("a")).status == 204
        assert spans.get_finished_spans() == ()
        with requests.get(server.url, timeout=10) as response:
            assert response.status_code == 204
        assert len(spans.get_finished_spans()) == 1

    def test_an_upload_makes_no_span_if_instrumented_after_the_first(self, server, request):
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

    def test_making_a_handler_imports_neither_azure_nor_requests_and_starts_no_thread(self):
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

    def test_the_sdk_is_imported_by_the_delivering_thread_only(self, server):
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
