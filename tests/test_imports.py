"""The direction of imports between the folders, and the cost of importing the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import logging_azmon

PACKAGE = Path(logging_azmon.__file__).parent

# Each row may import the rows below it and modules of its own folder; neither its neighbours nor a row above.
DIRECTION = [
    {"__main__"},
    {"cli", "pytest_plugin"},
    {"processor"},
    {"handler", "testing", "typing"},
    {"_front"},
    {"metrics", "pipeline", "sigterm"},
    {"_pipeline"},
    {"_azure"},
    {"_delivery", "_spool"},
    {"_queue", "_rows"},
    {"_config"},
    {"table"},
    {"_process", "errors", "health", "stats", "trouble"},
]
LEVELS = {room: -row for row, rooms in enumerate(DIRECTION) for room in rooms}
# Rooms that stand apart, with all that they may import. Only the commands and the fixtures import them.
APART = {"local": {"table", "_config", "errors"}, "infra": {"table", "_config", "errors"}}

# The listeners are the library's only threads, except for the one that ends a process after SIGTERM. The local
# workspace is a server of its own.
THREADS = {"_delivery", "local", "sigterm"}
# `_azure` speaks to the service; commands look at the way there and read what is deployed and stored.
WIRE = {"_azure", "local", "cli"}


def room_of(path):
    """Return the folder, or the module at the package's root, that a source file belongs to."""
    place = path.relative_to(PACKAGE)
    return place.parts[0] if len(place.parts) > 1 else place.stem


SOURCES = [(room_of(path), path) for path in sorted(PACKAGE.rglob("*.py"))]
NAMES = [str(path.relative_to(PACKAGE)) for _, path in SOURCES]


def imports(path):
    """Yield every import of a file as (dotted module, name), relative ones made absolute.

    Late imports inside functions and those for type checkers count like all others.
    """
    package = ("logging_azmon", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *(node.module.split(".") if node.module else ())])
            yield from ((module, alias.name) for alias in node.names)


def own_imports(path):
    """Return the modules of the package that a file imports, as dotted names below the package."""
    found = set()
    for module, name in imports(path):
        if module == "logging_azmon" or module.startswith("logging_azmon."):
            dotted = f"{module}.{name}" if f"{module}.{name}" in MODULES else module
            found.add(dotted.removeprefix("logging_azmon").removeprefix("."))
    return found - {""}


def foreign_imports(path):
    """Return the top-level names of all other packages that a file imports."""
    return {module.split(".")[0] for module, _ in imports(path)} - {"logging_azmon"}


def dotted_name(path):
    """Return a source file's module name below the package; a package's own file has the package's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {f"logging_azmon.{dotted_name(path)}" for _, path in SOURCES}


class TestDirection:
    def test_every_folder_and_public_module_has_a_row_in_the_table_of_directions(self):
        """A new folder or module needs a row in DIRECTION, unless it is listed as standing apart."""
        assert {room for room, _ in SOURCES} - {"__init__"} - set(APART) == set(LEVELS)

    @pytest.mark.parametrize(("room", "path"), SOURCES, ids=NAMES)
    def test_imports_run_downward_only(self, room, path):
        """A module never imports its users, so each can be read and tested alone; type-only imports count."""
        found = {dotted.split(".")[0] for dotted in own_imports(path)} - {room}
        if room in APART:
            allowed = APART[room]
        elif room == "__init__":
            allowed = set(LEVELS)
        else:
            allowed = {name for name, level in LEVELS.items() if level < LEVELS[room]}
            allowed |= set(APART) if room in {"cli", "pytest_plugin"} else set()

        assert found - allowed == set()

    def test_imports_form_no_circle(self):
        """Type-only imports count: of any two modules, one can be read without the other."""
        graph = {dotted_name(path): own_imports(path) for room, path in SOURCES if room not in {"__init__", *APART}}
        while leaves := {name for name, wanted in graph.items() if not wanted & set(graph) - {name}}:
            graph = {name: wanted for name, wanted in graph.items() if name not in leaves}

        assert sorted(graph) == []

    @pytest.mark.parametrize(("room", "path"), SOURCES, ids=NAMES)
    def test_only_the_azure_folder_and_commands_import_the_sdk_and_http_libraries(self, room, path):
        """All other modules work with any destination."""
        known = foreign_imports(path) & {"azure", "requests", "urllib3", "ssl", "socketserver", "http"}

        assert known == set() or room in WIRE

    def test_the_sdk_is_imported_by_statements(self):
        """PyInstaller finds no module that is imported by a name in a text."""
        found = {f"{module}.{name}" for room, path in SOURCES if room == "_azure" for module, name in imports(path)}

        assert {"azure.identity", "azure.monitor.ingestion.LogsIngestionClient"} <= found

    @pytest.mark.parametrize(("room", "path"), SOURCES, ids=NAMES)
    def test_only_the_listeners_start_threads(self, room, path):
        """All background threads of the library are started in one module."""
        starts = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and node.attr in {"Thread", "Timer", "start_new_thread"}
            if not isinstance(getattr(node, "ctx", None), ast.Store)
        ]

        assert starts == [] or room in THREADS

    def test_every_import_of_the_package_is_relative(self):
        """A vendored copy can be imported under any name."""
        absolute = [
            path
            for _, path in SOURCES
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("logging_azmon")
        ]

        assert absolute == []


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
        """Only the package's `__init__` is imported; its names are imported when they are first used."""
        found = loaded("import logging_azmon")

        assert {name for name in found if name.startswith("logging_azmon")} == {"logging_azmon"}
        assert found & HEAVY == set()
        assert "logging" not in found

    def test_a_handler_imports_neither_the_sdk_nor_structlog(self):
        """The thread that uploads imports the SDK, when there is something to upload."""
        found = loaded(HANDLER)

        assert found & HEAVY == set()
        assert "logging_azmon.handler" in found

    def test_a_processor_does_not_import_structlog(self):
        """structlog is imported only to drop events and to structure exceptions."""
        made = "from logging_azmon import AzureMonitorProcessor\n"
        made += "AzureMonitorProcessor('http://127.0.0.1:9', 'dcr-1', 'Custom-App')"

        assert loaded(made) & HEAVY == set()

    def test_a_handler_with_the_default_table_imports_no_rule_reader_command_or_fake(self):
        """A handler needs none of these."""
        found = {name.removeprefix("logging_azmon.") for name in loaded(HANDLER) if name.startswith("logging_azmon.")}

        assert found & {"_config.dcr", "testing", "cli", "__main__"} == set()

    def test_a_log_call_imports_nothing_more(self):
        """A user of the application would have to wait for the import."""
        script = HANDLER + (
            "from logging_azmon.testing import capture\n"
            "with capture() as rows:\n"
            "    before |= set(sys.modules)\n"
            "    logging.getLogger('app').warning('hello %s', 'you', extra={'answer': 42})\n"
            "assert rows[0]['Message'] == 'hello you', rows\n"
        )

        assert {name for name in loaded(script) if name.split(".")[0] in HEAVY | {"logging_azmon"}} == set()
