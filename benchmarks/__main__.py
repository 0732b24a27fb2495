"""Run the benchmarks: `python benchmarks [measurement ...]`; without a name, all of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import workers


def main(arguments: list[str]) -> int:
    """Measure and write the results, or be a worker of a measurement."""
    if arguments[:1] == ["--worker"]:
        # A worker imports nothing else, because that would disturb what it measures.
        workers.work(*arguments[1:])
        return 0

    import instructions
    import results
    from sampling import Scale

    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    parser.add_argument("measurements", nargs="*", metavar="measurement", help=", ".join(results.MEASUREMENTS))
    parser.add_argument("--runs", type=int, default=5, help="how often to measure each (default: %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="factor that shrinks all sizes, for a trial")
    parser.add_argument("--only", nargs="*", default=(), metavar="contender", help="measure only these")
    parser.add_argument(
        "--output",
        type=Path,
        help="directory for everything that is written (default: the results page and its charts go to docs/charts,"
        " the raw figures to benchmarks/figures.json, the instructions to benchmarks/baseline.json)",
    )
    parser.add_argument(
        "--check", action="store_true", help="only count instructions, and fail if they have grown; writes nothing"
    )
    given = parser.parse_args(arguments)
    files = results.Files.in_directory(given.output) if given.output else results.PUBLISHED
    if given.check:
        return instructions.check(files.baseline)
    unknown = [name for name in given.measurements if name not in results.MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(results.MEASUREMENTS)}")
    scale = Scale(runs=given.runs, share=given.share, only=tuple(given.only))
    return 0 if results.run(given.measurements or list(results.MEASUREMENTS), scale, files) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
