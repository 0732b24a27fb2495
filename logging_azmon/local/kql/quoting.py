"""Quote names and strings, for SQL and for KQL."""

from __future__ import annotations

import re


def sql_name(name: str) -> str:
    """Quote the name of a table or column for SQL."""
    return '"' + name.replace('"', '""') + '"'


def kql_name(name: str) -> str:
    """Quote the name of a table or column for KQL."""
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def kql_string(value: str) -> str:
    """Quote a string for KQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_PIECE = re.compile(
    r"""[hH]?(?:@"((?:[^"]|"")*)"|@'((?:[^']|'')*)'|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""", re.DOTALL
)


def string_value(written: str) -> str:
    r"""Return the value of a KQL string literal; literals in a row are one string.

    >>> string_value(r'''"a\u0041" h'b' ''')
    'aAb'
    """
    value = ""
    for double, single, escaped, quoted in (found.groups() for found in _PIECE.finditer(written)):
        if double is not None or single is not None:
            value += double.replace('""', '"') if double is not None else single.replace("''", "'")
        else:
            value += _ESCAPED.sub(_character, escaped if escaped is not None else quoted)
    return value


def _character(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(found[4], found[4])
