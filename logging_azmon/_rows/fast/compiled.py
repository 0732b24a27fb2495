"""Make the compiled twin of the function that encodes ordinary records, of the same parts."""

from __future__ import annotations

import logging
import sys
from operator import itemgetter
from typing import Any

import orjson

from ..._config.service_limits import MAX_VALUE_BYTES
from ..._process import implementation
from ..fields import SITE_FIELDS, THREAD_FIELDS
from ..jsonable import OPTIONS, hazard_in
from ..layout import Layout
from ..record_extras import NOT_EXTRA, STANDARD_NAMES
from ..timestamps import SecondCache
from .contract import Caches, EncodeRecord, Fallback
from .exception import make_place_exception
from .record import SPECIAL, make_record_encoder
from .tail import ALWAYS_SHORT, TailCache, is_ordinary


def make_compiled_encoder(layout: Layout, caches: Caches, fallback: Fallback) -> EncodeRecord:
    """Make the twin; tables whose columns take extras, and an installation without it, get the pure function."""
    pure = make_record_encoder(layout, caches, fallback)
    if implementation.compiled is None or not is_ordinary(layout) or layout.extras:
        return pure
    wanted = layout.wanted
    key_names = (*(SITE_FIELDS[name] for name in wanted.site), *(THREAD_FIELDS[name] for name in wanted.thread))
    twin: Any = implementation.compiled.RecordEncoder
    return twin(  # type: ignore[no-any-return]
        otherwise=pure,
        plain=logging.LogRecord,
        standard=STANDARD_NAMES,
        key_names=key_names,
        key_of=itemgetter(*key_names),
        tails=TailCache(caches.threads, caches.sites, len(wanted.site)),
        seconds=SecondCache(),
        next_number=caches.next_number,
        limit=caches.limit,
        encode_spans=caches.encode_spans,
        place_exception=make_place_exception(layout),
        has_spans=bool(layout.spans),
        modules=sys.modules,
        special=SPECIAL,
        not_extra=NOT_EXTRA,
        columns=tuple(
            writer.name if writer is not None else ""
            for writer in (layout.times[0], layout.message, layout.rest, layout.sequence)
        ),
        longest=MAX_VALUE_BYTES,
        always_short=ALWAYS_SHORT,
        dumps=orjson.dumps,
        options=OPTIONS,
        hazard_in=hazard_in,
    )
