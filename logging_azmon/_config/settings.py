"""Turn a user's arguments into checked settings, and report all mistakes together.

`read` takes the arguments as they came from code or from ``dictConfig``, and the environment as an argument of its own.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..table import Source, Table
from . import validators
from .credential_checks import check_credential
from .environment import from_environment, with_origin
from .options import ADDRESS, ARGUMENTS, DISABLED, Options
from .redaction import Redaction, read_redaction

if TYPE_CHECKING:
    from .dcr import Streams

# Microsoft's environment variables, by argument.
ENVIRONMENT = {name: ARGUMENTS[name].variable or "" for name in ADDRESS}
# Accepted values of the environment variable that switches pipelines off.
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")
_NOT_NEEDED_IF_OFF = (*ADDRESS, "credential", "spool", "proxy", "ca_bundle")
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold the checked settings of a pipeline; `options` documents each."""

    endpoint: str
    rule_id: str
    stream: str
    table: Table = dataclasses.field(repr=False)
    credential: Any = dataclasses.field(default=ARGUMENTS["credential"].default, repr=False)
    enabled: bool = ARGUMENTS["enabled"].default
    redact: Redaction | None = None
    before_send: Callable[[dict[str, Any]], Any] | None = None
    batch_bytes: int = ARGUMENTS["batch_bytes"].default
    batch_seconds: float = ARGUMENTS["batch_seconds"].default
    queue_bytes: int = ARGUMENTS["queue_bytes"].default
    overflow: str = ARGUMENTS["overflow"].default
    block_seconds: float = ARGUMENTS["block_seconds"].default
    spool: str | None = None
    spool_bytes: int = ARGUMENTS["spool_bytes"].default
    spool_fsync: str = ARGUMENTS["spool_fsync"].default
    uploads: int = ARGUMENTS["uploads"].default
    connect_seconds: float = ARGUMENTS["connect_seconds"].default
    read_seconds: float = ARGUMENTS["read_seconds"].default
    retry_seconds: float = ARGUMENTS["retry_seconds"].default
    give_up_seconds: float | None = None
    close_seconds: float = ARGUMENTS["close_seconds"].default
    cloud: str = ARGUMENTS["cloud"].default
    # It may hold a password.
    proxy: str | None = dataclasses.field(default=None, repr=False)
    ca_bundle: str | None = None
    report: Callable[[Any], object] | None = None

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments that these settings can be read from again."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"columns": given.pop("table"), **given}

    @property
    def is_local(self) -> bool:
        """Return whether rows go to a local workspace, which needs no real token."""
        return self.credential == "local" or self.endpoint.startswith("http://")


# The arguments that become settings unchanged.
SETTINGS = tuple(field.name for field in dataclasses.fields(Settings) if field.name not in (*ENVIRONMENT, "table"))
# Names that are not arguments of a pipeline, and where they belong.
_ELSEWHERE = {
    "level": "a handler or a processor takes it, a Pipeline does not",
    "pipeline": "a handler or a processor takes it, a Pipeline does not",
    "drop": "only a processor takes it",
    "formatter": "call setFormatter() of the handler, or name a formatter in dictConfig",
    "filters": "call addFilter() of the handler, or name filters in dictConfig",
}
# The arguments that `read` accepts.
ACCEPTED = (*ENVIRONMENT, "credential", *Options.__annotations__)


def read(arguments: Mapping[str, Any], environ: Mapping[str, str], *, has_destination: bool = False) -> Settings:
    """Check the arguments, and fill in the environment and the defaults; an argument that is None counts as missing.

    With a destination of its own, as in a test, a pipeline needs no address, and our variables are not read. Raises a
    ConfigurationError with every mistake.
    """
    given = {name: _resolved(value) for name, value in arguments.items() if value is not None}
    ours = {} if has_destination else environ
    from_ours, faulty = from_environment(ours)
    from_ours = {name: value for name, value in from_ours.items() if name not in given}
    problems = [_unknown(name) for name in arguments if name not in ACCEPTED]
    enabled = _collect(problems, _is_enabled, given, ours)
    given |= from_ours
    # Not even looked at if it is off: where nothing is sent, they may be missing or wrong.
    ignored = _NOT_NEEDED_IF_OFF if enabled is False else ()
    problems.extend(problem for name, problem in faulty.items() if name not in given and name not in ignored)
    options = {name: given[name] for name in SETTINGS if name in given and name not in ("enabled", *ignored)}
    problems.extend(_option_problems(options))

    streams = _collect(problems, _declared_streams, given.get("dcr"))
    address: dict[str, Any] = {
        name: given[name] if name in given else environ.get(variable, "").strip()
        for name, variable in ENVIRONMENT.items()
    }
    if address["stream"] == "" and streams is not None and len(streams) == 1:
        (address["stream"],) = streams
    if has_destination:
        address = _with_stand_ins(address, streams)
    if enabled:
        problems.extend(_address_problems(address, options.get("credential"), streams, given.get("dcr")))
    else:
        address = {name: value if isinstance(value, str) else "" for name, value in address.items()}

    columns, has_dcr = given.get("columns"), given.get("dcr") is not None
    if not enabled and address["stream"] == "":
        # None of the declared streams is chosen, so their columns cannot be compared.
        columns, streams = "default" if columns is None else columns, None
    table = _collect(problems, _table, columns, streams, address["stream"], has_dcr=has_dcr)
    if problems:
        raise ConfigurationError(with_origin(problem, from_ours) for problem in problems)
    if enabled:
        address["endpoint"] = validators.normal_endpoint(address["endpoint"])
    return Settings(**address, **_normalized(options), enabled=enabled, table=table)


def _normalized(options: dict[str, Any]) -> dict[str, Any]:
    """Return checked options as they are used."""
    for name in ("spool", "ca_bundle"):
        if name in options:
            options[name] = os.path.abspath(os.path.expanduser(os.fspath(options[name])))
    if "redact" in options:
        options["redact"], _ = read_redaction(options["redact"])
    return options


def switched_off_by(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return what switches the pipeline off, as it is written: an argument, an environment variable, or "".

    Raises a ConfigurationError if the value of either is not accepted.
    """
    enabled, value = arguments.get("enabled"), environ.get(DISABLED, "").strip()
    problems = [] if enabled is None else list(validators.check_flag("enabled", enabled))
    if value.lower() not in (*_YES, *_NO):
        problems.append(f"{DISABLED}={validators.shown(value)} is not accepted; set it to 1, true or yes, or unset it")
    if problems:
        raise ConfigurationError(problems)
    if value.lower() in _YES:
        return f"{DISABLED}={value}"
    return "enabled=False" if enabled is False else ""


def _is_enabled(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    return not switched_off_by(arguments, environ)


def _with_stand_ins(address: Mapping[str, Any], streams: Streams | None) -> dict[str, Any]:
    """Complete the address of a pipeline that sends elsewhere; each has a rule of its own, as a rule shares pauses."""
    stand_ins = {"endpoint": "http://localhost", "rule_id": f"dcr-test-{next(_numbers)}"}
    if streams is None:
        stand_ins["stream"] = "Custom-Test"
    return {name: value or stand_ins.get(name, "") for name, value in address.items()}


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    if name in _ELSEWHERE:
        return f"unknown argument {name!r}: {_ELSEWHERE[name]}"
    near = get_close_matches(name, (*ACCEPTED, *_ELSEWHERE), 1)
    question = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"unknown argument {name!r}{question}; accepted are {', '.join(ACCEPTED)};"
        " a handler or processor also takes level and pipeline"
    )


def _resolved(value: Any) -> Any:
    """Rebuild dictConfig's containers, which resolve ``ext://`` and ``cfg://`` only when an item is asked for."""
    if not isinstance(value, dict | list | tuple) or getattr(value, "configurator", None) is None:
        return value
    if isinstance(value, dict):
        return {key: _resolved(value[key]) for key in value}
    return [_resolved(value[index]) for index in range(len(value))]


# The checks of settings that are neither numbers nor words.
_CHECKS: Mapping[str, Callable[[Any], Iterable[str]]] = {
    "credential": check_credential,
    "redact": lambda redact: read_redaction(redact)[1],
    "before_send": lambda hook: validators.check_callable("before_send", hook),
    "report": lambda report: validators.check_callable("report", report),
    "spool": validators.check_spool,
    "proxy": validators.check_proxy,
    "ca_bundle": validators.check_authorities,
}


def _option_problems(options: Mapping[str, Any]) -> Iterator[str]:
    checked: dict[str, list[str]] = {}
    for name, value in options.items():
        argument = ARGUMENTS[name]
        if argument.choices:
            checked[name] = list(validators.check_choice(name, value, argument.choices))
        elif argument.limits is not None:
            checked[name] = list(validators.check_number(name, value, argument.limits, is_whole=argument.is_whole))
        yield from checked.get(name, ())
    for name, check in _CHECKS.items():
        if name in options:
            yield from check(options[name])
    for name in ("queue_bytes", "spool_bytes") if "spool" in options else ("queue_bytes",):
        if not (checked.get(name) or checked.get("batch_bytes")):
            capacity, batch_bytes = (options.get(each, ARGUMENTS[each].default) for each in (name, "batch_bytes"))
            least = 2 * batch_bytes
            if capacity < least:
                yield (
                    f"{name}={capacity} is too small: it must hold two batches of batch_bytes={batch_bytes};"
                    f" give at least {least}"
                )


def _address_problems(address: Mapping[str, Any], credential: Any, streams: Streams | None, dcr: Any) -> Iterator[str]:
    for name, variable in ENVIRONMENT.items():
        value = address[name]
        if value == "":
            in_dcr = f"; the given dcr declares {', '.join(streams)}" if name == "stream" and streams else ""
            if name != "stream" and streams:
                in_dcr = _in_rule(name, dcr)
            yield f"{name} is missing: give {name}=… or set the environment variable {variable}{in_dcr}"
        elif name == "endpoint":
            yield from validators.check_endpoint(value, credential)
        else:
            yield from (validators.check_rule_id if name == "rule_id" else validators.check_stream)(value)


def _in_rule(name: str, dcr: Any) -> str:
    """Say that the rule's own address is not used: the same file describes the columns of other deployments too."""
    from .dcr import has_address

    found = {"endpoint": "endpoints", "rule_id": "immutableId"}[name]
    return f" (dcr= is read for its columns only, so {found} in it is not used)" if has_address(dcr, found) else ""


def _collect(problems: list[str], build: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """Build a part; if that fails, collect its problems and return None, so that the other parts are checked too."""
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
        # A declared name may be one that a table cannot have: the rule's transformation renames it.
        table = Table.from_mapping(columns, declared=has_dcr) if columns or not has_dcr else None
    else:
        example = "{'Message': 'message', 'OrderId': 'order_id:long'}"
        forms = f"a mapping, such as {example}, a logging_azmon.Table, or the name of a preset, such as 'default'"
        raise ConfigurationError([f"columns={validators.shown(columns)} is not accepted; give {forms}"])
    if streams is None:
        return table
    return _declared_table(table, streams, stream, must_be_declared=not isinstance(columns, str))


def _declared_table(mapped: Table | None, streams: Streams, stream: Any, *, must_be_declared: bool) -> Table | None:
    """Take names and types from the rule; `mapped` only says what fills the columns that the rule declares."""
    from .rule_table import table_of

    if not isinstance(stream, str) or not stream:
        return None  # reported with the address
    declared = streams.get(stream)
    if declared is None:
        raise ConfigurationError(
            [f"stream={validators.shown(stream)} is not declared in the given dcr; it declares {', '.join(streams)}"]
        )
    sources: dict[str, Source] = {}
    problems = []
    for column in mapped or ():
        if column.name in declared:
            sources[column.name] = column.source
        elif must_be_declared:
            problems.append(
                f"column {column.name!r} is not declared for {stream}, so the service would drop it silently;"
                f" declared are {', '.join(declared)}"
            )
    if problems:
        raise ConfigurationError(problems)
    return table_of(declared, sources)
