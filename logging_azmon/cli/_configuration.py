"""Where a command sends to: its options, then the application's own configuration, then the environment.

A command adds the options to its parser with `add_options`. `pipeline_arguments` makes of them what `Pipeline` takes;
what is missing there, `Pipeline` itself looks for in the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from .._config.clouds import CLOUDS
from .._config.settings import ENVIRONMENT, Settings, read
from .._config.validators import CREDENTIALS
from ..errors import ConfigurationError
from ._application import handler_arguments

_GIVEN = ("endpoint", "rule_id", "stream", "credential", "cloud", "columns", "dcr")
_MISSING = re.compile(rf"\bgive ({'|'.join(ENVIRONMENT)})=…")


_DCR = "the data collection rule, to read columns and types from"


def add_options(parser: argparse.ArgumentParser, *, sends: bool = True, dcr: str = _DCR) -> None:
    """Add the options that say where to, as whom, and with which columns; without the latter for who only reads."""
    group = parser.add_argument_group(
        "where to", "options go before the configuration, and that before the environment"
    )
    group.add_argument("--endpoint", metavar="URL", help=f"logs ingestion endpoint, else {ENVIRONMENT['endpoint']}")
    if sends:
        group.add_argument(
            "--rule-id", metavar="ID", help=f"the rule's immutable id, dcr-…, else {ENVIRONMENT['rule_id']}"
        )
        _add_columns(group, dcr)
    group.add_argument(
        "--credential",
        metavar="NAME",
        help=f'{", ".join(CREDENTIALS)}, or JSON with its options: \'{{"managed_identity": {{"client_id": "…"}}}}\'',
    )
    group.add_argument("--cloud", choices=CLOUDS, help="the cloud that the credential belongs to (public)")
    _add_configuration(group)


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which columns, for who neither sends nor reads."""
    group = parser.add_argument_group(
        "what is sent", "options go before the configuration, and that before the environment"
    )
    _add_columns(group, _DCR)
    _add_configuration(group)


def _add_columns(group: Any, dcr: str) -> None:
    group.add_argument("--stream", metavar="NAME", help=f"stream, Custom-…, else {ENVIRONMENT['stream']}")
    group.add_argument(
        "--columns", metavar="NAME", help="a table's name (default, lean, syslog, …), or a mapping of columns as JSON"
    )
    group.add_argument("--dcr", metavar="FILE", help=dcr)


def _add_configuration(group: Any) -> None:
    group.add_argument(
        "--config",
        metavar="SOURCE",
        help="the application's logging configuration: module:attribute, which is imported (this directory first), or"
        " a .yaml, .json, .toml or .ini file; FILE:key for a part of it",
    )
    group.add_argument("--handler", metavar="NAME", help="the handler in that configuration, if several are ours")


def pipeline_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments for `Pipeline`; raises a ConfigurationError that names what to change."""
    problems: list[str] = []
    given: dict[str, Any] = {}
    for name in _GIVEN:
        value = getattr(options, name, None)
        if value is not None:
            try:
                given[name] = _structured(name, value) if name in ("credential", "columns") else value
            except ConfigurationError as error:
                problems.extend(error.problems)
    if options.handler is not None and options.config is None:
        problems.append(f"--handler {options.handler} needs --config, which says where that handler is configured")
    if problems:
        raise ConfigurationError(problems)
    configured = {} if options.config is None else handler_arguments(options.config, options.handler)
    return configured | given


def settings_of(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Check the arguments together with the environment, in the words of the command line."""
    try:
        return read(arguments, os.environ if environ is None else environ)
    except ConfigurationError as error:
        raise ConfigurationError(map(_as_option, error.problems)) from None


def _as_option(problem: str) -> str:
    def option(found: re.Match[str]) -> str:
        return f"give --{found[1].replace('_', '-')} or --config,"

    return _MISSING.sub(option, problem)


def _structured(name: str, value: str) -> Any:
    """Read an option that is a name or a mapping."""
    if not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        # The value itself is not shown: a credential's may hold a secret.
        raise ConfigurationError(
            [f"--{name} begins with {{ but is no JSON (at character {getattr(error, 'pos', 0) + 1})"]
        ) from None
