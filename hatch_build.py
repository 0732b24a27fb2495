"""Compile the fast path where that is possible; otherwise the wheel is pure Python, and the build says so.

LOGGING_AZMON_BUILD=pure makes a pure wheel on purpose, and LOGGING_AZMON_BUILD=compiled fails where nothing can be
compiled.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "logging_azmon/_compiled.pyx"
# Rounding must be the same as in Python, also where a processor could multiply and add in one step.
FLAGS = [] if sys.platform == "win32" else ["-O2", "-g0", "-ffp-contract=off"]


class Hook(BuildHookInterface[Any]):
    """Add the compiled module to a wheel, or to the tree of an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; if that fails, leave the wheel as it is."""
        wanted = os.environ.get("LOGGING_AZMON_BUILD", "")
        if wanted not in ("", "pure", "compiled"):
            raise ValueError(f"LOGGING_AZMON_BUILD={wanted!r} is not accepted; give 'pure' or 'compiled', or nothing")
        if wanted == "pure":
            self.app.display_warning("logging_azmon: pure Python, as LOGGING_AZMON_BUILD asks for")
            return
        try:
            built = self._compile()
        # A compiler that is missing or fails, by any of distutils' errors, and some exit.
        except (Exception, SystemExit) as error:
            if wanted == "compiled":
                raise
            self.app.display_warning(
                f"logging_azmon: nothing was compiled, so it will run as pure Python: {type(error).__name__}: {error}"
            )
            return
        target = f"logging_azmon/{built.name}"
        if version == "editable":
            # Renamed into place: processes that run the earlier one keep it.
            beside = Path(self.root, target + ".new")
            beside.write_bytes(built.read_bytes())
            beside.replace(beside.with_suffix(""))
        else:
            build_data["force_include"][str(built)] = target
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        self.app.display_info(f"logging_azmon: compiled {built.name}")

    def _compile(self) -> Path:
        if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
            raise RuntimeError("this interpreter runs the pure Python alone")
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension

        # Removed by the system; hatchling copies from there after this function.
        scratch = tempfile.mkdtemp(prefix="logging_azmon-")
        before = Path.cwd()
        os.chdir(self.root)
        try:
            extension = Extension("logging_azmon._compiled", [SOURCE], extra_compile_args=FLAGS)
            modules = cythonize([extension], build_dir=scratch, language_level=3, quiet=True)
            command: Any = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
            command.build_lib = command.build_temp = scratch
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
        return next(Path(scratch, "logging_azmon").glob("_compiled.*[!c]"))
