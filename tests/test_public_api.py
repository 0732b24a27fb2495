"""The names, arguments and errors that users' configuration depends on."""

import importlib
import importlib.resources
import inspect
import logging
import pkgutil
from pathlib import Path
from typing import Unpack

import pytest

import logging_azmon
from logging_azmon import testing, typing
from logging_azmon._config.options import ARGUMENTS, Options
from logging_azmon._config.settings import ACCEPTED
from logging_azmon.testing import FakeDestination

ROOT = Path(__file__).parent.parent

PUBLIC = [
    "AzureMonitorHandler",
    "AzureMonitorProcessor",
    "Column",
    "ConfigurationError",
    "Health",
    "Pipeline",
    "Place",
    "Stats",
    "Table",
    "Trouble",
    "exit_on_sigterm",
]


def parameters(function):
    """Return a signature's names, each with its kind and default."""
    return [(p.name, p.kind.name, p.default) for p in inspect.signature(function).parameters.values()]


ADDRESS = [(name, "POSITIONAL_OR_KEYWORD", None) for name in ("endpoint", "rule_id", "stream", "credential")]
SETTINGS = [(name, "KEYWORD_ONLY", ARGUMENTS[name].default) for name in Options.__annotations__]


class TestPackage:
    def test_package_has_exactly_the_documented_names(self):
        """An additional name would be a promise, and a missing one would break applications."""
        assert sorted(logging_azmon.__all__) == PUBLIC

    @pytest.mark.parametrize("name", PUBLIC)
    def test_each_public_name_is_imported_when_it_is_first_used(self, name):
        """It comes from the module that defines it, and is the same object each time."""
        found = getattr(logging_azmon, name)

        assert found.__name__ == name
        assert found is getattr(importlib.import_module(found.__module__), name)
        assert found is getattr(logging_azmon, name)

    @pytest.mark.parametrize("name", PUBLIC)
    def test_each_public_name_has_a_docstring(self, name):
        """`help` shows the docstring."""
        assert getattr(logging_azmon, name).__doc__

    def test_dir_and_star_import_list_the_public_names_and_no_others(self):
        """Completion in a shell uses `dir`."""
        assert [name for name in dir(logging_azmon) if not name.startswith("__")] == PUBLIC
        assert {"__all__", "__doc__", "__path__"} <= set(dir(logging_azmon))
        namespace = {}
        exec("from logging_azmon import *", namespace)
        assert set(namespace) - {"__builtins__"} == set(PUBLIC)

    @pytest.mark.parametrize("name", ["AzureMonitorHandlr", "handlers", "_missing", "__path_to__"])
    def test_unknown_attribute_raises_the_usual_error(self, name):
        """It is Python's own AttributeError, so that `hasattr` works and a typo is reported as usual."""
        with pytest.raises(AttributeError, match=f"^module 'logging_azmon' has no attribute '{name}'$"):
            getattr(logging_azmon, name)

    def test_package_is_marked_as_typed(self):
        """PEP 561 requires py.typed, also in the installed wheel."""
        assert importlib.resources.files(logging_azmon).joinpath("py.typed").is_file()

    def test_every_module_has_a_docstring(self):
        """The first sentence says what the module is for."""
        modules = [
            importlib.import_module(module.name)
            for module in pkgutil.walk_packages(logging_azmon.__path__, "logging_azmon.")
            if not module.name.endswith("__main__")
        ]

        assert [module.__name__ for module in modules if not (module.__doc__ or "").split("\n")[0].strip()] == []


class TestAzureMonitorHandler:
    def test_handler_takes_the_address_by_position_and_all_else_by_name(self):
        """fileConfig passes `args` by position."""
        assert parameters(logging_azmon.AzureMonitorHandler) == [
            *ADDRESS,
            ("level", "KEYWORD_ONLY", logging.NOTSET),
            ("pipeline", "KEYWORD_ONLY", None),
            *SETTINGS,
        ]

    def test_handler_is_a_plain_logging_handler(self):
        """From 3.12 on, dictConfig has special rules for a QueueHandler."""
        assert logging_azmon.AzureMonitorHandler.__bases__ == (logging.Handler,)

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            (
                "flush",
                [
                    ("self", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty),
                    ("timeout", "POSITIONAL_OR_KEYWORD", None),
                ],
            ),
            ("close", [("self", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty)]),
            ("stats", [("self", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty)]),
        ],
    )
    def test_handler_has_the_documented_methods(self, method, expected):
        """The arguments are documented, too."""
        assert parameters(getattr(logging_azmon.AzureMonitorHandler, method)) == expected

    def test_handler_takes_every_documented_argument(self):
        """The settings accept no other arguments."""
        assert set(ACCEPTED) == {
            "endpoint",
            "rule_id",
            "stream",
            "credential",
            "enabled",
            "columns",
            "dcr",
            "batch_bytes",
            "batch_seconds",
            "queue_bytes",
            "overflow",
            "block_seconds",
            "spool",
            "spool_bytes",
            "spool_fsync",
            "uploads",
            "retry_seconds",
            "give_up_seconds",
            "connect_seconds",
            "read_seconds",
            "close_seconds",
            "cloud",
            "redact",
            "before_send",
            "proxy",
            "ca_bundle",
            "report",
        }


class TestAzureMonitorProcessor:
    def test_processor_takes_the_handlers_arguments_and_drop(self):
        """It also has the handler's methods."""
        handler, processor = logging_azmon.AzureMonitorHandler, logging_azmon.AzureMonitorProcessor
        named = len(ADDRESS) + len(["level", "pipeline"])
        shared = parameters(handler)

        assert parameters(processor) == [*shared[:named], ("drop", "KEYWORD_ONLY", False), *shared[named:]]
        for method in ("flush", "close", "stats"):
            assert parameters(getattr(processor, method)) == parameters(getattr(handler, method))

    def test_processor_is_called_as_structlog_calls_processors(self):
        """The arguments are a logger, the method's name and the event dict."""
        assert [name for name, _, _ in parameters(logging_azmon.AzureMonitorProcessor.__call__)][1:] == [
            "logger",
            "method_name",
            "event_dict",
        ]


class TestPipeline:
    def test_pipeline_takes_the_handlers_arguments_and_three_for_tests(self):
        """A pipeline can therefore be made first, and shared."""
        assert parameters(logging_azmon.Pipeline) == [
            *ADDRESS,
            ("destination", "KEYWORD_ONLY", None),
            ("clock", "KEYWORD_ONLY", None),
            ("background", "KEYWORD_ONLY", True),
            *SETTINGS,
        ]

    def test_pipeline_shows_only_what_users_call(self):
        """All other names begin with an underscore."""
        with FakeDestination() as destination:
            pipeline = logging_azmon.Pipeline(
                "https://dce.example.org", "dcr-1", "Custom-App", destination=destination, background=False
            )

        assert [name for name in dir(pipeline) if not name.startswith("_")] == [
            "close",
            "flush",
            "health",
            "settings",
            "stats",
        ]


class TestStats:
    def test_stats_have_a_counter_for_every_state_of_a_row(self):
        """There are four more counters, for values and requests."""
        assert [name for name, _, _ in parameters(logging_azmon.Stats)] == [
            "accepted",
            "delivered",
            "queued",
            "in_flight",
            "rejected",
            "dropped",
            "adopted",
            "spooled",
            "handed_over",
            "misfits",
            "redacted",
            "requests",
            "retries",
            "sent_bytes",
        ]


class TestTesting:
    def test_testing_module_has_exactly_the_documented_names(self):
        """Users' tests depend on them."""
        assert sorted(testing.__all__) == [
            "Answer",
            "CapturedRow",
            "CapturedRows",
            "Clock",
            "Destination",
            "Failure",
            "FakeDestination",
            "ManualClock",
            "capture",
        ]
        assert all(getattr(testing, name).__doc__ for name in testing.__all__)

    def test_fakes_have_the_methods_of_the_protocols(self):
        """A user's own fake can be checked against the same protocols."""
        for fake, protocol in [(testing.FakeDestination, testing.Destination), (testing.ManualClock, testing.Clock)]:
            methods = [name for name in vars(protocol) if not name.startswith("_")]

            assert methods
            assert all(callable(getattr(fake, name)) for name in methods)


class TestTyping:
    def test_typing_module_has_exactly_the_documented_names(self):
        """Subclasses and factories pass arguments on with these types."""
        assert sorted(typing.__all__) == ["Credential", "HasPipeline", "Options", "TokenCredential"]

    def test_options_type_the_keywords_of_a_subclass(self):
        """At run time they are the names of the settings."""

        class Own(logging_azmon.AzureMonitorHandler):
            def __init__(self, **options: Unpack[typing.Options]):
                super().__init__("https://dce.example.org", "dcr-1", "Custom-App", **options)

        handler = Own(uploads=7)

        assert handler.pipeline.settings.uploads == 7
        assert set(typing.Options.__annotations__) == set(ACCEPTED) - {"endpoint", "rule_id", "stream", "credential"}
