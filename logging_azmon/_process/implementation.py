"""Choose, once, between the compiled fast path and the pure one, which is the definition.

The compiled one runs where it was built. LOGGING_AZMON_IMPL=python or =compiled forces one of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType

VARIABLE = "LOGGING_AZMON_IMPL"


def choose(wanted: str, load: Callable[[], ModuleType]) -> ModuleType | None:
    """Return the compiled module, or None for the pure code; raise ImportError if what is wanted is not there."""
    if wanted not in ("", "python", "compiled"):
        raise ImportError(f"{VARIABLE}={wanted!r} is not accepted; set it to 'python' or 'compiled', or leave it unset")
    if wanted == "python":
        return None
    try:
        return load()
    except ImportError as error:
        if wanted == "compiled":
            raise ImportError(
                f"{VARIABLE}='compiled', but logging_azmon was installed without its compiled module ({error});"
                " install a wheel for this platform, or install from source where there is a C compiler"
            ) from error
        return None


def _load() -> ModuleType:
    from .. import _compiled

    return _compiled  # pragma: no cover - only where it was built


compiled = choose(os.environ.get(VARIABLE, ""), _load)


def name() -> str:
    """Return which of the two runs."""
    return "pure Python" if compiled is None else "compiled"
