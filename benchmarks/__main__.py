"""Run the benchmarks: `python benchmarks [measurement ...]`, all of them without a name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import workers


def main(arguments: list[str]) -> int:
    """Measure, and write what was found; or be a worker of a measurement."""
    if arguments[:1] == ["--worker"]:
        # Imports nothing else: what a worker measures is not to be disturbed.
        workers.work(*arguments[1:])
        return 0

    import instructions
    import results
    from sampling import Scale

    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    parser.add_argument("measurements", nargs="*", metavar="measurement", help=", ".join(results.MEASUREMENTS))
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="shrinks all sizes, to try something out")
    parser.add_argument("--only", nargs="*", default=(), metavar="contender", help="measure these alone")
    parser.add_argument("--output", type=Path, default=workers.HERE, help="where results and charts go")
    parser.add_argument(
        "--check", action="store_true", help="only count instructions, and fail if they have grown; writes nothing"
    )
    given = parser.parse_args(arguments)
    if given.check:
        return instructions.check(results.read(given.output))
    unknown = [name for name in given.measurements if name not in results.MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(results.MEASUREMENTS)}")
    scale = Scale(runs=given.runs, share=given.share, only=tuple(given.only))
    return 0 if results.run(given.measurements or list(results.MEASUREMENTS), scale, given.output) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
