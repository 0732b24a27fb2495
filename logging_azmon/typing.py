"""Types for code that passes a front door's arguments on, such as a subclass or a factory.

A subclass that adds an argument of its own, and passes all others on::

    class ShopHandler(AzureMonitorHandler):
        def __init__(self, shop: str, **options: Unpack[Options]) -> None:
            super().__init__(**options)
            self.addFilter(ShopFilter(shop))
"""

from __future__ import annotations

from ._config.options import Credential, Options, TokenCredential
from .pipeline import HasPipeline

__all__ = ["Credential", "HasPipeline", "Options", "TokenCredential"]
