"""``python -m logging_azmon`` is the command ``logging-azmon``."""

import sys

from .cli import main

sys.exit(main())
