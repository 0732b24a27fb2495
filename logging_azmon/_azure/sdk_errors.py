"""Map the exceptions that the SDK raises, and the error responses in them, to answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .._delivery.answer import Answer, Failure
from ..trouble import one_line
from .credential import CredentialError
from .redaction import without_secrets

_MESSAGE_LENGTH = 300
# The modules whose exceptions say why a connection failed; the exceptions of the HTTP libraries wrap them.
_STANDARD = frozenset({"builtins", "socket", "ssl", "http.client"})


def answer_to(error: Exception) -> Answer:
    """Return the answer that represents an exception."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, CredentialError):
        return Answer(failure=Failure.CREDENTIAL, message=_line(error))
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is not None:
        code, message = _code_and_message(response)
        headers = response.headers
        return Answer(
            status=response.status_code,
            code=_line(code or headers.get("x-ms-error-code", "")),
            message=_line(message),
            retry_after=headers.get("Retry-After"),
        )
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        if "407 Proxy" in str(error):
            return Answer(status=407, message=_line(error))
        return _connection_answer(error)
    return Answer(failure=Failure.UNREADABLE, message=_line(f"{type(error).__name__}: {error}"))


def _connection_answer(error: Exception) -> Answer:
    """Distinguish a broken connection, which is transient, from a failure that an operator must look into."""
    import ssl
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    causes = list(_causes(error))
    message = connection_error_text(error)
    # A connection that was merely cut off also raises an SSLError.
    if any(isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError) for cause in causes):
        return Answer(failure=Failure.CONNECTION, message=message)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Answer(failure=Failure.TLS, message=message)
    broken = (RemoteDisconnected, IncompleteRead)
    if any(isinstance(cause, HTTPException) and not isinstance(cause, broken) for cause in causes):
        return Answer(failure=Failure.UNREADABLE, message=message)
    return Answer(failure=Failure.CONNECTION, message=message)


def connection_error_text(error: Exception) -> str:
    """Return in one line why a connection failed: the text of the innermost error from the standard library."""
    # Errors of requests and urllib3 repeat that text among the reprs of objects.
    own = [cause for cause in _causes(error) if type(cause).__module__ in _STANDARD]
    return _line(_text(own[-1]) if own else error)


def _text(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _code_and_message(response: Any) -> tuple[str, str]:
    """Return the code and message of a service error; both are empty for a body of another form, such as a proxy's."""
    try:
        error = orjson.loads(response.body())["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError):
        return "", ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes; requests and urllib3 also put causes into arguments."""
    seen: set[int] = set()
    stack: list[Any] = [error]
    while stack:
        cause = stack.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            more = (getattr(cause, "inner_exception", None), getattr(cause, "reason", None))
            stack += (*cause.args, *more, cause.__cause__, cause.__context__)


def _line(text: object) -> str:
    # The text is cut after that: half a password could not be found.
    return one_line(without_secrets(str(text)), _MESSAGE_LENGTH)
