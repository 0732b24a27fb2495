"""Find secrets in text: tokens, keys, signatures, passwords, and the values of headers that carry them.

Rules: most text has none, so a glance decides first, by single characters and by the names before each ``=`` and ``:``.
It may err on the side of looking. Every expression takes time linear in the length of the text: what repeats is bounded
or possessive.
"""

from __future__ import annotations

import re
from operator import itemgetter

from .kind import Kind, head

# The ends of names whose values are secret, in lower case.
_NAMES = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "sig", "authorization", "cookie", "credentials"),
    *("apikey", "api_key", "api-key", "accesskey", "access_key", "access-key", "accountkey", "account_key"),
    *("sharedaccesskey", "privatekey", "private_key", "subscription-key", "functions-key"),
    *("connectionstring", "connection_string"),
)
_ENDS = tuple(name + quote for name in _NAMES for quote in ("", '"', "'", " "))
# The last three characters of each name: comparing these first costs one slice a part.
_TAILS = frozenset({"", *(cased[-3:] for end in _ENDS for cased in (end, end.upper(), end.title()))})
_last_three = itemgetter(slice(-3, None))
_LONGEST = max(map(len, _ENDS))
# Values that stand for a secret, or say that there is none.
_PLACEHOLDERS = frozenset(
    re.findall(
        r"\w+",
        "none null nil true false yes no empty missing required expired invalid valid revoked unknown undefined unset"
        " not given wrong incorrect changed reset rotated created deleted updated ok error failed denied optional set"
        " default string str bytes int hidden masked redacted removed xxx",
    )
)


def may_hold(text: str) -> bool:
    """Return whether text may hold a secret, at a glance."""
    return (
        ("=" in text and _is_named(text, "="))
        or (":" in text and (_is_named(text, ":") or ("@" in text and "://" in text)))
        or ("J" in text and "eyJ" in text)
        or ("~" in text and "Q~" in text)
        or ("K" in text and "AKIA" in text)
        or ("I" in text and "ASIA" in text)
        or ("-" in text and "-----BEGIN" in text)
        or ("B" in text and "earer " in text)
    )


def _is_named(text: str, sign: str) -> bool:
    """Return whether the name of a secret precedes a sign, or another sign does, as in ``==``."""
    parts = text.split(sign)
    if _TAILS.isdisjoint(map(_last_three, parts)):
        return False
    return any(not part or part[-_LONGEST:].lower().endswith(_ENDS) for part in parts[:-1])


def _keep_head(found: re.Match[str]) -> str | None:
    """Return the name and its sign, which are kept, unless the value is a placeholder."""
    value = found["value"]
    bare = value.rstrip(".,;:!?)]}")
    if bare.lower() in _PLACEHOLDERS or _is_placeholder(bare):
        return None
    if found["sign"] == ":" and not found["quote"] and bare.isalpha():
        return None  # prose: "password: must be changed"
    return found["head"]


def _is_placeholder(value: str) -> bool:
    return not value or value[0] in "<{[%$*" or set(value) <= set("*.•xX-#")


def _bearer_head(found: re.Match[str]) -> str | None:
    """Return the scheme, unless what follows is a word."""
    value = found["value"]
    return found["head"] if len(value) >= 20 or any(each.isdigit() for each in value) else None


KINDS = (
    Kind(
        "private key",
        "-----BEGIN",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*+(?:-(?!----END)[^-]*+)*+(?:-----END [A-Z ]{0,40}-----)?"
        ),
    ),
    Kind("token", "eyJ", re.compile(r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){2,4}")),
    Kind(
        "token",
        "earer ",
        re.compile(r"(?P<head>\bbearer\s{1,4})(?P<value>[\w.~+/=-]{8,}+)", re.IGNORECASE),
        _bearer_head,
    ),
    Kind(
        "header",
        "",
        re.compile(
            r"(?P<head>\b(?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
            r"(?:basic|digest|negotiate|ntlm|token|apikey|sharedkey|sharedaccesssignature"
            r"|aws4-hmac-sha256|bearer)\b[ :]{1,4})(?P<value>[^\s\"'][^\"'\r\n}]{0,8192}+)",
            re.IGNORECASE,
        ),
        head,
    ),
    Kind(
        "cookie",
        "",
        re.compile(
            r"(?P<head>\b(?:set-)?cookie[\"']?\s{0,4}[:=]\s{0,4}[\"']?)(?P<value>[^\s\"'=;]{1,256}+=[^\"'\r\n}]{0,8192}+)",
            re.IGNORECASE,
        ),
        head,
    ),
    Kind(
        "url password",
        "://",
        re.compile(r"(?P<head>://[^\s/?#:@\"'<>]{0,256}+:)(?P<value>[^\s/@\"'<>]{1,256}+)(?=@)"),
        head,
    ),
    Kind("signature", "", re.compile(r"(?P<head>\bsig=)(?P<value>[\w%+/=-]{16,}+)", re.IGNORECASE), head),
    Kind("key", "IA", re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    Kind("key", "==", re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{86}==(?![\w=])")),
    Kind("key", "Q~", re.compile(r"(?<![\w~.-])[\w.-]{3}[78]Q~[\w.~-]{31,34}(?![\w~-])")),
    Kind(
        "secret",
        "",
        re.compile(
            r"(?P<head>(?:password|passwd|passphrase|pwd|secret|token|(?:api|access|account|private|subscription|functions)"
            r"[_-]?key|connection_?string|credentials)[\"']?\s{0,4}(?P<sign>[=:])\s{0,4}(?P<quote>[\"']?))"
            r"(?P<value>(?<=\")[^\"\r\n]{1,1024}+|(?<=')[^'\r\n]{1,1024}+|[^\s\"',;&|)\]}]{3,1024}+)",
            re.IGNORECASE,
        ),
        _keep_head,
    ),
)
