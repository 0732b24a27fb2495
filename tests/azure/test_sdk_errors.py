"""The answer for each error that the SDK raises: some are transient, others need an operator."""

import socket
import ssl
from http.client import BadStatusLine, RemoteDisconnected

import pytest

from logging_azmon._azure.sdk_errors import answer_to
from logging_azmon._delivery.answer import NAME_LOOKUP, Failure
from support.delivering import Bench


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
def test_cause_of_a_failed_connection_is_found_however_deep_it_is_wrapped(cause, failure):
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
        answer = answer_to(error)
        assert answer.failure is failure
        assert answer.message in ("x", getattr(cause, "strerror", None) or str(cause) or "TimeoutError")


def test_a_name_that_cannot_be_looked_up_is_told_apart_and_has_no_code_in_reports():
    """Its explanation says what to check; the code is ours, and Trouble has only the service's."""
    import urllib3
    from azure.core.exceptions import ServiceRequestError

    cause = socket.gaierror(-2, "Name or service not known")
    wrapped = urllib3.exceptions.NameResolutionError("dce", urllib3.HTTPConnectionPool("dce"), cause)
    wrapped.__cause__ = cause
    answer = answer_to(ServiceRequestError(wrapped, error=wrapped))

    assert (answer.failure, answer.code) == (Failure.CONNECTION, NAME_LOOKUP)
    bench = Bench(answer)
    bench.put_batch("row")
    bench.run(seconds=1.0)
    (trouble,) = [each for each in bench.troubles if each.kind == "outage"]
    assert trouble.code == ""
    assert "cannot be reached (Name or service not known): check endpoint=" in trouble.text


def test_unknown_error_is_an_unreadable_answer_that_names_it():
    answer = answer_to(ValueError("odd"))
    assert (answer.failure, answer.message) == (Failure.UNREADABLE, "ValueError: odd")
