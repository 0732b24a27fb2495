"""Probe the endpoint with an empty upload, through the handler's own uploader.

The answer shows whether the rule exists, whether it admits this identity, and whether it declares the stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..._azure.uploader import Uploader
from ..._config.settings import Settings
from ..._delivery.answer import Answer, Failure
from .identity import describe_identity
from .steps import Step

_FAILURES = {
    Failure.CONNECTION: "the connection failed",
    Failure.CREDENTIAL: "no token was obtained",
    Failure.TLS: "TLS failed",
    Failure.UNREADABLE: "the answer cannot be read",
}


def probe(settings: Settings, identity: Mapping[str, str]) -> Iterator[Step]:
    """Make an empty upload, and yield steps from the answer."""
    uploader = Uploader(settings)
    try:
        yield from interpret_answer(uploader.send(b""), settings, identity)
    finally:
        uploader.close()


def interpret_answer(answer: Answer, settings: Settings, identity: Mapping[str, str]) -> Iterator[Step]:
    """Yield the steps that the answer to an empty upload stands for."""
    rule, stream = settings.rule_id, settings.stream
    seen = _described(answer)
    details = {"status": answer.status, "code": answer.code}
    if answer.status == 204:
        yield Step(name="rule", state="ok", seen=f"{rule} exists and admits this identity", details=details)
        yield Step(name="stream", state="ok", seen=f"{stream} is declared")
    elif answer.status == 400 and answer.code == "InvalidStream":
        yield Step(name="rule", state="ok", seen=f"{rule} exists and admits this identity")
        advice = (
            "take the name from the rule's streamDeclarations (it is not the table's name); a change of the rule takes"
            f" up to 5 minutes to reach {settings.endpoint}"
        )
        yield Step(name="stream", state="problem", seen=seen, advice=(advice,), details=details)
    elif answer.status == 403:
        advice = (
            f"assign the role Monitoring Metrics Publisher on the rule to {describe_identity(identity)}"
            " (Owner or Contributor is not enough): az role assignment create --role 'Monitoring Metrics Publisher'"
            f" --assignee-object-id {identity.get('object', 'OBJECT')} --scope RULE; an assignment can take 30 minutes"
            " to take effect, and rows wait meanwhile"
        )
        yield Step(name="rule", state="problem", seen=seen, advice=(advice,), details=details)
    elif answer.status == 404:
        advice = (
            f"check that {rule} is the immutableId in the rule's JSON, and that the endpoint is this rule's own or its"
            " data collection endpoint, in the same region"
        )
        yield Step(name="rule", state="problem", seen=seen, advice=(advice,), details=details)
    elif answer.status == 401:
        advice = f"check the tenant, the cloud (it is {settings.cloud!r}) and this machine's clock"
        yield Step(name="rule", state="problem", seen=seen, advice=(advice,), details=details)
    elif answer.status is not None and (answer.status == 429 or answer.status >= 500):
        advice = "try again in a minute: rows wait meanwhile, and none is lost"
        yield Step(name="rule", state="warning", seen=seen, advice=(advice,), details=details)
    elif answer.status == 400:
        # The service checks the rows only after the identity: a 400 means that it was admitted.
        yield Step(
            name="rule",
            state="warning",
            seen=f"{rule} admits this identity, but does not accept an empty upload: {seen}",
            advice=("send a row to be sure: --send",),
            details=details,
        )
    else:
        advice = "check whether something else answers in Azure's place: a proxy, a login portal, another web server"
        yield Step(name="rule", state="problem", seen=seen, advice=(advice,), details=details)


def _described(answer: Answer) -> str:
    if answer.failure is not None:
        return f"{_FAILURES[answer.failure]}: {answer.message}"
    return f"{answer.status} {answer.code}: {answer.message}".replace(" :", ":").rstrip(": ")
