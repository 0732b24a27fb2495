"""The pipeline, which delivers rows and which handlers and processors can share.

`_pipeline` implements it: `intake` turns log calls into rows, `lifecycle` flushes and closes. How a pipeline is
pickled is defined here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, Self, Unpack

from ._azure.uploader import Uploader
from ._config.credential_checks import is_named
from ._config.options import Credential, Options, lists_options
from ._config.settings import Settings, read
from ._delivery.destination import Destination
from ._pipeline.all_pipelines import pipelines
from ._pipeline.lifecycle import Lifecycle
from ._process.clock import Clock, SystemClock
from ._process.registry import Registry
from .health import Health
from .stats import Stats


class HasPipeline(Protocol):
    """A handler or processor, whose pipeline others can share."""

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline."""
        ...


@lists_options
class Pipeline:
    """Deliver rows to one stream, for all handlers and processors that share this pipeline.

    A handler or processor makes its own pipeline unless it is given one: construct a Pipeline only to share it, as in
    ``AzureMonitorHandler(pipeline=pipeline)``. Whoever constructs it closes it; otherwise it is closed when the process
    exits.

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
        destination: For tests: where batches go instead of Azure, such as a `testing.FakeDestination`.
        clock: For tests: the clock, such as a `testing.ManualClock`.
        background: For tests: False starts no threads, so that rows are delivered in `flush` and
            `close` only. Default: True.
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
        destination: Destination | None = None,
        clock: Clock | None = None,
        background: bool = True,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        settings = read(arguments, os.environ, has_destination=destination is not None)
        if destination is None:
            destination = Uploader(settings)
        if clock is None:
            clock = SystemClock()
        self._lifecycle = Lifecycle(settings, destination, clock, pipelines, background=background)
        _known.add(self)

    def __reduce__(self) -> tuple[Callable[[str, Settings], Pipeline], tuple[str, Settings]]:
        """Pickle the settings, never rows: structlog's loggers are pickled with all their processors.

        Unpickled in this process or a forked child, it is this pipeline. In another process, a new one is made once and
        reused for every later pickle.
        """
        if not is_named(self.settings.credential):
            raise TypeError(
                "a pipeline with a credential object cannot be pickled: name the credential, as in"
                " credential='managed_identity', or configure structlog in the other process"
            )
        return _unpickled, (self._lifecycle.key, self.settings)

    def __repr__(self) -> str:
        settings = self.settings
        if not settings.enabled:
            return "<Pipeline, switched off>"
        return f"<Pipeline {settings.stream} of {settings.rule_id}: {self._lifecycle!r}>"

    @property
    def settings(self) -> Settings:
        """Return the validated settings."""
        return self._lifecycle.settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipeline."""
        self.close()

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver the waiting rows.

        Return True if the service has accepted or rejected each of them, and no row was dropped during the call.
        A `timeout` of None means `close_seconds`. On a delivering thread and inside dictConfig it does not wait.
        """
        return self._lifecycle.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver the waiting ones within `timeout` seconds, then count and report the rest as lost.

        A `timeout` of None means `close_seconds`.
        """
        self._lifecycle.close(timeout)

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        return self._lifecycle.stats()

    def health(self) -> Health:
        """Return whether rows are delivered, and if not, why; a probe can ask each second."""
        return self._lifecycle.health()


_known: Registry[Pipeline] = Registry()
# Pipelines that came from other processes, by key. They are kept until this process ends, because the same pickle may
# arrive again after its processor was garbage-collected.
_arrived: dict[str, Pipeline] = {}


def lifecycle_of(pipeline: Pipeline) -> Lifecycle:
    """Return a pipeline's lifecycle, for front doors and commands."""
    return pipeline._lifecycle  # noqa: SLF001 - the only access to it


def _unpickled(key: str, settings: Settings) -> Pipeline:
    known = next((pipeline for pipeline in _known.alive() if lifecycle_of(pipeline).key == key), None)
    if known is not None:
        return known
    pipeline = Pipeline(**settings.as_arguments())
    lifecycle_of(pipeline).take_key(key)
    return _arrived.setdefault(key, pipeline)
