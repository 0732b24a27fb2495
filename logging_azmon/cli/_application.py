"""Finds the arguments of our handler in an application's own logging configuration, without running it.

The configuration is what `logging.config.dictConfig` or `fileConfig` would be given, or the handler or pipeline itself.
Values are resolved as dictConfig does (``ext://``, ``cfg://``), those of this one handler only. So the application's
module is imported and may do what importing does; its logging is not configured, and no handler is made.
"""

from __future__ import annotations

import configparser
import importlib
import json
import logging
import logging.config
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._config.settings import ENVIRONMENT, SETTINGS
from .._config.validators import shown
from ..errors import ConfigurationError
from ..handler import AzureMonitorHandler
from ..pipeline import Pipeline

# What a handler's configuration has besides arguments; and what is the application's own business.
_NOT_ARGUMENTS = frozenset({"()", "class", "level", "formatter", "filters", ".", "pipeline", "report"})
_POSITIONAL = ("endpoint", "rule_id", "stream", "credential")


def handler_arguments(source: str, handler: str | None) -> dict[str, Any]:
    """Return the keyword arguments that the handler's pipeline would be made with."""
    with _this_directory_importable():
        found = _load(source)
        if isinstance(found, AzureMonitorHandler | Pipeline):
            return _of_pipeline(found)
        if not isinstance(found, Mapping):
            raise _problem(
                f"--config {source} is a {type(found).__name__}; give a dictionary for dictConfig, or a handler of ours"
            )
        return _Configuration(source, found).arguments(handler)


@contextmanager
def _this_directory_importable() -> Iterator[None]:
    """Import as `python -m` does: a command installed elsewhere has its own directory first in the path."""
    path = str(Path.cwd())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)


def _load(source: str) -> Any:
    place, colon, key = source.rpartition(":")
    for file, keys in ((source, ""), (place, key)):
        if Path(file).suffix.lower() in _FORMATS:
            return _below(_read(file), keys, source)
    if not colon:
        raise _problem(
            f"--config {source} is neither a file ({', '.join(_FORMATS)}) nor module:attribute; give"
            " myapp.settings:LOGGING or logging.yaml"
        )
    try:
        found = importlib.import_module(place)
    except Exception as error:
        raise _problem(
            f"--config {source}: importing {place} raised {type(error).__name__}: {error};"
            " run the command where the application runs, with its environment"
        ) from error
    for name in key.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _problem(f"--config {source}: {place} has no {key}{_named(vars(found))}") from None
    return found


def _named(names: Mapping[str, Any]) -> str:
    likely = [name for name, value in names.items() if isinstance(value, Mapping) and "handlers" in value]
    return f"; it has {', '.join(likely)}" if likely else ""


def _read(file: str) -> Any:
    read = _FORMATS[Path(file).suffix.lower()]
    try:
        return read(Path(file).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise _problem(f"--config {file} cannot be read: {error.strerror or error}") from error
    except ModuleNotFoundError:
        raise
    except Exception as error:
        kind = Path(file).suffix[1:].upper()
        raise _problem(f"--config {file} is not {kind} that can be read: {error}") from error


def _below(found: Any, keys: str, source: str) -> Any:
    for key in filter(None, keys.split(".")):
        if not isinstance(found, Mapping) or key not in found:
            has = f"; it has {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
            raise _problem(f"--config {source} has no {key}{has}")
        found = found[key]
    return found


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _ini(text: str) -> Any:
    """Write what fileConfig reads as what dictConfig reads."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    handlers = {}
    for name in filter(None, map(str.strip, parser["handlers"]["keys"].split(","))):
        section = parser[f"handler_{name}"]
        # As fileConfig does: whoever names the file trusts it as the application does.
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
    """Look for handlers in what dictConfig would be given."""

    def __init__(self, source: str, found: Mapping[str, Any]) -> None:
        self._source = source
        if not isinstance(found.get("handlers"), Mapping):
            raise _problem(
                f"--config {source} has no handlers{_named(found)}; give what dictConfig is given, or a part of"
                " the file as FILE:key"
            )
        self._configurator = logging.config.BaseConfigurator(dict(found))
        self._handlers: Any = self._configurator.config["handlers"]

    def arguments(self, name: str | None) -> dict[str, Any]:
        """Return the arguments of a handler, or of the only one that is ours."""
        if name is None:
            name = self._only_one()
        elif name not in self._names():
            raise _problem(f"--handler {name} is not in --config {self._source}; it has {', '.join(self._names())}")
        else:
            self._check_class(name)
        target = self._follow(name)
        if not isinstance(target, str):
            return _of_pipeline(target)
        entry = self._handlers[target]
        return {key: self._resolved(target, key) for key in dict.keys(entry) if key not in _NOT_ARGUMENTS}

    def _names(self) -> list[str]:
        return [str(name) for name in self._handlers]

    def _only_one(self) -> str:
        ours = [name for name in self._names() if self._is_ours(name)]
        # Those that share one pipeline lead to the same place.
        targets = {name if isinstance(target := self._follow(name), str) and target == name else "" for name in ours}
        apart = [name for name in ours if name in targets] or ours[:1]
        if len(apart) == 1:
            return apart[0]
        if apart:
            raise _problem(
                f"--config {self._source} has {len(apart)} handlers of ours: choose with --handler"
                f" {', --handler '.join(apart)}"
            )
        raise _problem(
            f"--config {self._source} has no logging_azmon.AzureMonitorHandler; its handlers are"
            f" {', '.join(self._names()) or 'none'}"
        )

    def _maker(self, name: str) -> Any:
        entry = self._handlers[name]
        made_by = dict.get(entry, "()", dict.get(entry, "class")) if isinstance(entry, dict) else None
        try:
            return self._configurator.resolve(made_by.removeprefix("ext://")) if isinstance(made_by, str) else made_by
        except (ValueError, ImportError, AttributeError):
            return made_by

    def _is_ours(self, name: str) -> bool:
        maker = self._maker(name)
        return isinstance(maker, type) and issubclass(maker, AzureMonitorHandler)

    def _check_class(self, name: str) -> None:
        if self._is_ours(name):
            return
        maker = self._maker(name)
        if callable(maker) and not isinstance(maker, type):
            raise _problem(
                f"--handler {name} is made by {getattr(maker, '__qualname__', maker)}, which alone knows its arguments;"
                " give --endpoint, --rule-id and --stream, or --config module:attribute of the handler itself"
            )
        raise _problem(
            f"--handler {name} is a {getattr(maker, '__qualname__', maker)}, no logging_azmon.AzureMonitorHandler"
        )

    def _follow(self, name: str) -> str | Pipeline | AzureMonitorHandler:
        """Find who has the pipeline: this handler, the one that it names, or an object of the application's."""
        seen = [name]
        while isinstance(self._handlers[seen[-1]], dict) and "pipeline" in self._handlers[seen[-1]]:
            shared = self._resolved(seen[-1], "pipeline")
            if isinstance(shared, Pipeline | AzureMonitorHandler):
                return shared
            following = next((other for other, entry in dict.items(self._handlers) if entry is shared), None)
            if following is None or following in seen:
                raise _problem(
                    f"--config {self._source}: pipeline of the handler {seen[-1]} leads to no handler with a pipeline"
                    " of its own; write 'cfg://handlers.NAME'"
                )
            seen.append(following)
        return seen[-1]

    def _resolved(self, name: str, key: str) -> Any:
        try:
            return self._handlers[name][key]
        except Exception as error:
            written = shown(dict.get(self._handlers[name], key)) if key != "credential" else "(not shown)"
            raise _problem(
                f"--config {self._source}: {key}={written} of the handler {name} cannot be resolved: {error}"
            ) from error


def _of_pipeline(found: Pipeline | AzureMonitorHandler) -> dict[str, Any]:
    """Say how a pipeline like this one is made; its rule declares the columns, so that any name goes."""
    settings = (found.pipeline if isinstance(found, AzureMonitorHandler) else found).settings
    declared = [{"name": column.name, "type": column.type} for column in settings.table]
    names = [name for name in (*ENVIRONMENT, *SETTINGS) if name not in _NOT_ARGUMENTS]
    return {name: getattr(settings, name) for name in names} | {
        "columns": settings.table,
        "dcr": {"streamDeclarations": {settings.stream: {"columns": declared}}},
    }


def _problem(said: str) -> ConfigurationError:
    return ConfigurationError([said])
