"""Define the options for the destination, the identity and the columns.

A value comes from the command's option, else from the application's own configuration (--config), else from the
environment. A command adds the options with `add_options`; `pipeline_arguments` turns them into arguments for
`Pipeline`, which reads missing ones from the environment itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ..._config.clouds import CLOUDS
from ..._config.credential_checks import CREDENTIALS
from ..._config.settings import ENVIRONMENT, Settings, read, switched_off_by
from ...errors import ConfigurationError
from .application_config import handler_arguments

_PIPELINE_OPTIONS = ("endpoint", "rule_id", "stream", "credential", "cloud", "columns", "dcr")
_MISSING = re.compile(rf"\bgive ({'|'.join(ENVIRONMENT)})=…")


_PRECEDENCE = "options take precedence over --config, and --config over the environment"
_DCR = "data collection rule as JSON; columns and types are read from it"


def add_options(parser: argparse.ArgumentParser, *, sends: bool = True, dcr: str = _DCR) -> None:
    """Add the options; a command that only reads (`sends=False`) gets none for rule, stream and columns."""
    group = parser.add_argument_group("endpoint and identity", _PRECEDENCE)
    group.add_argument("--endpoint", metavar="URL", help=f"logs ingestion endpoint; default: {ENVIRONMENT['endpoint']}")
    if sends:
        group.add_argument(
            "--rule-id", metavar="ID", help=f"the rule's immutable id, dcr-…; default: {ENVIRONMENT['rule_id']}"
        )
        _add_columns(group, dcr)
    group.add_argument(
        "--credential",
        metavar="NAME",
        help=f'{", ".join(CREDENTIALS)}; or JSON with its options: \'{{"managed_identity": {{"client_id": "…"}}}}\'',
    )
    group.add_argument("--cloud", choices=CLOUDS, help="cloud that the credential belongs to (public)")
    _add_configuration(group)


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Add only the options that say which columns, for a command that neither sends nor reads."""
    group = parser.add_argument_group("stream and columns", _PRECEDENCE)
    _add_columns(group, _DCR)
    _add_configuration(group)


def _add_columns(group: Any, dcr: str) -> None:
    group.add_argument("--stream", metavar="NAME", help=f"stream, Custom-…; default: {ENVIRONMENT['stream']}")
    group.add_argument(
        "--columns", metavar="NAME", help="name of a table (default, lean, syslog, …), or columns as a JSON object"
    )
    group.add_argument("--dcr", metavar="FILE", help=dcr)


def _add_configuration(group: Any) -> None:
    group.add_argument(
        "--config",
        metavar="SOURCE",
        help="logging configuration of the application: module:attribute, which is imported (from this directory"
        " first), or a .yaml, .json, .toml or .ini file; FILE:key selects a part of the file",
    )
    group.add_argument("--handler", metavar="NAME", help="handler in --config, if it has several of this library")


def pipeline_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments for `Pipeline`, or raise a ConfigurationError that says what to change."""
    problems: list[str] = []
    arguments: dict[str, Any] = {}
    for name in _PIPELINE_OPTIONS:
        value = getattr(options, name, None)
        if value is not None:
            try:
                arguments[name] = _name_or_mapping(name, value) if name in ("credential", "columns") else value
            except ConfigurationError as error:
                problems.extend(error.problems)
    if options.handler is not None and options.config is None:
        problems.append(f"--handler {options.handler} needs --config, which says where the handler is configured")
    if problems:
        raise ConfigurationError(problems)
    configured = {} if options.config is None else handler_arguments(options.config, options.handler)
    return configured | arguments


def read_settings(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from arguments and environment; error messages name options of the command line."""
    try:
        return read(arguments, os.environ if environ is None else environ)
    except ConfigurationError as error:
        raise ConfigurationError(map(_as_option, error.problems)) from None


def require_enabled(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
    """Raise a ConfigurationError if the arguments or the environment switch the handler off."""
    switch = switched_off_by(arguments, os.environ if environ is None else environ)
    if switch:
        raise ConfigurationError([f"{switch} switches the handler off, so that no row is sent: remove it first"])


def _as_option(problem: str) -> str:
    def option(match: re.Match[str]) -> str:
        return f"give --{match[1].replace('_', '-')} or --config,"

    return _MISSING.sub(option, problem)


def _name_or_mapping(name: str, value: str) -> Any:
    """Parse an option that is a name, or a mapping as JSON."""
    if not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        # The value itself is not shown: a credential's may hold a secret.
        raise ConfigurationError(
            [f"--{name} begins with {{ but is not valid JSON (at character {getattr(error, 'pos', 0) + 1})"]
        ) from None
