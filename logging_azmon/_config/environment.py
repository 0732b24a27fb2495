"""Settings from environment variables: each setting's name in capitals, after LOGGING_AZMON_.

An argument in code comes before LOGGING_AZMON_X, that before the variable of Microsoft's samples, and that before the
default. `enabled` has no such variable: DISABLED switches off whatever the code says.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .._process import implementation
from ..errors import ConfigurationError
from .options import ADDRESS, ARGUMENTS, DISABLED, PREFIX, Options

_SETTINGS = tuple(name for name in (*ADDRESS, "credential", *Options.__annotations__) if name != "enabled")
# The level of each handler and processor.
LEVEL = f"{PREFIX}LEVEL"
_OTHERS = (DISABLED, LEVEL)


def variable(name: str) -> str:
    """Return the variable of a setting."""
    return PREFIX + name.upper()


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings that the environment gives, and by setting what is wrong with others."""
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in _SETTINGS:
        text = environ.get(variable(name), "").strip()
        if text:
            try:
                values[name] = _parsed(name, text)
            except ConfigurationError as error:
                problems[name] = error.problems[0]
    return values, problems


def setting(name: str, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """Return one setting, for a command: the argument, else what the environment says, else None."""
    if arguments.get(name) is not None:
        return arguments[name]
    values, problems = from_environment(environ)
    if name in problems:
        raise ConfigurationError([problems[name]])
    microsoft = ARGUMENTS[name].variable
    return values.get(name) or ("" if microsoft is None else environ.get(microsoft, "").strip()) or None


def level(given: int | str, environ: Mapping[str, str]) -> int | str:
    """Return the level of a handler or processor: the environment's if none is given."""
    text = environ.get(LEVEL, "").strip()
    if given != logging.NOTSET or not text:
        return given
    return int(text) if text.isdecimal() else text


def used(environ: Mapping[str, str]) -> list[str]:
    """Return the variables of ours that are set, and known."""
    return [name for name in (*map(variable, _SETTINGS), *_OTHERS) if environ.get(name, "").strip()]


def unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """Point out variables that look like ours, and do nothing."""
    names = [*map(variable, _SETTINGS), *_OTHERS, implementation.VARIABLE]
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in names:
            continue
        if name == f"{PREFIX}ENABLED":
            yield f"{name} does nothing: {DISABLED}=1 switches off, and without it handlers are on"
            continue
        # Without the beginning, which would make all of them similar.
        near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in names], 1)
        question = f": did you mean {PREFIX}{near[0]}?" if near else f"; there are {', '.join(names)}"
        yield f"{name} does nothing{question}"


def with_origin(problem: str, names: Mapping[str, Any]) -> str:
    """Add to a problem of one of these settings that the environment has given it."""
    name = next((name for name in names if problem.startswith((f"{name}=", f"{name} ", f"{name}:"))), None)
    return problem if name is None else f"{problem} (it comes from {variable(name)})"


def _parsed(name: str, text: str) -> Any:
    argument = ARGUMENTS[name]
    if argument.limits is not None:
        try:
            return int(text) if argument.is_whole else float(text)
        except ValueError:
            return text  # the check says what is accepted
    if text.startswith("ext://"):
        return _resolved(name, text)
    if text.startswith(("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            # The value itself is not shown: a credential's may hold a secret.
            position = getattr(error, "pos", 0) + 1
            problem = f"{variable(name)} begins with {text[0]} but is not valid JSON (at character {position})"
            raise ConfigurationError([problem]) from None
        return _with_objects(name, value)
    return text


def _with_objects(name: str, value: Any) -> Any:
    """Replace what begins with ext:// in a value from JSON, at any depth, as dictConfig would."""
    if isinstance(value, dict):
        return {key: _with_objects(name, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_objects(name, each) for each in value]
    return _resolved(name, value) if isinstance(value, str) and value.startswith("ext://") else value


def _resolved(name: str, text: str) -> Any:
    from logging.config import BaseConfigurator

    try:
        return BaseConfigurator({}).ext_convert(text.removeprefix("ext://"))
    except Exception as error:
        reason = error.__cause__ or error
        problem = f"{variable(name)}={text} cannot be resolved ({type(reason).__name__}: {reason})"
        raise ConfigurationError([problem]) from error
