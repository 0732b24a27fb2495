"""Settings of the documentation's build: `python -m tox -e docs`."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

project = "logging_azmon"
author = "the logging_azmon authors"
copyright = author  # noqa: A001 - Sphinx looks for this name
release = version = metadata.version("logging-azmon")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The notes are a part of the page on performance.
exclude_patterns = ["_build", "charts/notes.md"]
# Docstrings write `code` with single backquotes.
default_role = "code"

# Each heading is an anchor, under the name that code hosts give it too. A link to a missing one is a warning.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"

# Values in double quotes can be copied as they are.
smartquotes = False

# Our public names must resolve. Other packages' names are not looked up on the Internet, and private ones have no page.
nitpick_ignore_regex = [(r"py:.*", r"(?!logging_azmon\.).*"), (r"py:.*", r"logging_azmon\.(.*\.)?_.*")]

# The highlighter's KQL does not know `$left` and `$right`.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"logging_azmon {release}"
html_show_sourcelink = False
html_copy_source = False

# The paths by which users import public names. Annotations contain the modules that define them.
_PUBLIC = ("logging_azmon", "logging_azmon.testing", "logging_azmon.local", "logging_azmon.typing")


def setup(app: Any) -> None:
    """Let type annotations link to public names."""
    app.connect("missing-reference", _link_public_name)


def _link_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolve `logging_azmon._somewhere.Name` as `logging_azmon.Name`, if that is public."""
    target = str(node.get("reftarget", ""))
    name = target.rpartition(".")[2]
    if not target.startswith("logging_azmon.") or node.get("refdomain") != "py":
        return None
    for home in _PUBLIC:
        if name in importlib.import_module(home).__all__ and target != f"{home}.{name}":
            domain = env.get_domain("py")
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", f"{home}.{name}", node, content)
    return None
