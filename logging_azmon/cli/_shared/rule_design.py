"""Design the rule that an application's columns need, for a template or for the local workspace.

Here alone is decided which table a stream is stored in by default, so that the commands agree on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._config.dcr import LOCAL_RULE_ID, Document
from ..._config.environment import setting
from ..._config.presets import BUILT_IN
from ...errors import ConfigurationError
from ...infra.design import Design
from ...table import Column, Table
from .options import read_settings

# Settings need an address to be valid; nothing is sent, so this one is never used.
_ANY_ADDRESS = {"endpoint": "https://not-deployed-yet.example", "rule_id": "dcr-not-deployed-yet"}


def default_table(stream: str, columns: Any = None) -> str:
    """Return the table that a stream is stored in unless a rule says otherwise; presets of Azure's own tables know it.

    >>> default_table("Custom-App"), default_table("Custom-My.Shop_CL"), default_table("Custom-Syslog", "syslog")
    ('App_CL', 'My_Shop_CL', 'Syslog')
    """
    if stream.startswith("Microsoft-"):
        return stream.removeprefix("Microsoft-")
    if isinstance(columns, str) and columns in BUILT_IN:
        return BUILT_IN[columns].removeprefix("Microsoft-")
    return re.sub(r"[^A-Za-z0-9]+", "_", base_of(stream.removeprefix("Custom-") or "App")) + "_CL"


def base_of(table: str) -> str:
    """Return a table's name without the mark of custom tables."""
    return table.removesuffix("_CL")


def stream_and_table(arguments: Mapping[str, Any], table: str | None = None) -> tuple[str, str]:
    """Return the names of stream and table; a stream that only the environment names gives way to a table's name."""
    stream = arguments.get("stream") or ("" if table else setting("stream", {}, os.environ) or "")
    table = table or default_table(stream, setting("columns", arguments, os.environ))
    return stream or f"Custom-{base_of(table)}", table


def table_of(arguments: Mapping[str, Any], stream: str) -> Table:
    """Return the columns, checked as a handler would."""
    return read_settings({**arguments, **_ANY_ADDRESS, "stream": stream, "credential": None}).table


def rules_for(handlers: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return the rules that these handlers send to; a handler's own rule file (`dcr`) is taken as it is."""
    documents: list[Document] = []
    streams: dict[str, dict[tuple[str, str], Table]] = {}
    for arguments in handlers:
        document = setting("dcr", arguments, os.environ)
        if isinstance(document, str | os.PathLike):
            documents.append(os.fspath(document))
            continue
        stream, table = stream_and_table(arguments)
        rule_id = setting("rule_id", arguments, os.environ) or LOCAL_RULE_ID
        known = streams.setdefault(rule_id, {})
        columns = table_of(arguments, stream)
        key = (stream, table)
        known[key] = Table(tuple(_merged(known[key], columns, stream))) if key in known else columns
    documents = list(dict.fromkeys(documents))
    return documents + [_rule(rule_id, known) for rule_id, known in streams.items()]


def _merged(first: Table, second: Table, stream: str) -> Iterator[Column]:
    """Yield the columns of two handlers of one stream, each once."""
    types = {column.name: column.type for column in first}
    yield from first
    for column in second:
        if column.name not in types:
            yield column
        elif types[column.name] != column.type:
            problem = f"column {column.name!r} of {stream} is {types[column.name]} in one handler and {column.type} in"
            raise ConfigurationError([f"{problem} another: give them one type, or give each handler a stream"])


def _rule(rule_id: str, streams: Mapping[tuple[str, str], Table]) -> Document:
    designs = [Design(columns=columns, table=table, stream=stream) for (stream, table), columns in streams.items()]
    properties = [design.rule_properties(workspace_id="local", dce_id=None) for design in designs]
    return {
        "immutableId": rule_id,
        "streamDeclarations": {name: each for part in properties for name, each in part["streamDeclarations"].items()},
        "dataFlows": [flow for part in properties for flow in part["dataFlows"]],
    }
