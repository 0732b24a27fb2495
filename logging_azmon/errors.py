"""The errors that this package raises.

AzureMonitorLoggingError
└── ConfigurationError (also a ValueError)   raised when a handler, processor or pipeline is constructed

Commands have two more, which they turn into a message and an exit code. No other error reaches an application: later
failures are counted and reported. The one exception is the TypeError that pickle expects when a pipeline cannot be
pickled because its credential is an object.
"""

from __future__ import annotations

from collections.abc import Iterable


class AzureMonitorLoggingError(Exception):
    """Base class of the errors that this package raises."""


class ConfigurationError(AzureMonitorLoggingError, ValueError):
    """Report every wrong argument, with its value and what is accepted instead.

    `problems` holds one sentence for each mistake.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_lines(self.problems)))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        """Keep `problems` when a worker process pickles the error."""
        return type(self), (self.problems,)


def _lines(problems: tuple[str, ...]) -> Iterable[str]:
    if len(problems) == 1:
        yield problems[0]
        return
    yield f"{len(problems)} problems:"
    yield from (f"  - {problem}" for problem in problems)
