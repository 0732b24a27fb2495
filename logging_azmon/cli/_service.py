"""Asks the endpoint what it would say to rows: an upload of none, by the handler's own way.

Its answer tells whether the rule is there, whether it admits this identity, and whether it has the stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .._azure.uploader import Uploader
from .._config.settings import Settings
from .._delivery.answer import Answer, Failure
from ._identity import describe
from ._steps import Step

_FAILURES = {
    Failure.CONNECTION: "the connection breaks",
    Failure.CREDENTIAL: "no token could be had",
    Failure.TLS: "TLS fails",
    Failure.UNREADABLE: "the answer cannot be read",
}


def probe(settings: Settings, identity: Mapping[str, str]) -> Iterator[Step]:
    """Send no rows, and say what came of it."""
    uploader = Uploader(settings)
    try:
        yield from judge(uploader.send(b""), settings, identity)
    finally:
        uploader.close()


def judge(answer: Answer, settings: Settings, identity: Mapping[str, str]) -> Iterator[Step]:
    """Say what an answer to an upload of no rows means."""
    rule, stream = settings.rule_id, settings.stream
    said = _said(answer)
    details = {"status": answer.status, "code": answer.code}
    if answer.status == 204:
        yield Step(name="rule", state="ok", seen=f"{rule} is there and admits this identity", details=details)
        yield Step(name="stream", state="ok", seen=f"{stream} is declared")
    elif answer.status == 400 and answer.code == "InvalidStream":
        yield Step(name="rule", state="ok", seen=f"{rule} is there and admits this identity")
        advice = (
            f"take the name from streamDeclarations of the rule (it is not the table's); after a change of the rule it"
            f" takes up to 5 minutes until {settings.endpoint} knows"
        )
        yield Step(name="stream", state="problem", seen=said, advice=(advice,), details=details)
    elif answer.status == 403:
        advice = (
            f"assign the role Monitoring Metrics Publisher on the rule to {describe(identity)} (Owner or Contributor"
            " is not enough): az role assignment create --role 'Monitoring Metrics Publisher' --assignee-object-id"
            f" {identity.get('object', 'OBJECT')} --scope RULE; once assigned it can take 30 minutes, rows wait"
            " meanwhile"
        )
        yield Step(name="rule", state="problem", seen=said, advice=(advice,), details=details)
    elif answer.status == 404:
        advice = (
            f"check {rule}: it is immutableId in the rule's JSON; and that the endpoint is this rule's own or its data"
            " collection endpoint, in the same region"
        )
        yield Step(name="rule", state="problem", seen=said, advice=(advice,), details=details)
    elif answer.status == 401:
        advice = f"look for the wrong tenant or cloud (it is {settings.cloud!r}), and at this machine's clock"
        yield Step(name="rule", state="problem", seen=said, advice=(advice,), details=details)
    elif answer.status is not None and (answer.status == 429 or answer.status >= 500):
        advice = "try again in a minute: rows wait meanwhile, none is lost"
        yield Step(name="rule", state="warning", seen=said, advice=(advice,), details=details)
    elif answer.status == 400:
        # Whoever may not send is not told what is wrong with the rows.
        yield Step(
            name="rule",
            state="warning",
            seen=f"{rule} admits this identity, and does not take an upload of no rows: {said}",
            advice=("send a row, to be sure: --send",),
            details=details,
        )
    else:
        advice = "see whether something on the way answers instead of Azure: a proxy, a portal, another web server"
        yield Step(name="rule", state="problem", seen=said, advice=(advice,), details=details)


def _said(answer: Answer) -> str:
    if answer.failure is not None:
        return f"{_FAILURES[answer.failure]}: {answer.message}"
    return f"{answer.status} {answer.code}: {answer.message}".replace(" :", ":").rstrip(": ")
