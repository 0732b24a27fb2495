"""Every argument of the front doors: its type, default, range and the sentence that documents it.

`ARGUMENTS` is the table. Settings take their defaults and checks from it, and `lists_options` completes the signatures
of the front doors. Type checkers and editors cannot read a table, so `Options` repeats the names with their types, and
`tests/config/test_options.py` writes the sentences into the docstrings. It also checks that the table, `Options` and
`Settings` agree.

Annotations are evaluated here, hence no ``from __future__ import annotations``: `inspect.signature` shows them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, TypeVar, get_args

from ..table import Table
from ..trouble import Trouble
from .clouds import CLOUDS
from .service_limits import MAX_DECOMPRESSED_BYTES

OverflowName = Literal["drop_new", "drop_old", "block"]
FsyncName = Literal["never", "batch", "row"]
CloudName = Literal["public", "china", "usgov"]

# The beginning of our environment variables.
PREFIX = "LOGGING_AZMON_"
# Switches off every handler, processor and pipeline of the process.
DISABLED = f"{PREFIX}DISABLED"

KIB, MIB, GIB = 1024, 1024**2, 1024**3

_FrontDoor = TypeVar("_FrontDoor", bound=type[Any])


class TokenCredential(Protocol):
    """A credential of azure-identity, or any object that obtains tokens in the same way."""

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return an access token for the scopes."""
        ...


Credential = str | Mapping[str, Any] | TokenCredential
"""The name of an identity, one with its options, or an object that obtains tokens."""


class Options(TypedDict, total=False):
    """Name the settings that front doors take by keyword; None stands for the default."""

    enabled: bool | None
    columns: str | Mapping[str, Any] | Table | None
    dcr: str | Path | Mapping[str, Any] | None
    redact: str | Sequence[Any] | Mapping[str, Any] | None
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    batch_bytes: int | None
    batch_seconds: float | None
    queue_bytes: int | None
    overflow: OverflowName | None
    block_seconds: float | None
    spool: str | os.PathLike[str] | None
    spool_bytes: int | None
    spool_fsync: FsyncName | None
    uploads: int | None
    connect_seconds: float | None
    read_seconds: float | None
    retry_seconds: float | None
    give_up_seconds: float | None
    close_seconds: float | None
    cloud: CloudName | None
    proxy: str | None
    ca_bundle: str | os.PathLike[str] | None
    report: Callable[[Trouble], object] | None


class Argument(NamedTuple):
    """Describe one argument."""

    name: str
    text: str
    """The meaning of the argument, in whole sentences, without its default and range."""
    default: Any = None
    limits: tuple[float, float] | None = None
    """The lowest and the highest number that is accepted."""
    is_whole: bool = False
    """Whether the number must be an integer."""
    choices: tuple[str, ...] = ()
    """The only texts that are accepted."""
    variable: str | None = None
    """The environment variable that stands in for a missing argument."""


_TABLE = (
    Argument(
        "endpoint",
        "URL of the rule's logs ingestion endpoint, or of its data collection endpoint (DCE).",
        variable="DATA_COLLECTION_ENDPOINT",
    ),
    Argument(
        "rule_id",
        "Immutable id of the data collection rule (DCR), dcr-…: neither its name nor its resource id.",
        variable="LOGS_DCR_RULE_ID",
    ),
    Argument(
        "stream",
        "Name of the stream, Custom-…, as the rule declares it. Not needed if `dcr` declares only one.",
        variable="LOGS_DCR_STREAM_NAME",
    ),
    Argument(
        "credential",
        'Identity to authenticate as: "default", "managed_identity", "workload_identity", "environment" or "azure_cli";'
        ' one of these with its options, as in {"managed_identity": {"client_id": "…"}}; with their options also'
        ' "client_secret", "certificate", "client_assertion" and "azure_pipelines"; several to try, as in {"chained":'
        ' ["workload_identity", "azure_cli"]}; any TokenCredential; or "local", which sends no token, for a local'
        " workspace.",
        default="default",
    ),
    Argument("level", "Lowest level that becomes a row, as a number or a name.", default=0),
    Argument(
        "pipeline",
        "Pipeline to share, given as a Pipeline, a handler or a processor, or in dictConfig as"
        ' "cfg://handlers.NAME". Only `level`, and for a processor `drop`, may be given beside it. By default a new'
        " pipeline is made from the other arguments.",
    ),
    Argument(
        "drop",
        "Whether to end the chain here: every event is dropped, whether or not it became a row.",
        default=False,
    ),
    Argument("destination", "For tests: where batches go instead of Azure, such as a `testing.FakeDestination`."),
    Argument("clock", "For tests: the clock, such as a `testing.ManualClock`."),
    Argument(
        "background",
        "For tests: False starts no threads, so that rows are delivered in `flush` and `close` only.",
        default=True,
    ),
    Argument(
        "enabled",
        "False takes no row and starts nothing, so that neither an address nor a credential is needed;"
        f" `testing.capture` still gets the rows. The environment variable {DISABLED}=1 does the same.",
        default=True,
    ),
    Argument(
        "columns",
        "Source of each column: a mapping by column name, a `Table`, or the name of a preset. By default, the columns"
        " that `dcr` declares, each filled by the field or extra that its name stands for; without `dcr`, the preset"
        ' "default".',
    ),
    Argument(
        "dcr",
        "Data collection rule to read column names and types from: the path of its JSON file, or the rule as a mapping."
        " Default: none.",
    ),
    Argument(
        "redact",
        'What to replace before a row is written anywhere: "secrets", "personal", a list of these and of regular'
        ' expressions, or a mapping of "presets", "patterns" and "keys". Default: nothing.',
    ),
    Argument(
        "before_send",
        "Callable that gets each row as a dict, after it was redacted, and returns the row to send, or None to drop it."
        " If it raises, the row is dropped and reported. Default: none.",
    ),
    Argument(
        "batch_bytes",
        "Maximum bytes of JSON in one request, before compression.",
        default=1_000_000,
        limits=(4 * KIB, MAX_DECOMPRESSED_BYTES),
        is_whole=True,
    ),
    Argument(
        "batch_seconds",
        "Maximum seconds that a row waits for its batch to fill. The first row after a quiet time is sent at once,"
        " within 0.2 s.",
        default=5.0,
        limits=(0.01, 3_600),
    ),
    Argument(
        "queue_bytes",
        "Maximum bytes of rows that wait in memory; at least two batches.",
        default=64 * MIB,
        limits=(8 * KIB, 1024 * GIB),
        is_whole=True,
    ),
    Argument(
        "overflow",
        "What to do with a row when the queue is full: drop it, drop the oldest rows, or block the log call.",
        default="drop_new",
        choices=get_args(OverflowName),
    ),
    Argument(
        "block_seconds",
        'With overflow="block", maximum seconds that a log call waits for room. After one call has waited in vain, no'
        " other waits until there is room again. An event loop is never blocked.",
        default=1.0,
        limits=(0, 60),
    ),
    Argument(
        "spool",
        "Directory that holds the queue in place of memory, so that rows survive the process. Default: none.",
    ),
    Argument(
        "spool_bytes",
        "Maximum bytes in the spool; at least two batches. When it is full, `overflow` decides.",
        default=GIB,
        limits=(32 * KIB, 1024 * 1024 * GIB),
        is_whole=True,
    ),
    Argument(
        "spool_fsync",
        "When to sync the spool to disk, so that rows survive a power cut as well: never, after each batch, or after"
        " each row.",
        default="never",
        choices=get_args(FsyncName),
    ),
    Argument("uploads", "Maximum number of requests in flight.", default=4, limits=(1, 32), is_whole=True),
    Argument("connect_seconds", "Maximum seconds to wait for a connection.", default=5.0, limits=(0.01, 300)),
    Argument("read_seconds", "Maximum seconds to wait for a response.", default=30.0, limits=(0.01, 300)),
    Argument(
        "retry_seconds",
        "Maximum seconds between two tries; waits start shorter and double. A longer wait that the service asks for is"
        " honoured up to 300 s.",
        default=60.0,
        limits=(0.01, 3_600),
    ),
    Argument(
        "give_up_seconds",
        "Seconds after which a batch that could not be delivered is dropped. Default: never.",
        limits=(0.01, 10**9),
    ),
    Argument(
        "close_seconds",
        "Maximum seconds that `flush`, `close` and the exit of the process take.",
        default=10.0,
        limits=(0, 3_600),
    ),
    Argument("cloud", "Azure cloud that the rule is in.", default="public", choices=tuple(CLOUDS)),
    Argument(
        "proxy",
        "URL of the proxy for rows and tokens, http://host:port; a local endpoint is reached directly. Default:"
        " HTTPS_PROXY and NO_PROXY in the environment decide.",
    ),
    Argument(
        "ca_bundle",
        "File or directory of the certificate authorities to trust, in PEM format. Default: REQUESTS_CA_BUNDLE in the"
        " environment, else those of certifi.",
    ),
    Argument("report", "Callable that receives each `Trouble`. By default, its text is printed on stderr."),
)

ARGUMENTS: Mapping[str, Argument] = {argument.name: argument for argument in _TABLE}
# The arguments for which Microsoft's samples have environment variables.
ADDRESS = tuple(argument.name for argument in _TABLE if argument.variable is not None)


def lists_options(front_door: _FrontDoor) -> _FrontDoor:
    """Let `inspect.signature` and `help` list each option of a class whose ``__init__`` takes ``**options``.

    The signature is built when it is first read, so that importing the class stays cheap.
    """
    front_door.__signature__ = _Signature(front_door)
    return front_door


class _Signature:
    """Build the signature of a class when it is read."""

    def __init__(self, owner: type[Any]) -> None:
        self._owner = owner

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        import inspect

        # An instance has the signature of its __call__, and a subclass that of its own constructor.
        is_inherited = (owner.__init__, owner.__new__) != (self._owner.__init__, self._owner.__new__)
        if instance is not None or is_inherited:
            raise AttributeError("__signature__")
        signature = inspect.signature(self._owner.__init__, eval_str=True)
        _, *named, _ = signature.parameters.values()
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=ARGUMENTS[name].default, annotation=annotation
            )
            for name, annotation in Options.__annotations__.items()
        ]
        return signature.replace(parameters=[*named, *options])
