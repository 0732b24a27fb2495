"""Frozen settings: defaults, environment, validation. Every mistake is found, and all are reported together.

`read` takes what a user wrote, as it came from code or from ``dictConfig``, and the environment as an argument.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .table import Source, Table

ENVIRONMENT = {
    "endpoint": "DATA_COLLECTION_ENDPOINT",
    "rule_id": "LOGS_DCR_RULE_ID",
    "stream": "LOGS_DCR_STREAM_NAME",
}
CREDENTIALS = ("default", "managed_identity", "workload_identity", "environment", "azure_cli", "local")
CLOUDS = ("public", "china", "usgov")
OVERFLOW = ("drop_new", "drop_old", "block")
MIB = 1024 * 1024

_RULE_ID = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_STREAM = re.compile(r"(Custom|Microsoft)-[A-Za-z0-9_.-]+", re.ASCII)


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
    # How rows are sent.
    uploads: int = _number(4, int, 1, 32)
    connect_seconds: float = _number(5.0, float, 0.01, 300)
    read_seconds: float = _number(30.0, float, 0.01, 300)
    # The longest wait between two tries, and when to stop trying (None: never).
    retry_seconds: float = _number(60.0, float, 0.01, 3_600)
    give_up_seconds: float | None = _number(None, float, 0.01, 10**9)
    # How long flush and close may take.
    close_seconds: float = _number(10.0, float, 0.0, 3_600)

    def __post_init__(self) -> None:
        if self.queue_bytes < 2 * self.batch_bytes:
            needed = f"it must hold two batches of batch_bytes={self.batch_bytes}"
            raise ConfigurationError([f"queue_bytes={self.queue_bytes} is too small: {needed}"])

    @property
    def is_local(self) -> bool:
        """Tell whether rows go over plain http to a host that is trusted with it, so that no real token is asked."""
        return self.credential == "local" or self.endpoint.startswith("http://")


OPTIONS = tuple(field.name for field in dataclasses.fields(Settings) if field.name not in (*ENVIRONMENT, "table"))
ARGUMENTS = (*ENVIRONMENT, "columns", "dcr", *OPTIONS)


def read(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check what a user wrote and fill in the environment and the defaults."""
    problems: list[str] = []
    problems.extend(
        f"unknown argument {name!r}; accepted are {', '.join(ARGUMENTS)}" for name in arguments if name not in ARGUMENTS
    )
    values = {name: arguments[name] for name in OPTIONS if arguments.get(name) is not None}
    for field in dataclasses.fields(Settings):
        if field.name in values:
            problems.extend(_check(field, values[field.name]))
    problems.extend(_check_credential(values.get("credential")))
    if "report" in values and not callable(values["report"]):
        problems.append(f"report={values['report']!r} is not callable; give a callable, in dictConfig as 'ext://…'")

    streams = _collect(problems, _declared_streams, arguments.get("dcr"))
    for name, variable in ENVIRONMENT.items():
        values[name] = arguments.get(name) if arguments.get(name) is not None else environ.get(variable, "")
        if name == "stream" and not values[name] and streams and len(streams) == 1:
            values[name] = next(iter(streams))
        if not values[name]:
            problems.append(f"{name} is missing: give {name}=… or set the environment variable {variable}")
        else:
            problems.extend(_CHECKS[name](values[name], values.get("credential")))

    values["table"] = _collect(problems, _table, arguments.get("columns"), streams, values["stream"])
    if problems:
        raise ConfigurationError(problems)
    return Settings(**values)


def _collect(problems: list[str], build: Callable[..., Any], *args: Any) -> Any:
    """Build a part, or keep what is wrong with it so that the other parts are checked too."""
    try:
        return build(*args)
    except ConfigurationError as error:
        problems.extend(error.problems)
        return None


def _declared_streams(dcr: str | Path | Mapping[str, Any] | None) -> Mapping[str, Mapping[str, str]] | None:
    if dcr is None:
        return None
    from .dcr import read_streams

    return read_streams(dcr)


def _table(columns: Any, streams: Mapping[str, Mapping[str, str]] | None, stream: str) -> Table | None:
    from .presets import preset

    if columns is None:
        columns = "default" if streams is None else {}
    if isinstance(columns, str):
        table: Table | None = preset(columns)
    elif isinstance(columns, Table):
        table = columns
    elif isinstance(columns, Mapping):
        # A stream may have names that a table may not: the rule's transformation renames them.
        table = Table.from_mapping(columns, declared=streams is not None) if columns or streams is None else None
    else:
        raise ConfigurationError([f"columns={columns!r} is not accepted; give a mapping or a preset's name"])
    if streams is None:
        return table
    return _declared_table(table, streams, stream, must_be_declared=not isinstance(columns, str))


def _declared_table(
    mapped: Table | None, streams: Mapping[str, Mapping[str, str]], stream: str, *, must_be_declared: bool
) -> Table | None:
    """Take names and types from the rule; `mapped` may only say what fills the columns that the rule declares."""
    from .dcr import table_of

    declared = streams.get(stream)
    if declared is None:
        if not stream:
            return None  # "stream is missing" is reported already
        raise ConfigurationError([f"stream={stream!r} is not declared in the given dcr; it has {', '.join(streams)}"])
    sources: dict[str, Source] = {}
    problems = []
    for column in mapped or ():
        if column.name not in declared:
            if must_be_declared:
                problems.append(
                    f"column {column.name!r} is not declared for {stream}: the service would drop it in silence;"
                    f" declared are {', '.join(declared)}"
                )
        else:
            sources[column.name] = column.source
    if problems:
        raise ConfigurationError(problems)
    return table_of(declared, sources)


def _check(field: dataclasses.Field[Any], value: Any) -> Iterator[str]:
    accepted = field.metadata.get("accepted")
    if accepted is not None and value not in accepted:
        yield f"{field.name}={value!r} is not known; accepted are {', '.join(map(repr, accepted))}"
    unit = field.metadata.get("unit")
    if unit is None:
        return
    low, high = field.metadata["low"], field.metadata["high"]
    kinds = int if unit is int else int | float
    kind_name = "a whole number" if unit is int else "a number"
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        yield f"{field.name}={value!r} is not accepted; give {kind_name} from {low:,} to {high:,}"


def _check_credential(credential: Any) -> Iterator[str]:
    if credential is None or (isinstance(credential, str) and credential in CREDENTIALS):
        return
    if isinstance(credential, Mapping):
        name, options = next(iter(credential.items())) if len(credential) == 1 else (None, None)
        if name not in CREDENTIALS or not isinstance(options, Mapping):
            keys = ", ".join(map(repr, credential))
            yield (
                f"credential is a mapping with the keys {keys or 'none'}; give one credential's name with its options,"
                " such as {'managed_identity': {'client_id': '…'}}"
            )
    elif isinstance(credential, str) or not callable(getattr(credential, "get_token", None)):
        # A secret pasted in the wrong place must not end up in a traceback: the type is shown, never the value.
        yield (
            f"credential of type {type(credential).__name__} is not accepted; give a TokenCredential,"
            f" one of {', '.join(map(repr, CREDENTIALS))}, or a mapping of one of these to its options"
        )


def _check_endpoint(endpoint: Any, credential: Any) -> Iterator[str]:
    try:
        parts = urlsplit(endpoint)
        host, secret, _ = parts.hostname, parts.username or parts.password, parts.port
    except (ValueError, TypeError, AttributeError):
        yield f"endpoint={endpoint!r} is not a URL; give the rule's or DCE's logs ingestion endpoint, https://…"
        return
    if secret is not None:
        yield "endpoint holds a user name or password; give the URL without (a token is had from credential=)"
    elif parts.scheme not in ("http", "https") or not host:
        yield f"endpoint={endpoint!r} is not an http(s) URL; give the logs ingestion endpoint, https://…"
    elif parts.query or parts.fragment:
        yield f"endpoint={endpoint!r} has a query or fragment; give the URL without"
    elif parts.scheme == "http" and credential != "local" and not is_loopback(host):
        yield (
            f"endpoint={endpoint!r} would send a token in clear text: use https://, or credential='local' for a local"
            " workspace on another host (http:// is accepted for 127.0.0.0/8, [::1] and localhost)"
        )


def is_loopback(host: str) -> bool:
    """Judge a host by its address, not by its text: '127.0.0.1.example.org' is not loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address in ipaddress.ip_network("127.0.0.0/8") if address.version == 4 else address.is_loopback


def _check_rule_id(rule_id: Any, _: Any) -> Iterator[str]:
    if not isinstance(rule_id, str) or not _RULE_ID.fullmatch(rule_id):
        yield (
            f"rule_id={rule_id!r} is not accepted; give the rule's immutable id, dcr-… (not its name or resource id:"
            " it is 'immutableId' in the rule's JSON)"
        )


def _check_stream(stream: Any, _: Any) -> Iterator[str]:
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        yield f"stream={stream!r} is not accepted; give the stream's name as the rule declares it, Custom-…"


_CHECKS: Mapping[str, Callable[[Any, Any], Iterator[str]]] = {
    "endpoint": _check_endpoint,
    "rule_id": _check_rule_id,
    "stream": _check_stream,
}
