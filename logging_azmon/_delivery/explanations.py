"""Explain answers in words that an operator can act on."""

from __future__ import annotations

from .answer import NAME_LOOKUP, Answer, Failure

# Advice for an error code or a status. 200 stands for every 2xx except 204, and 300 for every 3xx.
HINTS: dict[int | str, str] = {
    200: "this is not the ingestion service (a captive portal, a proxy?); check endpoint=",
    300: "redirects are not followed, because they would carry rows and token elsewhere; check endpoint=",
    400: "without an error code this is not the service's own answer (a proxy, a gateway?); the rows are kept",
    401: "the token is not accepted; check credential= and cloud=",
    403: "the identity lacks the role Monitoring Metrics Publisher on {rule}; once assigned, it can take 30 minutes",
    404: "rule_id={rule} is not known there; use the rule's immutable id, and the endpoint of that rule or of its DCE",
    407: "a proxy requires a login; put it into proxy= or HTTPS_PROXY, or let NO_PROXY name the endpoint",
    415: "something on the way does not accept gzipped JSON",
    429: "the rule's quota is used up; rows wait, and requests become fewer and larger",
    "InvalidStream": "{stream} is not declared in {rule}; after an edit of the rule it can take 5 minutes",
}

_NAME_LOOKUP_ADVICE = (
    ": check endpoint= and HTTPS_PROXY for a typo, and whether this machine can look up names; with private link, check"
    " whether the DNS zone privatelink.monitor.azure.com is linked to this network"
)


def explain(answer: Answer, *, endpoint: str, rule_id: str, stream: str) -> str:
    """Return one line that says what an answer means and what to do about it."""
    detail = f"{answer.code}: {answer.message}".strip(": ")
    detail = f" ({detail})" if detail else ""
    if answer.failure is Failure.CREDENTIAL:
        return f"no token could be obtained for {endpoint}{detail}: check credential= and the identity it stands for"
    if answer.failure is Failure.TLS:
        return (
            f"TLS to {endpoint} failed{detail}: check the certificate, the proxy and the clock of this machine;"
            " if a proxy inspects TLS, name its certificate authority in ca_bundle= or REQUESTS_CA_BUNDLE"
        )
    if answer.failure is Failure.CONNECTION:
        advice = _NAME_LOOKUP_ADVICE if answer.code == NAME_LOOKUP else ""
        reason = f" ({answer.message})" if answer.message else ""
        return f"{endpoint} cannot be reached{reason}{advice}"
    if answer.failure is Failure.TOO_LARGE:
        return f"too large to be sent to {endpoint}{detail}"
    if answer.failure is Failure.UNREADABLE or answer.status is None:
        return (
            f"the response from {endpoint} cannot be read{detail}:"
            " check endpoint= and what is in between (proxy, firewall)"
        )
    hint = HINTS.get(answer.code) or ("" if answer.status == 400 and answer.code else HINTS.get(answer.status, ""))
    if 200 <= answer.status < 400:
        hint = HINTS[200] if answer.status < 300 else HINTS[300]
    hint = hint.format(rule=rule_id, stream=stream)
    return f"{answer.status} from {endpoint} for {stream} of {rule_id}{detail}{': ' if hint else ''}{hint}"
