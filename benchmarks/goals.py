"""Define the bounds that the library aims to keep, and find the figure for each among the results.

If a goal is missed, docs/charts/notes.md explains under its name why, and by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tables
from sampling import Figure

TITLE = "Goals"
Results = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Hold a bound, and how to find its figure among the results."""

    what: str
    bound: float
    figure: Callable[[Results], Figure]
    is_least: bool = False

    def is_reached_by(self, median: float) -> bool:
        """Return whether a median is within the bound."""
        return median >= self.bound if self.is_least else median <= self.bound

    def row(self, results: Results) -> list[str]:
        """Show the bound beside the figure."""
        figure = self.figure(results)
        return [
            self.what,
            f"at {'least' if self.is_least else 'most'} {self.bound:g} ×",
            tables.spread(figure),
            "reached" if self.is_reached_by(figure["median"]) else "**missed**",
        ]


def _delivered(results: Results) -> Any:
    return results["to_acknowledged"]["result"]["cases"][0]


def _of_quota(results: Results) -> Figure:
    quota = results["to_acknowledged"]["result"]["quota_mb"]
    return {key: value / quota for key, value in _delivered(results)["found"]["ours"]["mb_a_second"].items()}


def _spooled(results: Results) -> Figure:
    calls = results["log_call"]["result"]["against_queue_handler"]["plain"]
    ratio = calls["ours_spool"]["median"] / calls["ours"]["median"]
    return dict.fromkeys(("median", "low", "high"), ratio)


def _memory(results: Results) -> Figure:
    cases: list[Figure] = [one["against_queue_bytes"] for one in results["outage"]["result"]["found"]]
    return max(cases, key=lambda one: one["median"])


GOALS = (
    Goal(
        what="cost of a log call, compared with `QueueHandler`",
        bound=0.5,
        figure=lambda results: results["log_call"]["result"]["against_queue_handler"]["plain"]["ours"],
    ),
    Goal(what="cost of a log call with a spool, compared with none", bound=2, figure=_spooled),
    Goal(
        what="rows delivered, compared with a queue and `LogsIngestionClient.upload(list)`",
        bound=2.5,
        is_least=True,
        figure=lambda results: _delivered(results)["ours_against"]["sdk_list"],
    ),
    Goal(
        what="rows delivered, compared with OpenTelemetry and an HTTP exporter",
        bound=6,
        is_least=True,
        figure=lambda results: _delivered(results)["ours_against"]["opentelemetry"],
    ),
    Goal(
        what="megabytes delivered for one logging thread, compared with a rule's quota",
        bound=1.5,
        is_least=True,
        figure=_of_quota,
    ),
    Goal(what="growth of the process in an outage, compared with `queue_bytes`", bound=1.5, figure=_memory),
    Goal(
        what="cost of a row with the most expensive backlog, compared with a single batch",
        bound=1.1,
        figure=lambda results: results["growth"]["result"]["backlog"]["worst_against_first"],
    ),
    Goal(
        what="p99.9 of a log call under load, compared with a handler that does nothing",
        bound=3,
        figure=lambda results: results["interference"]["result"]["against_nothing"]["call_p99.9"]["ours"],
    ),
)


def describe(results: Results) -> str:
    """Write the section that compares every goal with its figure; needs the results of all measurements."""
    return tables.markdown(["", "goal", "measured", ""], [goal.row(results) for goal in GOALS])
