"""Run the endpoint as a program, by the name of its directory."""

import sys
from pathlib import Path

# Python puts this directory on the path, not the one that holds the package.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from endpoint.program import main  # noqa: E402 - found only now

main()
