"""Run the whole loop without Azure: ingestion endpoint, rules, tables, KQL queries, and a page to look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .workspace import Workspace

__all__ = ["Workspace"]


def __getattr__(name: str) -> Any:
    """Import the workspace, and DuckDB with it, when it is first used."""
    if name != "Workspace":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .workspace import Workspace

    globals()[name] = Workspace
    return Workspace
