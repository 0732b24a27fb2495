"""Send Python logs as typed rows to your own Log Analytics table.

Start with `AzureMonitorHandler` (logging) or `AzureMonitorProcessor` (structlog); `Pipeline` shares one delivery;
`Column` and `Table` define rows; `Stats`, `Health` and `Trouble` say what happened. For tests:
`logging_azmon.testing`, `logging_azmon.local`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import ConfigurationError
    from .handler import AzureMonitorHandler
    from .health import Health, Place
    from .pipeline import Pipeline
    from .processor import AzureMonitorProcessor
    from .sigterm import exit_on_sigterm
    from .stats import Stats
    from .table import Column, Table
    from .trouble import Trouble

__all__ = [
    "AzureMonitorHandler",
    "AzureMonitorProcessor",
    "Column",
    "ConfigurationError",
    "Health",
    "Pipeline",
    "Place",
    "Stats",
    "Table",
    "Trouble",
    "exit_on_sigterm",
]

_HOMES = {
    "AzureMonitorHandler": "handler",
    "AzureMonitorProcessor": "processor",
    "Column": "table",
    "ConfigurationError": "errors",
    "Health": "health",
    "Pipeline": "pipeline",
    "Place": "health",
    "Stats": "stats",
    "Table": "table",
    "Trouble": "trouble",
    "exit_on_sigterm": "sigterm",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package costs next to nothing."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, and not those that this module needs itself."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
