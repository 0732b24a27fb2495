"""The answer for each error that the SDK raises: some are transient, others need an operator."""

import ssl
from http.client import BadStatusLine, RemoteDisconnected

import pytest

from logging_azmon._azure.sdk_errors import answer_to
from logging_azmon._delivery.answer import Failure


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


def test_unknown_error_is_an_unreadable_answer_that_names_it():
    answer = answer_to(ValueError("odd"))
    assert (answer.failure, answer.message) == (Failure.UNREADABLE, "ValueError: odd")
