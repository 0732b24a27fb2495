"""What the library means to reach, beside what was measured; what is out of reach says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tables
from sampling import Figure

Results = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Hold a bound, and how the figure for it is found among the results."""

    what: str
    bound: float
    found: Callable[[Results], Figure]
    is_least: bool = False
    # Why it is out of reach, where it is.
    because: str = ""

    def is_reached(self, found: Results) -> bool:
        """Tell whether the median is within the bound."""
        median = self.found(found)["median"]
        return median >= self.bound if self.is_least else median <= self.bound

    def row(self, found: Results) -> list[str]:
        """Show the bound and the figure."""
        bound = f"at {'least' if self.is_least else 'most'} {self.bound:g} ×"
        return [
            self.what,
            bound,
            tables.spread(self.found(found)),
            "reached" if self.is_reached(found) else "**missed**",
        ]


def _delivered(found: Results) -> Any:
    return found["to_acknowledged"]["result"]["cases"][0]


def _of_quota(found: Results) -> Figure:
    quota = found["to_acknowledged"]["result"]["quota_mb"]
    return {key: value / quota for key, value in _delivered(found)["found"]["ours"]["mb_a_second"].items()}


def _spooled(found: Results) -> Figure:
    calls = found["log_call"]["result"]["against_queue_handler"]["plain"]
    ratio = calls["ours_spool"]["median"] / calls["ours"]["median"]
    return dict.fromkeys(("median", "low", "high"), ratio)


def _memory(found: Results) -> Figure:
    cases: list[Figure] = [one["against_queue_bytes"] for one in found["outage"]["result"]["found"]]
    return max(cases, key=lambda one: one["median"])


GOALS = (
    Goal(
        what="a log call above nothing, against `QueueHandler`",
        bound=0.5,
        found=lambda found: found["log_call"]["result"]["against_queue_handler"]["plain"]["ours"],
        because=(
            "What a row needs is more than half of what `QueueHandler` does. Prototypes, on 3.11: as one function"
            " without a single further Python call, 0.68; that with the finished row thrown away instead of kept,"
            " 0.61; or with the extras known without being looked for among the record's attributes, 0.53."
            " [Where the instructions are](#instructions) says the rest: nearly half of them are the interpreter's own"
            " loop and its dicts, what remains is formatting the message, orjson, and memory. Remembering the shape of"
            " a call site's extras, and leaving the times to orjson, were tried, and were no faster."
        ),
    ),
    Goal(what="the same with a spool, against without", bound=2, found=_spooled),
    Goal(
        what="delivered, against a queue and `LogsIngestionClient.upload(list)`",
        bound=2.5,
        is_least=True,
        found=lambda found: _delivered(found)["ours_against"]["sdk_list"],
    ),
    Goal(
        what="delivered, against OpenTelemetry and an HTTP exporter",
        bound=6,
        is_least=True,
        found=lambda found: _delivered(found)["ours_against"]["opentelemetry"],
        because=(
            "One logging thread makes its records itself. Here a call to a handler that does nothing, with four"
            " arguments and 480 bytes, takes nearly half of the time that a delivered row has; without any cost of"
            " ours, and with nobody else at work in the process, there would be some 8 × in it."
        ),
    ),
    Goal(
        what="delivered by one logging thread, against a rule's quota",
        bound=1.5,
        is_least=True,
        found=_of_quota,
        because=(
            "As above: of each row's time on the logging thread nearly half is the standard library's, and a"
            " seventh goes by waiting for the interpreter's lock while an upload has it."
        ),
    ),
    Goal(what="growth of the process in an outage, against `queue_bytes`", bound=1.5, found=_memory),
    Goal(
        what="a row's cost with the dearest backlog, against a single batch",
        bound=1.1,
        found=lambda found: found["growth"]["result"]["backlog"]["worst_against_first"],
        because="The exponent below says how costs grow with the backlog; single points are as noisy as the machine.",
    ),
    Goal(
        what="p99.9 of a call under load, against a handler that does nothing",
        bound=3,
        found=lambda found: found["interference"]["result"]["against_nothing"]["call_p99.9"]["ours"],
    ),
)


def tell(found: Results) -> list[str]:
    """Write the results' first section, once everything has been measured."""
    try:
        rows = [goal.row(found) for goal in GOALS]
    except (KeyError, IndexError):
        return []
    missed = [f"- *{goal.what}*: {goal.because}" for goal in GOALS if not goal.is_reached(found)]
    return [
        "## Goals",
        tables.markdown(["", "goal", "measured", ""], rows),
        *(["Of what is missed:", "\n".join(missed)] if missed else []),
    ]
