"""A reference to a handler that dictConfig has not made yet, as in ``pipeline="cfg://handlers.azure"``.

dictConfig makes handlers in the order of their names. Until a handler's turn comes, "cfg://handlers.azure" is its
configuration; then the configurator puts the handler in the same place, so it is found there when the first record
comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DictConfigReference:
    """Refer to a handler by its name in a configuration."""

    def __init__(self, handlers: Mapping[str, Any], name: str) -> None:
        self.name = name
        self._handlers = handlers

    @classmethod
    def of(cls, configuration: Any) -> DictConfigReference | None:
        """Find which handler's configuration this is; None if it is none."""
        config = getattr(getattr(configuration, "configurator", None), "config", None)
        handlers = config.get("handlers") if isinstance(config, Mapping) else None
        if not isinstance(handlers, dict):
            return None
        return next((cls(handlers, name) for name, item in dict.items(handlers) if item is configuration), None)

    def may_have_pipeline(self) -> bool:
        """Return whether the handler may be one of ours: if a factory makes it, only the factory knows."""
        configuration = self._handlers[self.name]
        factory = dict.get(configuration, "()", dict.get(configuration, "class"))
        if isinstance(factory, str):
            factory = configuration.configurator.resolve(factory)
        return not isinstance(factory, type) or hasattr(factory, "pipeline")

    def made(self) -> Any:
        """Return the handler, or still its configuration."""
        return self._handlers[self.name]
