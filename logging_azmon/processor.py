"""Front door for structlog: a processor that gives event dicts to a pipeline and passes them on.

Rules: the processor is not registered with logging, so dictConfig, which closes all handlers, leaves it alone. At exit
a handler takes its place, because logging closes handlers after all code that may still log.
"""

from __future__ import annotations

import logging
from typing import Any, Unpack

from ._config.options import Credential, Options, lists_options
from ._config.validators import check_flag
from ._front.pipeline_link import PipelineLink, level_and_problems
from ._process import at_exit, feedback
from ._process.registry import Registry
from ._rows.levels import number_of
from .errors import ConfigurationError
from .handler import AzureMonitorHandler
from .health import Health
from .pipeline import HasPipeline, Pipeline
from .stats import Stats


class _StandIn:
    """Replace a processor by a handler at exit, because logging closes handlers after all code that may still log."""

    def __init__(self, link: PipelineLink) -> None:
        self._link = link
        self._handler: AzureMonitorHandler | None = None
        _stand_ins.add(self)

    def take_over(self) -> None:
        """Give the pipeline to a new handler, which `logging.shutdown` will close."""
        if self._link.is_resolved:
            self._handler = AzureMonitorHandler(pipeline=self._link.pipeline)
            self._link.close()

    def close(self) -> None:
        """Close the handler, if there is one."""
        if self._handler is not None:
            self._handler.close()


_stand_ins: Registry[_StandIn] = Registry()


@lists_options
class AzureMonitorProcessor:
    """Turn each structlog event into a row of a Log Analytics table, and pass the event on unchanged.

    Place it after the processors that add to the event, and before the one that renders it. It takes the arguments of
    `AzureMonitorHandler`, and `drop`, which ends the chain after it.

    A setting that is not given is taken from the environment: `batch_seconds` from LOGGING_AZMON_BATCH_SECONDS.

    Args:
        endpoint: URL of the rule's logs ingestion endpoint, or of its data collection endpoint (DCE).
            Default: the environment variable DATA_COLLECTION_ENDPOINT.
        rule_id: Immutable id of the data collection rule (DCR), dcr-…: neither its name nor its
            resource id. Default: the environment variable LOGS_DCR_RULE_ID.
        stream: Name of the stream, Custom-…, as the rule declares it. Not needed if `dcr` declares only
            one. Default: the environment variable LOGS_DCR_STREAM_NAME.
        credential: Identity to authenticate as: "default", "managed_identity", "workload_identity",
            "environment" or "azure_cli"; one of these with its options, as in {"managed_identity":
            {"client_id": "…"}}; with their options also "client_secret", "certificate",
            "client_assertion" and "azure_pipelines"; several to try, as in {"chained":
            ["workload_identity", "azure_cli"]}; any TokenCredential; or "local", which sends no token,
            for a local workspace. Default: "default".
        level: Lowest level that becomes a row, as a number or a name. Default: 0.
        pipeline: Pipeline to share, given as a Pipeline, a handler or a processor, or in dictConfig as
            "cfg://handlers.NAME". Only `level`, and for a processor `drop`, may be given beside it. By
            default a new pipeline is made from the other arguments.
        drop: Whether to end the chain here: every event is dropped, whether or not it became a row.
            Default: False.
        enabled: False takes no row and starts nothing, so that neither an address nor a credential is
            needed; `testing.capture` still gets the rows. The environment variable
            LOGGING_AZMON_DISABLED=1 does the same. Default: True.
        columns: Source of each column: a mapping by column name, a `Table`, or the name of a preset. By
            default, the columns that `dcr` declares, each filled by the field or extra that its name
            stands for; without `dcr`, the preset "default".
        dcr: Data collection rule to read column names and types from: the path of its JSON file, or the
            rule as a mapping. Default: none.
        redact: What to replace before a row is written anywhere: "secrets", "personal", a list of these
            and of regular expressions, or a mapping of "presets", "patterns" and "keys". Default:
            nothing.
        before_send: Callable that gets each row as a dict, after it was redacted, and returns the row
            to send, or None to drop it. If it raises, the row is dropped and reported. Default: none.
        batch_bytes: Maximum bytes of JSON in one request, before compression. Default: 1_000_000, from
            4_096 to 52_428_800.
        batch_seconds: Maximum seconds that a row waits for its batch to fill. The first row after a
            quiet time is sent at once, within 0.2 s. Default: 5.0, from 0.01 to 3_600.
        queue_bytes: Maximum bytes of rows that wait in memory; at least two batches. Default:
            67_108_864, from 8_192 to 1_099_511_627_776.
        overflow: What to do with a row when the queue is full: drop it, drop the oldest rows, or block
            the log call. One of "drop_new", "drop_old", "block". Default: "drop_new".
        block_seconds: With overflow="block", maximum seconds that a log call waits for room. After one
            call has waited in vain, no other waits until there is room again. An event loop is never
            blocked. Default: 1.0, from 0 to 60.
        spool: Directory that holds the queue in place of memory, so that rows survive the process.
            Default: none.
        spool_bytes: Maximum bytes in the spool; at least two batches. When it is full, `overflow`
            decides. Default: 1_073_741_824, from 32_768 to 1_125_899_906_842_624.
        spool_fsync: When to sync the spool to disk, so that rows survive a power cut as well: never,
            after each batch, or after each row. One of "never", "batch", "row". Default: "never".
        uploads: Maximum number of requests in flight. Default: 4, from 1 to 32.
        connect_seconds: Maximum seconds to wait for a connection. Default: 5.0, from 0.01 to 300.
        read_seconds: Maximum seconds to wait for a response. Default: 30.0, from 0.01 to 300.
        retry_seconds: Maximum seconds between two tries; waits start shorter and double. A longer wait
            that the service asks for is honoured up to 300 s. Default: 60.0, from 0.01 to 3_600.
        give_up_seconds: Seconds after which a batch that could not be delivered is dropped. Default:
            never.
        close_seconds: Maximum seconds that `flush`, `close` and the exit of the process take. Default:
            10.0, from 0 to 3_600.
        cloud: Azure cloud that the rule is in. One of "public", "china", "usgov". Default: "public".
        proxy: URL of the proxy for rows and tokens, http://host:port; a local endpoint is reached
            directly. Default: HTTPS_PROXY and NO_PROXY in the environment decide.
        ca_bundle: File or directory of the certificate authorities to trust, in PEM format. Default:
            REQUESTS_CA_BUNDLE in the environment, else those of certifi.
        report: Callable that receives each `Trouble`. By default, its text is printed on stderr.

    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Credential | None = None,
        *,
        level: int | str = logging.NOTSET,
        pipeline: Pipeline | HasPipeline | None = None,
        drop: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        level, problems = level_and_problems(level)
        self._link = PipelineLink(pipeline, arguments, [*problems, *check_flag("drop", drop)])
        self.level = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]
        self._drop_event: type[BaseException] | None = None
        if drop:
            from structlog import DropEvent

            self._drop_event = DropEvent
        self._stand_in = _StandIn(self._link)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} level={self.level} {self._link!r}>"

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, so that other handlers and processors can share it."""
        return self._link.pipeline

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        """Give an event dict to the pipeline, and return it."""
        try:
            self._accept(logger, method_name, event_dict)
        except RecursionError as error:
            # The stack is exhausted, so nothing can be called here: the pipeline counts the row later.
            error.__traceback__ = error.__context__ = None
            self._link.uncounted[error] = None
        except ConfigurationError as error:
            self._link.complain(error)
        if self._drop_event is not None:
            raise self._drop_event
        return event_dict

    def _accept(self, logger: Any, method_name: str, event_dict: Any) -> None:
        # A ProcessorFormatter's chain may run on another thread than the log call did; its event dicts hold the record.
        if feedback.depths and feedback.is_own(dict.get(event_dict, "_record") if type(event_dict) is dict else None):
            return
        if self.level and _is_below(self.level, event_dict, method_name):
            return
        intake = self._link.intake
        if intake is None:
            intake = self._link.resolve()
        intake.accept_event(event_dict, method_name, _name_of(logger))

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver the waiting rows.

        Return True if the service has accepted or rejected each of them, and no row was dropped during the call.
        A `timeout` of None means `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Take no more rows, and deliver the waiting ones within `close_seconds`; further calls do nothing."""
        self._link.close()
        self._stand_in.close()

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        return self.pipeline.stats()

    def health(self) -> Health:
        """Return whether rows are delivered, and if not, why; a probe can ask each second."""
        return self.pipeline.health()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.pipeline, self.level, self._drop_event is not None)


def _unpickled(pipeline: Pipeline, level: int, drop: bool) -> AzureMonitorProcessor:  # noqa: FBT001 - pickle's way
    return AzureMonitorProcessor(pipeline=pipeline, level=level, drop=drop)


def _is_below(level: int, event: Any, method: str) -> bool:
    try:
        return number_of(event, method) < level
    except Exception:  # noqa: BLE001 - not a mapping, or an unusual one: a row too many is better than one lost
        return False


def _name_of(logger: Any) -> str | None:
    try:
        name = logger.name
    except Exception:  # noqa: BLE001 - most loggers have no name
        return None
    return name if issubclass(type(name), str) else None


def _at_exit(*, is_last: bool) -> None:
    # If nothing runs later, logging will close no handlers, so a stand-in would never be closed.
    for stand_in in [] if is_last else _stand_ins.alive():
        stand_in.take_over()


at_exit.register(at_exit.Turn.FRONT_DOORS, _at_exit)
