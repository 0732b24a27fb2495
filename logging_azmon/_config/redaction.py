"""Read the argument `redact=`: presets, expressions, and names of keys whose values are secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from .validators import shown

PRESETS = ("secrets", "personal")
_PARTS = ("presets", "patterns", "keys")


class Redaction(NamedTuple):
    """Say what to redact: presets by name, expressions, and names of keys in lower case."""

    presets: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    keys: frozenset[str] = frozenset()


def read_redaction(value: Any) -> tuple[Redaction, list[str]]:
    """Return what the argument asks for, and a sentence for each mistake in it."""
    if isinstance(value, Redaction):
        return value, []
    if isinstance(value, str):
        if value in PRESETS:
            return Redaction((value,)), []
        expression = f"; for an expression, give a list, redact=[{value!r}]"
        return Redaction(), [f"redact={shown(value)} is not a preset; use {_named(PRESETS)}{_near(value)}{expression}"]
    problems: list[str] = []
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in _PARTS]
        problems += [f"redact: unknown part {shown(name)}; use {_named(_PARTS)}" for name in unknown]
        parts = {name: _list(name, value.get(name) or (), problems) for name in _PARTS}
        unknown = [name for name in parts["presets"] if name not in PRESETS]
        problems += [f"redact: {shown(name)} is not a preset; use {_named(PRESETS)}" for name in unknown]
    elif isinstance(value, list | tuple):
        parts = {"presets": [each for each in value if each in PRESETS], "keys": []}
        parts["patterns"] = [each for each in value if each not in PRESETS]
        problems += [
            f"redact: {each!r} is not a preset{near}, and would be taken as an expression; if it is one, give"
            f" {{'patterns': [{each!r}]}}"
            for each in parts["patterns"]
            if isinstance(each, str) and (near := _near(each))
        ]
    else:
        known = f"{_named(PRESETS)}, a list of these and of expressions, or a mapping of {_named(_PARTS)}"
        return Redaction(), [f"redact={shown(value)} is not accepted; give {known}"]
    patterns = list(_compiled(parts["patterns"], problems))
    problems += [f"redact: {shown(key)} is not the name of a key" for key in parts["keys"] if not isinstance(key, str)]
    if problems:
        return Redaction(), problems
    return Redaction(tuple(parts["presets"]), tuple(patterns), frozenset(key.lower() for key in parts["keys"])), []


def _list(name: str, value: Any, problems: list[str]) -> list[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    problems.append(f"redact: {name}={shown(value)} is not accepted; give a list")
    return []


def _compiled(patterns: Iterable[Any], problems: list[str]) -> Iterator[re.Pattern[str]]:
    for each in patterns:
        try:
            pattern = re.compile(each)
            is_text = isinstance(pattern.pattern, str)
        except (re.error, TypeError) as error:
            problems.append(f"redact: {shown(each)} is not a regular expression ({error})")
            continue
        if not is_text or pattern.search("") is not None:
            why = "matches empty text" if is_text else "is for bytes"
            problems.append(f"redact: {shown(each)} {why}; give an expression that matches what to replace")
            continue
        yield pattern


def _near(value: str) -> str:
    near = get_close_matches(value, PRESETS, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _named(names: Iterable[str]) -> str:
    *most, last = (repr(name) for name in names)
    return f"{', '.join(most)} or {last}"
