"""Who may import whom, and what importing the package costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import logging_azmon

PACKAGE = Path(logging_azmon.__file__).parent
ROOT = Path(__file__).parent.parent

# From the ground up: a module imports those below it, and nothing beside or above. The front doors come last.
LAYERS = [
    {
        "errors",
        "guard",
        "holding",
        "turns",
        "clock",
        "ledger",
        "readable",
        "outcome",
        "segment",
        "lock",
        "queued",
        "stamps",
    },
    {"checks", "table", "values", "pacing", "lanes", "report", "batch", "disk", "levels"},
    {"exceptions", "directory", "batches"},
    {"presets", "fields", "buffer"},
    {"dcr", "layout", "appender"},
    {"pieces", "spool", "spread"},
    {"quick"},
    {"quick_event"},
    {"settings", "encode"},
    {"credential"},
    {"answers"},
    {"upload", "delivery"},
    {"registry", "listener", "assembly"},
    {"exiting", "capturing"},
    {"forking", "waiting"},
    {"pipeline"},
    {"sharing", "crossing"},
    {"handler", "testing"},
    {"processor"},
    {"cli", "pytest_plugin"},
    {"__main__"},
]
LEVELS = {module: level for level, modules in enumerate(LAYERS) for module in modules}
# Rooms that stand apart, with all that they may import. Of the others, only the commands and the fixtures enter them.
ROOMS = {"local": {"table", "dcr", "presets", "errors"}, "infra": {"table", "presets", "errors"}}

# The local workspace is a server of its own: it has threads, and the other end of the wire.
THREADS = {"listener", "local"}
# `upload` asks, `answers` reads what comes back; commands look at the way there, and read what is deployed and stored.
WIRE = {"upload", "answers", "local", "cli"}


def owner(path):
    """Return the module or room that a source file belongs to."""
    place = path.relative_to(PACKAGE)
    return place.parts[0] if len(place.parts) > 1 else place.stem


SOURCES = [(owner(path), path) for path in sorted(PACKAGE.rglob("*.py"))]
NAMES = [str(path.relative_to(PACKAGE)) for _, path in SOURCES]


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(tree, depth):
    """Yield each import of a file: how many packages up (0: absolute), and the dotted name's first part.

    Functions are looked into, too: a late import still goes one way only. Those for type checkers are not.
    """
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield 0, node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            if node.level == depth:
                names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                yield from ((depth, name) for name in names)
        else:
            yield from imports(node, depth)


def imported(path, *, own):
    """Return what a file imports: of this package, or of all others."""
    depth = len(path.relative_to(PACKAGE).parts)
    found = set(imports(ast.parse(path.read_text("utf-8")), depth))
    return {name for level, name in found if (level > 0) == own}


class TestDirection:
    def test_every_module_has_its_place(self):
        """A new one must be given one here, and in CONTRIBUTING's table."""
        assert {module for module, _ in SOURCES} - {"__init__"} - set(ROOMS) == set(LEVELS)

    def test_every_module_is_in_the_table_for_contributors(self):
        """Under "Layout"; and no other is."""
        text = ROOT.joinpath("CONTRIBUTING.md").read_text("utf-8")
        layout = re.search(r"^\| level \| modules \|$(.*?)^$", text, re.DOTALL | re.MULTILINE)[1]

        assert {name.strip("/") for name in re.findall(r"`([a-z_/]+)`", layout)} == set(LEVELS) - {"__main__"}

    @pytest.mark.parametrize(("module", "path"), SOURCES, ids=NAMES)
    def test_imports_run_downward_only(self, module, path):
        """Whoever is imported never knows by whom, so each part can be read and tested alone."""
        found = imported(path, own=True)
        if module in ROOMS:
            allowed = ROOMS[module]
        else:
            allowed = {name for name, level in LEVELS.items() if level < LEVELS.get(module, 0)}
            allowed |= set(ROOMS) if module in {"cli", "pytest_plugin"} else set()

        assert found - allowed - {module} == set()

    def test_the_package_itself_imports_nothing_of_its_own(self):
        """Its names come when they are asked for."""
        assert imported(PACKAGE / "__init__.py", own=True) == set()

    @pytest.mark.parametrize(("module", "path"), SOURCES, ids=NAMES)
    def test_nobody_else_knows_the_sdk_and_the_wire(self, module, path):
        """Everything else works with any destination."""
        known = imported(path, own=False) & {"azure", "requests", "urllib3", "ssl", "socketserver", "http"}

        assert known == set() or module in WIRE

    @pytest.mark.parametrize(("module", "path"), SOURCES, ids=NAMES)
    def test_only_one_module_starts_threads(self, module, path):
        """Whoever looks for the background finds all of it there."""
        starts = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and node.attr in {"Thread", "Timer", "start_new_thread"}
            if not isinstance(getattr(node, "ctx", None), ast.Store)
        ]

        assert starts == [] or module in THREADS

    def test_every_absolute_import_is_of_another_package(self):
        """The package is importable under whatever name it is vendored."""
        assert [path for _, path in SOURCES if "logging_azmon" in imported(path, own=False)] == []


def loaded(script):
    """Run a script in a fresh interpreter and return the modules that it has imported beyond a bare start."""
    code = f"import sys\nbefore = set(sys.modules)\n{script}\nprint(*(set(sys.modules) - before), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return set(done.stdout.split())


HANDLER = """
import logging, logging.config, logging_azmon
logging.config.dictConfig({
    "version": 1,
    "handlers": {"azure": {
        "class": "logging_azmon.AzureMonitorHandler",
        "endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App",
        "credential": {"managed_identity": {"client_id": "1"}},
    }},
    "root": {"handlers": ["azure"], "level": "INFO"},
})
"""
HEAVY = {"azure", "requests", "urllib3", "structlog", "msal", "asyncio", "opentelemetry", "isal", "http.client", "ssl"}


class TestCost:
    def test_importing_the_package_imports_nothing_else(self):
        """Of the package, only itself; its names come when they are asked for."""
        found = loaded("import logging_azmon")

        assert {name for name in found if name.startswith("logging_azmon")} == {"logging_azmon"}
        assert found & HEAVY == set()
        assert "logging" not in found

    def test_a_handler_imports_neither_the_sdk_nor_structlog(self):
        """They are imported by the thread that uploads, when there is something to upload."""
        found = loaded(HANDLER)

        assert found & HEAVY == set()
        assert "logging_azmon.handler" in found

    def test_a_processor_does_not_import_structlog_either(self):
        """Only to drop events, and to structure exceptions."""
        made = "from logging_azmon import AzureMonitorProcessor\n"
        made += "AzureMonitorProcessor('http://127.0.0.1:9', 'dcr-1', 'Custom-App')"

        assert loaded(made) & HEAVY == set()

    def test_a_handler_with_the_default_table_imports_what_it_needs(self):
        """The reader of rules, the commands and the fakes have no part in it."""
        found = {name.removeprefix("logging_azmon.") for name in loaded(HANDLER) if name.startswith("logging_azmon.")}

        assert found & {"dcr", "testing", "cli", "__main__"} == set()

    def test_a_log_call_imports_nothing_more(self):
        """Whoever waits for it is a user of the application."""
        script = HANDLER + (
            "from logging_azmon.testing import capture\n"
            "with capture() as rows:\n"
            "    before |= set(sys.modules)\n"
            "    logging.getLogger('app').warning('hello %s', 'you', extra={'answer': 42})\n"
            "assert rows[0]['Message'] == 'hello you', rows\n"
        )

        assert {name for name in loaded(script) if name.split(".")[0] in HEAVY | {"logging_azmon"}} == set()
