"""Make the compiled twins of the functions that encode ordinary records and events, of the same parts.

Tables whose columns take extras, and an installation without the twins, get the pure functions.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from operator import itemgetter
from typing import Any

import orjson

from ..._config.service_limits import MAX_VALUE_BYTES
from ..._process import implementation
from ..fields import SITE_FIELDS, THREAD_FIELDS
from ..jsonable import OPTIONS, hazard_in
from ..layout import Layout
from ..record_extras import NOT_EXTRA, STANDARD_NAMES
from ..timestamps import SecondCache, is_utc_text
from . import event, record
from .contract import Caches, EncodeEvent, EncodeRecord, Fallback
from .exception import make_place_exception
from .tail import ALWAYS_SHORT, TailCache, is_ordinary


def make_record_encoder(layout: Layout, caches: Caches, fallback: Fallback) -> EncodeRecord:
    """Make the twin for records."""
    pure = record.make_record_encoder(layout, caches, fallback)
    if implementation.compiled is None or not is_ordinary(layout) or layout.extras:
        return pure
    wanted = layout.wanted
    key_names = (*(SITE_FIELDS[name] for name in wanted.site), *(THREAD_FIELDS[name] for name in wanted.thread))
    twin: Any = implementation.compiled.RecordEncoder
    return twin(  # type: ignore[no-any-return]
        plain=logging.LogRecord,
        standard=STANDARD_NAMES,
        key_names=key_names,
        key_of=itemgetter(*key_names),
        place_exception=make_place_exception(layout),
        tails=TailCache(caches.threads, caches.sites, len(wanted.site)),
        special=record.SPECIAL,
        ignored=NOT_EXTRA,
        **_shared(layout, caches, pure),
    )


def make_event_encoder(layout: Layout, caches: Caches, fallback: Fallback) -> EncodeEvent:
    """Make the twin for events."""
    pure = event.make_event_encoder(layout, caches, fallback)
    if implementation.compiled is None or pure is fallback or layout.extras:
        return pure
    twin: Any = implementation.compiled.EventEncoder
    return twin(  # type: ignore[no-any-return]
        is_utc_text=is_utc_text,
        now=time.time,
        thread=threading.current_thread,
        ident=threading.get_ident,
        tails=event.make_tails(layout, caches),
        special=event.SPECIAL | event.READ,
        ignored=event.READ,
        **_shared(layout, caches, pure),
    )


def _shared(layout: Layout, caches: Caches, pure: EncodeRecord | EncodeEvent) -> dict[str, Any]:
    return {
        "otherwise": pure,
        "seconds": SecondCache(),
        "next_number": caches.next_number,
        "limit": caches.limit,
        "encode_spans": caches.encode_spans,
        "has_spans": bool(layout.spans),
        "modules": sys.modules,
        "columns": tuple(
            writer.name if writer is not None else ""
            for writer in (layout.times[0], layout.message, layout.rest, layout.sequence)
        ),
        "longest": MAX_VALUE_BYTES,
        "always_short": ALWAYS_SHORT,
        "dumps": orjson.dumps,
        "options": OPTIONS,
        "hazard_in": hazard_in,
    }
