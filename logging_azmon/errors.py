"""The error tree.

AzureMonitorLoggingError
└── ConfigurationError (also a ValueError)   raised when a handler, processor or pipeline is constructed

Nothing else is raised into an application: what goes wrong later is counted and reported. (But for a TypeError when a
pipeline is pickled whose credential cannot be: pickle's own word for that.)
"""

from __future__ import annotations

from collections.abc import Iterable


class AzureMonitorLoggingError(Exception):
    """Root of everything this package raises."""


class ConfigurationError(AzureMonitorLoggingError, ValueError):
    """Say which arguments are wrong, with which value, and what would be right.

    ``problems`` holds one sentence for each mistake; all of them are reported together.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_lines(self.problems)))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        """Survive pickling, as errors in worker processes must."""
        return type(self), (self.problems,)


def _lines(problems: tuple[str, ...]) -> Iterable[str]:
    if len(problems) == 1:
        yield problems[0]
        return
    yield f"{len(problems)} problems:"
    yield from (f"  - {problem}" for problem in problems)
