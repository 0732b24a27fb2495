"""Frozen settings: defaults, environment, validation. Every mistake is found, and all are reported together.

`read` takes what a user wrote, as it came from code or from ``dictConfig``, and the environment as an argument.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..table import Source, Table
from . import validators

if TYPE_CHECKING:
    from .dcr import Streams

ENVIRONMENT = {
    "endpoint": "DATA_COLLECTION_ENDPOINT",
    "rule_id": "LOGS_DCR_RULE_ID",
    "stream": "LOGS_DCR_STREAM_NAME",
}
CLOUDS = ("public", "china", "usgov")
OVERFLOW = ("drop_new", "drop_old", "block")
FSYNC = ("never", "batch", "row")
MIB = 1024 * 1024
# Of the spool: what the first lines of two files take, at most.
_FIRST_LINES_BYTES = 16_384


def _number(default: Any, unit: type, low: float, high: float) -> Any:
    """Declare a numeric setting by its default, whether it is a whole number, and the range that makes sense."""
    return dataclasses.field(default=default, metadata={"unit": unit, "low": low, "high": high})


def _choice(default: str, accepted: tuple[str, ...]) -> Any:
    return dataclasses.field(default=default, metadata={"accepted": accepted})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold everything a pipeline is told, checked. Units are in the names."""

    endpoint: str
    rule_id: str
    stream: str
    table: Table = dataclasses.field(repr=False)
    credential: Any = dataclasses.field(default="default", repr=False)
    cloud: str = _choice("public", CLOUDS)
    report: Callable[[Any], object] | None = None

    # When rows leave: at this many bytes of JSON, or this long after the first of them.
    batch_bytes: int = _number(1_000_000, int, 4_096, 50 * MIB)
    batch_seconds: float = _number(5.0, float, 0.01, 3_600)
    # How much may wait in memory, and what happens to a row that finds no room.
    queue_bytes: int = _number(64 * MIB, int, 8_192, 2**40)
    overflow: str = _choice("drop_new", OVERFLOW)
    block_seconds: float = _number(1.0, float, 0.0, 60)
    # The directory that is the queue, so that rows survive the process; how much it may hold; when it is synced.
    spool: str | None = None
    spool_bytes: int = _number(1024 * MIB, int, 32_768, 2**50)
    spool_fsync: str = _choice("never", FSYNC)
    # How rows are sent.
    uploads: int = _number(4, int, 1, 32)
    connect_seconds: float = _number(5.0, float, 0.01, 300)
    read_seconds: float = _number(30.0, float, 0.01, 300)
    # The longest wait between two tries, and when to stop trying (None: never).
    retry_seconds: float = _number(60.0, float, 0.01, 3_600)
    give_up_seconds: float | None = _number(None, float, 0.01, 10**9)
    # How long flush and close may take.
    close_seconds: float = _number(10.0, float, 0.0, 3_600)

    @property
    def is_local(self) -> bool:
        """Tell whether rows go over plain http to a host that is trusted with it, so that no real token is asked."""
        return self.credential == "local" or self.endpoint.startswith("http://")


OPTIONS = tuple(field.name for field in dataclasses.fields(Settings) if field.name not in (*ENVIRONMENT, "table"))
ARGUMENTS = (*ENVIRONMENT, "columns", "dcr", *OPTIONS)


def read(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check what a user wrote and fill in the environment and the defaults."""
    given = {name: _resolved(value) for name, value in arguments.items() if value is not None}
    problems = [
        f"unknown argument {name!r}{_meant(name)}; accepted are {', '.join(ARGUMENTS)}"
        for name in arguments
        if name not in ARGUMENTS
    ]
    options = {name: given[name] for name in OPTIONS if name in given}
    problems.extend(_option_problems(options))

    streams = _collect(problems, _declared_streams, given.get("dcr"))
    address: dict[str, Any] = {
        name: given[name] if name in given else environ.get(variable, "").strip()
        for name, variable in ENVIRONMENT.items()
    }
    if address["stream"] == "" and streams is not None and len(streams) == 1:
        (address["stream"],) = streams
    problems.extend(_address_problems(address, options.get("credential"), streams))

    table = _collect(
        problems, _table, given.get("columns"), streams, address["stream"], has_dcr=given.get("dcr") is not None
    )
    if problems:
        raise ConfigurationError(problems)
    address["endpoint"] = validators.normal_endpoint(address["endpoint"])
    if "spool" in options:
        options["spool"] = os.path.abspath(os.fspath(options["spool"]))
    return Settings(**address, **options, table=table)


def _meant(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, ARGUMENTS, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _resolved(value: Any) -> Any:
    """Rebuild what dictConfig hands over: its containers resolve ``ext://`` and ``cfg://`` item by item, when asked."""
    if not isinstance(value, dict | list | tuple) or getattr(value, "configurator", None) is None:
        return value
    if isinstance(value, dict):
        return {key: _resolved(value[key]) for key in value}
    return [_resolved(value[index]) for index in range(len(value))]


def _option_problems(options: Mapping[str, Any]) -> Iterator[str]:
    checked = {}
    for field in dataclasses.fields(Settings):
        if field.metadata and field.name in options:
            check = validators.check_choice if "accepted" in field.metadata else validators.check_number
            checked[field.name] = list(check(field.name, options[field.name], **field.metadata))
            yield from checked[field.name]
    if "credential" in options:
        yield from validators.check_credential(options["credential"])
    if "report" in options:
        yield from validators.check_report(options["report"])
    if "spool" in options:
        yield from validators.check_directory("spool", options["spool"])
    for name in ("queue_bytes", "spool_bytes") if "spool" in options else ("queue_bytes",):
        if not (checked.get(name) or checked.get("batch_bytes")):
            room, batch_bytes = (
                options.get(each, Settings.__dataclass_fields__[each].default) for each in (name, "batch_bytes")
            )
            if room < 2 * batch_bytes + (_FIRST_LINES_BYTES if name == "spool_bytes" else 0):
                needed = f"it must hold two batches of batch_bytes={batch_bytes}"
                yield f"{name}={room} is too small: {needed}"


def _address_problems(address: Mapping[str, Any], credential: Any, streams: Streams | None) -> Iterator[str]:
    for name, variable in ENVIRONMENT.items():
        value = address[name]
        if value == "":
            declared = f"; the given dcr declares {', '.join(streams)}" if name == "stream" and streams else ""
            yield f"{name} is missing: give {name}=… or set the environment variable {variable}{declared}"
        elif name == "endpoint":
            yield from validators.check_endpoint(value, credential)
        else:
            yield from (validators.check_rule_id if name == "rule_id" else validators.check_stream)(value)


def _collect(problems: list[str], build: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """Build a part, or keep what is wrong with it so that the other parts are checked too."""
    try:
        return build(*args, **more)
    except ConfigurationError as error:
        problems.extend(error.problems)
        return None


def _declared_streams(dcr: str | Path | Mapping[str, Any] | None) -> Streams | None:
    if dcr is None:
        return None
    from .dcr import read_streams

    return read_streams(dcr)


def _table(columns: Any, streams: Streams | None, stream: Any, *, has_dcr: bool) -> Table | None:
    from .presets import preset

    if columns is None:
        columns = {} if has_dcr else "default"
    if isinstance(columns, str):
        table: Table | None = preset(columns)
    elif isinstance(columns, Table):
        table = columns
        if not has_dcr:
            columns.check_names()
    elif isinstance(columns, Mapping):
        # A stream may have names that a table may not: the rule's transformation renames them.
        table = Table.from_mapping(columns, declared=has_dcr) if columns or not has_dcr else None
    else:
        raise ConfigurationError(
            [f"columns={validators.shown(columns)} is not accepted; give a mapping, a Table or a preset's name"]
        )
    if streams is None:
        return table
    return _declared_table(table, streams, stream, must_be_declared=not isinstance(columns, str))


def _declared_table(mapped: Table | None, streams: Streams, stream: Any, *, must_be_declared: bool) -> Table | None:
    """Take names and types from the rule; `mapped` may only say what fills the columns that the rule declares."""
    from .rule_table import table_of

    if not isinstance(stream, str) or not stream:
        return None  # that is reported already
    declared = streams.get(stream)
    if declared is None:
        raise ConfigurationError(
            [f"stream={validators.shown(stream)} is not declared in the given dcr; it has {', '.join(streams)}"]
        )
    sources: dict[str, Source] = {}
    problems = []
    for column in mapped or ():
        if column.name in declared:
            sources[column.name] = column.source
        elif must_be_declared:
            problems.append(
                f"column {column.name!r} is not declared for {stream}: the service would drop it in silence;"
                f" declared are {', '.join(declared)}"
            )
    if problems:
        raise ConfigurationError(problems)
    return table_of(declared, sources)
