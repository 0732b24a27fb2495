"""Find personal data in text: e-mail and IP addresses, telephone numbers, bank accounts, payment cards.

Rules: as in `secrets`, a glance decides first, and every expression takes linear time. Numbers count only if their
checksum is right, so that ids and amounts stay.
"""

from __future__ import annotations

import ipaddress
import re

from .checksums import is_card, is_iban
from .kind import Kind

_PHONE_DIGITS = range(8, 16)
# Digits with separators among them, or three groups of an IPv6 address.
_HINT = re.compile(r"\d[\d .:()/-]{6}|(?:[0-9A-Fa-f]{1,4}:){3}")


def may_hold(text: str) -> bool:
    """Return whether text may hold personal data, at a glance."""
    return "@" in text or "::" in text or _HINT.search(text) is not None


def _if_card(found: re.Match[str]) -> str | None:
    return "" if is_card(re.sub(r"\D", "", found[0])) else None


def _if_iban(found: re.Match[str]) -> str | None:
    return "" if is_iban(found[0].replace(" ", "")) else None


def _if_phone(found: re.Match[str]) -> str | None:
    return "" if sum(each.isdigit() for each in found[0]) in _PHONE_DIGITS else None


def _if_address(found: re.Match[str]) -> str | None:
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else ""


KINDS = (
    Kind("email", "@", re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}+@(?:[\w-]{1,63}+\.){1,8}+[A-Za-z]{2,24}\b")),
    Kind("iban", "", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _if_iban),
    Kind("card", "", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-]?\d|\w)"), _if_card),
    Kind("ip address", ".", re.compile(r"(?<![\w.:-])(?<!v )(?:\d{1,3}\.){3}\d{1,3}(?![\w.]?\d|[\w-])"), _if_address),
    Kind("ip address", ":", re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), _if_address),
    Kind("phone", "", re.compile(r"(?<![\w+])(?:\+|00)[1-9][\d ()./-]{6,20}\d(?!\w)"), _if_phone),
    Kind("phone", "-", re.compile(r"(?<![\w-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])")),
)
