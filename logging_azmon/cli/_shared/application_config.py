"""Find our handler's arguments in an application's own logging configuration, without applying it.

The configuration is the input of `logging.config.dictConfig` or `fileConfig`, or it is the handler or pipeline itself.
Only this handler's values are resolved, as dictConfig would (``ext://``, ``cfg://``). The application's module is
imported, with every side effect of the import; its logging is not configured, and no handler is created.
"""

from __future__ import annotations

import configparser
import contextlib
import importlib.util
import json
import logging
import logging.config
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._config.dcr import LOCAL_RULE_ID, LOCAL_STREAM
from ..._config.settings import ENVIRONMENT, SETTINGS
from ..._config.validators import shown
from ...errors import ConfigurationError
from ...handler import AzureMonitorHandler
from ...pipeline import Pipeline

# Keys of a handler's configuration that are not arguments, and arguments that concern only the application.
_NOT_ARGUMENTS = frozenset({"()", "class", "level", "formatter", "filters", ".", "pipeline", "report"})
_MAX_DEPTH = 100
_POSITIONAL = (*ENVIRONMENT, "credential")


def handler_arguments(
    source: str, handler: str | None, *, is_deployed: bool = True, takes_all: bool = False
) -> list[dict[str, Any]]:
    """Return the keyword arguments with which the handler would create its pipeline.

    Without a name there must be one handler, or with `takes_all` any number. With `is_deployed` False, the environment
    names a destination during the import, so that a module can make its handler although nothing is deployed yet.
    """
    if any(Path(file).suffix.lower() in (".yaml", ".yml") for file in (source, source.rpartition(":")[0])):
        # Before the current directory comes first, where a file of this name may be the application's own.
        importlib.import_module("yaml")
    with _this_directory_importable(), contextlib.nullcontext() if is_deployed else _any_destination():
        loaded = _load(source)
        if isinstance(loaded, AzureMonitorHandler | Pipeline):
            return [_arguments_of(loaded)]
        if not isinstance(loaded, Mapping):
            raise _error(
                f"--config {source} is a {type(loaded).__name__}; give a dictionary for dictConfig, an"
                " AzureMonitorHandler or a Pipeline"
            )
        configuration = _Configuration(source, loaded)
        names = configuration.owners() if takes_all and handler is None else [handler]
        return [configuration.arguments(name) for name in names]


@contextmanager
def _any_destination() -> Iterator[None]:
    """Let the environment name the local workspace's destination, as far as it names none."""
    anywhere = {"endpoint": "http://127.0.0.1:8787", "rule_id": LOCAL_RULE_ID, "stream": LOCAL_STREAM}
    added = {variable: anywhere[name] for name, variable in ENVIRONMENT.items() if not os.environ.get(variable)}
    os.environ.update(added)
    try:
        yield
    finally:
        for variable in added:
            os.environ.pop(variable, None)


@contextmanager
def _this_directory_importable() -> Iterator[None]:
    """Import from the current directory first, as `python -m` does; an installed command would not."""
    path = str(Path.cwd())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)


def _load(source: str) -> Any:
    module, colon, key = source.rpartition(":")
    for file, keys in ((source, ""), (module, key)):
        if Path(file).suffix.lower() in _FORMATS:
            return _at_key(_read(file), keys, source)
    if not colon:
        raise _error(
            f"--config {source} is neither a file ({', '.join(_FORMATS)}) nor a module:attribute; give"
            " myapp.settings:LOGGING or logging.yaml"
        )
    try:
        loaded = _import(module)
    except Exception as error:
        raise _error(
            f"--config {source}: importing {module} raised {type(error).__name__}: {error};"
            " run the command where the application runs, with its environment"
        ) from error
    for name in key.split("."):
        try:
            loaded = getattr(loaded, name)
        except AttributeError:
            has = _suggestion(getattr(loaded, "__dict__", {}))
            raise _error(f"--config {source}: {module} has no {key}{has}") from None
        except Exception as error:  # settings that are read lazily, as Django's are
            raise _error(f"--config {source}: reading {key} raised {type(error).__name__}: {error}") from error
    return loaded


def _import(module: str) -> Any:
    """Import a module by its name, or by its file, as gunicorn does with gunicorn.conf.py."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(Path(module).stem.replace(".", "_"), module)
    if spec is None or spec.loader is None:  # pragma: no cover - the suffix is known
        raise ImportError(module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def _suggestion(names: Mapping[str, Any]) -> str:
    likely = [name for name, value in names.items() if isinstance(value, Mapping) and "handlers" in value]
    return f"; it has {', '.join(likely)}" if likely else ""


def _read(file: str) -> Any:
    read = _FORMATS[Path(file).suffix.lower()]
    try:
        return read(Path(file).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise _error(f"--config {file} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        kind = Path(file).suffix[1:].upper()
        raise _error(f"--config {file} is not valid {kind}: {error}") from error


def _at_key(value: Any, keys: str, source: str) -> Any:
    for key in filter(None, keys.split(".")):
        if not isinstance(value, Mapping) or key not in value:
            has = f"; it has {', '.join(map(str, value))}" if isinstance(value, Mapping) else ""
            raise _error(f"--config {source} has no {key}{has}")
        value = value[key]
    return value


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _ini(text: str) -> Any:
    """Convert fileConfig's format to dictConfig's."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    handlers = {}
    for name in filter(None, map(str.strip, parser["handlers"]["keys"].split(","))):
        section = parser[f"handler_{name}"]
        # fileConfig evaluates these too, so the file is already trusted to run code.
        args = eval(section.get("args", "()"), vars(logging))  # noqa: S307
        kwargs = eval(section.get("kwargs", "{}"), vars(logging))  # noqa: S307
        handlers[name] = {"class": section["class"], **dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
    return {"handlers": handlers}


_FORMATS: dict[str, Callable[[str], Any]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".ini": _ini,
    ".cfg": _ini,
    ".conf": _ini,
}


class _Configuration:
    """Find handlers in a configuration for dictConfig."""

    def __init__(self, source: str, configuration: Mapping[str, Any]) -> None:
        self._source = source
        if not isinstance(configuration.get("handlers"), Mapping):
            raise _error(
                f"--config {source} has no handlers{_suggestion(configuration)}; give a configuration for dictConfig,"
                " or select a part of the file with FILE:key"
            )
        if _is_too_deep(configuration):
            raise _error(
                f"--config {source} is nested more than {_MAX_DEPTH} levels deep, or contains itself: a part of a"
                " configuration cannot be an alias of a part around it"
            )
        self._configurator = logging.config.BaseConfigurator(dict(configuration))
        self._handlers: Any = self._configurator.config["handlers"]

    def arguments(self, name: str | None) -> dict[str, Any]:
        """Return the arguments of the named handler; without a name, of the only one that is ours."""
        if name is None:
            name = self._only_one()
        elif name not in self._names():
            raise _error(f"--handler {name} is not in --config {self._source}; it has {', '.join(self._names())}")
        else:
            self._check_class(name)
        owner = self._pipeline_owner(name)
        if not isinstance(owner, str):
            return _arguments_of(owner)
        entry = self._handlers[owner]
        return {key: self._resolve(owner, key) for key in dict.keys(entry) if key not in _NOT_ARGUMENTS}

    def _names(self) -> list[str]:
        return [str(name) for name in self._handlers]

    def _only_one(self) -> str:
        owners = self.owners()
        if len(owners) > 1:
            raise _error(
                f"--config {self._source} has {len(owners)} handlers of this library: choose with --handler"
                f" {' or --handler '.join(owners)}"
            )
        return owners[0]

    def owners(self) -> list[str]:
        """Return the handlers of ours that have a pipeline of their own, or else the first of ours."""
        ours = [name for name in self._names() if self._is_ours(name)]
        # Handlers that share another's pipeline send to the same place, so any of them will do.
        owners = [name for name in ours if self._pipeline_owner(name) == name] or ours[:1]
        if not owners:
            raise _error(
                f"--config {self._source} has no logging_azmon.AzureMonitorHandler; its handlers are"
                f" {', '.join(self._names()) or 'none'}"
            )
        return owners

    def _factory(self, name: str) -> Any:
        entry = self._handlers[name]
        factory = dict.get(entry, "()", dict.get(entry, "class")) if isinstance(entry, dict) else None
        try:
            return self._configurator.resolve(factory.removeprefix("ext://")) if isinstance(factory, str) else factory
        except (ValueError, ImportError, AttributeError):
            return factory

    def _is_ours(self, name: str) -> bool:
        factory = self._factory(name)
        return isinstance(factory, type) and issubclass(factory, AzureMonitorHandler)

    def _check_class(self, name: str) -> None:
        if self._is_ours(name):
            return
        factory = self._factory(name)
        label = getattr(factory, "__qualname__", factory)
        if callable(factory) and not isinstance(factory, type):
            raise _error(
                f"--handler {name} is created by {label}, so its arguments are not in the configuration; give"
                " --endpoint, --rule-id and --stream, or the handler itself as --config module:attribute"
            )
        raise _error(f"--handler {name} is a {label}, not a logging_azmon.AzureMonitorHandler")

    def _pipeline_owner(self, name: str) -> str | Pipeline | AzureMonitorHandler:
        """Return the owner of this handler's pipeline: the name of a handler, or an object of the application."""
        seen = [name]
        while isinstance(self._handlers[seen[-1]], dict) and "pipeline" in self._handlers[seen[-1]]:
            shared = self._resolve(seen[-1], "pipeline")
            if isinstance(shared, Pipeline | AzureMonitorHandler):
                return shared
            following = next((other for other, entry in dict.items(self._handlers) if entry is shared), None)
            if following is None or following in seen:
                raise _error(
                    f"--config {self._source}: pipeline= of the handler {seen[-1]} does not lead to a handler with a"
                    " pipeline of its own; write 'cfg://handlers.NAME'"
                )
            seen.append(following)
        return seen[-1]

    def _resolve(self, name: str, key: str) -> Any:
        try:
            return self._handlers[name][key]
        except Exception as error:
            value = shown(dict.get(self._handlers[name], key)) if key not in ("credential", "proxy") else "(not shown)"
            raise _error(
                f"--config {self._source}: {key}={value} of the handler {name} cannot be resolved: {error}"
            ) from error


def _is_too_deep(configuration: Any) -> bool:
    """Return whether a configuration contains itself, as one with YAML anchors can, or is nested too deeply to read."""
    level = {id(configuration): configuration}
    for _ in range(_MAX_DEPTH):
        children = (
            child for each in level.values() for child in (each.values() if isinstance(each, Mapping) else each)
        )
        level = {id(child): child for child in children if isinstance(child, dict | list | tuple)}
    return bool(level)


def _arguments_of(owner: Pipeline | AzureMonitorHandler) -> dict[str, Any]:
    """Return the arguments for a pipeline like this one; `dcr` declares its columns, so that any name is accepted."""
    settings = (owner.pipeline if isinstance(owner, AzureMonitorHandler) else owner).settings
    declared = [{"name": column.name, "type": column.type} for column in settings.table]
    names = [name for name in (*ENVIRONMENT, *SETTINGS) if name not in _NOT_ARGUMENTS]
    return {name: getattr(settings, name) for name in names} | {
        "columns": settings.table,
        "dcr": {"streamDeclarations": {settings.stream: {"columns": declared}}},
    }


def _error(message: str) -> ConfigurationError:
    return ConfigurationError([message])
