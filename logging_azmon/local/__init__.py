"""Run the whole loop without Azure: ingestion endpoint, rules, tables, KQL queries, and a page to look at them.

Imports run downward only, in this order:

- `workspace`: puts the parts together;
- `routes`: passes each request to the part that answers it;
- `page`: the browser's files and data;
- `ingest`, `query`, `azure_fakes`: the Azure services that are imitated;
- `storage`: tables, and the rows on their way into them;
- `kql`, `http`: languages and formats, which know nothing of a workspace.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kql.errors import QueryError
    from .workspace import Workspace

__all__ = ["QueryError", "Workspace"]

_HOMES = {"QueryError": "kql.errors", "Workspace": "workspace"}


def __getattr__(name: str) -> Any:
    """Import the workspace, and DuckDB with it, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value
